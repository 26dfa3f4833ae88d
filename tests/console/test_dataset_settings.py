"""The settings of a dataset in the browser: cards, edits of questions, archive and trash."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.annotation.models import Response, SchemaChange
from apps.annotation.services import save_response
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset, Field, GuidelinesVersion, MetadataProperty, Question
from apps.datasets.services import trash_dataset
from apps.organizations.models import Membership
from apps.quality.models import DatasetReview
from apps.quality.schema_changes.services import apply_edit
from apps.records.models import Record
from apps.workspaces.models import Workspace
from tests import factories

pytestmark = pytest.mark.django_db
TABS = (
    "general",
    "fields",
    "questions",
    "guidelines",
    "metadata",
    "vectors",
    "distribution",
    "review",
    "danger",
)


def path(dataset: Dataset, rest: str) -> str:
    return f"/datasets/{dataset.id}/settings/{rest}"


def answer(dataset: Dataset, olga: Membership, value: str) -> None:
    record = Record.objects.filter(dataset=dataset).in_order()[0]
    values = {"sentiment": {"value": value}}
    save_response(record=record, annotator=olga, status="submitted", values=values)


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_is_shown_to_who_manages_it_alone(
    tab: str,
    dataset: Dataset,
    client: Client,
    workspace: Workspace,
    sign_in: Callable[[Membership], Client],
    django_assert_max_num_queries: Any,
) -> None:
    with django_assert_max_num_queries(24):
        assert client.get(path(dataset, f"{tab}/")).status_code == 200
    bo = sign_in(factories.make_member(workspace=workspace, username="bo"))
    assert bo.get(path(dataset, f"{tab}/")).status_code == 403
    assert client.get(path(dataset, "nothing/")).status_code == 404


@pytest.mark.parametrize(
    ("tab", "card", "given", "changed"),
    [
        ("general", "name", {"name": "other"}, {"name": "other"}),
        ("general", "extra", {}, {"allow_extra_metadata": False}),
        (
            "distribution",
            "overlap",
            {"min_submitted": "2", "queue_order": "least_certain_first"},
            {"min_submitted": 2, "queue_order": "least_certain_first"},
        ),
        ("distribution", "quota", {"daily_quota": "9"}, {"daily_quota": 9, "total_quota": None}),
        ("guidelines", "guidelines", {"guidelines": "# Be\r\nkind"}, {"guidelines": "# Be\nkind"}),
    ],
)
def test_a_card_is_saved_by_itself(
    tab: str,
    card: str,
    given: dict[str, Any],
    changed: dict[str, Any],
    dataset: Dataset,
    client: Client,
) -> None:
    sent = {"card": card} | {f"{card}-{name}": value for name, value in given.items()}
    assert client.post(path(dataset, f"{tab}/"), sent).status_code == 302
    assert Dataset.objects.values(*changed).get(id=dataset.id) == changed


@pytest.mark.parametrize(
    ("tab", "card", "given", "code"),
    [
        ("general", "name", {"name": ""}, 422),
        ("general", "name", {"name": "taken"}, 409),
        ("distribution", "overlap", {"min_submitted": "0", "queue_order": "random"}, 422),
        ("distribution", "quota", {"daily_quota": "many"}, 422),
        ("review", "review", {"random_percent": "101", "least_certain": "2"}, 422),
        ("metadata", "new", {"name": "a", "title": "A", "type": "magic"}, 422),
        ("vectors", "new", {"name": "a", "title": "A", "dimensions": "0"}, 422),
        ("general", "nothing", {}, 404),
    ],
)
def test_what_is_wrong_is_said_on_the_card_and_nothing_changes(
    tab: str, card: str, given: dict[str, Any], code: int, dataset: Dataset, client: Client
) -> None:
    factories.make_dataset(dataset.workspace, name="taken")
    before = Dataset.objects.values().get(id=dataset.id)
    sent = {"card": card} | {f"{card}-{name}": value for name, value in given.items()}
    assert client.post(path(dataset, f"{tab}/"), sent).status_code == code
    assert Dataset.objects.values().get(id=dataset.id) == before


def test_parts_are_changed_added_and_forgotten(dataset: Dataset, client: Client) -> None:
    field = Field.objects.get(dataset=dataset)
    sent = {"card": str(field.id), f"{field.id}-title": "Note", f"{field.id}-use_markdown": "on"}
    client.post(path(dataset, "fields/"), sent)
    field.refresh_from_db()
    assert (field.title, field.settings["use_markdown"]) == ("Note", True)
    new = {"card": "new", "new-name": "lang", "new-title": "Language", "new-type": "terms"}
    client.post(path(dataset, "metadata/"), new)
    made = MetadataProperty.objects.get(dataset=dataset)
    assert (made.name, made.visible_for_annotators) == ("lang", False)
    gone = {"card": str(made.id), f"{made.id}-title": "x", f"{made.id}-remove": "on"}
    client.post(path(dataset, "metadata/"), gone)
    assert not MetadataProperty.objects.filter(dataset=dataset).exists()
    sent = {"card": "new", "new-name": "v", "new-title": "V", "new-dimensions": "8"}
    client.post(path(dataset, "vectors/"), sent)
    assert dataset.vectors_settings.get().dimensions == 8
    client.post(
        path(dataset, "review/"),
        {"card": "review", "review-random_percent": "7", "review-least_certain": ".5"},
    )
    assert DatasetReview.objects.get(dataset=dataset).random_percent == 7


def test_guidelines_are_previewed_and_compared(dataset: Dataset, client: Client) -> None:
    sent = {"card": "guidelines", "guidelines-guidelines": "# Be *kind*", "do": "preview"}
    page = client.post(path(dataset, "guidelines/"), sent)
    assert b"<em>kind</em>" in page.content
    assert not GuidelinesVersion.objects.exists()
    for text in ("be kind", "be just"):
        sent = {"card": "guidelines", "guidelines-guidelines": text}
        client.post(path(dataset, "guidelines/"), sent)
    page = client.get(path(dataset, "guidelines/?version=2"))
    assert b"<del>kind</del>" in page.content
    assert b"<ins>just</ins>" in page.content


def test_types_of_questions_are_told_in_words(dataset: Dataset, client: Client) -> None:
    page = client.get(path(dataset, "questions/")).content.decode()
    assert '<span class="mono">sentiment</span> · One label' in page
    german = client.get(path(dataset, "questions/"), headers={"Accept-Language": "de"})
    assert '<span class="mono">sentiment</span> · Ein Label' in german.content.decode()


def test_an_edit_is_previewed_made_and_undone(
    dataset: Dataset, client: Client, olga: Membership
) -> None:
    answer(dataset, olga, "mixed")
    form = {"kind": "remove_label", "question": "sentiment", "label": "mixed", "to": ""}
    page = client.post(path(dataset, "questions/preview/"), form)
    assert page.status_code == 200
    assert page.context["told"].requeued == 1
    assert "r0" in page.content.decode()
    assert not SchemaChange.objects.exists()
    done = client.post(path(dataset, "questions/apply/"), {"edit": page.context["edit"]})
    assert done.status_code == 302
    assert Response.objects.get().status == "draft"
    assert "Label removed" in client.get(path(dataset, "questions/")).content.decode()
    change = SchemaChange.objects.get()
    client.post(path(dataset, f"changes/{change.id}/undo/"))
    assert Response.objects.get().values == {"sentiment": {"value": "mixed"}}
    again = client.post(path(dataset, f"changes/{change.id}/undo/"))
    assert again.status_code == 409


def test_what_may_be_undone_is_known_without_asking_for_each(
    dataset: Dataset, client: Client, django_assert_max_num_queries: Any
) -> None:
    def add(question: str, label: str) -> None:
        part = {"kind": "add_label", "question": question, "label": {"value": label, "text": label}}
        dataset.refresh_from_db()
        apply_edit(dataset=dataset, edit=read_edit(part))

    add("sentiment", "x1")
    with CaptureQueriesContext(connection) as one:
        client.get(path(dataset, "questions/"))
    for number in range(2, 7):
        add("sentiment", f"x{number}")
    with django_assert_max_num_queries(len(one)):
        page = client.get(path(dataset, "questions/"))
    assert [row[-1] for row in page.context["changes"]] == [True] + [False] * 5
    for change in SchemaChange.objects.order_by("-id")[:2]:
        client.post(path(dataset, f"changes/{change.id}/undo/"))
    page = client.get(path(dataset, "questions/"))
    assert [row[-1] for row in page.context["changes"]] == [False] * 4 + [True] + [False] * 3


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"kind": "rename_label", "label": "mixed", "value": "both"}, "both"),
        ({"kind": "add_label", "text": "New one"}, "New one"),
        ({"kind": "reorder_labels", "order": "mixed\r\nnegative\r\npositive"}, "mixed"),
        ({"kind": "merge_labels", "labels": ["mixed", "negative"], "value": "rest"}, "rest"),
        ({"kind": "split_label", "label": "mixed", "value1": "a", "value2": "b"}, "b"),
        ({"kind": "rename_question", "to": "mood", "title": "Mood"}, "mood"),
        (
            {"kind": "add_question", "name": "n", "title": "N", "type": "rating"}
            | {"backfill": "default", "default": "3"},
            "rating",
        ),
        (
            {"kind": "add_question", "name": "n", "title": "N", "type": "multi_label_selection"}
            | {"labels": "x\ny", "backfill": "default", "default": "x, y"},
            "multi_label_selection",
        ),
    ],
)
def test_each_form_makes_its_edit(
    form: dict[str, Any], expected: str, dataset: Dataset, client: Client
) -> None:
    page = client.post(path(dataset, "questions/preview/"), {"question": "sentiment", **form})
    assert page.status_code == 200, page.context and page.context.get("refused")
    done = client.post(path(dataset, "questions/apply/"), {"edit": page.context["edit"]})
    assert done.status_code == 302
    rows = Question.objects.filter(dataset=dataset).values_list("name", "settings")
    assert expected in str(list(rows))


@pytest.mark.parametrize(
    ("rest", "sent"),
    [
        ("preview/", {}),
        ("preview/", {"kind": "remove_label", "question": "sentiment", "label": "mixed"}),
        ("preview/", {"kind": "rename_label", "question": "\0", "label": "mixed"}),
        ("preview/", {"kind": "add_question", "name": "n", "title": "N", "type": "magic"}),
        (
            "preview/",
            {"kind": "add_question", "name": "n", "title": "N", "type": "rating"}
            | {"backfill": "default", "default": "3" * 5_000},
        ),
        ("apply/", {"edit": "{"}),
        ("apply/", {"edit": "[]"}),
        ("apply/", {}),
        ("apply/", {"edit": '{"kind": "remove_question", "question": "sentiment"}'}),
    ],
)
def test_what_is_no_edit_is_refused(
    rest: str, sent: dict[str, str], dataset: Dataset, client: Client
) -> None:
    assert client.post(path(dataset, f"questions/{rest}"), sent).status_code == 422
    assert not SchemaChange.objects.exists()


def test_archive_and_back(dataset: Dataset, client: Client) -> None:
    client.post(path(dataset, "archive/"))
    assert Dataset.objects.get(id=dataset.id).archived_at
    sent = {"card": "name", "name-name": "other"}
    assert client.post(path(dataset, "general/"), sent).status_code == 409
    assert b"reviews" not in client.get("/").content
    client.post(path(dataset, "archive/"))
    assert Dataset.objects.get(id=dataset.id).archived_at is None


def test_the_trash_asks_for_the_name_and_gives_back(dataset: Dataset, client: Client) -> None:
    assert client.post(path(dataset, "trash/"), {"name": "review"}).status_code == 422
    assert client.post(path(dataset, "trash/"), {"name": "reviews"}).status_code == 302
    assert client.get(path(dataset, "general/")).status_code == 404
    assert client.get(f"/api/v1/datasets/{dataset.id}").status_code in {401, 404}
    assert "reviews" in client.get("/datasets/trash/").content.decode()
    factories.make_dataset(dataset.workspace, name="reviews")
    base = f"/datasets/trash/{dataset.id}/"
    assert client.post(f"{base}restore/", {"name": "reviews"}).status_code == 409
    assert client.post(f"{base}restore/", {"name": "old reviews"}).status_code == 302
    trash_dataset(dataset=dataset)
    assert client.post(f"{base}delete/", {"name": "no"}).status_code == 422
    assert client.post(f"{base}delete/", {"name": "old reviews"}).status_code == 302
    assert not Dataset.objects.filter(id=dataset.id).exists()


def test_the_trash_is_closed_to_who_manages_no_dataset(
    workspace: Workspace, sign_in: Callable[[Membership], Client]
) -> None:
    bo = sign_in(factories.make_member(workspace=workspace, username="bo"))
    assert bo.get("/datasets/trash/").status_code == 403
