"""Running jobs in this process, on the real database."""

from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.core.tenancy import current, enter
from apps.events.log import emit
from apps.events.models import Event
from apps.jobs import kinds, leases, runs
from apps.jobs.engine import run_slice
from apps.jobs.errors import LostError
from apps.jobs.models import ItemState, Job, JobItem, JobState
from apps.jobs.services import enqueue
from apps.organizations.models import Membership, Organization
from tests.factories import make_organization
from tests.jobs.kinds import COST, stored

pytestmark = pytest.mark.usefixtures("organization")


def start(kind: str = "count", **params: Any) -> Job:
    return enqueue(kind=kind, params={"items": 5, **params})


def run(job: Job, *, seconds: float = 60) -> bool:
    more = run_slice(organization_id=current(), job_id=job.id, seconds=seconds)
    job.refresh_from_db()
    return more


def make_due(job: Job) -> None:
    """Let the time pass that failed items wait."""
    JobItem.objects.filter(job=job).update(available_at=None)


def let_die(job: Job) -> None:
    """The worker of the job's run is killed, and its heartbeat stops long enough."""
    Job.objects.filter(id=job.id).update(run_until=Now() - timedelta(seconds=1))


def claim(job: Job) -> runs.Run:
    claimed = runs.claim(organization_id=current(), job_id=job.id)
    assert claimed is not None
    return claimed[0]


def plan(job: Job) -> runs.Run:
    """A run that has planned the job and has not begun an item."""
    run(job, seconds=0)
    return claim(job)


def test_every_result_is_stored_once_and_the_job_ends_done() -> None:
    job = start(items=7, size=3)
    assert run(job) is False
    assert stored(job) == list(range(7))
    assert (job.state, job.counters) == ("done", {"total": 21, "done": 21, "failed": 0})
    assert job.cost == 7 * COST
    assert job.finished_at is not None
    assert job.run_until is None
    assert job.seconds is not None


def test_a_second_delivery_does_nothing() -> None:
    job = start()
    run(job)
    assert run(job) is False
    assert stored(job) == list(range(5))
    assert job.run == 1


def test_a_job_in_somebodys_hands_is_left_alone() -> None:
    job = start()
    claim(job)
    assert run(job) is False
    assert stored(job) == []


def test_a_job_makes_room_after_its_slice_and_goes_on_later() -> None:
    job = start(seconds=0.3)
    run(job, seconds=0)  # planned, so that the slice is there for its items
    assert run(job, seconds=0.5) is True
    assert job.state == JobState.RUNNING
    assert 0 < job.done < 5
    while run(job, seconds=60):
        pass
    assert stored(job) == list(range(5))


def test_a_job_without_items_is_done() -> None:
    job = start(items=0)
    run(job)
    assert job.state == JobState.DONE


def test_a_failing_item_is_tried_three_times_and_leaves_its_error() -> None:
    job = start(trouble={"2": "error"})
    for attempts in (1, 2, 3):
        run(job)
        item = JobItem.objects.get(job=job, seq=2)
        assert item.attempts == attempts
        make_due(job)
    assert (item.state, item.error) == (ItemState.FAILED, "RuntimeError: out of order")
    assert (job.state, job.counters) == ("done", {"total": 5, "done": 4, "failed": 1})
    assert job.error_sample == [{"seq": 2, "error": "RuntimeError: out of order"}]


def test_a_failed_item_waits_before_it_is_tried_again() -> None:
    job = start(trouble={"2": "error*1"})
    assert run(job) is False
    assert run(job) is False
    assert JobItem.objects.get(job=job, seq=2).attempts == 1
    make_due(job)
    run(job)
    assert stored(job) == list(range(5))
    assert job.state == JobState.DONE


def test_a_job_of_which_everything_failed_has_failed() -> None:
    job = start(items=1, trouble={"0": "invalid"})
    run(job)
    assert job.state == JobState.FAILED


