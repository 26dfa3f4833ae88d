"""The gate over the API: who, which, and back again."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.annotation.services import save_response
from apps.datasets.models import Dataset
from apps.drafts.inputs import DraftInput, Origin, Verdict
from apps.drafts.models import Draft
from apps.drafts.services import judge_drafts
from apps.drafts.writing import write_drafts
from apps.jobs.models import Job
from apps.organizations.models import RecordVolume
from apps.records.models import Record
from tests import factories
from tests.api.conftest import OVERHEAD, Cast

TEXTS = ["One about trains.", "Another one about bread.", "Something else entirely, on soup."]


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        return factories.make_dataset(cast.workspace)


@pytest.fixture
def drafts(cast: Cast, dataset: Dataset) -> list[Draft]:
    """Three, the last of which a filter advises against."""
    with cast.inside():
        job = Job.objects.create(kind="like_this", workspace=cast.workspace, dataset_id=dataset.id)
        (parent,) = factories.make_records(dataset)
        written = write_drafts(
            dataset=dataset,
            origin=Origin(job.id, "like_this", "acme/tiny@2", uuid4()),
            drafts=[
                DraftInput(seq=n, fields={"text": text}, parents=[parent.id], group=group)
                for n, (text, group) in enumerate(zip(TEXTS, "aab", strict=True))
            ],
        )
        judge_drafts(filter="quality", verdicts=[Verdict(written[2].id, False, "dull", 0.25)])
        return written


def ids(answer: Any) -> list[str]:
    return [item["id"] for item in answer.json()["items"]]


def test_drafts_are_listed_by_where_they_come_from(
    cast: Cast, dataset: Dataset, drafts: list[Draft]
) -> None:
    place, admin = f"/datasets/{dataset.id}/drafts", cast["admin_in"]
    every = [str(draft.id) for draft in drafts]
    answer = admin.get(place)
    assert (ids(answer), answer.json()["total"]) == (every, 3)
    item = answer.json()["items"][2]
    assert item["fields"] == {"text": TEXTS[2]}
    assert (item["keep"], item["score"], item["reasons"][0]["reason"]) == (False, 0.25, "dull")
    assert item["provenance"]["parents"] == item["parents"]
    assert item["provenance"]["job"] == item["job_id"]
    first = drafts[0]
    for query, found in {
        "state=waiting": every,
        "state=accepted": [],
        "keep=false": every[2:],
        "keep=true": every[:2],
        "group=a": every[:2],
        "alike=true": [],
        "most_score=0.5": every[2:],
        "least_score=0.5": [],
        f"job_id={first.job_id}": every,
        f"job_id={uuid4()}": [],
        f"parent_id={first.parents[0]}": every,
        f"prompt_version_id={first.prompt_version_id}": every,
        "recipe=evolve": [],
        "agent=acme/tiny@2": every,
        f"after={every[0]}&limit=1": every[1:2],
    }.items():
        assert ids(admin.get(f"{place}?{query}")) == found, query


def test_a_page_takes_few_queries(cast: Cast, dataset: Dataset, drafts: list[Draft]) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        cast["owner"].get(f"/datasets/{dataset.id}/drafts")
    assert len(queries) <= OVERHEAD + 2 + 3


def test_a_summary_counts(cast: Cast, dataset: Dataset, drafts: list[Draft]) -> None:
    answer = cast["admin_in"].get(f"/datasets/{dataset.id}/drafts/summary")
    assert answer.json() == {
        "states": {"waiting": 3, "accepted": 0, "discarded": 0},
        "groups": {"a": 2, "b": 1},
        "advised_against": 1,
        "alike": 0,
    }


def test_accepting_by_filter_and_taking_it_back(
    cast: Cast, dataset: Dataset, drafts: list[Draft]
) -> None:
    place, admin = f"/datasets/{dataset.id}/drafts", cast["admin_in"]
    accepted = admin.post(f"{place}/accept", {"filter": {"keep": True}}).json()
    assert (accepted["taken"], accepted["left"], accepted["refused"]) == (2, 0, [])
    with cast.inside():
        made = Record.objects.filter(dataset=dataset, metadata__synthetic=True)
        assert {record.fields["text"] for record in made} == set(TEXTS[:2])
        record = made.first()
        assert record is not None
    origin = admin.get(f"{place}?record_id={record.id}").json()["items"]
    assert [one["id"] for one in origin] == [record.external_id]
    gone = admin.post(f"{place}/discard", {"ids": [str(drafts[2].id)]}).json()
    assert gone["taken"] == 1
    back = admin.post(f"{place}/restore", {"filter": {"decision": accepted["decision"]}}).json()
    assert (back["taken"], back["refused"]) == (2, [])
    states = admin.get(f"{place}/summary").json()["states"]
    assert states == {"waiting": 2, "accepted": 0, "discarded": 1}


def test_an_answered_record_stays(cast: Cast, dataset: Dataset, drafts: list[Draft]) -> None:
    place, admin = f"/datasets/{dataset.id}/drafts", cast["admin_in"]
    accepted = admin.post(f"{place}/accept", {"ids": [str(drafts[0].id)]}).json()
    with cast.inside():
        record = Record.objects.get(external_id=str(drafts[0].id))
        values = {"sentiment": {"value": "mixed"}}
        person = cast.people["annotator_in"]
        save_response(record=record, annotator=person, status="submitted", values=values)
    back = admin.post(f"{place}/restore", {"filter": {"decision": accepted["decision"]}}).json()
    assert back["taken"] == 0
    assert back["refused"] == [
        {"id": str(drafts[0].id), "reason": "people have worked on the record"}
    ]


def test_many_are_decided_call_after_call(
    cast: Cast, dataset: Dataset, drafts: list[Draft], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.drafts.services.AT_ONCE", 2)
    place, admin = f"/datasets/{dataset.id}/drafts", cast["admin_in"]
    for verb in ("accept", "restore", "discard", "restore"):
        first = admin.post(f"{place}/{verb}", {"filter": {}}).json()
        assert (first["taken"], first["left"], first["last"]) == (2, 1, str(drafts[1].id))
        rest = admin.post(f"{place}/{verb}", {"filter": {}, "after": first["last"]}).json()
        assert (rest["taken"], rest["left"], rest["last"]) == (1, 0, str(drafts[2].id))


def test_the_plan_has_no_room(cast: Cast, dataset: Dataset, drafts: list[Draft]) -> None:
    with cast.inside():
        RecordVolume.objects.update(record_limit=2)
    answer = cast["owner"].post(f"/datasets/{dataset.id}/drafts/accept", {"filter": {}})
    assert answer.status_code == 403
    with cast.inside():
        assert Draft.objects.waiting().count() == 3


# --- Editing -------------------------------------------------------------------------------------
def place_of(dataset: Dataset, draft: Draft) -> str:
    return f"/datasets/{dataset.id}/drafts/{draft.id}"


def test_a_draft_is_edited_and_accepted(cast: Cast, dataset: Dataset, drafts: list[Draft]) -> None:
    place, admin = place_of(dataset, drafts[0]), cast["admin_in"]
    suggested = [{"question": "sentiment", "value": "mixed", "score": 0.5}]
    answer = admin.patch(place, {"fields": {"text": "On ships."}, "suggestions": suggested})
    item = answer.json()
    assert (answer.status_code, item["state"]) == (200, "waiting")
    assert (item["fields"], item["suggestions"]) == ({"text": "On ships."}, suggested)
    assert item["written"]["fields"] == {"text": TEXTS[0]}
    assert item["edited_by"] == str(cast.people["admin_in"].id)
    assert item["provenance"]["edited"] == ["fields.text", "suggestions.sentiment"]
    assert admin.get(place).json() == item
    accepted = admin.patch(place, {"metadata": {"topic": "sea"}, "accept": True}).json()
    assert accepted["state"] == "accepted"
    with cast.inside():
        record = Record.objects.get(id=accepted["record_id"])
        assert (record.fields, record.metadata["topic"]) == ({"text": "On ships."}, "sea")
        assert record.metadata["edited_by"] == item["edited_by"]
    assert admin.patch(place, {"metadata": {}}).status_code == 409


def test_an_edit_names_the_version_it_is_of(
    cast: Cast, dataset: Dataset, drafts: list[Draft]
) -> None:
    place, admin = place_of(dataset, drafts[0]), cast["admin_in"]
    first = admin.patch(place, {"fields": {"text": "One."}, "edited_at": None}).json()
    late = admin.patch(place, {"fields": {"text": "Two."}, "edited_at": None})
    assert late.status_code == 409
    mine = {"fields": {"text": "Two."}, "edited_at": first["edited_at"]}
    assert admin.patch(place, mine).status_code == 200


def test_the_plan_has_no_room_for_an_edited_one(
    cast: Cast, dataset: Dataset, drafts: list[Draft]
) -> None:
    with cast.inside():
        RecordVolume.objects.update(record_limit=1)
    place, owner = place_of(dataset, drafts[0]), cast["owner"]
    answer = owner.patch(place, {"fields": {"text": "On ships."}, "accept": True})
    assert answer.status_code == 403
    assert owner.get(place).json()["written"] is None  # all of it or nothing


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"fields": {}}, "fields cannot be empty"),
        ({"fields": {"text": 7}}, "must be a string"),
        ({"fields": {"text": "\0"}}, ""),
        ({"metadata": {"\0": 1}}, ""),
        ({"fields": "x"}, ""),
        ({"metadata": []}, ""),
        ({"suggestions": [{"question": "sentiment"}]}, ""),
        ({"suggestions": [{"question": "sentiment", "value": "?"}]}, "not a valid label"),
        ({"suggestions": [{"question": "sentiment", "value": "mixed", "score": 2}]}, "between"),
        ({"suggestions": [{"question": "?", "value": 1}]}, "no question"),
        ({"edited_at": "yesterday"}, ""),
        ({"edited_at": "0001-01-01T00:00:00+14:00"}, "beyond the years"),
        ({"accept": "perhaps"}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(
    cast: Cast, dataset: Dataset, drafts: list[Draft], body: Any, reason: str
) -> None:
    answer = cast["owner"].patch(place_of(dataset, drafts[0]), body)
    assert answer.status_code == 422, answer.content
    assert reason in answer.content.decode()


def test_an_edit_takes_few_queries(cast: Cast, dataset: Dataset, drafts: list[Draft]) -> None:
    with CaptureQueriesContext(connection) as queries:
        cast["owner"].patch(place_of(dataset, drafts[0]), {"fields": {"text": "On ships."}})
    assert len(queries) <= OVERHEAD + 15


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": []},
        {"ids": ["x"]},
        {"ids": [str(uuid4())] * 5_001},
        {"filter": {"least_score": 7}},
        {"filter": {"keep": "perhaps"}},
        {"filter": []},
        [],
        None,
    ],
)
@pytest.mark.parametrize("verb", ["accept", "discard", "restore"])
def test_nonsense_is_refused(cast: Cast, dataset: Dataset, verb: str, body: Any) -> None:
    answer = cast["owner"].post(f"/datasets/{dataset.id}/drafts/{verb}", body)
    assert answer.status_code == 422, answer.content


def test_drafts_of_another_dataset_are_not_there(cast: Cast, drafts: list[Draft]) -> None:
    with cast.inside():
        other = factories.make_dataset(cast.workspace)
    place = f"/datasets/{other.id}/drafts"
    assert cast["owner"].get(f"{place}/{drafts[0].id}").status_code == 404
    assert cast["owner"].patch(f"{place}/{drafts[0].id}", {"metadata": {}}).status_code == 404
    answer = cast["owner"].post(f"{place}/accept", {"ids": [str(drafts[0].id)]})
    assert answer.json()["taken"] == 0


def test_annotators_never_meet_a_draft(cast: Cast, dataset: Dataset, drafts: list[Draft]) -> None:
    """Not in the queue, in search, in the list, in the export, nor in the counts."""
    person, owner = cast["annotator_in"], cast["owner"]
    assert person.get(f"/datasets/{dataset.id}/drafts").status_code == 403
    claimed = person.post(f"/me/datasets/{dataset.id}/claim?limit=10").json()
    found = owner.post(f"/datasets/{dataset.id}/records/search", {"query": {"text": {"q": "soup"}}})
    exported = b"".join(owner.get(f"/datasets/{dataset.id}/export.jsonl").streaming_content)
    listed = owner.get(f"/datasets/{dataset.id}/records").json()
    progress = owner.get(f"/datasets/{dataset.id}/progress").json()
    assert len(claimed["items"]) == len(listed["items"]) == progress["total"] == 1
    assert found.json()["total"] == 0
    assert not any(text.encode() in exported for text in TEXTS)
