"""Responses, suggestions, progress and the queue over HTTP."""

import uuid
from typing import Any

import pytest

from apps.annotation.models import Annotator
from apps.datasets.models import Dataset, Question
from apps.datasets.services import archive_dataset
from apps.records.models import Record
from tests import factories
from tests.api.conftest import OVERHEAD, Cast

VALUES = {"sentiment": {"value": "mixed"}}


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        return factories.make_dataset(cast.workspace, questions=["sentiment", "order"])


@pytest.fixture
def records(cast: Cast, dataset: Dataset) -> list[Record]:
    with cast.inside():
        return factories.make_records(dataset, 3)


def answer(cast: Cast, record: Record, who: str = "annotator_in", **body: Any) -> Any:
    body = {"status": "submitted", "values": VALUES, **body}
    return cast[who].post(f"/records/{record.id}/responses", body)


def test_an_answer_is_created_once(cast, records):
    first = answer(cast, records[0])
    assert first.status_code == 201
    assert list(first.json()) == [
        "id", "values", "status", "record_id", "user_id", "inserted_at", "updated_at",
    ]  # fmt: skip
    assert first.json()["user_id"] == str(cast.id("annotator_in"))
    assert answer(cast, records[0]).status_code == 409
    assert cast["owner"].get(f"/records/{records[0].id}").json()["status"] == "completed"


def test_an_archived_dataset_refuses_and_says_why(cast, dataset, records):
    given = answer(cast, records[0]).json()
    with cast.inside():
        archive_dataset(dataset=dataset)
    bulk = {"items": [{"record_id": str(records[1].id), "status": "submitted", "values": VALUES}]}
    owner, annotator = cast["owner"], cast["annotator_in"]
    for refused in (
        answer(cast, records[1]),
        annotator.delete(f"/responses/{given['id']}"),
        annotator.post(f"/me/datasets/{dataset.id}/claim"),
        owner.patch(f"/datasets/{dataset.id}", {"name": "other"}),
        owner.post(
            f"/datasets/{dataset.id}/records/bulk", {"items": [{"fields": {"text": "more"}}]}
        ),
        owner.delete(f"/datasets/{dataset.id}/records?ids={records[1].id}"),
    ):
        assert refused.status_code == 409, refused.content
        assert "archived" in refused.json()["detail"]
    (item,) = annotator.post("/me/responses/bulk", bulk).json()["items"]
    assert "archived" in item["error"]["detail"]
    assert owner.get(f"/datasets/{dataset.id}/records").json()["total"] == 3


def test_a_retry_with_the_same_key_is_the_same_answer(cast, records):
    key = {"Idempotency-Key": str(uuid.uuid4())}
    path = f"/records/{records[0].id}/responses"
    body = {"status": "submitted", "values": VALUES}
    first = cast["annotator_in"].post(path, body, **key)
    again = cast["annotator_in"].post(path, body, **key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"values": {}}, "missing response values for submitted response"),
        ({"values": {"nope": {"value": "x"}}}, "non configured question"),
        ({"values": {"sentiment": {"value": "x"}}}, "not a valid label"),
        ({"values": {"order": {"value": [{"value": "a", "rank": 1}]}}}, "all options"),
        ({"status": "draft", "values": {"sentiment": {"value": "x"}}}, "not a valid label"),
    ],
)
def test_a_wrong_answer_is_refused_with_the_reason(cast, records, body, reason):
    refused = answer(cast, records[0], **body)
    assert refused.status_code == 422
    assert reason in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ({"status": "submitted"}, ["submitted", "values"], "missing"),
        ({"status": "submitted", "values": None}, ["submitted", "values"], "dict_type"),
        ({"status": "done", "values": VALUES}, [], "union_tag_invalid"),
    ],
)
def test_the_shape_of_an_answer_follows_its_status(cast, records, body, loc, kind):
    mine = cast["annotator_in"]
    made = answer(cast, records[1]).json()
    path = f"/records/{records[0].id}/responses"
    items = [{**body, "record_id": str(records[0].id)}]
    for refused, place in (
        (mine.post(path, body), ["body"]),
        (mine.put(f"/responses/{made['id']}", body), ["body"]),
        (mine.post("/me/responses/bulk", {"items": items}), ["body", "items", 0]),
    ):
        assert refused.status_code == 422
        (problem,) = refused.json()["detail"]["params"]["errors"]
        assert (problem["loc"], problem["type"]) == ([*place, *loc], kind)


