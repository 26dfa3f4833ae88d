"""Items in the hands of a run: taking one, and the three ways it comes back."""

from datetime import timedelta
from random import uniform

from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from apps.core.tenancy import enter
from apps.jobs.errors import LostError
from apps.jobs.kinds import Kind, Work
from apps.jobs.models import ItemState, Job, JobItem, JobItemQuerySet, JobState
from apps.jobs.runs import Run

MAX_LOSSES = 10  # workers that may die with one item in hand before it is taken for the cause
MAX_ERRORS_KEPT = 5
MAX_ERROR_LENGTH = 2_000  # characters
LONGEST_DELAY = 60.0  # seconds


def take(run: Run, job: Job) -> Work | None:
    """Lease the next free item; None when there is none, or the job is no longer ours."""
    with enter(run.organization_id):
        if not Job.objects.filter(id=job.id, run=run.number, state=JobState.RUNNING).exists():
            return None
        item = _next(run)
        while item is not None and item.losses >= MAX_LOSSES:
            error = "The worker died every time it ran this."
            _fail(job, item.seq, item.size, error, JobItem.objects.filter(pk=item.pk))
            item = _next(run)
        if item is None:
            return None
        JobItem.objects.filter(pk=item.pk).update(
            state=ItemState.LEASED,
            run=run.number,
            attempts=F("attempts") + 1,
            losses=item.losses + int(item.state == ItemState.LEASED),
            available_at=None,
        )
    return Work(
        organization_id=run.organization_id,
        job=job,
        seq=item.seq,
        payload=item.payload,
        size=item.size,
        attempt=item.attempts + 1,
        failures=item.failures,
    )


def _next(run: Run) -> JobItem | None:
    """Rows that another thread is just taking are skipped, not waited for."""
    free = JobItem.objects.filter(job_id=run.job_id).free(run=run.number).order_by("seq")
    return free.select_for_update(skip_locked=True, of=("self",)).first()


def complete(work: Work, kind: Kind[object, object], result: object) -> None:
    """Store the result and the item's completion in one transaction.

    Raises ``LostError``, and stores nothing, when the item has been taken by another run.
    """
    with enter(work.organization_id):
        if not _held(work).update(state=ItemState.DONE, run=None, error=None):
            raise LostError
        cost = kind.write(work, result)
        # Last, since it makes all threads of the job take turns.
        Job.objects.filter(id=work.job.id).update(
            done=F("done") + work.size, cost=F("cost") + cost, updated_at=timezone.now()
        )


def fail(work: Work, *, error: str, for_good: bool) -> None:
    """Note an error; the item comes back after 1, 2, 4 … seconds unless it failed for good."""
    with enter(work.organization_id):
        if for_good:
            _fail(work.job, work.seq, work.size, error, _held(work))
            return
        delay = min(LONGEST_DELAY, 2.0**work.failures) * uniform(0.5, 1.0)  # noqa: S311
        _put_back(work, delay, failures=F("failures") + 1, error=error[:MAX_ERROR_LENGTH])


def postpone(work: Work, *, seconds: float = 0.0) -> None:
    """Put the item back without blaming it."""
    with enter(work.organization_id):
        _put_back(work, seconds)


def _put_back(work: Work, seconds: float, **changes: object) -> None:
    _held(work).update(
        state=ItemState.PENDING,
        run=None,
        available_at=Now() + timedelta(seconds=seconds),
        **changes,
    )


def _held(work: Work) -> JobItemQuerySet:
    """The item, as long as it is still in the hands it was given to."""
    return JobItem.objects.filter(
        job_id=work.job.id, seq=work.seq, state=ItemState.LEASED, attempts=work.attempt
    )


def _fail(job: Job, seq: int, size: int, error: str, item: JobItemQuerySet) -> None:
    error = error[:MAX_ERROR_LENGTH]
    if not item.update(state=ItemState.FAILED, run=None, error=error, available_at=None):
        return
    row = Job.objects.select_for_update(of=("self",)).get(id=job.id)
    sample = row.error_sample
    if len(sample) < MAX_ERRORS_KEPT:
        sample = [*sample, {"seq": seq, "error": error}]
    Job.objects.filter(id=job.id).update(
        failed=F("failed") + size, error_sample=sample, updated_at=timezone.now()
    )