def test_what_a_rule_forbids_is_not_tried_again() -> None:
    job = start(trouble={"1": "invalid"})
    run(job)
    assert job.counters == {"total": 5, "done": 4, "failed": 1}
    assert job.error_sample == [{"seq": 1, "error": "not a number"}]


def test_a_busy_provider_is_no_failure() -> None:
    job = start(trouble={"1": "later*5"})
    run(job)
    assert job.counters == {"total": 5, "done": 5, "failed": 0}
    assert JobItem.objects.get(job=job, seq=1).attempts == 6


def test_only_the_first_errors_are_kept() -> None:
    job = start(items=9, trouble={str(seq): "invalid" for seq in range(8)})
    run(job)
    assert [error["seq"] for error in job.error_sample] == [0, 1, 2, 3, 4]
    assert job.failed == 8


def test_an_item_can_pause_the_job_without_being_blamed() -> None:
    job = start(trouble={"2": "pause*1"})
    assert run(job) is False
    assert (job.state, job.done, job.failed) == ("paused", 2, 0)
    assert job.error_sample == [{"seq": None, "error": "no budget"}]
    assert run(job) is False
    assert job.done == 2


def test_an_item_can_give_up_the_job() -> None:
    job = start(trouble={"2": "abandon"})
    run(job)
    assert (job.state, job.done) == ("cancelled", 2)
    assert JobItem.objects.filter(job=job, state=ItemState.CANCELLED).count() == 3


@pytest.mark.parametrize(
    ("trouble", "state", "reason"),
    [
        ("invalid", "failed", "not a number"),
        ("error", "failed", "RuntimeError: out of order"),
        ("abandon", "cancelled", "the numbers are gone"),
    ],
)
def test_a_job_that_cannot_be_planned_says_why(trouble: str, state: str, reason: str) -> None:
    job = start(plan_trouble=trouble)
    run(job)
    assert job.state == state
    assert job.error_sample == [{"seq": None, "error": reason}]


def test_an_unknown_kind_fails_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    job = start()
    Job.objects.filter(id=job.id).update(kind="gone")
    run(job)
    assert job.state == JobState.FAILED


def test_a_half_made_plan_is_made_again() -> None:
    job = start()
    first = claim(job)
    JobItem.objects.create(job=job, seq=99, payload={"number": 99})
    Job.objects.filter(id=job.id).update(total=1)
    let_die(job)
    run(job)
    assert stored(job) == list(range(5))
    assert (job.state, job.total) == ("done", 5)
    with pytest.raises(LostError):
        runs.hold(first, total=0)


def test_the_items_of_a_dead_run_are_taken_over_and_its_late_result_is_refused() -> None:
    job = start()
    dead = plan(job)
    lost = leases.take(dead, job)
    let_die(job)
    run(job)
    assert lost is not None
    assert stored(job) == list(range(5))
    item = JobItem.objects.get(job=job, seq=lost.seq)
    assert (item.attempts, item.losses) == (2, 1)
    with pytest.raises(LostError), transaction.atomic():
        leases.complete(lost, kinds.load("count"), 0)
    leases.fail(lost, error="too late", for_good=True)
    leases.postpone(lost)
    assert stored(job) == list(range(5))
    job.refresh_from_db()
    assert job.counters == {"total": 5, "done": 5, "failed": 0}


def test_a_late_result_is_refused_while_the_new_run_is_at_the_item() -> None:
    job = start()
    lost = leases.take(plan(job), job)
    let_die(job)
    work = leases.take(claim(job), job)
    assert lost is not None
    assert work is not None
    assert (lost.seq, lost.attempt, work.seq, work.attempt) == (0, 1, 0, 2)
    with pytest.raises(LostError), transaction.atomic():
        leases.complete(lost, kinds.load("count"), 0)
    leases.fail(lost, error="too late", for_good=True)
    leases.postpone(lost)
    assert stored(job) == []
    leases.complete(work, kinds.load("count"), 0)
    assert stored(job) == [0]


