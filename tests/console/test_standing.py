"""Progress and quality over HTTP: who sees what, cards, files, one person's page."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.annotation.services import save_response
from apps.console import figures, standing_cards
from apps.console.figures import COUNTED
from apps.console.tasks import count_figures
from apps.console.views.standing import PROGRESS, QUALITY, csv_file
from apps.datasets.models import Dataset
from apps.organizations.models import Membership, Organization
from apps.records.models import Record
from apps.workspaces.models import Workspace
from apps.workspaces.services import add_workspace_member
from tests import factories

NAMES = ("sentiment", "quality", "genre", "order", "entities", "comment")
UNFIT = {  # cards that say nothing of such a question; of labels and ratings: win rates
    "comment": {"spread", "pairs", "confusion", "wins"},
    "genre": {"confusion", "wins"},
    "entities": {"confusion", "wins"},
    "order": {"confusion"},
}
SignIn = Callable[[Membership], Client]


@pytest.fixture
def notes(workspace: Workspace) -> Dataset:
    return factories.make_dataset(
        workspace, name="notes", questions=NAMES, required=["sentiment"], min_submitted=2
    )


@pytest.fixture
def people(workspace: Workspace, notes: Dataset) -> list[Membership]:
    """Ann says always the same, Bo something else every other time."""
    factories.make_records(notes, 8)
    found = [
        factories.make_member(workspace=workspace, username=name, first_name=name.title())
        for name in ("ann", "bo")
    ]
    for number, record in enumerate(Record.objects.filter(dataset=notes).in_order()[:6]):
        for place, person in enumerate(found):
            label = "negative" if place and number % 2 else "positive"
            values = {
                "sentiment": {"value": label},
                "quality": {"value": 1 + number % 3},
                "genre": {"value": ["drama"]},
            }
            save_response(record=record, annotator=person, status="submitted", values=values)
    return found


def page(client: Client, name: str, dataset: Dataset, **query: Any) -> Any:
    return client.get(reverse(f"console:{name}", args=[dataset.id]), query)


def rows(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.content.decode())))


@pytest.mark.parametrize(
    ("role", "status"), [("annotator", 403), ("reviewer", 200), ("admin", 200), ("owner", 200)]
)
def test_quality_is_for_reviewers(
    workspace: Workspace,
    notes: Dataset,
    sign_in: SignIn,
    role: str,
    status: int,
) -> None:
    client = sign_in(factories.make_member(role=role, workspace=workspace))
    assert page(client, "quality", notes).status_code == status
    for key in QUALITY:
        assert page(client, "quality", notes, card=key).status_code == status
        assert page(client, "quality", notes, card=key, format="csv").status_code == status
    assert page(client, "team", notes).status_code == 200
    assert page(client, "team", notes, card="pairs").status_code == 404


@pytest.mark.parametrize("question", NAMES)
@pytest.mark.parametrize("days", ["7", "all", "rubbish"])
def test_every_card_of_every_question(
    client: Client, notes: Dataset, people: list[Membership], question: str, days: str
) -> None:
    whole = page(client, "quality", notes, question=question, days=days, all="1")
    assert whole.status_code == 200
    for key in QUALITY:
        one = page(client, "quality", notes, question=question, days=days, card=key)
        assert "<html" not in one.content.decode()
        is_there = key not in UNFIT.get(question, {"wins"})
        assert (f'id="card-{key}"' in whole.content.decode()) is is_there
        assert (one.content.decode() in whole.content.decode()) is is_there
    for key in PROGRESS:
        assert page(client, "team", notes, question=question, card=key).status_code == 200
    lazy = page(client, "quality", notes, question=question, days=days).content.decode()
    shown = len(QUALITY) - len(UNFIT.get(question, {"wins"}))
    assert lazy.count('hx-trigger="load"') == shown
    assert "all=1" in lazy  # without scripts


def test_unknown_questions_and_cards_are_not_found(client: Client, notes: Dataset) -> None:
    for query in ({"question": "nothing"}, {"card": "nothing"}, {"card": ""}):
        assert page(client, "quality", notes, **query).status_code == 404
    assert set(COUNTED) == set(QUALITY) | set(PROGRESS)


def test_the_heat_map_leads_to_the_records(
    client: Client, notes: Dataset, people: list[Membership]
) -> None:
    answer = page(client, "quality", notes, question="sentiment", card="pairs")
    (cells,) = {cell.url for _, row in answer.context["card"].heat.rows for cell in row if cell.url}
    found = client.get(cells).context["page"]
    assert found.total == 3
    assert "Ann and Bo: 3 of 6 records differ" in answer.content.decode()
    told = client.get(cells).content.decode()
    assert "Answered differently: Sentiment" in told
    assert "Ann / Bo, since " in told
    everything = page(client, "quality", notes, question="sentiment", card="pairs", days="all")
    (cells,) = {
        cell.url for _, row in everything.context["card"].heat.rows for cell in row if cell.url
    }
    assert client.get(cells).context["page"].total == 3


def test_an_annotator_sees_their_own_row_alone(
    notes: Dataset,
    people: list[Membership],
    sign_in: SignIn,
) -> None:
    ann = sign_in(people[0])
    table = rows(page(ann, "team", notes, card="people", format="csv"))
    assert [row[0] for row in table] == ["Person", "Ann"]
    whole = page(ann, "team", notes, all="1").content.decode()
    assert "Bo" not in re.findall(r"\w+", whole)
    assert "/people/" not in whole
    reviewer = sign_in(factories.make_member(role="reviewer", workspace=notes.workspace))
    table = rows(page(reviewer, "team", notes, card="people", format="csv"))
    assert [row[0] for row in table] == ["Person", "Ann", "Bo"]


def test_files_have_the_numbers_and_no_formulas(
    client: Client, notes: Dataset, people: list[Membership]
) -> None:
    Membership.objects.filter(id=people[0].id).update(first_name="=1+1", last_name="")
    answer = page(client, "quality", notes, card="people", format="csv", question="sentiment")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="notes-people.csv"'
    table = {row[0]: dict(zip(rows(answer)[0], row, strict=True)) for row in rows(answer)[1:]}
    assert table.keys() == {"'=1+1", "Bo"}
    assert table["Bo"]["Done"] == "6"
    assert table["Bo"]["With the others"] == "0.5"
    hostile = standing_cards.Card("x", columns=["@a", "b"], rows=[["-1+2", -1.5], ["\t=x", None]])
    assert rows(csv_file("=../x\r\ny", hostile)) == [
        ["'@a", "b"],
        ["'-1+2", "-1.5"],
        ["'\t=x", ""],
    ]
    assert "\r" not in csv_file("=../x\r\ny", hostile)["Content-Disposition"]
    burn = rows(page(client, "team", notes, card="burn-up", format="csv"))
    assert burn[-1][1] == "6"


def test_hostile_names_are_shown_as_text(client: Client, workspace: Workspace) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    dataset = factories.make_dataset(workspace, name="x", questions=["sentiment"])
    question = dataset.questions.get(name="sentiment")
    question.title = hostile
    question.settings["options"][0]["text"] = hostile
    question.save()
    (record,) = factories.make_records(dataset, 1)
    person = factories.make_member(workspace=workspace, first_name=hostile)
    values = {"sentiment": {"value": "positive"}}
    save_response(record=record, annotator=person, status="submitted", values=values)
    for path in ("quality", "team"):
        assert "<img" not in page(client, path, dataset, all="1").content.decode()
    assert "<img" not in client.get(f"/people/{person.id}/").content.decode()


def test_the_statements_of_a_page_do_not_grow(
    client: Client,
    notes: Dataset,
    people: list[Membership],
    django_assert_max_num_queries: Any,
) -> None:
    page(client, "quality", notes)
    most = {"burn-up": 12, "agreement": 33, "spread": 12, "pairs": 14, "confusion": 13, "wins": 10}
    for key, queries in {**most, "people": 18}.items():
        with django_assert_max_num_queries(queries):
            page(client, "quality", notes, question="sentiment", card=key)


def test_figures_of_a_large_dataset_are_counted_by_a_worker(
    client: Client, notes: Dataset, people: list[Membership], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(figures, "SMALL", 5)
    monkeypatch.setattr(figures, "ring", lambda task, *place, **_: asked.append((task, *place)))
    query = {"question": "sentiment", "days": "7"}
    for wait in ("", "1", "rubbish"):  # one worker is enough
        waiting = page(client, "quality", notes, card="pairs", wait=wait, **query).content.decode()
        assert 'hx-trigger="load delay:' in waiting
        assert "being counted" in waiting
    assert (
        'delay:2s"'
        in page(client, "quality", notes, card="pairs", wait="1", **query).content.decode()
    )
    (one,) = asked
    assert one[0] == "console.count_figures"
    count_figures(*(str(part) for part in one[1:]))
    shown = page(client, "quality", notes, card="pairs", **query).content.decode()
    assert "Ann and Bo: 3 of 6 records differ" in shown
    assert len(asked) == 1  # what is new is not counted again
    monkeypatch.setattr(figures, "OLD", -figures.OLD)
    page(client, "quality", notes, card="pairs", **query)
    assert len(asked) == 2  # what is old is shown and counted again
    whole = page(client, "quality", notes, all="1", **query).content.decode()
    assert whole.count("Look again") == len(QUALITY) - 2  # without pairs and win rates
    table = rows(page(client, "quality", notes, card="people", format="csv", **query))
    assert [row[0] for row in table] == ["Person", "Ann", "Bo"]  # a file waits for its figures


def test_what_is_gone_is_not_counted(notes: Dataset, workspace: Workspace) -> None:
    place = (str(notes.organization_id), str(notes.id), "pairs", "question=gone", "en")
    count_figures(*place)
    count_figures(place[0], str(workspace.id), "pairs", "", "en")


def test_a_long_table_ends_and_the_file_does_not() -> None:
    card = standing_cards.Card("x", columns=["n"], rows=[[n] for n in range(300)])
    assert len(card.listed) == 200
    assert len(rows(csv_file("x", card))) == 301


# --- One person ----------------------------------------------------------------------------------
def test_a_person_across_datasets(
    client: Client, notes: Dataset, people: list[Membership], workspace: Workspace
) -> None:
    other = factories.make_dataset(workspace, name="more", questions=["sentiment"])
    (record,) = factories.make_records(other, 1)
    values = {"sentiment": {"value": "positive"}}
    save_response(record=record, annotator=people[0], status="discarded", values=values)
    path = reverse("console:person_work", args=[people[0].id])
    table = rows(client.get(path, {"format": "csv"}))
    assert {row[0]: row[1] for row in table[1:]} == {"notes": "6", "more": "0"}
    shown = client.get(path).content.decode()
    assert "Work in 2 datasets that you manage." in shown


@pytest.mark.parametrize(
    ("role", "status"), [("annotator", 403), ("reviewer", 403), ("admin", 200), ("owner", 200)]
)
def test_a_person_is_shown_to_managers(
    notes: Dataset,
    people: list[Membership],
    workspace: Workspace,
    sign_in: SignIn,
    role: str,
    status: int,
) -> None:
    path = reverse("console:person_work", args=[people[0].id])
    client = sign_in(factories.make_member(role=role, workspace=workspace))
    assert client.get(path).status_code == status


def test_a_persons_page_asks_as_often_in_many_workspaces(
    notes: Dataset,
    people: list[Membership],
    workspace: Workspace,
    sign_in: SignIn,
    django_assert_max_num_queries: Any,
) -> None:
    admin = factories.make_member(role="admin", workspace=workspace)
    path = reverse("console:person_work", args=[people[0].id])
    with CaptureQueriesContext(connection) as one:
        assert sign_in(admin).get(path).status_code == 200
    for n in range(5):
        place = factories.make_workspace(f"place-{n}")
        add_workspace_member(workspace=place, member=admin)
        factories.make_dataset(place, name=f"notes-{n}")
    with django_assert_max_num_queries(len(one)):
        assert sign_in(admin).get(path).status_code == 200


def test_an_admin_elsewhere_is_told_nothing(
    notes: Dataset,
    people: list[Membership],
    organization: Organization,
    sign_in: SignIn,
) -> None:
    elsewhere = factories.make_workspace("elsewhere")
    factories.make_dataset(elsewhere)
    client = sign_in(factories.make_member(role="admin", workspace=elsewhere))
    assert client.get(reverse("console:person_work", args=[people[0].id])).status_code == 404
    assert page(client, "quality", notes).status_code == 404
