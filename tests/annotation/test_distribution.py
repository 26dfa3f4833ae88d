"""Claiming, renewing and giving back: order, limits, quota, and what each costs."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from apps.annotation import distribution, services
from apps.annotation.handover import hand_over
from apps.annotation.models import Annotator, Lease, Response
from apps.annotation.recompute import recompute_dataset
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.organizations.models import Membership
from apps.records.models import DatasetCounter, Record, RecordTask
from tests.factories import make_dataset, make_member, make_records

pytestmark = pytest.mark.usefixtures("organization")
VALUES = {"sentiment": {"value": "mixed"}}


@pytest.fixture
def ann() -> Membership:
    return make_member()


@pytest.fixture
def bob() -> Membership:
    return make_member()


def claim(dataset: Dataset, member: Membership, limit: int = 1) -> list[UUID]:
    leases = distribution.claim(dataset=dataset, annotator=member, limit=limit)
    return [lease.record_id for lease in leases]


def answer(record: Record, member: Membership, status: str = "submitted") -> Any:
    return services.save_response(record=record, annotator=member, status=status, values=VALUES)


def expire(**which: Any) -> None:
    Lease.objects.filter(**which).update(expires_at=timezone.now() - timedelta(seconds=1))


def ids(records: list[Record]) -> list[UUID]:
    return [record.id for record in records]


def test_records_come_in_the_order_of_their_insertion(ann: Membership) -> None:
    dataset = make_dataset()
    records = ids(make_records(dataset, 5))
    assert claim(dataset, ann, 2) == records[:2]
    for record_id in records[:2]:
        answer(Record.objects.get(id=record_id), ann)
    assert claim(dataset, ann, 3) == records[2:]


def test_a_lease_brings_its_record_and_its_end(ann: Membership) -> None:
    dataset = make_dataset()
    (record,) = make_records(dataset, 1)
    (lease,) = distribution.claim(dataset=dataset, annotator=ann)
    assert (lease.record, lease.user, lease.dataset) == (record, ann, dataset)
    assert timedelta(minutes=9) < lease.expires_at - timezone.now() <= timedelta(minutes=10)
    assert Lease.objects.get().expires_at == lease.expires_at


def test_least_certain_first_also_within_one_hand(ann: Membership) -> None:
    dataset = make_dataset(queue_order="least_certain_first")
    records = make_records(dataset, 4)
    for record, certainty in zip(records, (0.9, 0.1, 0.5, 0.1), strict=True):
        RecordTask.objects.filter(record=record).update(certainty=certainty)
    wanted = [records[n].id for n in (1, 3, 2, 0)]
    assert claim(dataset, ann, 3) == wanted[:3]
    assert claim(dataset, ann, 4)[-1] == wanted[3]


def test_what_is_left_behind_the_cursor_is_found_again(ann: Membership, bob: Membership) -> None:
    dataset = make_dataset()
    first, second = make_records(dataset, 2)
    assert claim(dataset, bob) == [first.id]
    assert claim(dataset, ann) == [second.id]
    answer(second, ann)
    assert claim(dataset, ann) == []
    distribution.release(record_id=first.id, annotator=bob)
    assert claim(dataset, ann) == [first.id]


def test_nobody_gets_a_record_that_has_enough_hands(ann: Membership, bob: Membership) -> None:
    dataset = make_dataset(min_submitted=2)
    (record,) = make_records(dataset, 1)
    assert claim(dataset, ann) == claim(dataset, bob) == [record.id]
    assert claim(dataset, make_member()) == []
    assert RecordTask.objects.get().open_slots == 0


def test_datasets_do_not_mix(ann: Membership) -> None:
    mine, other = make_dataset(), make_dataset()
    (record,) = make_records(mine, 1)
    make_records(other, 1)
    assert claim(mine, ann, 5) == [record.id]
    assert claim(make_dataset(), ann) == []


def test_a_lease_that_ran_out_goes_to_the_next_who_asks(ann: Membership, bob: Membership) -> None:
    dataset = make_dataset()
    (record,) = make_records(dataset, 1)
    claim(dataset, ann)
    assert claim(dataset, bob) == []
    expire(user=ann)
    assert claim(dataset, bob) == [record.id]
    assert distribution.renew(record_id=record.id, annotator=ann) is None
    assert not Lease.objects.filter(user=ann).exists()
    assert answer(record, ann).completed, "a late answer counts"
    assert Lease.objects.filter(user=bob).exists()


def test_an_idle_queue_is_not_searched_until_something_is_free(
    ann: Membership, bob: Membership, django_assert_num_queries: Any
) -> None:
    dataset = make_dataset()
    (record,) = make_records(dataset, 1)
    claim(dataset, bob)
    assert claim(dataset, ann) == []
    place = Annotator.objects.get(user=ann)
    assert place.exhausted_at == DatasetCounter.objects.get().reopened_at
    with django_assert_num_queries(3):  # place, leases held, leases that ran out
        assert claim(dataset, ann) == []
    (new,) = make_records(dataset, 1)
    assert claim(dataset, ann) == [new.id]
    answer(new, ann)
    assert claim(dataset, ann) == []
    dataset.min_submitted = 2
    dataset.save()
    recompute_dataset(dataset=dataset)
    assert claim(dataset, ann) == [record.id]


@pytest.mark.parametrize("status", ["draft", "discarded", "submitted"])
def test_a_deleted_answer_brings_its_record_back(ann: Membership, status: str) -> None:
    dataset = make_dataset(min_submitted=2)
    (record,) = make_records(dataset, 1)
    answer(record, ann, status)
    assert claim(dataset, ann) == []
    services.delete_response(response=Response.objects.get())
    assert claim(dataset, ann) == [record.id]


# --- Quota ---------------------------------------------------------------------------------------


def test_a_quota_stops_the_hand_out_and_not_the_saving(ann: Membership) -> None:
    dataset = make_dataset(daily_quota=2)
    records = make_records(dataset, 5)
    assert len(claim(dataset, ann, 5)) == 2
    for record in records[:2]:
        answer(record, ann)
    assert claim(dataset, ann) == []
    state = distribution.queue_state(dataset=dataset, annotator=ann)
    assert (state.open, state.quota_reached, state.held_by_others) == (3, True, False)
    answer(records[2], ann)
    assert Response.objects.count() == 3
    Annotator.objects.update(day=timezone.now().date() - timedelta(days=1))
    assert len(claim(dataset, ann, 5)) == 2


def test_drafts_and_second_thoughts_do_not_count_twice(ann: Membership) -> None:
    dataset = make_dataset(daily_quota=10)
    (record,) = make_records(dataset, 1)
    statuses = ("draft", "submitted", "submitted", "discarded", "submitted", "draft", "submitted")
    counts = []
    for status in statuses:
        answer(record, ann, status)
        counts.append(Annotator.objects.get().submitted_today)
    assert counts == [0, 1, 1, 0, 1, 0, 1]
    services.delete_response(response=Response.objects.get())
    assert Annotator.objects.get().submitted_today == 0


def test_what_was_submitted_yesterday_is_not_taken_off_todays_count(ann: Membership) -> None:
    dataset = make_dataset(daily_quota=10)
    records = make_records(dataset, 3)
    for record in records[:2]:
        answer(record, ann)
    Response.objects.update(updated_at=timezone.now() - timedelta(days=1))
    Annotator.objects.update(day=timezone.now().date() - timedelta(days=1))
    answer(records[2], ann)
    answer(records[0], ann, "draft")
    services.delete_response(response=Response.objects.get(record=records[1]))
    assert Annotator.objects.get().submitted_today == 1


@pytest.mark.parametrize(("of_dataset", "own", "handed_out"), [(5, 2, 2), (1, 3, 3), (5, 0, 0)])
def test_a_persons_own_quota_counts_before_the_datasets(
    ann: Membership, of_dataset: int, own: int, handed_out: int
) -> None:
    dataset = make_dataset(daily_quota=of_dataset)
    make_records(dataset, 5)
    Annotator.objects.create(dataset=dataset, user=ann, daily_quota=own)
    assert len(claim(dataset, ann, 5)) == handed_out


# --- Renew, release, skip ------------------------------------------------------------------------


def test_asking_again_renews_what_one_holds(ann: Membership) -> None:
    dataset = make_dataset()
    records = ids(make_records(dataset, 4))
    claim(dataset, ann, 2)
    soon = timezone.now() + timedelta(minutes=1)
    Lease.objects.update(expires_at=soon)
    assert claim(dataset, ann) == records[:1]
    assert claim(dataset, ann, 3) == records[:3]
    assert not Lease.objects.filter(expires_at__lte=soon).exists()


def test_what_was_at_hand_and_is_no_longer_held_is_not_made_up_for(
    ann: Membership, bob: Membership
) -> None:
    dataset = make_dataset()
    records = ids(make_records(dataset, 9))
    claim(dataset, bob, 3)
    held = claim(dataset, ann, 2)
    assert held == records[3:5]
    at_hand = {*records[:3], held[0]}
    leases = distribution.claim(dataset=dataset, annotator=ann, limit=2, at_hand=at_hand)
    assert [lease.record_id for lease in leases] == records[3:6]
    assert Lease.objects.filter(user=ann).count() == 3


def test_a_lease_is_renewed_while_it_lasts(ann: Membership, bob: Membership) -> None:
    dataset = make_dataset()
    (record,) = make_records(dataset, 1)
    claim(dataset, ann)
    assert distribution.renew(record_id=record.id, annotator=bob) is None
    Lease.objects.update(expires_at=timezone.now() + timedelta(seconds=5))
    end = distribution.renew(record_id=record.id, annotator=ann)
    assert end == Lease.objects.get().expires_at
    expire()
    assert distribution.renew(record_id=record.id, annotator=ann) is None


def test_giving_back_opens_the_slot_once(ann: Membership) -> None:
    dataset = make_dataset()
    (record,) = make_records(dataset, 1)
    claim(dataset, ann)
    for _ in range(2):
        distribution.release(record_id=record.id, annotator=ann)
        assert RecordTask.objects.get().open_slots == 1
    distribution.release(record_id=uuid4(), annotator=ann)


def test_a_hold_that_was_renewed_is_not_given_back_by_its_old_end(ann: Membership) -> None:
    dataset = make_dataset()
    (record,) = make_records(dataset, 1)
    claim(dataset, ann)
    old = Lease.objects.get().expires_at
    new = distribution.renew(record_id=record.id, annotator=ann)
    distribution.release(record_id=record.id, annotator=ann, until=old)
    assert Lease.objects.get().expires_at == new
    distribution.release(record_id=record.id, annotator=ann, until=new)
    assert not Lease.objects.exists()


def test_skipping_gives_another_one(ann: Membership) -> None:
    dataset = make_dataset()
    first, second = ids(make_records(dataset, 2))
    claim(dataset, ann)
    distribution.skip(dataset=dataset, record_id=first, annotator=ann)
    assert claim(dataset, ann) == [second]
    assert claim(dataset, make_member()) == [first]


def test_skipping_with_one_answer_left_gives_another_one(ann: Membership) -> None:
    dataset = make_dataset(queue_order="least_certain_first", daily_quota=1)
    make_records(dataset, 3)
    seen = claim(dataset, ann)
    for _ in range(3):
        distribution.skip(dataset=dataset, record_id=seen[-1], annotator=ann)
        assert Lease.objects.count() == 1
        seen += claim(dataset, ann)
    assert len(set(seen[:3])) == 3
    assert seen[3] == seen[0]


def test_what_others_hold_is_waited_for_where_it_may_still_come(
    ann: Membership, bob: Membership
) -> None:
    dataset = make_dataset(min_submitted=2)
    first, second, third = make_records(dataset, 3)
    answer(first, ann)
    claim(dataset, bob, 3)
    claim(dataset, make_member(), 3)
    state = distribution.queue_state(dataset=dataset, annotator=ann)
    assert (state.open, state.held_by_others) == (0, 2)
    for record in (second, third):
        answer(record, ann)
    state = distribution.queue_state(dataset=dataset, annotator=ann)
    assert (state.open, state.held_by_others) == (0, 0)


def test_the_state_of_an_empty_queue(ann: Membership, bob: Membership) -> None:
    dataset = make_dataset()
    assert distribution.queue_state(dataset=dataset, annotator=ann).open == 0
    make_records(dataset, 1)
    claim(dataset, bob)
    state = distribution.queue_state(dataset=dataset, annotator=ann)
    assert (state.open, state.held_by_others, state.quota_reached) == (0, True, False)


# --- The sweep -----------------------------------------------------------------------------------


def test_the_sweep_takes_back_what_ran_out(ann: Membership, bob: Membership) -> None:
    dataset, other = make_dataset(), make_dataset()
    make_records(dataset, 3)
    make_records(other, 1)
    claim(dataset, ann, 2)
    claim(dataset, bob)
    claim(other, ann)
    expire(user=ann)
    assert distribution.return_expired(dataset.id) == 2
    assert distribution.return_expired(other.id) == 1
    assert distribution.return_expired(other.id) == 0
    assert Lease.objects.get().user == bob
    assert list(RecordTask.objects.order_by("record").values_list("open_slots", flat=True)) == [
        *(1, 1, 0),
        1,
    ]


# --- Cost ----------------------------------------------------------------------------------------


def test_the_last_answer_is_when_somebody_answered(ann: Membership, owner: Membership) -> None:
    dataset = make_dataset(min_submitted=2)
    records = make_records(dataset, 4)

    def last() -> Any:
        return DatasetCounter.objects.get(dataset=dataset).last_activity_at

    answer(records[0], ann)
    before = last()
    assert before is not None
    distribution.release(record_id=claim(dataset, ann)[0], annotator=ann)
    distribution.skip(dataset=dataset, record_id=claim(dataset, ann)[0], annotator=ann)
    expire(user=ann)
    assert distribution.return_expired(dataset.id) == 1
    claim(dataset, ann)
    assert hand_over(actor=owner, giver=ann, heir=None).leases == 1
    assert last() == before
    answer(records[1], ann, "draft")
    assert last() > before


def test_a_claim_is_two_statements(ann: Membership, django_assert_num_queries: Any) -> None:
    """Place, and hand-out with lease, cursor and record; of more, what is held comes apart."""
    dataset = make_dataset()
    make_records(dataset, 3)
    (record_id,) = claim(dataset, ann)
    answer(Record.objects.get(id=record_id), ann)
    for _ in range(2):  # the second time, what is in hand
        with django_assert_num_queries(2):
            claim(dataset, ann)
    with django_assert_num_queries(4):
        claim(dataset, ann, 2)


def test_an_answer_is_two_statements(ann: Membership, django_assert_num_queries: Any) -> None:
    """Locks, then the answer with all that goes with it: task, counter, events."""
    dataset = make_dataset()
    (record,) = make_records(dataset, 1)
    claim(dataset, ann)
    schema = load_schema(dataset)
    assert schema.questions, "a request has read them already"
    with django_assert_num_queries(2):
        services.save_response(
            record=record, annotator=ann, status="submitted", values=VALUES, schema=schema
        )


def test_skipping_goes_on_to_the_next_least_certain(ann: Membership) -> None:
    """And round again at the end, not back and forth between the first two."""
    dataset = make_dataset(queue_order="least_certain_first")
    records = ids(make_records(dataset, 4))
    for place, record_id in enumerate(records):
        RecordTask.objects.filter(record_id=record_id).update(certainty=1 - place / 10)
    seen = claim(dataset, ann)
    for _ in range(4):
        leases = distribution.claim(dataset=dataset, annotator=ann, limit=2, beyond=seen[-1])
        distribution.release(record_id=seen[-1], annotator=ann)
        seen.append(next(lease.record_id for lease in leases if lease.record_id != seen[-1]))
    assert seen == [*reversed(records), records[-1]]
