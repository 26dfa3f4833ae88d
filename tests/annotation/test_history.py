"""What answers were before, and undo and redo of what a person did."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.annotation import history, progress, services
from apps.annotation.models import Annotator, Lease, Response, ResponseVersion
from apps.datasets.models import Dataset
from apps.events.models import Event
from apps.organizations.models import Membership
from apps.records.inputs import ResponseInput
from apps.records.models import DatasetCounter, Record, RecordTask
from tests.factories import make_dataset, make_member, make_records

pytestmark = pytest.mark.usefixtures("organization")


@pytest.fixture
def dataset() -> Dataset:
    return make_dataset(questions=["sentiment", "comment"])


@pytest.fixture
def records(dataset: Dataset) -> list[Record]:
    return make_records(dataset, 3)


@pytest.fixture
def ann() -> Membership:
    return make_member(username="ann")


def save(record: Record, member: Membership, value: str = "mixed", **more: Any) -> UUID:
    """The key under which it was saved."""
    more = {"status": "submitted", "request_key": uuid4(), **more}
    values = {"sentiment": {"value": value}}
    services.save_response(record=record, annotator=member, values=values, **more)
    return more["request_key"]


def state(dataset: Dataset) -> Any:
    """All that follows from answers, as the tables have it."""
    answers = Response.objects.order_by("record_id", "user_id")
    counter = DatasetCounter.objects.get(dataset=dataset)
    return (
        list(
            answers.values_list(
                "record_id",
                "user_id",
                "status",
                "values",
                "request_key",
                "inserted_at",
                "updated_at",
            )
        ),
        list(Record.objects.order_by("id").values_list("id", "status")),
        list(RecordTask.objects.order_by("record_id").values_list("submitted", "open_slots")),
        list(Annotator.objects.order_by("user_id").values_list("submitted_today", flat=True)),
        (counter.records, counter.completed),
    )


def undo(dataset: Dataset, member: Membership, **more: Any) -> list[UUID]:
    """Undo the person's last act."""
    act = history.last_act(dataset=dataset, annotator=member)
    if act is None:
        return []
    key = act.request_key
    return history.undo(dataset=dataset, annotator=member, request_key=key, **more).record_ids


def redo(dataset: Dataset, member: Membership) -> list[UUID]:
    act = history.last_undone(dataset=dataset, annotator=member)
    if act is None:
        return []
    key = act.request_key
    return history.redo(dataset=dataset, annotator=member, request_key=key).record_ids


