"""Saving, deleting and bringing along answers; what follows when the rule changes."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from apps.annotation import distribution, progress, services
from apps.annotation.ingest import log_records
from apps.annotation.models import Annotator, Lease, Response
from apps.annotation.recompute import recompute_dataset
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.datasets.models import Dataset
from apps.events.models import Event
from apps.organizations.models import Membership
from apps.records.inputs import RecordInput, ResponseInput
from apps.records.models import DatasetCounter, Record, RecordTask
from tests.factories import make_dataset, make_member, make_records

pytestmark = pytest.mark.usefixtures("organization")
VALUES = {"sentiment": {"value": "mixed"}}


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset(questions=["sentiment", "comment"])


@pytest.fixture
def record(dataset: Dataset) -> Record:
    return make_records(dataset, 1)[0]


@pytest.fixture
def ann() -> Membership:
    return make_member(username="ann")


def save(record: Record, member: Membership, status: str = "submitted", **more: Any) -> Any:
    more.setdefault("values", VALUES)
    return services.save_response(record=record, annotator=member, status=status, **more)


def events() -> list[str]:
    found = Event.objects.filter(kind__startswith="re").exclude(kind="record.created")
    return list(found.order_by("id").values_list("kind", flat=True))


def status_of(record: Record) -> str:
    return Record.objects.get(pk=record.pk).status


def test_the_answer_is_stored_and_the_lease_ends(
    dataset: Dataset, record: Record, ann: Membership
) -> None:
    distribution.claim(dataset=dataset, annotator=ann)
    saved = save(record, ann)
    response = Response.objects.get()
    assert saved.response == response
    assert (saved.created, saved.completed) == (True, True)
    assert (response.values, response.status, response.user) == (VALUES, "submitted", ann)
    assert not Lease.objects.exists()
    assert status_of(record) == "completed"
    assert events() == ["response.created", "record.completed"]
    event = Event.objects.get(kind="response.created")
    assert (event.object_id, event.dataset_id) == (response.id, dataset.id)
    assert event.payload == {"record": str(record.id), "status": "submitted"}


def test_another_answer_replaces_the_first_wholly(record: Record, ann: Membership) -> None:
    first = save(record, ann, values={**VALUES, "comment": {"value": "good"}}).response
    second = save(record, ann, values={"sentiment": {"value": "positive"}})
    response = Response.objects.get()
    assert response.values == {"sentiment": {"value": "positive"}}
    assert response.id == first.id == second.response.id
    assert response.inserted_at == first.inserted_at < response.updated_at
    assert (second.created, second.completed) == (False, False)
    assert events() == ["response.created", "record.completed", "response.updated"]


def test_taking_an_answer_back_reopens_the_record(record: Record, ann: Membership) -> None:
    save(record, ann)
    save(record, ann, "draft")
    assert status_of(record) == "pending"
    assert RecordTask.objects.get().open_slots == 1
    assert save(record, ann).completed
    assert events().count("record.completed") == 2, "once each time"


@pytest.mark.parametrize(
    ("status", "values", "reason"),
    [
        ("submitted", {}, "missing response values"),
        ("submitted", None, "missing response values"),
        ("submitted", {"comment": {"value": "x"}}, "required question with name='sentiment'"),
        ("submitted", {"sentiment": {"value": "great"}}, "not a valid label"),
        ("draft", {"sentiment": {"value": "great"}}, "not a valid label"),
        ("discarded", {"nothing": {"value": "x"}}, "non configured question"),
    ],
)
def test_a_wrong_answer_changes_nothing(
    record: Record, ann: Membership, status: str, values: Any, reason: str
) -> None:
    with pytest.raises(InvalidError, match=reason):
        save(record, ann, status, values=values)
    assert not Response.objects.exists()
    assert events() == []


@pytest.mark.parametrize("status", ["draft", "discarded"])
def test_what_is_not_submitted_may_be_empty(record: Record, ann: Membership, status: str) -> None:
    save(record, ann, status, values=None)
    assert Response.objects.get().values == {}
    assert status_of(record) == "pending"


def test_the_same_key_again_changes_nothing(record: Record, ann: Membership) -> None:
    key = uuid4()
    first = save(record, ann, request_key=key)
    again = save(record, ann, "draft", request_key=key)
    assert again.response == first.response
    assert (again.created, again.completed) == (False, False)
    assert Response.objects.get().status == "submitted"
    assert events() == ["response.created", "record.completed"]
    assert Annotator.objects.get().submitted_today == 1
    save(record, ann, "draft", request_key=uuid4())
    assert Response.objects.get().status == "draft"


def test_a_first_answer_that_must_be_new(record: Record, ann: Membership) -> None:
    key = uuid4()
    save(record, ann, must_be_new=True, request_key=key)
    assert save(record, ann, must_be_new=True, request_key=key).created is False
    with pytest.raises(ConflictError, match=f"Response already exists .*{record.id}"):
        save(record, ann, must_be_new=True)


def test_a_record_that_is_gone(record: Record, ann: Membership) -> None:
    Record.objects.filter(pk=record.pk).delete()
    with pytest.raises(NotFoundError, match=str(record.id)):
        save(record, ann)
    assert not Annotator.objects.exists()


def test_late_and_surplus_answers_are_kept(dataset: Dataset, record: Record) -> None:
    assert save(record, make_member()).completed
    late = save(record, make_member())
    assert (late.created, late.completed) == (True, False)
    assert Response.objects.count() == 2
    task = RecordTask.objects.get()
    assert (task.submitted, task.open_slots) == (2, 0)
    services.delete_response(response=late.response)
    assert status_of(record) == "completed"


def test_deleting_an_answer_reopens_its_record(record: Record, ann: Membership) -> None:
    saved = save(record, ann)
    services.delete_response(response=saved.response)
    services.delete_response(response=saved.response)
    assert (status_of(record), RecordTask.objects.get().open_slots) == ("pending", 1)
    assert events()[-1] == "response.deleted"
    assert events().count("response.deleted") == 1
    assert DatasetCounter.objects.get().completed == 0
    assert Annotator.objects.get().first_response_at is not None, "they stay in the progress"


# --- Answers that come with records --------------------------------------------------------------


def bring(dataset: Dataset, *responses: ResponseInput, **more: Any) -> Any:
    item = RecordInput(**{"fields": {"text": "new"}, "responses": responses, **more})
    return log_records(dataset=dataset, items=[item])[0]


def test_answers_come_along_with_a_new_record(dataset: Dataset, ann: Membership) -> None:
    row = bring(dataset, ResponseInput(ann.id, "submitted", VALUES))
    assert status_of(Record.objects.get(id=row.id)) == "completed"
    place = Annotator.objects.get()
    assert (place.user, place.submitted_today) == (ann, 0)
    assert events() == ["record.completed"]


def test_answers_of_several_people_to_one_record(dataset: Dataset, ann: Membership) -> None:
    dataset.min_submitted = 3
    dataset.save()
    people = [ann, make_member(), make_member()]
    row = bring(dataset, *(ResponseInput(p.id, "submitted", VALUES) for p in people))
    assert RecordTask.objects.get(record_id=row.id).submitted == 3
    assert progress.dataset_progress(dataset=dataset).completed == 1


@pytest.mark.parametrize(
    ("status", "values", "reason"),
    [
        ("submitted", {}, "position 0 .* missing response values"),
        ("draft", {"sentiment": {"value": "great"}}, "position 0 .* not a valid label"),
    ],
)
def test_a_wrong_answer_refuses_the_whole_bulk(
    dataset: Dataset, ann: Membership, status: str, values: Any, reason: str
) -> None:
    with pytest.raises(InvalidError, match=reason):
        bring(dataset, ResponseInput(ann.id, status, values))
    assert not Record.objects.filter(dataset=dataset).exists()
    assert not Annotator.objects.exists()


def test_an_answer_of_nobody_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InvalidError, match="does not exist"):
        bring(dataset, ResponseInput(uuid4(), "draft", {}))


def test_brought_answers_end_no_lease_and_replace_their_own(
    dataset: Dataset, record: Record, ann: Membership
) -> None:
    distribution.claim(dataset=dataset, annotator=ann)
    known = {"id": record.id, "fields": None}
    bring(dataset, ResponseInput(ann.id, "draft", VALUES), **known)
    assert Lease.objects.count() == 1
    bring(dataset, ResponseInput(ann.id, "submitted", VALUES), **known)
    assert Response.objects.get().status == "submitted"


# --- A changed rule ------------------------------------------------------------------------------


def test_every_record_follows_a_changed_overlap(dataset: Dataset, ann: Membership) -> None:
    records = make_records(dataset, 3)
    for record, answers in zip(records, (0, 1, 2), strict=True):
        for _ in range(answers):
            save(record, make_member())
    for needed, completed, slots in (
        (2, [False, False, True], [2, 1, 0]),
        (3, [False, False, False], [3, 2, 1]),
        (1, [False, True, True], [1, 0, 0]),
    ):
        dataset.min_submitted = needed
        dataset.save()
        recompute_dataset(dataset=dataset)
        tasks = RecordTask.objects.order_by("record_id").select_related("record")
        assert [task.record.status == "completed" for task in tasks] == completed
        assert [task.open_slots for task in tasks] == slots
        assert DatasetCounter.objects.get().completed == sum(completed)


def test_a_changed_overlap_counts_leases(dataset: Dataset, record: Record, ann: Membership) -> None:
    distribution.claim(dataset=dataset, annotator=ann)
    dataset.min_submitted = 3
    dataset.save()
    recompute_dataset(dataset=dataset)
    assert RecordTask.objects.get().open_slots == 2
    Lease.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    recompute_dataset(dataset=dataset)
    assert RecordTask.objects.get().open_slots == 3


# --- Progress ------------------------------------------------------------------------------------


def test_progress_of_a_dataset_and_of_one_person(dataset: Dataset, ann: Membership) -> None:
    records = make_records(dataset, 4)
    bob = make_member(username="bob")
    save(records[0], ann)
    save(records[1], ann, "draft")
    save(records[2], ann, "discarded")
    save(records[0], bob)
    whole = progress.dataset_progress(dataset=dataset)
    assert (whole.total, whole.completed, whole.pending) == (4, 1, 3)
    mine = progress.my_progress(dataset=dataset, annotator=ann)
    assert (mine.submitted, mine.draft, mine.discarded, mine.pending) == (1, 1, 1, 1)
    assert (mine.submitted_today, mine.daily_quota) == (1, None)
    assert progress.annotators(dataset=dataset) == ["ann", "bob"]
    assert progress.by_annotator(dataset=dataset) == {
        "ann": {
            "completed": {"submitted": 1, "discarded": 0, "draft": 0},
            "pending": {"submitted": 0, "discarded": 1, "draft": 1},
        },
        "bob": {
            "completed": {"submitted": 1, "discarded": 0, "draft": 0},
            "pending": {"submitted": 0, "discarded": 0, "draft": 0},
        },
    }


def test_people_are_listed_by_first_answer_or_by_their_coming(
    dataset: Dataset, record: Record
) -> None:
    first, second = make_member(username="first"), make_member(username="second")
    for member in (second, first):
        save(record, member, "draft")
    assert progress.annotators(dataset=dataset) == ["second", "first"]
    assert list(progress.by_annotator(dataset=dataset)) == ["first", "second"]


def test_progress_of_many_datasets_is_one_query(
    ann: Membership, django_assert_num_queries: Any
) -> None:
    datasets = [make_dataset() for _ in range(5)]
    with django_assert_num_queries(1):
        found = progress.overview(datasets=datasets, annotator=ann)
    assert {overview.dataset.total for overview in found.values()} == {0}


@pytest.mark.parametrize(("own", "shown"), [(None, 9), (0, 0), (4, 4)])
def test_a_persons_own_quota_is_the_one_shown(ann: Membership, own: int | None, shown: int) -> None:
    dataset = make_dataset(daily_quota=9)
    Annotator.objects.create(dataset=dataset, user=ann, daily_quota=own)
    assert progress.my_progress(dataset=dataset, annotator=ann).daily_quota == shown


def test_who_never_answered_is_not_in_the_progress(dataset: Dataset, record: Record) -> None:
    distribution.claim(dataset=dataset, annotator=make_member())
    assert progress.annotators(dataset=dataset) == []
    assert progress.by_annotator(dataset=dataset) == {}
