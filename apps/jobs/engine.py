"""Running a job: plan it, then item after item, for a slice of time."""

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.db import OperationalError
from django.utils import timezone

from apps.core.errors import DomainError
from apps.core.metrics import JOB_SLICES
from apps.core.tenancy import enter
from apps.events.log import Origin, act_as
from apps.jobs import fates, kinds, leases, runs, stream
from apps.jobs.errors import (
    AbandonJobError,
    BrokenChainError,
    LostError,
    PauseJobError,
    RetryLaterError,
)
from apps.jobs.kinds import AnyKind, Kind, Planned, StreamedKind, Work
from apps.jobs.models import Job, JobItem, JobState
from apps.jobs.pool import and_close, give_back

SLICE: Final = 60.0  # seconds until a job makes room for others
PAGE: Final = 500  # items planned in one transaction

_logger = logging.getLogger(__name__)
_closing = threading.Event()


def close() -> None:
    """End this process's slices after the items in work: the worker is about to stop."""
    _closing.set()


def run_slice(*, organization_id: UUID, job_id: UUID, seconds: float = SLICE) -> bool:
    """Run a job for a while; True when there is more to do right now.

    Does nothing when the job has ended or somebody else runs it. The context is a copy, so the
    job's actor and organization do not stay behind in the worker's thread.
    """
    try:
        return copy_context().run(_run_slice, organization_id, job_id, time.monotonic() + seconds)
    finally:
        give_back()


def _run_slice(organization_id: UUID, job_id: UUID, deadline: float) -> bool:
    claimed = runs.claim(organization_id=organization_id, job_id=job_id)
    if claimed is None:
        return False
    run, job = claimed
    JOB_SLICES.labels(job.kind).inc()
    act_as(Origin(job.created_by_id))
    with runs.Heartbeat(run):
        try:
            if job.state == JobState.RUNNING:
                kind = kinds.load(job.kind)
                if job.planned_at is None:
                    plan(run, job, kind)
                work_off(run, job, kind, deadline)
        except LostError:
            pass  # another run goes on, or people stopped the job
        except AbandonJobError as error:
            runs.abandon(run, state=JobState.CANCELLED, reason=str(error))
        except BrokenChainError:
            runs.abandon(run, state=JobState.FAILED)
        except PauseJobError as error:
            runs.pause(run, reason=str(error))
        except DomainError as error:
            runs.abandon(run, state=JobState.FAILED, reason=error.message)
    return runs.let_go(run)


def plan(run: runs.Run, job: Job, kind: AnyKind) -> None:
    """Make the job's items, from the start if an earlier run did not finish.

    A ``DomainError`` passes through; any other error of the kind is raised as one, but for a
    database that is away, which is waited for.
    """
    with enter(run.organization_id):
        runs.hold(run, total=0)
        JobItem.objects.filter(job=job).delete()
    seq = 0
    for page in _pages(run, job, kind):
        with enter(run.organization_id):
            JobItem.objects.bulk_create(
                JobItem(job=job, seq=seq + n, payload=planned.payload, size=planned.size)
                for n, planned in enumerate(page)
            )
            seq += len(page)
            job.total += sum(planned.size for planned in page)
            runs.hold(run, total=job.total)
    with enter(run.organization_id):
        runs.hold(run, planned_at=timezone.now())


def _pages(run: runs.Run, job: Job, kind: AnyKind) -> Iterator[list[Planned]]:
    job.total = 0
    try:
        planned = iter(kind.plan(job, organization_id=run.organization_id))
        while page := list(islice(planned, PAGE)):
            yield page
    except (DomainError, AbandonJobError, PauseJobError, OperationalError):
        raise
    except Exception as error:
        _logger.exception("Job %s could not be planned", job.id)
        raise DomainError(fates.in_words(error)) from error


def work_off(run: runs.Run, job: Job, kind: AnyKind, deadline: float) -> None:
    """Do items until none is free, the job is stopped or the time is up."""
    if isinstance(kind, StreamedKind):
        stream.work_off(run, job, kind, lambda: _has_time(deadline))
    elif isinstance(kind, Kind):
        _work_off_in_threads(run, job, kind, deadline)


def _work_off_in_threads(run: runs.Run, job: Job, kind: Kind[Any, Any], deadline: float) -> None:
    stopped = threading.Event()
    if kind.concurrency == 1:
        _work_off(run, job, kind, deadline, stopped)
        return
    with ThreadPoolExecutor(kind.concurrency, thread_name_prefix="item") as pool:
        # Each thread needs a copy of its own: a context runs in one thread at a time.
        futures = [
            pool.submit(copy_context().run, and_close(_work_off), run, job, kind, deadline, stopped)
            for _ in range(kind.concurrency)
        ]
    for future in futures:
        future.result()


def _work_off(
    run: runs.Run, job: Job, kind: Kind[Any, Any], deadline: float, stopped: threading.Event
) -> None:
    """One thread's share; what it raises stops the others after their items too."""
    try:
        while _has_time(deadline) and not stopped.is_set():
            work = leases.take(run, job)
            if work is None:
                return
            attempt(work, kind)
    except BaseException:
        stopped.set()
        raise
    finally:
        give_back()


def attempt(work: Work, kind: Kind[Any, Any]) -> None:
    """Do one item and note how it went; only what concerns the whole job is raised."""
    try:
        with enter(work.organization_id):
            material = kind.read(work)
        give_back()  # an old one is not kept through the slow part
        leases.complete(work, kind, kind.compute(work, material))
    except LostError:
        _logger.warning("Job %s, item %s: done by another run meanwhile", work.job.id, work.seq)
    except (AbandonJobError, PauseJobError):
        leases.postpone(work)
        raise
    except Exception as error:
        if not isinstance(error, DomainError | RetryLaterError):
            _logger.warning("Job %s, item %s failed", work.job.id, work.seq, exc_info=True)
        fate = fates.after(work, error, max_attempts=kind.max_attempts)
        leases.settle(work, fate)
        if fate.is_for_good and kind.is_chain:
            raise BrokenChainError(fate.error) from error


def _has_time(deadline: float) -> bool:
    """Whether the slice may begin another item."""
    return time.monotonic() < deadline and not _closing.is_set()
