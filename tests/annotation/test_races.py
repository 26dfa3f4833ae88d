"""Many people at once: real threads, each with its own connection, real commits."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from apps.annotation import distribution, services
from apps.annotation.ingest import log_records
from apps.annotation.models import Lease, Response
from apps.annotation.recompute import recompute_dataset
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, Question
from apps.events.models import Event
from apps.organizations.models import Membership
from apps.records.inputs import RecordInput, ResponseInput, SuggestionInput
from apps.records.models import DatasetCounter, Record, RecordTask
from apps.records.services import delete_records
from tests.conftest import ALL_DATABASES
from tests.factories import make_dataset, make_member, make_organization, make_records

pytestmark = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
VALUES = {"sentiment": {"value": "mixed"}}
CONNECTIONS = 24  # the embedded server takes 40


@pytest.fixture
def tenant() -> UUID:
    return make_organization().id


class Crowd:
    """Runs functions at the same moment, each inside the organization."""

    def __init__(self, tenant: UUID) -> None:
        self.tenant = tenant
        self.room = threading.BoundedSemaphore(CONNECTIONS)

    def run(self, workers: list[Callable[[], Any]]) -> list[Any]:
        """What each returned; an exception of one is raised here."""
        start = threading.Barrier(len(workers))

        def live(worker: Callable[[], Any]) -> Any:
            start.wait(timeout=30)
            with self.room:
                try:
                    return worker()
                finally:
                    connections.close_all()

        with ThreadPoolExecutor(len(workers)) as pool:
            return list(pool.map(live, workers))

    def inside(self, work: Callable[[], Any]) -> Any:
        """One transaction inside the organization, as a request is."""
        with enter(self.tenant):
            return work()


@pytest.fixture
def crowd(tenant: UUID) -> Iterator[Crowd]:
    crowd = Crowd(tenant)
    yield crowd
    crowd.inside(lambda: assert_consistent(*Dataset.objects.all()))


def assert_consistent(*datasets: Dataset) -> None:
    """Every derived number says what the rows say."""
    now = timezone.now()
    for dataset in datasets:
        answers = Counter(
            Response.objects.filter(dataset=dataset, status="submitted").values_list(
                "record_id", flat=True
            )
        )
        leases = Counter(
            Lease.objects.filter(dataset=dataset, expires_at__gt=now).values_list(
                "record_id", flat=True
            )
        )
        tasks = RecordTask.objects.filter(dataset=dataset).select_related("record")
        for task in tasks:
            submitted = answers[task.record_id]
            slots = max(0, dataset.min_submitted - submitted - leases[task.record_id])
            assert (task.submitted, task.open_slots) == (submitted, slots)
            completed = submitted >= dataset.min_submitted
            assert (task.record.status == "completed") == completed
        records = Record.objects.filter(dataset=dataset)
        counter = DatasetCounter.objects.get(dataset=dataset)
        assert counter.records == records.count()
        assert counter.completed == records.filter(status="completed").count()


def submit(record: Record, member: Membership, status: str = "submitted") -> bool:
    record = Record.objects.select_related("dataset").get(id=record.id)
    saved = services.save_response(record=record, annotator=member, status=status, values=VALUES)
    return saved.completed


def test_the_last_slots_go_to_as_many_people_as_there_are_slots(tenant: UUID, crowd: Crowd) -> None:
    with enter(tenant):
        dataset = make_dataset(min_submitted=3)
        make_records(dataset, 7)
        members = [make_member() for _ in range(64)]

    def worker(member: Membership) -> Callable[[], list[UUID]]:
        def work() -> list[UUID]:
            for _ in range(5):
                leases = crowd.inside(lambda: distribution.claim(dataset=dataset, annotator=member))
                if leases:
                    return [lease.record_id for lease in leases]
            return []

        return work

    handed_out = crowd.run([worker(member) for member in members])

    assert sum(len(records) for records in handed_out) == 21
    assert set(Counter(r for records in handed_out for r in records).values()) == {3}
    with enter(tenant):
        assert Lease.objects.count() == 21
        assert not RecordTask.objects.exclude(open_slots=0).exists()


def test_one_person_in_many_windows_holds_each_record_once(tenant: UUID, crowd: Crowd) -> None:
    with enter(tenant):
        dataset = make_dataset(min_submitted=2)
        make_records(dataset, 4)
        member = make_member()
        (lease,) = distribution.claim(dataset=dataset, annotator=member)
        distribution.release(record_id=lease.record_id, annotator=member)

    def work() -> set[UUID]:
        leases = crowd.inside(
            lambda: distribution.claim(dataset=dataset, annotator=member, limit=3)
        )
        return {lease.record_id for lease in leases}

    hands = crowd.run([work] * 12)

    assert len(set().union(*hands)) == 3, "asking again gives the same records"
    with enter(tenant):
        assert Lease.objects.filter(user=member).count() == 3


def test_eight_people_answer_three_hundred_records_without_double_work(
    tenant: UUID, crowd: Crowd
) -> None:
    with enter(tenant):
        dataset = make_dataset(min_submitted=1)
        make_records(dataset, 300)
        members = [make_member() for _ in range(8)]

    def worker(member: Membership) -> Callable[[], int]:
        def work() -> int:
            useful = idle = 0
            while idle < 3:
                leases = crowd.inside(lambda: distribution.claim(dataset=dataset, annotator=member))
                idle += not leases
                for lease in leases:
                    useful += crowd.inside(lambda lease=lease: submit(lease.record, member))
            return useful

        return work

    useful = crowd.run([worker(member) for member in members])

    assert sum(useful) == 300
    with enter(tenant):
        assert Response.objects.count() == 300
        assert Event.objects.filter(kind="record.completed").count() == 300


def test_the_last_of_many_answers_completes_the_record_once(tenant: UUID, crowd: Crowd) -> None:
    with enter(tenant):
        dataset = make_dataset(min_submitted=8)
        (record,) = make_records(dataset, 1)
        members = [make_member() for _ in range(8)]

    completed = crowd.run(
        [lambda m=member: crowd.inside(lambda: submit(record, m)) for member in members]
    )

    assert sorted(completed) == [False] * 7 + [True]
    with enter(tenant):
        assert Event.objects.filter(kind="record.completed").count() == 1


def test_the_same_request_twice_at_once_counts_once(tenant: UUID, crowd: Crowd) -> None:
    with enter(tenant):
        dataset = make_dataset(min_submitted=1)
        (record,) = make_records(dataset, 1)
        member = make_member()

    crowd.run([lambda: crowd.inside(lambda: submit(record, member))] * 8)

    with enter(tenant):
        assert Response.objects.count() == 1
        assert dataset.annotators.get().submitted_today == 1
        assert Event.objects.filter(kind="record.completed").count() == 1


def rounds(crowd: Crowd, work: Callable[[int], Any], count: int) -> Callable[[], None]:
    def repeat() -> None:
        for number in range(count):
            crowd.inside(lambda number=number: work(number))

    return repeat


def test_bulks_and_answers_of_the_same_records_never_deadlock(tenant: UUID, crowd: Crowd) -> None:
    """Bulks bring suggestions, new records and answers of people who answer meanwhile."""
    with enter(tenant):
        dataset = make_dataset(min_submitted=2)
        records = make_records(dataset, 40)
        members = [make_member() for _ in range(4)]
        question = Question.objects.get(dataset=dataset)

    def bulk(number: int) -> None:
        known = records[::-1] if number % 2 else records
        items = [
            RecordInput(
                id=record.id,
                sets_metadata=False,
                suggestions=[SuggestionInput(question.id, "mixed", 0.5)],
                responses=[ResponseInput(members[number % 4].id, "draft", VALUES)],
            )
            for record in known[:10]
        ]
        new = RecordInput(
            fields={"text": "new"},
            responses=[ResponseInput(member.id, "submitted", VALUES) for member in members],
        )
        log_records(dataset=dataset, items=[*items, new])

    def answer(member: Membership) -> Callable[[int], None]:
        def work(number: int) -> None:
            submit(records[number], member)
            distribution.claim(dataset=dataset, annotator=member, limit=2)

        return work

    crowd.run(
        [rounds(crowd, bulk, 8) for _ in range(2)]
        + [rounds(crowd, answer(member), 40) for member in members]
    )


def test_one_person_answering_asking_and_giving_back_never_deadlocks(
    tenant: UUID, crowd: Crowd
) -> None:
    """Several windows, each request one transaction of several steps."""
    with enter(tenant):
        dataset = make_dataset(min_submitted=2)
        records = make_records(dataset, 30)
        members = [make_member() for _ in range(2)]

    def answer(member: Membership, number: int) -> None:
        for lease in distribution.claim(dataset=dataset, annotator=member):
            submit(lease.record, member, "submitted" if number % 3 else "draft")
        distribution.claim(dataset=dataset, annotator=member)

    def skip(member: Membership, number: int) -> None:
        for lease in distribution.claim(dataset=dataset, annotator=member)[:1]:
            distribution.skip(dataset=dataset, annotator=member, record_id=lease.record_id)

    def take_back(member: Membership, number: int) -> None:
        for response in Response.objects.filter(user=member)[:1]:
            services.delete_response(response=response)

    def expire(number: int) -> None:
        past = timezone.now() - timedelta(seconds=1)
        Lease.objects.filter(record=records[number]).update(expires_at=past)
        distribution.return_expired(dataset.id)

    crowd.run(
        [
            rounds(crowd, partial(work, member), 30)
            for member in members
            for work in (answer, answer, skip, take_back)
        ]
        + [rounds(crowd, expire, 30)]
    )
    crowd.inside(lambda: distribution.return_expired(dataset.id))


def test_records_deleted_while_they_are_handed_out_never_deadlock(
    tenant: UUID, crowd: Crowd
) -> None:
    with enter(tenant):
        dataset = make_dataset(min_submitted=2)
        records = make_records(dataset, 120)
        members = [make_member() for _ in range(6)]

    def delete(number: int) -> None:
        delete_records(dataset=dataset, ids=[record.id for record in records[number * 4 :][:4]])

    def ask(member: Membership) -> Callable[[int], None]:
        def work(number: int) -> None:
            distribution.claim(dataset=dataset, annotator=member, limit=3)

        return work

    crowd.run([rounds(crowd, delete, 30)] + [rounds(crowd, ask(member), 30) for member in members])


def test_several_answers_in_one_request_never_deadlock(tenant: UUID, crowd: Crowd) -> None:
    with enter(tenant):
        dataset = make_dataset(min_submitted=2)
        records = make_records(dataset, 40)
        members = [make_member(workspace=dataset.workspace) for _ in range(4)]

    def answer(member: Membership, number: int) -> None:
        mine = records[number * 10 :][:10]
        mine = mine if members.index(member) % 2 else mine[::-1]
        services.hold_answers(annotator=member, record_ids=[record.id for record in mine])
        for record in mine:
            submit(record, member)

    crowd.run([rounds(crowd, partial(answer, member), 4) for member in members])


def test_a_changed_overlap_meets_answers_without_deadlock(tenant: UUID, crowd: Crowd) -> None:
    with enter(tenant):
        dataset = make_dataset(min_submitted=1)
        records = make_records(dataset, 60)
        members = [make_member() for _ in range(4)]

    def change(number: int) -> None:
        fresh = Dataset.objects.select_for_update(no_key=True).get(id=dataset.id)
        fresh.min_submitted = 1 + number % 3
        fresh.save(update_fields=["min_submitted"])
        recompute_dataset(dataset=fresh)

    def answer(member: Membership) -> Callable[[int], None]:
        def work(number: int) -> None:
            submit(records[number], member)

        return work

    crowd.run([rounds(crowd, change, 9)] + [rounds(crowd, answer(m), 60) for m in members])


def test_a_slot_that_frees_itself_meanwhile_is_found(tenant: UUID) -> None:
    """The queue is found empty while another's transaction is about to free a slot."""
    with enter(tenant):
        dataset = make_dataset(min_submitted=1)
        (record,) = make_records(dataset, 1)
        first, second = make_member(), make_member()
        distribution.claim(dataset=dataset, annotator=first)
    counted, looked = threading.Event(), threading.Event()

    def give_back() -> None:
        with enter(tenant):
            distribution.release(record_id=record.id, annotator=first)
            counted.set()
            looked.wait(timeout=10)
        connections.close_all()

    thread = threading.Thread(target=give_back)
    thread.start()
    counted.wait(timeout=10)
    with enter(tenant):
        assert distribution.claim(dataset=dataset, annotator=second) == []
    looked.set()
    thread.join()
    with enter(tenant):
        assert distribution.claim(dataset=dataset, annotator=second) != []
