"""Streamed kinds in this process, on the real database."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.events.models import Event
from apps.jobs import leases, runs, stream
from apps.jobs.engine import run_slice
from apps.jobs.models import ItemState, Job, JobItem, JobState
from apps.jobs.services import enqueue, resume_job, retry_failed
from apps.jobs.stream import Stream
from apps.jobs.workshop import Landing, Workshop
from tests.jobs.kinds import COST, stored
from tests.jobs.streams import RELEASED, CountInStream

pytestmark = pytest.mark.usefixtures("organization")


def start(items: int = 20, **params: Any) -> Job:
    return enqueue(kind="count_in_stream", params={"items": items, **params})


def run(job: Job, *, seconds: float = 60) -> bool:
    more = run_slice(organization_id=current(), job_id=job.id, seconds=seconds)
    job.refresh_from_db()
    return more


def make_due(job: Job) -> None:
    """Let the time pass that failed items wait."""
    JobItem.objects.filter(job=job).update(available_at=None)


def test_every_result_is_stored_once_and_the_job_ends_done() -> None:
    job = start(items=50)
    assert run(job) is False
    assert stored(job) == list(range(50))
    assert (job.state, job.counters) == ("done", {"total": 50, "done": 50, "failed": 0})
    assert job.cost == 50 * COST


def test_items_are_in_flight_together_but_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    flying, most = 0, 0
    compute = CountInStream.compute

    async def watched(self: CountInStream, work: Any, material: int) -> int:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        try:
            return await compute(self, work, material)
        finally:
            flying -= 1

    monkeypatch.setattr(CountInStream, "compute", watched)
    job = start(items=40, seconds=0.02)
    run(job)
    assert most == CountInStream.concurrency
    assert stored(job) == list(range(40))


@pytest.mark.parametrize("size", [4, 16])
def test_a_page_costs_the_same_whatever_its_size(size: int) -> None:
    """Entering, taking; entering, locking, the kind's own write, settling, counting."""
    job = start(items=20)
    run(job, seconds=0)
    claimed = runs.claim(organization_id=current(), job_id=job.id)
    assert claimed is not None
    kind = CountInStream()
    with Workshop(kind) as workshop:
        current_slice = Stream(*claimed, kind, workshop, lambda: True)
        with statements() as leased:
            pairs = current_slice.read(size) or []
        landings = [Landing(work, material, result=0) for work, material in pairs]
        with statements() as stored_together:
            current_slice.store(landings)
    assert (len(pairs), len(leased), len(stored_together)) == (size, 2, 5)
    job.refresh_from_db()
    assert job.done == size


def test_items_are_found_by_their_numbers_however_many_the_job_has() -> None:
    """Before the tables are analyzed, too, when nothing speaks for one plan or another."""
    job = start(items=100)
    run(job, seconds=0)
    values = {"o": current(), "job": job.id, "run": 1, "limit": 5, "seqs": [3], "attempts": [1]}
    fates = {"states": ["done"], "errors": [None], "failures": [0], "waits": [0], "delays": [0.0]}
    for statement in (leases._TAKE, leases._HELD, leases._SETTLE):
        plan = raw_cursor().execute(f"EXPLAIN {statement}", {**values, **fates}).fetchall()
        conditions = [line for (line,) in plan if "Index Cond" in line]
        assert any("seq = ANY" in line for line in conditions), "\n".join(conditions)


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is asked of the database meanwhile, but for savepoints."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as queries:
        yield found
    found += [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]


def test_a_failing_item_is_tried_again_later_and_leaves_its_error() -> None:
    job = start(trouble={"2": "error"})
    for attempts in range(1, CountInStream.max_attempts + 1):
        run(job)
        item = JobItem.objects.get(job=job, seq=2)
        assert item.attempts == attempts
        if attempts < CountInStream.max_attempts:
            assert item.failures == attempts
            assert item.available_at is not None
            assert job.state == JobState.RUNNING
            make_due(job)
    assert item.state == ItemState.FAILED
    assert (job.state, job.counters) == ("done", {"total": 20, "done": 19, "failed": 1})
    assert job.error_sample == [{"seq": 2, "error": "RuntimeError: out of order"}]
    retry_failed(job=job)
    run(job)
    assert JobItem.objects.get(job=job, seq=2).attempts == CountInStream.max_attempts + 1


@pytest.mark.parametrize("place", ["read", "compute", "write", "undone"])
def test_one_bad_item_harms_no_other(place: str) -> None:
    job = start(trouble={"5": f"{place}:invalid"})
    run(job)
    assert [seq for seq in stored(job) if seq != 5] == [seq for seq in range(20) if seq != 5]
    assert job.counters == {"total": 20, "done": 19, "failed": 1}
    assert job.error_sample == [{"seq": 5, "error": "not a number"}]
    assert job.cost == (20 if place == "undone" else 19) * COST


