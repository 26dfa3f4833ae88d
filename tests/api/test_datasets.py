"""Datasets on the wire."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from apps.annotation.services import save_response
from apps.api.webhook_documents import dataset_documents
from apps.datasets.models import Dataset, GuidelinesVersion
from apps.events.models import Event
from apps.organizations.models import RecordVolume
from apps.records.models import DatasetCounter, Record
from tests import factories
from tests.api.conftest import OVERHEAD, Cast

KEYS = [
    "allow_extra_metadata",
    "daily_quota",
    "distribution",
    "guidelines",
    "guidelines_version",
    "id",
    "inserted_at",
    "last_activity_at",
    "metadata",
    "name",
    "queue_order",
    "status",
    "total_quota",
    "updated_at",
    "workspace_id",
]
UNKNOWN = "00000000-0000-0000-0000-000000000000"
TEXT = {"type": "text", "use_markdown": False}


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        return factories.make_dataset(cast.workspace, name="films")


def new(cast: Cast, **body: Any) -> Any:
    body = {"name": "new", "workspace_id": str(cast.workspace.id)} | body
    return cast["admin_in"].post("/datasets", body)


def problems(answer: Any) -> list[tuple[str, list[Any]]]:
    assert answer.status_code == 422
    found = answer.json()["detail"]["params"]["errors"]
    return [(problem["type"], problem["loc"]) for problem in found]


def test_a_dataset_starts_as_a_draft_with_defaults(cast: Cast) -> None:
    answer = new(cast, id=None, inserted_at=None, status="ready", junk=1)
    assert answer.status_code == 201
    dataset = answer.json()
    assert sorted(dataset) == KEYS
    assert dataset["status"] == "draft"
    assert dataset["distribution"] == {"strategy": "overlap", "min_submitted": 1}
    assert dataset["allow_extra_metadata"] is True
    assert (dataset["guidelines"], dataset["metadata"]) == (None, None)
    assert cast["annotator_in"].get(f"/datasets/{dataset['id']}").json() == dataset
    with cast.inside():
        assert DatasetCounter.objects.get(dataset_id=dataset["id"]).records == 0


def test_everything_can_be_given_at_creation(cast: Cast) -> None:
    given = {
        "guidelines": "Read.",
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": 3},
        "metadata": {"a": {"b": [1, None]}},
        "queue_order": "least_certain_first",
        "daily_quota": 50,
    }
    dataset = new(cast, **given).json()
    assert {name: dataset[name] for name in given} == given
    assert dataset["guidelines_version"] == 1


@pytest.mark.parametrize(
    ("change", "type", "place"),
    [
        ({"name": ""}, "string_too_short", ["name"]),
        ({"name": "x" * 201}, "string_too_long", ["name"]),
        ({"name": 1}, "string_type", ["name"]),
        ({"workspace_id": "x"}, "uuid_parsing", ["workspace_id"]),
        ({"guidelines": ""}, "string_too_short", ["guidelines"]),
        ({"guidelines": "x" * 10_001}, "string_too_long", ["guidelines"]),
        ({"metadata": []}, "dict_type", ["metadata"]),
        (
            {"distribution": {"strategy": "other", "min_submitted": 1}},
            "literal_error",
            ["distribution", "strategy"],
        ),
        (
            {"distribution": {"strategy": "overlap", "min_submitted": 0}},
            "greater_than_equal",
            ["distribution", "min_submitted"],
        ),
        (
            {"distribution": {"strategy": "overlap", "min_submitted": 10**9}},
            "less_than_equal",
            ["distribution", "min_submitted"],
        ),
        (
            {"distribution": {"strategy": "overlap"}},
            "missing",
            ["distribution", "min_submitted"],
        ),
        ({"queue_order": "random"}, "enum", ["queue_order"]),
        ({"daily_quota": 0}, "greater_than_equal", ["daily_quota"]),
    ],
)
def test_a_wrong_dataset_is_a_422(cast: Cast, change: Any, type: str, place: list[str]) -> None:
    assert problems(new(cast, **change)) == [(type, ["body", *place])]


def test_a_used_name_conflicts_within_its_workspace(cast: Cast, dataset: Dataset) -> None:
    answer = new(cast, name="films")
    assert answer.status_code == 409
    assert "films" in answer.json()["detail"]
    with cast.inside():
        other = factories.make_workspace()
    body = {"name": "films", "workspace_id": str(other.id)}
    made = cast["owner"].post("/datasets", body)
    assert made.status_code == 201
    new(cast, name="series")
    renamed = cast["admin_in"].patch(f"/datasets/{dataset.id}", {"name": "series"})
    assert renamed.status_code == 409


def test_my_datasets_and_their_filters(cast: Cast, django_assert_num_queries: Any) -> None:
    with cast.inside():
        factories.make_dataset(cast.workspace, name="b")
        Dataset.objects.create(workspace=cast.workspace, name="a")
        factories.make_dataset(factories.make_workspace("third"), name="c")

    def names(who: str, query: str = "") -> list[str]:
        items = cast[who].get(f"/me/datasets{query}").json()["items"]
        return [item["name"] for item in items]

    assert names("owner") == ["b", "a", "c"]
    assert names("annotator_in") == ["b", "a"]
    assert names("annotator_out") == []
    assert names("stranger") == []
    assert names("owner", "?status=draft") == ["a"]
    assert names("owner", "?name=c") == ["c"]
    assert names("owner", f"?workspace_id={cast.workspace.id}") == ["b", "a"]
    assert names("owner", f"?workspace_id={cast.workspace.id}&status=ready&name=b") == ["b"]
    assert names("owner", f"?workspace_id={UNKNOWN}") == []
    refused = cast["annotator_out"].get(f"/me/datasets?workspace_id={cast.workspace.id}")
    assert refused.status_code == 403
    with django_assert_num_queries(OVERHEAD + 1):
        names("annotator_in")


def test_an_update_changes_what_was_sent(cast: Cast, dataset: Dataset) -> None:
    path = f"/datasets/{dataset.id}"
    before = cast["admin_in"].get(path).json()
    sent = {"name": "series", "status": "draft", "workspace_id": UNKNOWN, "id": UNKNOWN}
    answer = cast["admin_in"].patch(path, sent)
    assert answer.status_code == 200
    after = answer.json()
    assert after["last_activity_at"] > before["last_activity_at"]
    moved = {name: after[name] for name in ("last_activity_at", "updated_at")}
    assert after == before | {"name": "series"} | moved
    assert cast["admin_in"].get(path).json() == after


def test_an_answer_is_an_activity_and_no_change(cast: Cast, django_assert_num_queries: Any) -> None:
    with cast.inside():
        dataset = factories.make_dataset(cast.workspace)
        (record,) = factories.make_records(dataset, 1)
    owner, path = cast["owner"], f"/datasets/{dataset.id}"

    def told() -> list[str]:
        with django_assert_num_queries(OVERHEAD + 1):
            found = owner.get(path).json()
        with django_assert_num_queries(OVERHEAD + 1):
            (listed,) = owner.get("/me/datasets").json()["items"]
        with cast.inside():
            sent = json.loads(dataset_documents([dataset.id])[dataset.id])
        return [one["last_activity_at"] for one in (found, listed, sent)]

    tag = owner.get(path)["ETag"]
    before = told()
    assert len(set(before)) == 1
    values = {"sentiment": {"value": "mixed"}}
    answer = {"status": "submitted", "values": values}
    answered = owner.post(f"/records/{record.id}/responses", answer).json()
    assert told() == [answered["updated_at"]] * 3 > before
    assert owner.get(path, **{"If-None-Match": tag}).status_code == 304
    changed = owner.patch(path, {"guidelines": "New"}, **{"If-Match": tag})
    assert changed.status_code == 200
    assert told() == [changed.json()["last_activity_at"]] * 3
    assert owner.get(path)["ETag"] == changed["ETag"]
    again = owner.put(f"/responses/{answered['id']}", answer).json()
    assert owner.delete(path).json()["last_activity_at"] == again["updated_at"]


@pytest.mark.parametrize("name", ["name", "allow_extra_metadata", "distribution", "queue_order"])
def test_null_is_no_value_for_these(cast: Cast, dataset: Dataset, name: str) -> None:
    answer = cast["admin_in"].patch(f"/datasets/{dataset.id}", {name: None})
    ((_, place),) = problems(answer)
    assert place == ["body", name]


def test_metadata_is_kept_and_can_be_taken_back(cast: Cast, dataset: Dataset) -> None:
    path = f"/datasets/{dataset.id}"
    cast["admin_in"].patch(path, {"metadata": {"a": 1}, "daily_quota": 5})
    assert cast["admin_in"].get(path).json()["metadata"] == {"a": 1}
    cast["admin_in"].patch(path, {"metadata": {"b": 2}})
    assert cast["admin_in"].get(path).json()["metadata"] == {"b": 2}
    cast["admin_in"].patch(path, {"metadata": None, "daily_quota": None})
    after = cast["admin_in"].get(path).json()
    assert (after["metadata"], after["daily_quota"]) == (None, None)


def test_changed_guidelines_are_a_new_version(cast: Cast, dataset: Dataset) -> None:
    path = f"/datasets/{dataset.id}"
    for text in ("One", "One", "Two", None):
        assert cast["admin_in"].patch(path, {"guidelines": text}).status_code == 200
    with cast.inside():
        versions = GuidelinesVersion.objects.order_by("number")
        found = [(row.number, row.text, row.author_id) for row in versions]
    admin = cast.id("admin_in")
    assert found == [(1, "One", admin), (2, "Two", admin), (3, "", admin)]
    assert cast["admin_in"].get(path).json()["guidelines_version"] == 3


def test_a_changed_overlap_moves_statuses_both_ways(cast: Cast, dataset: Dataset) -> None:
    with cast.inside():
        (record,) = factories.make_records(dataset)
        save_response(
            record=record,
            annotator=cast.people["annotator_in"],
            values={"sentiment": {"value": "positive"}},
            status="submitted",
        )

    def status_after(min_submitted: int) -> str:
        distribution = {"strategy": "overlap", "min_submitted": min_submitted}
        answer = cast["admin_in"].patch(f"/datasets/{dataset.id}", {"distribution": distribution})
        assert answer.json()["distribution"] == distribution
        with cast.inside():
            return Record.objects.get(pk=record.pk).status

    assert [status_after(n) for n in (1, 2, 1)] == ["completed", "pending", "completed"]


def test_publishing_needs_a_field_and_a_required_question(cast: Cast) -> None:
    admin, dataset = cast["admin_in"], new(cast).json()
    path = f"/datasets/{dataset['id']}"
    part = {"name": "x", "title": "X", "settings": TEXT}

    def refusal() -> str:
        answer = admin.put(f"{path}/publish")
        assert answer.status_code == 422
        return str(answer.json()["detail"])

    assert "without fields" in refusal()
    admin.post(f"{path}/fields", part)
    assert "without required questions" in refusal()
    admin.post(f"{path}/questions", part | {"name": "y"})
    assert "without required questions" in refusal()
    admin.post(f"{path}/questions", part | {"required": True})
    published = admin.put(f"{path}/publish")
    assert (published.status_code, published.json()["status"]) == (200, "ready")
    assert "already published" in refusal()


def test_a_deleted_dataset_is_answered_as_it_was_and_frees_the_volume(
    cast: Cast, dataset: Dataset
) -> None:
    with cast.inside():
        factories.make_records(dataset, 3)
        assert RecordVolume.objects.get().records == 3
    path = f"/datasets/{dataset.id}"
    before = cast["admin_in"].get(path).json()
    answer = cast["admin_in"].delete(path)
    assert (answer.status_code, answer.json()) == (200, before)
    assert cast["admin_in"].get(path).status_code == 404
    with cast.inside():
        assert RecordVolume.objects.get().records == 0
        assert not Record.objects.exists()


def test_every_change_is_an_event_of_the_one_who_made_it(cast: Cast) -> None:
    admin, dataset = cast["admin_in"], new(cast).json()
    path = f"/datasets/{dataset['id']}"
    part = {"name": "x", "title": "X", "settings": TEXT}
    admin.post(f"{path}/fields", part)
    admin.post(f"{path}/questions", part | {"required": True})
    admin.put(f"{path}/publish")
    admin.patch(path, {"name": "newer"})
    admin.delete(path)
    with cast.inside():
        events = Event.objects.filter(dataset_id=dataset["id"]).order_by("id")
        assert [event.kind for event in events] == [
            "dataset.created",
            "field.created",
            "question.created",
            "dataset.published",
            "dataset.updated",
            "dataset.deleted",
        ]
        assert {event.actor_id for event in events} == {cast.id("admin_in")}


@pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])
def test_overlaps_changed_at_once_leave_statuses_in_line(cast: Cast) -> None:
    with cast.inside():
        dataset = factories.make_dataset(cast.workspace)
        (record,) = factories.make_records(dataset)
        save_response(
            record=record,
            annotator=cast.people["annotator_in"],
            values={"sentiment": {"value": "positive"}},
            status="submitted",
        )

    def change(number: int) -> int:
        distribution = {"strategy": "overlap", "min_submitted": 1 + number % 2}
        try:
            path = f"/datasets/{dataset.id}"
            answer = cast["owner"].patch(path, {"distribution": distribution})
            return int(answer.status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(change, range(12))) == {200}
    with cast.inside():
        needed = Dataset.objects.get(pk=dataset.pk).min_submitted
        expected = "completed" if needed == 1 else "pending"
        assert Record.objects.get(pk=record.pk).status == expected