def test_a_new_answer_has_no_version_and_costs_no_more(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    save(records[0], ann)
    with CaptureQueriesContext(connection) as new:
        save(records[1], ann)
    assert not ResponseVersion.objects.exists()
    with CaptureQueriesContext(connection) as replacing:
        save(records[1], ann, "positive")
    assert ResponseVersion.objects.count() == 1
    assert len(replacing) <= len(new) <= 5


def test_what_is_replaced_is_kept_as_it_was(records: list[Record], ann: Membership) -> None:
    first = save(records[0], ann, status="draft")
    before = Response.objects.get()
    second = save(records[0], ann, "positive")
    version = ResponseVersion.objects.get()
    assert (version.status, version.values) == ("draft", before.values)
    assert (version.request_key, version.replaced_by) == (first, second)
    assert (version.inserted_at, version.updated_at) == (before.inserted_at, before.updated_at)
    assert (version.record_id, version.user_id) == (records[0].id, ann.id)
    assert version.replaced_at == Response.objects.get().updated_at
    save(records[0], ann, request_key=None)
    assert ResponseVersion.objects.filter(replaced_by=None, request_key=second).count() == 1


def test_the_same_request_again_keeps_nothing(records: list[Record], ann: Membership) -> None:
    key = save(records[0], ann)
    save(records[0], ann, request_key=key)
    assert not ResponseVersion.objects.exists()


def test_answers_that_come_with_records_are_kept_too(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    key = save(records[0], ann)
    new = ResponseInput(user_id=ann.id, values={"comment": {"value": "x"}}, status="draft")
    services.import_responses(
        dataset=dataset, responses=[(records[0].id, new), (records[1].id, new)]
    )
    version = ResponseVersion.objects.get()
    assert (version.request_key, version.replaced_by) == (key, None)
    assert Response.objects.get(record=records[0]).request_key is None
    assert not history.undo(dataset=dataset, annotator=ann, request_key=key).record_ids


def test_undo_and_redo_walk_the_whole_way_back_and_forth(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    """New, replaced, discarded, deleted: everything that follows is as it was each time."""
    acts = [
        lambda: save(records[0], ann),
        lambda: save(records[1], ann, status="draft"),
        lambda: save(records[1], ann, "positive"),
        lambda: save(records[0], ann, status="discarded"),
        lambda: services.delete_response(
            response=Response.objects.get(record=records[1]), request_key=uuid4()
        ),
        lambda: save(records[2], ann),
    ]
    states = [state(dataset)]
    for act in acts:
        act()
        states.append(state(dataset))
    for expected in reversed(states[:-1]):
        assert undo(dataset, ann)
        assert state(dataset)[:3] == expected[:3]
    assert undo(dataset, ann) == []
    for expected in states[1:]:
        assert redo(dataset, ann)
        assert state(dataset)[:3] == expected[:3]
    assert redo(dataset, ann) == []


def test_todays_count_follows(dataset: Dataset, records: list[Record], ann: Membership) -> None:
    def today() -> int:
        return progress.my_progress(dataset=dataset, annotator=ann).submitted_today

    save(records[0], ann)
    save(records[1], ann)
    assert today() == 2
    undo(dataset, ann)
    assert today() == 1
    redo(dataset, ann)
    assert today() == 2
    Annotator.objects.update(day=timezone.now().date() - timedelta(days=1))
    undo(dataset, ann)
    assert Annotator.objects.get().submitted_today == 2  # yesterday's, which counts no more


def test_todays_count_follows_what_is_no_longer_submitted(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    def today() -> int:
        return progress.my_progress(dataset=dataset, annotator=ann).submitted_today

    save(records[0], ann)
    save(records[0], ann, status="discarded")
    save(records[1], ann)
    mine = Response.objects.get(record=records[1])
    services.delete_response(response=mine, request_key=uuid4())
    counts = [today()]
    for step in (undo, undo, undo, undo, redo, redo, redo, redo):
        assert step(dataset, ann)
        counts.append(today())
    assert counts == [0, 1, 0, 1, 0, 1, 0, 1, 0]


def test_undone_twice_is_undone_once(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    key = save(records[0], ann)
    assert history.undo(dataset=dataset, annotator=ann, request_key=key).record_ids
    before = state(dataset)
    assert not history.undo(dataset=dataset, annotator=ann, request_key=key).record_ids
    assert state(dataset) == before
    assert history.redo(dataset=dataset, annotator=ann, request_key=key).record_ids
    assert not history.redo(dataset=dataset, annotator=ann, request_key=key).record_ids


def test_after_something_new_nothing_is_redone(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    save(records[0], ann)
    undo(dataset, ann)
    save(records[0], ann, "positive")
    assert redo(dataset, ann) == []
    assert Response.objects.get().values == {"sentiment": {"value": "positive"}}


def test_what_was_changed_since_stays(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    job = uuid4()
    for record in records:
        save(record, ann, request_key=job)
    save(records[1], ann, "positive", request_key=None)
    undone = history.undo(dataset=dataset, annotator=ann, request_key=job)
    assert undone.record_ids == [records[0].id, records[2].id]
    assert Response.objects.get().record_id == records[1].id


def test_a_jobs_answers_go_back_page_by_page(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    save(records[1], ann, "positive")
    before = state(dataset)
    job = uuid4()
    for record in records:
        save(record, ann, request_key=job)
    after = state(dataset)
    pages = []
    while page := history.undo(dataset=dataset, annotator=ann, request_key=job, limit=2).record_ids:
        pages.append(len(page))
    assert pages == [2, 1]
    assert state(dataset) == before
    assert len(redo(dataset, ann)) == 3
    assert state(dataset) == after


def test_what_has_no_key_is_no_act(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    save(records[0], ann, request_key=None)
    services.delete_response(response=Response.objects.get())
    save(records[1], ann, request_key=None)
    assert history.last_act(dataset=dataset, annotator=ann) is None


def test_others_are_left_alone(dataset: Dataset, records: list[Record], ann: Membership) -> None:
    bob = make_member(username="bob")
    key = save(records[0], bob)
    assert history.last_act(dataset=dataset, annotator=ann) is None
    assert not history.undo(dataset=dataset, annotator=ann, request_key=key).record_ids
    other = make_dataset()
    assert not history.undo(dataset=other, annotator=bob, request_key=key).record_ids


def test_events_tell_of_it(dataset: Dataset, records: list[Record], ann: Membership) -> None:
    save(records[0], ann)
    undo(dataset, ann)
    redo(dataset, ann)
    kinds = Event.objects.filter(kind__startswith="response").order_by("id")
    wanted = ["response.created", "response.deleted", "response.created"]
    assert list(kinds.values_list("kind", flat=True)) == wanted


def test_the_record_is_held_for_its_person(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    save(records[0], ann)
    undo(dataset, ann, hold=True)
    assert Lease.objects.get().record_id == records[0].id
    assert RecordTask.objects.get(record=records[0]).open_slots == 0
    save(records[0], ann)
    save(records[0], ann, "positive")
    undo(dataset, ann, hold=True)
    assert not Lease.objects.exists()  # there is an answer


def test_old_versions_are_forgotten_and_their_answers_stay(
    dataset: Dataset, records: list[Record], ann: Membership
) -> None:
    save(records[0], ann)
    key = save(records[0], ann, "positive")
    ResponseVersion.objects.update(replaced_at=timezone.now() - history.KEPT - timedelta(1))
    assert not history.undo(dataset=dataset, annotator=ann, request_key=key).record_ids
    assert Response.objects.get().request_key == key


def test_twenty_steps(dataset: Dataset, ann: Membership) -> None:
    records = make_records(dataset, 25)
    start = state(dataset)
    for record in records:
        save(record, ann)
    for record in reversed(records):
        assert undo(dataset, ann) == [record.id]
    assert state(dataset)[:3] == start[:3]


@pytest.mark.parametrize("number", [1, 25])
def test_the_number_of_statements_does_not_grow(
    dataset: Dataset, ann: Membership, number: int
) -> None:
    job = uuid4()
    for record in make_records(dataset, number):
        save(record, ann, request_key=job)
    with CaptureQueriesContext(connection) as captured:
        history.undo(dataset=dataset, annotator=ann, request_key=job)
    assert len(captured) <= 14
