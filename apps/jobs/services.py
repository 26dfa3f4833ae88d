"""Starting and steering jobs. Who may do so is for the callers to check."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, Sum
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext

from apps.core.errors import ConflictError, InvalidError
from apps.core.ids import uuid7
from apps.core.prepared import raw_cursor
from apps.core.sealing import BrokenSealError, seal, unseal
from apps.core.tenancy import current
from apps.events.log import emit
from apps.jobs import doorbell, kinds, runs
from apps.jobs.models import (
    ItemState,
    Job,
    JobItem,
    JobState,
    Queue,
)
from apps.organizations.models import Membership
from apps.workspaces.models import Workspace

# Without the reason for which the job stopped.
_ERRORS_OF_ITEMS = RawSQL("jsonb_path_query_array(error_sample, '$[*] ? (@.seq != null)')", [])


@transaction.atomic
def enqueue(
    *,
    kind: str,
    params: Mapping[str, Any] | None = None,
    workspace: Workspace | None = None,
    dataset_id: UUID | None = None,
    subject: str | None = None,
    created_by: Membership | None = None,
    secret: str | None = None,
    queue: Queue | None = None,
) -> Job:
    """Queue a job; a worker hears of it when the transaction commits.

    ``params`` is JSON for the kind; ``secret`` is kept sealed until the job ends. ``subject``,
    e.g. a question's id, allows one unfinished job of the kind at a time: raises
    ``ConflictError``. ``queue`` is the kind's usual one unless it is named. Raises
    ``InvalidError`` for an unknown kind.
    """
    if not kinds.is_known(kind):
        raise InvalidError(f"Unknown kind of job: {kind}.")
    id = uuid7()
    try:
        with transaction.atomic():
            job = Job.objects.create(
                id=id,
                kind=kind,
                queue=queue or kinds.usual_queue(kind),
                params=dict(params or {}),
                workspace=workspace,
                dataset_id=dataset_id,
                subject=subject,
                created_by=created_by,
                secret=None if secret is None else seal(secret, context=_context(id)),
            )
    except IntegrityError as error:
        raise ConflictError(gettext("Such a job is running already.")) from error
    _emit("job.created", job)
    _ring_on_commit(job)
    return job


@transaction.atomic
def pause_job(*, job: Job) -> Job:
    """Stop handing out items; those in work are finished. Raises ``ConflictError``."""
    pausable = Job.objects.filter(id=job.id, state__in=[JobState.QUEUED, JobState.RUNNING])
    if not pausable.update(state=JobState.PAUSED, updated_at=timezone.now()):
        raise _refusal(job, "paused")
    _emit("job.paused", job)
    return _again(job)


@transaction.atomic
def resume_job(*, job: Job) -> Job:
    """Go on with a paused or cancelled job where it stopped; what is done stays done.

    Raises ``ConflictError`` in other states, or while another job works on the same subject.
    """
    stopped = Job.objects.filter(id=job.id, state__in=[JobState.PAUSED, JobState.CANCELLED])
    try:
        with transaction.atomic():
            resumed = stopped.update(
                state=JobState.QUEUED,
                finished_at=None,
                error_sample=_ERRORS_OF_ITEMS,
                updated_at=timezone.now(),
            )
    except IntegrityError as error:
        raise ConflictError(gettext("Such a job is running already.")) from error
    if not resumed:
        raise _refusal(job, "resumed")
    items = JobItem.objects.filter(job=job, state=ItemState.CANCELLED)
    items.update(state=ItemState.PENDING, available_at=None)
    _emit("job.resumed", job)
    _ring_on_commit(job)
    return _again(job)


def hasten(*, job_id: UUID) -> int:
    """Make the items that wait for a moment due at once; how many did. One statement."""
    waiting = JobItem.objects.filter(
        job_id=job_id, state=ItemState.PENDING, available_at__isnull=False
    )
    return waiting.update(available_at=None)


def add_cost(*, job_id: UUID, usd: Decimal) -> None:
    """Add what was paid for the job beside its items; one that was deleted has no cost."""
    Job.objects.filter(id=job_id).update(cost=F("cost") + usd)


_REFUSE = """
UPDATE job_item SET payload = jsonb_set(payload, '{refused}',
    to_jsonb(coalesce((payload ->> 'refused')::int, 0) + 1))