def test_a_run_that_was_believed_dead_stops() -> None:
    job = start()
    dead = plan(job)
    let_die(job)
    alive = claim(job)
    assert leases.take(dead, job) is None
    assert runs.let_go(dead) is False
    job.refresh_from_db()
    assert (job.run, job.state) == (alive.number, "running")
    assert job.run_until is not None


def test_the_result_of_a_run_believed_dead_counts_if_nobody_took_the_item() -> None:
    job = start()
    dead = plan(job)
    work = leases.take(dead, job)
    assert work is not None
    let_die(job)
    claim(job)
    leases.complete(work, kinds.load("count"), 0)
    let_die(job)
    run(job)
    assert stored(job) == list(range(5))


def test_an_item_that_kills_every_worker_fails_in_the_end() -> None:
    job = start(items=2)
    dead = plan(job)
    leases.take(dead, job)
    JobItem.objects.filter(job=job, seq=0).update(losses=leases.MAX_LOSSES)
    let_die(job)
    run(job)
    assert stored(job) == [1]
    assert job.counters == {"total": 2, "done": 1, "failed": 1}
    assert job.error_sample[0]["error"] == "The worker died every time it ran this."


def test_a_deleted_job_takes_unfinished_work_with_it() -> None:
    job = start()
    holder = plan(job)
    work = leases.take(holder, job)
    assert work is not None
    Job.objects.filter(id=job.id).delete()
    with pytest.raises(LostError), transaction.atomic():
        leases.complete(work, kinds.load("count"), 0)
    assert runs.let_go(holder) is False
    assert not JobItem.objects.filter(job_id=job.id).exists()


def test_events_of_a_job_name_who_started_it_and_nobody_afterwards(owner: Membership) -> None:
    job = enqueue(kind="count", params={"items": 1}, created_by=owner)
    run(job)
    events = list(Event.objects.filter(object_id=job.id).order_by("id"))
    assert [event.kind for event in events] == ["job.created", "count.stored", "job.done"]
    assert [event.actor_id for event in events[1:]] == [owner.id, owner.id]
    emit("test.afterwards")
    assert Event.objects.get(kind="test.afterwards").actor_id is None


def test_another_organization_cannot_run_the_job(organization: Organization) -> None:
    job = start()

    def run_elsewhere() -> bool:
        other = make_organization("Other")
        return run_slice(organization_id=other.id, job_id=job.id)

    assert Context().run(run_elsewhere) is False
    with enter(organization.id):
        job.refresh_from_db()
        assert job.state == JobState.QUEUED


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"state": "asleep"}, "job_state_known"),
        ({"queue": "nowhere"}, "job_queue_known"),
        ({"done": 9}, "job_counters_within_total"),
        ({"state": "done"}, "job_ended_has_finished_at"),
    ],
)
def test_the_database_refuses_an_impossible_job(changes: Any, constraint: str) -> None:
    job = start()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Job.objects.filter(id=job.id).update(**changes)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"state": "asleep"}, "job_item_state_known"),
        ({"state": "leased"}, "job_item_leased_has_run"),
        ({"run": 1}, "job_item_leased_has_run"),
    ],
)
def test_the_database_refuses_an_impossible_item(changes: Any, constraint: str) -> None:
    job = start()
    plan(job)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        JobItem.objects.filter(job=job, seq=0).update(**changes)


def test_time_moves_a_heartbeat_ahead() -> None:
    job = start()
    holder = claim(job)
    Job.objects.filter(id=job.id).update(run_until=F("run_until") - runs.HOLD / 2)
    job.refresh_from_db()
    before = job.run_until
    runs.hold(holder, planned_at=None)
    job.refresh_from_db()
    assert before is not None
    assert job.run_until is not None
    assert job.run_until > before
