"""The gate's page: one, the marked, or all that match; and back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.annotation.services import save_response
from apps.datasets.models import Dataset
from apps.drafts.inputs import DraftInput, Origin, Verdict
from apps.drafts.models import Draft
from apps.drafts.services import judge_drafts
from apps.drafts.writing import write_drafts
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.records.models import Record
from tests import factories

TEXTS = (
    "My card was charged twice for one dinner.",
    "Why does the cash machine keep my card?",
    "I would like to close my account today.",
    "My card was charged twice for one dinner!",
)


def write(dataset: Dataset) -> list[Draft]:
    """Four drafts: the last one nearly repeats the first, and a filter is against the second."""
    job = Job.objects.create(
        kind="like_this", dataset_id=dataset.id, workspace=dataset.workspace, params={}
    )
    parent = Record.objects.filter(dataset=dataset).in_order()[0]
    suggestion = {"question": "sentiment", "value": "negative"}
    inputs = [
        DraftInput(
            seq=n,
            fields={"text": text},
            group="negative",
            parents=[parent.id],
            suggestions=[suggestion],
        )
        for n, text in enumerate(TEXTS)
    ]
    rows = write_drafts(
        dataset=dataset, origin=Origin(job.id, "like_this", "stub/tiny@v1"), drafts=inputs
    )
    judge_drafts(
        filter="quality",
        verdicts=[
            Verdict(rows[0].id, keep=True, reason="Clear.", score=1.0),
            Verdict(rows[1].id, keep=False, reason="Too vague.", score=0.25),
        ],
    )
    return rows


@pytest.fixture
def drafts(dataset: Dataset) -> list[Draft]:
    return write(dataset)


def url(dataset: Dataset, name: str = "drafts", query: str = "") -> str:
    return reverse(f"console:{name}", args=[dataset.id]) + query


def states() -> list[str]:
    return list(Draft.objects.in_order().values_list("state", flat=True))


def test_a_draft_says_where_it_comes_from(
    client: Client, dataset: Dataset, drafts: list[Draft]
) -> None:
    text = client.get(url(dataset)).content.decode()
    assert "stub/tiny@v1" in text
    assert "Like this, but" in text
    assert "Too vague." in text
    assert f"Nearly repeats: {TEXTS[0]}" in text
    assert "The soup in Berlin was cold." in text  # what they were made from
    assert "Accept all 4 that match" in text


def test_one_is_accepted_and_taken_back(
    client: Client, dataset: Dataset, drafts: list[Draft]
) -> None:
    answer = client.post(url(dataset, "decide_drafts"), {"one": f"accept:{drafts[2].id}"})
    assert states() == ["waiting", "waiting", "accepted", "waiting"]
    page = client.get(answer["Location"])
    assert "1 draft is a record now." in page.content.decode()
    assert Record.objects.filter(fields__text=TEXTS[2]).exists()
    decision = str(page.context["just"].decision)
    page = client.post(url(dataset, "undo_drafts"), {"decision": decision})
    assert "1 draft waits again" in page.content.decode()
    assert states() == ["waiting"] * 4
    assert not Record.objects.filter(fields__text=TEXTS[2]).exists()


def test_the_marked_are_discarded(client: Client, dataset: Dataset, drafts: list[Draft]) -> None:
    marked = [str(drafts[0].id), str(drafts[3].id), "nonsense"]
    client.post(url(dataset, "decide_drafts"), {"do": "discard", "draft": marked})
    assert states() == ["discarded", "waiting", "waiting", "discarded"]
    page = client.post(url(dataset, "decide_drafts"), {"do": "discard"})
    assert "No draft was marked" in page.content.decode()
    assert states() == ["discarded", "waiting", "waiting", "discarded"]


def test_all_that_match_and_no_others(
    client: Client, dataset: Dataset, drafts: list[Draft]
) -> None:
    query = "state=waiting&keep=no"
    page = client.get(url(dataset, query=f"?{query}"))
    assert "Discard 1 that matches" in page.content.decode()
    sent = {"do": "discard-all", "query": query, "expected": "4"}
    late = client.post(url(dataset, "decide_drafts"), sent)
    assert late.status_code == 409
    assert states() == ["waiting"] * 4
    client.post(url(dataset, "decide_drafts"), {**sent, "expected": "1"})
    assert states() == ["waiting", "discarded", "waiting", "waiting"]
    sent = {"do": "accept-all", "query": "alike=no", "expected": "2"}
    client.post(url(dataset, "decide_drafts"), sent)
    assert states() == ["accepted", "discarded", "accepted", "waiting"]


def test_one_goes_on_behind_what_cannot_be_a_record(
    client: Client, dataset: Dataset, drafts: list[Draft], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.drafts.services.AT_ONCE", 2)
    Draft.objects.filter(id__in=[drafts[0].id, drafts[1].id]).update(fields={"text": 7})
    sent = {"do": "accept-all", "expected": "4"}
    page = client.post(url(dataset, "decide_drafts"), sent)
    assert "2 drafts cannot be records" in page.content.decode()
    assert "Accept the 2 that come after them" in page.content.decode()
    last = str(page.context["outcome"].last)
    assert f'name="after" value="{last}"' in page.content.decode()
    client.post(url(dataset, "decide_drafts"), {**sent, "after": last})
    assert states() == ["waiting", "waiting", "accepted", "accepted"]


def test_what_people_have_worked_on_stays(
    client: Client, dataset: Dataset, drafts: list[Draft], olga: Membership
) -> None:
    page = client.post(
        url(dataset, "decide_drafts"), {"do": "accept-all", "expected": "4"}, follow=True
    )
    record = Record.objects.get(fields__text=TEXTS[0])
    values = {"sentiment": {"value": "negative"}}
    save_response(record=record, annotator=olga, status="submitted", values=values)
    decision = str(page.context["just"].decision)
    page = client.post(url(dataset, "undo_drafts"), {"decision": decision})
    text = page.content.decode()
    assert "3 drafts wait again" in text
    assert "1 stays a record" in text


def test_repetitions_are_looked_for(client: Client, dataset: Dataset) -> None:
    factories.make_records(dataset, 1)
    answer = client.post(url(dataset, "compare_drafts"))
    job = Job.objects.get(kind="compare_drafts")
    assert answer["Location"] == reverse("console:job", args=[dataset.id, job.id])
    again = client.post(url(dataset, "compare_drafts"))
    assert again["Location"] == reverse("console:jobs", args=[dataset.id])


def test_nonsense_is_refused(client: Client, dataset: Dataset, drafts: list[Draft]) -> None:
    assert client.get(url(dataset, query="?state=x&job=y&keep=z&page=-3")).status_code == 200
    assert client.post(url(dataset, "decide_drafts"), {"do": "explode"}).status_code == 404
    assert client.post(url(dataset, "undo_drafts"), {"decision": "x"}).status_code == 404


def test_who_may_not_manage_records(
    dataset: Dataset, drafts: list[Draft], sign_in: Callable[[Membership], Client]
) -> None:
    reviewer = sign_in(factories.make_member(role="reviewer", workspace=dataset.workspace))
    assert reviewer.get(url(dataset)).status_code == 403
    sent = {"do": "accept-all", "expected": "4"}
    assert reviewer.post(url(dataset, "decide_drafts"), sent).status_code == 403
    assert reviewer.post(url(dataset, "undo_drafts"), {}).status_code == 403
    assert states() == ["waiting"] * 4


def test_the_page_asks_little(
    client: Client, dataset: Dataset, drafts: list[Draft], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(18):
        client.get(url(dataset))