WHERE organization_id = %(o)s AND job_id = %(j)s AND seq = ANY(%(seqs)s)
"""


def note_refused(*, job_id: UUID, seqs: Sequence[int]) -> None:
    """Count in the items' payloads, as ``refused``, how often what came back was of no use: whoever
    tries them again can ask for something else. One statement."""
    raw_cursor().execute(_REFUSE, {"o": current(), "j": job_id, "seqs": list(seqs)})


@transaction.atomic
def cancel_job(*, job: Job) -> Job:
    """Give up what has not begun; what is in work is still stored. Cancelling twice is fine.

    The job is ``cancelled`` at once if nobody runs it, else ``cancelling`` until the run ends.
    Raises ``ConflictError`` when the job has ended otherwise.
    """
    stoppable = [JobState.QUEUED, JobState.RUNNING, JobState.PAUSED]
    changed = Job.objects.filter(id=job.id, state__in=stoppable).update(
        state=JobState.CANCELLING, updated_at=timezone.now()
    )
    if not changed:
        stopped = [JobState.CANCELLING, JobState.CANCELLED]
        if not Job.objects.filter(id=job.id, state__in=stopped).exists():
            raise _refusal(job, "cancelled")
        return _again(job)
    # The update holds the row's lock, so no run can claim the job meanwhile.
    idle = Job.objects.unclaimed().filter(id=job.id).first()
    if idle is not None:
        runs.end(idle, JobState.CANCELLED)
    return _again(job)


@transaction.atomic
def retry_failed(*, job: Job) -> Job:
    """Run the failed items of an ended job again, or plan it again if it never began.

    Raises ``ConflictError`` when the job has not ended or nothing failed, or while another job
    works on the same subject.
    """
    row = Job.objects.select_for_update(of=("self",)).get(id=job.id)
    if row.state not in {JobState.DONE, JobState.FAILED}:
        raise _refusal(row, "retried")
    items = JobItem.objects.filter(job=row, state=ItemState.FAILED)
    size = items.aggregate(size=Coalesce(Sum("size"), 0))["size"]
    retried = items.update(
        state=ItemState.PENDING, failures=0, waits=0, losses=0, error=None, available_at=None
    )
    if not retried and row.planned_at:
        raise ConflictError(gettext("Nothing failed that could be retried."))
    try:
        with transaction.atomic():
            Job.objects.filter(id=row.id).update(
                state=JobState.QUEUED,
                failed=F("failed") - size,
                error_sample=[],
                finished_at=None,
                updated_at=timezone.now(),
            )
    except IntegrityError as error:
        raise ConflictError(gettext("Such a job is running already.")) from error
    _emit("job.retried", row)
    _ring_on_commit(row)
    return _again(row)


@transaction.atomic
def delete_dataset_jobs(*, dataset_id: UUID) -> None:
    """Delete the jobs of a dataset that is being deleted; running ones notice and stop."""
    Job.objects.of_dataset(dataset_id).delete()


def read_secret(job: Job) -> str | None:
    """The secret the job was given; None when there was none, or the job ended meanwhile.

    Raises ``InvalidError`` when its key is gone.
    """
    sealed = Job.objects.values_list("secret", flat=True).get(id=job.id)
    if sealed is None:
        return None
    try:
        return unseal(bytes(sealed), context=_context(job.id))
    except BrokenSealError as error:
        raise InvalidError("The job's token can no longer be read; start the job anew.") from error


def _context(id: UUID) -> str:
    return f"job {id}"


def _again(job: Job) -> Job:
    return Job.objects.get(id=job.id)


def _refusal(job: Job, verb: str) -> ConflictError:
    return ConflictError(f"A job that is {_again(job).state} cannot be {verb}.")


def _ring_on_commit(job: Job) -> None:
    queue = Queue(job.queue)
    ring = partial(doorbell.ring, organization_id=current(), job_id=job.id, queue=queue)
    transaction.on_commit(ring, robust=True)


def _emit(kind: str, job: Job) -> None:
    emit(kind, dataset_id=job.dataset_id, object_id=job.id, payload={"kind": job.kind})
