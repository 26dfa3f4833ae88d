"""The life of a queue against a plain-Python model: what holds after every step, holds always."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from apps.annotation import distribution, services
from apps.annotation.ingest import log_records
from apps.annotation.models import Annotator, Lease, Response
from apps.annotation.recompute import recompute_dataset
from apps.events.models import Event
from apps.records.inputs import RecordInput, ResponseInput
from apps.records.models import DatasetCounter, Record, RecordTask
from tests.factories import make_dataset, make_member, make_records

PEOPLE = 3
VALUES = {"sentiment": {"value": "mixed"}}
people = st.integers(0, PEOPLE - 1)
numbers = st.integers(0, 1000)
statuses = st.sampled_from(["draft", "submitted", "submitted", "submitted", "discarded"])


@dataclass
class Known:
    """What must be true of one record."""

    id: UUID
    open: int
    answers: dict[UUID, str] = field(default_factory=dict)
    keys: dict[UUID, UUID] = field(default_factory=dict)
    leases: dict[UUID, bool] = field(default_factory=dict)  # person → not expired
    completed: bool = False
    completions: int = 0

    @property
    def submitted(self) -> int:
        return sum(status == "submitted" for status in self.answers.values())

    @property
    def live(self) -> int:
        return sum(self.leases.values())

    def recount(self, needed: int) -> bool:
        """As after every change; True when this is the moment of completion."""
        self.open = max(0, needed - self.submitted - self.live)
        before, self.completed = self.completed, self.submitted >= needed
        self.completions += self.completed and not before
        return self.completed and not before

    def is_for(self, person: UUID) -> bool:
        return self.open > 0 and person not in self.answers and person not in self.leases


class Queue(RuleBasedStateMachine):
    """Each run lives in a savepoint of its own, which is taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    @initialize(needed=st.integers(1, 3), least_certain=st.booleans(), count=st.integers(1, 2))
    def begin(self, needed: int, least_certain: bool, count: int) -> None:
        self.needed = needed
        self.quota: int | None = None
        order = "least_certain_first" if least_certain else "oldest_first"
        self.dataset = make_dataset(min_submitted=needed, queue_order=order)
        self.people = [make_member() for _ in range(PEOPLE)]
        self.today: Counter[UUID] = Counter()
        self.records: dict[UUID, Known] = {}
        self.add(count)

    def pick(self, number: int) -> Known:
        return list(self.records.values())[number % len(self.records)]

    def row(self, known: Known) -> Record:
        return Record.objects.select_related("dataset").get(id=known.id)

    @rule(count=st.integers(1, 2))
    @precondition(lambda self: len(self.records) < 5)
    def add(self, count: int) -> None:
        for record in make_records(self.dataset, count):
            self.records[record.id] = Known(record.id, open=self.needed)

    @rule(person=people, limit=st.integers(1, 3))
    def claim(self, person: int, limit: int) -> None:
        member = self.people[person]
        held = {known.id for known in self.records.values() if known.leases.get(member.id)}
        leases = distribution.claim(dataset=self.dataset, annotator=member, limit=limit)
        ids = [lease.record_id for lease in leases]
        again, new = [i for i in ids if i in held], [i for i in ids if i not in held]

        assert len(set(ids)) == len(ids) <= limit
        assert len(again) == min(limit, len(held)), "what one holds comes first"
        allowed = 99 if self.quota is None else max(self.quota - self.today[member.id], 0)
        wanted = max(min(limit, allowed) - len(again), 0)
        assert len(new) <= wanted, "no more than asked for, no more than the quota"
        if not new or not all(self.records[record_id].is_for(member.id) for record_id in new):
            self._note_returned()
        if len(new) < wanted:
            left = [k for k in self.records.values() if k.is_for(member.id) and k.id not in new]
            assert not left, "an open record was withheld"
        for record_id in new:
            known = self.records[record_id]
            assert known.is_for(member.id), "handed out what was not to be had"
            known.leases[member.id] = True
            known.open -= 1
            assert known.live + known.submitted <= self.needed

    def _note_returned(self) -> None:
        """An empty hand takes back leases that ran out: those that are gone, or were given anew."""
        expired = Lease.objects.filter(dataset=self.dataset, expires_at__lte=timezone.now())
        rows = set(expired.values_list("record_id", "user_id"))
        for known in self.records.values():
            gone = {
                person
                for person, live in known.leases.items()
                if not live and (known.id, person) not in rows
            }
            if gone:
                known.leases = {p: live for p, live in known.leases.items() if p not in gone}
                known.recount(self.needed)

    @rule(person=people, number=numbers)
    def renew(self, person: int, number: int) -> None:
        member, known = self.people[person], self.pick(number)
        end = distribution.renew(record_id=known.id, annotator=member)
        assert (end is not None) == bool(known.leases.get(member.id))

    @rule(person=people, number=numbers)
    def release(self, person: int, number: int) -> None:
        member, known = self.people[person], self.pick(number)
        distribution.release(record_id=known.id, annotator=member)
        if known.leases.pop(member.id, None) is not None:
            known.recount(self.needed)

    @rule(person=people, number=numbers, status=statuses, keyed=st.booleans())
    def save(self, person: int, number: int, status: str, keyed: bool) -> None:
        """With a lease, with a lost one, without one, to a completed record: always kept."""
        self._save(self.people[person].id, self.pick(number), status, uuid4() if keyed else None)

    @rule(person=people, status=statuses)
    def answer_what_one_holds(self, person: int, status: str) -> None:
        member = self.people[person]
        held = [known for known in self.records.values() if member.id in known.leases]
        for known in held[:1]:
            self._save(member.id, known, status, None)

    @rule(person=people, status=statuses)
    def answer_all(self, person: int, status: str) -> None:
        """So that the next claim finds the queue exhausted."""
        member = self.people[person]
        for known in self.records.values():
            if member.id not in known.answers:
                self._save(member.id, known, status, None)
        self.claim(person, 1)

    def _save(self, member_id: UUID, known: Known, status: str, key: UUID | None) -> None:
        member = next(member for member in self.people if member.id == member_id)
        saved = services.save_response(
            record=self.row(known),
            annotator=member,
            status=status,
            values=VALUES if status == "submitted" else {},
            request_key=key,
        )
        before = known.answers.get(member.id)
        known.answers[member.id] = status
        known.keys.pop(member.id, None)
        if key:
            known.keys[member.id] = key
        known.leases.pop(member.id, None)
        self._count(member.id, before, status)
        assert saved.created == (before is None)
        assert saved.completed == known.recount(self.needed)

    def _count(self, member_id: UUID, before: str | None, after: str | None) -> None:
        """What is submitted today, and what no longer is: all of it happens today."""
        change = (after == "submitted") - (before == "submitted")
        self.today[member_id] = max(self.today[member_id] + change, 0)

    @rule(person=people, number=numbers, status=statuses)
    def retry(self, person: int, number: int, status: str) -> None:
        """The same key again changes nothing, whatever it brings."""
        member, known = self.people[person], self.pick(number)
        if member.id not in known.keys:
            return
        saved = services.save_response(
            record=self.row(known),
            annotator=member,
            status=status,
            values=VALUES,
            request_key=known.keys[member.id],
        )
        assert (saved.created, saved.completed) == (False, False)
        assert saved.response.status == known.answers[member.id]

    @rule(person=people, number=numbers, status=statuses)
    def bring_along(self, person: int, number: int, status: str) -> None:
        """An answer that comes with a record counts against no quota and ends no lease."""
        member, known = self.people[person], self.pick(number)
        log_records(
            dataset=self.dataset,
            items=[
                RecordInput(
                    id=known.id,
                    sets_metadata=False,
                    responses=[ResponseInput(member.id, status, VALUES)],
                )
            ],
        )
        known.answers[member.id] = status
        known.recount(self.needed)

    @rule(number=numbers, then_claim=st.booleans())
    @precondition(lambda self: any(known.answers for known in self.records.values()))
    def delete(self, number: int, then_claim: bool) -> None:
        given = [(k, person) for k in self.records.values() for person in k.answers]
        known, person = given[number % len(given)]
        services.delete_response(response=Response.objects.get(record_id=known.id, user_id=person))
        self._count(person, known.answers.pop(person), None)
        known.keys.pop(person, None)
        known.recount(self.needed)
        if then_claim:
            self.claim([member.id for member in self.people].index(person), 1)

    @rule(number=numbers)
    @precondition(lambda self: any(known.leases for known in self.records.values()))
    def expire(self, number: int) -> None:
        held = [(k, person) for k in self.records.values() for person in k.leases]
        known, person = held[number % len(held)]
        past = timezone.now() - timedelta(seconds=1)
        Lease.objects.filter(record_id=known.id, user_id=person).update(expires_at=past)
        known.leases[person] = False

    @rule()
    def sweep(self) -> None:
        expired = [k for k in self.records.values() if not all(k.leases.values())]
        count = sum(not live for known in expired for live in known.leases.values())
        assert distribution.return_expired(self.dataset.id) == count
        for known in expired:
            known.leases = {person: True for person, live in known.leases.items() if live}
            known.recount(self.needed)

    @rule(needed=st.integers(1, 4), person=people)
    def change_min_submitted(self, needed: int, person: int) -> None:
        self.needed = self.dataset.min_submitted = needed
        self.dataset.save()
        recompute_dataset(dataset=self.dataset)
        for known in self.records.values():
            known.recount(needed)
        self.claim(person, 1)

    @rule(quota=st.none() | st.integers(1, 4))
    def change_quota(self, quota: int | None) -> None:
        self.quota = self.dataset.daily_quota = quota
        self.dataset.save()

    @invariant()
    def tasks_and_statuses_are_exact(self) -> None:
        rows = RecordTask.objects.filter(dataset=self.dataset).values_list(
            "record_id", "record__status", "submitted", "open_slots"
        )
        assert {row[0]: row[1:] for row in rows} == {
            known.id: (
                "completed" if known.submitted >= self.needed else "pending",
                known.submitted,
                known.open,
            )
            for known in self.records.values()
        }

    @invariant()
    def answers_and_leases_are_kept(self) -> None:
        answers = Response.objects.filter(dataset=self.dataset)
        assert set(answers.values_list("record_id", "user_id", "status")) == {
            (known.id, person, status)
            for known in self.records.values()
            for person, status in known.answers.items()
        }
        now = timezone.now()
        leases = Lease.objects.filter(dataset=self.dataset)
        assert {(lease.record_id, lease.user_id, lease.expires_at > now) for lease in leases} == {
            (known.id, person, live)
            for known in self.records.values()
            for person, live in known.leases.items()
        }

    @invariant()
    def counters_are_exact(self) -> None:
        counter = DatasetCounter.objects.get(dataset=self.dataset)
        completed = sum(known.submitted >= self.needed for known in self.records.values())
        assert (counter.records, counter.completed) == (len(self.records), completed)
        places = Annotator.objects.filter(dataset=self.dataset)
        assert {p.user_id: p.submitted_today for p in places if p.submitted_today} == +self.today

    @invariant()
    def a_record_completes_once_each_time(self) -> None:
        events = Event.objects.filter(kind="record.completed", dataset_id=self.dataset.id)
        assert Counter(events.values_list("object_id", flat=True)) == {
            known.id: known.completions for known in self.records.values() if known.completions
        }


@pytest.mark.usefixtures("organization")
def test_the_queue_behaves_like_its_model() -> None:
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=50,
            stateful_step_count=30,
            deadline=None,
            phases=[Phase.generate],  # add Phase.shrink to find the shortest way to a failure
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