@pytest.mark.parametrize("place", ["read", "compute", "write", "undone"])
def test_an_item_can_pause_the_job_and_what_is_in_flight_is_stored(place: str) -> None:
    job = start(items=100, seconds=0.02, trouble={"5": f"{place}:pause*1"})
    assert run(job) is False
    assert job.state == JobState.PAUSED
    assert job.error_sample == [{"seq": None, "error": "no budget"}]
    assert 4 < job.done < 60
    assert job.failed == 0
    assert not JobItem.objects.filter(job=job, state=ItemState.LEASED).exists()
    resume_job(job=job)
    run(job)
    assert (job.state, job.done) == ("done", 100)
    assert sorted(set(stored(job))) == list(range(100))


def test_items_that_were_read_and_not_begun_are_released() -> None:
    job = start(items=100, seconds=0.05, trouble={"2": "pause*1"})
    run(job)
    released = Event.objects.filter(kind=RELEASED, object_id=job.id).count()
    assert 0 < released <= CountInStream.concurrency
    taken = JobItem.objects.filter(job=job, attempts__gt=0).count()
    assert taken == job.done + released + 1


def test_a_busy_provider_is_no_failure() -> None:
    job = start(trouble={"1": "later*5"})
    run(job)
    assert job.counters == {"total": 20, "done": 20, "failed": 0}
    assert JobItem.objects.get(job=job, seq=1).attempts == 6


def test_an_item_can_give_up_the_job() -> None:
    job = start(items=100, seconds=0.02, trouble={"2": "abandon"})
    run(job)
    assert job.state == JobState.CANCELLED
    assert job.error_sample == [{"seq": None, "error": "the numbers are gone"}]


def test_a_cancelled_job_stores_what_is_in_flight_and_begins_nothing_more() -> None:
    job = start(items=200, seconds=0.05)
    cancelling = {"state": JobState.CANCELLING}
    write = CountInStream.write_many

    def cancel_meanwhile(self: CountInStream, pairs: Any) -> Any:
        Job.objects.filter(id=job.id).update(**cancelling)
        return write(self, pairs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CountInStream, "write_many", cancel_meanwhile)
        run(job)
    assert job.state == JobState.CANCELLED
    assert 0 < job.done <= 3 * CountInStream.concurrency
    assert len(stored(job)) == job.done
    states = set(JobItem.objects.filter(job=job).values_list("state", flat=True))
    assert states == {ItemState.DONE, ItemState.CANCELLED}
    resume_job(job=job)
    run(job)
    assert stored(job) == list(range(200))


def test_a_slice_ends_with_its_time_and_the_next_goes_on() -> None:
    job = start(items=60, seconds=0.05)
    assert run(job, seconds=0.1) is True
    assert 0 < job.done < 60
    while run(job, seconds=0.2):
        pass
    assert stored(job) == list(range(60))


def test_a_result_whose_item_was_taken_over_is_refused() -> None:
    job = start(items=1, seconds=0.3)
    run(job, seconds=0)

    read = CountInStream.read_many

    def read_then_lose(self: CountInStream, works: Any) -> Any:
        material = read(self, works)
        JobItem.objects.filter(job=job).update(attempts=7)
        return material

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CountInStream, "read_many", read_then_lose)
        run(job)
    assert stored(job) == []
    assert JobItem.objects.get(job=job).state == ItemState.LEASED


def test_the_items_of_a_dead_run_are_taken_over() -> None:
    job = start(items=5)
    run(job, seconds=0)
    dead = runs.claim(organization_id=current(), job_id=job.id)
    assert dead is not None
    assert len(leases.take_many(dead[0], job, limit=3)) == 3
    Job.objects.filter(id=job.id).update(run_until=Now() - timedelta(seconds=1))
    run(job)
    assert stored(job) == list(range(5))
    assert JobItem.objects.filter(job=job, losses=1, attempts=2).count() == 3


def test_items_that_killed_every_worker_fail_and_the_others_go_on() -> None:
    job = start(items=5)
    run(job, seconds=0)
    JobItem.objects.filter(job=job, seq__in=[0, 3]).update(losses=leases.MAX_LOSSES)
    run(job)
    assert stored(job) == [1, 2, 4]
    assert job.counters == {"total": 5, "done": 3, "failed": 2}
    assert {error["error"] for error in job.error_sample} == {
        "The worker died every time it ran this."
    }


def test_results_outlast_a_database_that_is_away_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, tries = CountInStream.write_many, 0

    def fail_twice(self: CountInStream, pairs: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise OperationalError("the server is shutting down")
        return write(self, pairs)

    monkeypatch.setattr(CountInStream, "write_many", fail_twice)
    monkeypatch.setattr(stream, "PATIENCE", (0.01, 0.01, 0.01))
    job = start(items=5)
    run(job)
    assert stored(job) == list(range(5))
    assert not JobItem.objects.filter(job=job, attempts__gt=1).exists()


def test_an_item_in_flight_may_ask_the_database() -> None:
    job = start(items=20, errand=True)
    run(job)
    assert stored(job) == list(range(20))


def test_a_slice_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    run(start(items=5))
    assert threading.active_count() == before