def test_values_of_a_discarded_answer_are_an_object_never_null(cast, records):
    assert answer(cast, records[0], status="discarded", values=None).json()["values"] == {}


def test_a_list_without_ranks_is_ranked_by_position(cast, records):
    order = [{"value": value} for value in "bca"]
    made = answer(cast, records[0], values={**VALUES, "order": {"value": order}}).json()
    assert made["values"]["order"]["value"] == [
        {"value": "b", "rank": 1},
        {"value": "c", "rank": 2},
        {"value": "a", "rank": 3},
    ]


def test_put_replaces_and_delete_reopens(cast, records):
    made = answer(cast, records[0]).json()
    path = f"/responses/{made['id']}"
    changed = cast["annotator_in"].put(path, {"status": "draft", "values": None})
    assert changed.status_code == 200
    assert changed.json()["values"] == {}
    assert cast["owner"].get(f"/records/{records[0].id}").json()["status"] == "pending"
    assert cast["annotator_out"].put(path, {"status": "draft"}).status_code == 403
    assert cast["reviewer_in"].delete(path).status_code == 403
    assert cast["stranger"].delete(path).status_code == 404
    assert cast["admin_in"].delete(path).status_code == 200
    assert cast["admin_in"].delete(path).status_code == 404


def test_bulk_answers_fail_one_by_one(cast, records):
    missing = str(uuid.uuid4())
    items = [
        {"record_id": str(records[0].id), "status": "submitted", "values": VALUES},
        {"record_id": missing, "status": "draft"},
        {"record_id": str(records[1].id), "status": "submitted", "values": {}},
        {"record_id": str(records[2].id), "status": "draft", "values": VALUES},
    ]
    made = cast["annotator_in"].post("/me/responses/bulk", {"items": items})
    assert made.status_code == 200
    first, second, third, fourth = made.json()["items"]
    assert first["error"] is None
    assert second == {
        "item": None,
        "error": {"detail": f"Record with id `{missing}` not found"},
    }
    assert third["error"]["detail"].startswith("missing response values")
    assert fourth["item"]["status"] == "draft"
    outside = cast["annotator_out"].post("/me/responses/bulk", {"items": items[:1]})
    assert outside.json()["items"][0]["error"]["detail"] == (
        "argilla.api.errors::ForbiddenOperationError(detail=Operation not allowed)"
    )
    with cast.inside():
        assert not Annotator.objects.filter(user=cast.id("annotator_out")).exists()
    wrong = cast["annotator_in"].post("/me/responses/bulk", {"items": [{"status": "draft"}]})
    assert wrong.status_code == 422


def test_progress_counts_records_and_people(cast, dataset, records):
    answer(cast, records[0])
    answer(cast, records[1], status="draft")
    answer(cast, records[0], who="admin_in")
    progress = cast["annotator_in"].get(f"/datasets/{dataset.id}/progress").json()
    assert progress == {
        "total": 3,
        "completed": 1,
        "pending": 2,
        "users": [{"username": "annotator_in"}, {"username": "admin_in"}],
    }
    users = cast["owner"].get(f"/datasets/{dataset.id}/users/progress").json()["users"]
    assert users[0] == {
        "username": "annotator_in",
        "completed": {"submitted": 1, "discarded": 0, "draft": 0},
        "pending": {"submitted": 0, "discarded": 0, "draft": 1},
    }
    mine = cast["annotator_in"].get(f"/me/datasets/{dataset.id}/metrics").json()
    assert mine["responses"] == {
        "total": 3, "submitted": 1, "discarded": 0, "draft": 1, "pending": 1,
    }  # fmt: skip
    assert mine["today"] == {"submitted": 1, "daily_quota": None}


