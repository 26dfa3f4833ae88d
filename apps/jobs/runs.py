"""Who holds a job: claiming it, staying alive, letting go, ending it.

A run is one worker's hold on a job. It has a number, and a heartbeat that moves ``run_until``
ahead. When the heartbeat stops, the next run takes the job with a higher number: everything the
old one still writes is refused, since every write names its run or its item's attempt.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import Error as DatabaseError
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from apps.core.tenancy import enter
from apps.events.log import emit
from apps.jobs.errors import LostError
from apps.jobs.models import OPEN, UNFINISHED, WAITING, ItemState, Job, JobItem, JobState
from apps.jobs.pool import and_close, give_back

HOLD = timedelta(seconds=30)  # how long a run is believed alive after a heartbeat

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """One hold on a job."""

    organization_id: UUID
    job_id: UUID
    number: int


def claim(*, organization_id: UUID, job_id: UUID) -> tuple[Run, Job] | None:
    """Take the job; None when it has ended, is paused, is gone, or somebody holds it.

    None as well while the organization is suspended.
    """
    with enter(organization_id):
        waiting = Job.objects.unclaimed().of_open_organizations()
        waiting = waiting.filter(id=job_id, state__in=WAITING)
        claimed = waiting.update(
            run=F("run") + 1,
            run_until=Now() + HOLD,
            started_at=Coalesce("started_at", Now()),
            state=Case(
                When(state=JobState.QUEUED, then=Value(JobState.RUNNING)), default=F("state")
            ),
        )
        if not claimed:
            return None
        job = Job.objects.get(id=job_id)
    return Run(organization_id, job_id, job.run), job


def hold(run: Run, **changes: Any) -> None:
    """Change the running job as its holder, inside the organization.

    Raises ``LostError`` when another run took the job, or people paused or cancelled it.
    """
    held = Job.objects.filter(id=run.job_id, run=run.number, state=JobState.RUNNING)
    if not held.update(run_until=Now() + HOLD, **changes):
        raise LostError


class Heartbeat:
    """Keeps a run alive from a thread of its own, whatever the others are busy with."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._ended = threading.Event()
        beat = and_close(self._beat)
        self._thread = threading.Thread(target=beat, name="heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(HOLD.total_seconds() / 3):
            try:
                with enter(self.run.organization_id):
                    held = Job.objects.filter(id=self.run.job_id, run=self.run.number)
                    held.update(run_until=Now() + HOLD)
            except DatabaseError:
                _logger.warning("No heartbeat for job %s", self.run.job_id, exc_info=True)
            finally:
                give_back()


def let_go(run: Run) -> bool:
    """End the run, and the job if nothing is left; True when there is more to do right now."""
    with enter(run.organization_id), _locked(run) as job:
        if job is None:
            return False
        if job.state == JobState.CANCELLING:
            end(job, JobState.CANCELLED)
            return False
        items = JobItem.objects.filter(job=job)
        if job.state == JobState.RUNNING and job.planned_at and not items.open().exists():
            lost_all = job.failed > 0 and job.done == 0
            end(job, JobState.FAILED if lost_all else JobState.DONE)
            return False
        Job.objects.filter(id=job.id).update(run_until=None)
        free = job.state == JobState.RUNNING and items.free(run=run.number + 1).exists()
        return free and Job.objects.of_open_organizations().filter(id=job.id).exists()


def abandon(run: Run, *, state: JobState, reason: str | None = None) -> None:
    """End the job as cancelled or failed, with a reason as the first of its errors."""
    with enter(run.organization_id), _locked(run) as job:
        if job is not None and not job.has_ended:
            if reason is not None:
                job.error_sample = [{"seq": None, "error": reason}, *job.error_sample]
            end(job, state)


def pause(run: Run, *, reason: str) -> None:
    """Pause the job from inside, with the reason as the first of its errors."""
    with enter(run.organization_id), _locked(run) as job:
        if job is not None and job.state == JobState.RUNNING:
            sample = [{"seq": None, "error": reason}, *job.error_sample]
            Job.objects.filter(id=job.id).update(state=JobState.PAUSED, error_sample=sample)
            _emit("job.paused", job, reason=reason)


def end(job: Job, state: JobState) -> None:
    """Note the end of a job whose row the caller has locked; what is open is cancelled.

    Its secret is forgotten.
    """
    JobItem.objects.filter(job=job, state__in=OPEN).update(state=ItemState.CANCELLED, run=None)
    changed = Job.objects.filter(id=job.id, state__in=UNFINISHED).update(
        state=state,
        error_sample=job.error_sample,
        finished_at=Now(),
        secret=None,
        run_until=None,
        updated_at=timezone.now(),
    )
    if changed:
        _emit(f"job.{state.value}", job, **job.counters)


@contextmanager
def _locked(run: Run) -> Iterator[Job | None]:
    """The run's job, locked, inside the organization; None when another run has it."""
    held = Job.objects.select_for_update(of=("self",)).filter(id=run.job_id, run=run.number)
    yield held.first()


def _emit(kind: str, job: Job, **details: object) -> None:
    emit(
        kind,
        dataset_id=job.dataset_id,
        object_id=job.id,
        payload={"kind": job.kind, **details},
    )