def test_suggestions_are_created_replaced_and_deleted(cast, dataset, records):
    with cast.inside():
        question = Question.objects.get(dataset=dataset, name="sentiment")
    path = f"/records/{records[0].id}/suggestions"
    body = {"question_id": str(question.id), "value": "mixed", "score": 0.5, "agent": "a/b 1"}
    made = cast["admin_in"].put(path, body)
    assert made.status_code == 201
    again = cast["admin_in"].put(path, {"question_id": str(question.id), "value": "negative"})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert (again.json()["score"], again.json()["agent"]) == (None, None)
    assert cast["annotator_in"].get(path).json()["items"] == [again.json()]
    assert cast["annotator_in"].put(path, body).status_code == 403
    for wrong in (
        {**body, "score": 2},
        {**body, "agent": "///"},
        {**body, "question_id": str(uuid.uuid4())},
        {**body, "value": ["mixed"]},
        {**body, "score": [0.5]},
    ):
        assert cast["admin_in"].put(path, wrong).status_code == 422
    assert cast["admin_in"].delete(f"/suggestions/{uuid.uuid4()}").status_code == 404
    assert cast["admin_in"].delete(f"/suggestions/{made.json()['id']}").status_code == 200
    made = cast["admin_in"].put(path, body).json()
    gone = cast["admin_in"].delete(f"{path}?ids={made['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert cast["annotator_in"].get(path).json() == {"items": []}


def test_claims_hand_out_each_record_once(cast, dataset, records):
    path = f"/me/datasets/{dataset.id}/claim"
    mine = cast["annotator_in"].post(f"{path}?limit=2").json()["items"]
    assert [item["record"]["id"] for item in mine] == [str(r.id) for r in records[:2]]
    assert set(mine[0]["lease"]) == {"expires_at"}
    again = cast["annotator_in"].post(f"{path}?limit=2").json()["items"]
    assert [item["record"]["id"] for item in again] == [str(r.id) for r in records[:2]]
    theirs = cast["admin_in"].post(f"{path}?limit=50").json()["items"]
    assert [item["record"]["id"] for item in theirs] == [str(records[2].id)]
    assert cast["owner"].post(path).json() == {"items": []}
    assert cast["annotator_out"].post(path).status_code == 403
    assert cast["stranger"].post(path).status_code == 404
    assert cast["owner"].post(f"{path}?limit=0").status_code == 422


def test_a_lease_is_renewed_released_and_lost(cast, dataset, records):
    cast["annotator_in"].post(f"/me/datasets/{dataset.id}/claim")
    path = f"/me/records/{records[0].id}/lease"
    assert cast["annotator_in"].put(path).status_code == 200
    assert cast["admin_in"].put(path).status_code == 409
    assert cast["annotator_in"].delete(path).status_code == 204
    assert cast["annotator_in"].put(path).status_code == 409
    taken = cast["admin_in"].post(f"/me/datasets/{dataset.id}/claim").json()["items"]
    assert taken[0]["record"]["id"] == str(records[0].id)


def test_claim_and_submit_cost_a_fixed_number_of_queries(
    cast, dataset, records, django_assert_max_num_queries
):
    path = f"/me/datasets/{dataset.id}/claim"
    cast["annotator_in"].post(path)
    cast["annotator_in"].delete(f"/me/records/{records[0].id}/lease")
    with django_assert_max_num_queries(OVERHEAD + 7):
        cast["annotator_in"].post(path)
    with django_assert_max_num_queries(OVERHEAD + 12):
        answer(cast, records[1])


def test_an_answer_may_claim_what_comes_next(cast, dataset, records):
    mine = cast["annotator_in"]
    (first,) = mine.post(f"/me/datasets/{dataset.id}/claim").json()["items"]
    body = {"status": "submitted", "values": {"sentiment": {"value": "positive"}}}
    answered = mine.post(f"/records/{first['record']['id']}/responses?claim=2", body)
    assert answered.status_code == 201
    claimed = answered.json()["claimed"]
    again = mine.post(f"/me/datasets/{dataset.id}/claim?limit=2").json()["items"]
    assert [one["record"] for one in claimed] == [one["record"] for one in again]
    assert first["record"]["id"] not in {one["record"]["id"] for one in claimed}

    refused = mine.post(f"/records/{claimed[0]['record']['id']}/responses?claim=51", body)
    assert refused.status_code == 422
    assert (
        "claimed" not in mine.post(f"/records/{claimed[0]['record']['id']}/responses", body).json()
    )
