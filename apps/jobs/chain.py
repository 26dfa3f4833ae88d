"""Jobs whose next item is known only when the one before is done: a stream that is read.

The functions are called in ``Kind.write``: so a link and its successor are stored together.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import F, Max, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from apps.jobs.kinds import Work
from apps.jobs.models import Job, JobItem, JobReject


def append(work: Work, payload: Mapping[str, Any]) -> None:
    """The item that follows this one."""
    JobItem.objects.create(job=work.job, seq=work.seq + 1, payload=payload, size=0)


def reject(work: Work, reasons: Mapping[int, str]) -> None:
    """Note what was left out: reasons by number."""
    JobReject.objects.bulk_create(
        JobReject(job=work.job, number=number, reason=reason) for number, reason in reasons.items()
    )


def reject_rows(work: Work, rejects: Sequence[tuple[int, str, str]]) -> None:
    """Note what was left out: number, reason, and the row as it stood in its file."""
    JobReject.objects.bulk_create(
        JobReject(job=work.job, number=number, reason=reason, original=original)
        for number, reason, original in rejects
    )


def advance(work: Work, *, done: int, failed: int = 0, expected: int = 0) -> None:
    """Count units on; ``expected`` is how many there will be in all, as far as anybody knows.

    To be called last, since others wait for the job's row.
    """
    counted = F("done") + F("failed") + Value(done + failed)
    Job.objects.filter(id=work.job.id).update(
        done=F("done") + done,
        failed=F("failed") + failed,
        total=Greatest(counted, Value(expected)),
        updated_at=timezone.now(),
    )


def show_progress(work: Work, *, done: int, expected: int) -> None:
    """Say how far the item in hand is, inside the organization; counted from its beginning."""
    Job.objects.unfinished().filter(id=work.job.id).update(
        done=done, total=Greatest(Value(done), Value(expected)), updated_at=timezone.now()
    )


def add_items(*, job_id: UUID, payloads: Sequence[Mapping[str, Any]]) -> None:
    """More items for a job that is running, counted one each; called where results are written.

    Takes the job's row, which all who complete its items wait for: to be called last.
    """
    if not payloads:
        return
    job = Job.objects.select_for_update(of=("self",)).get(id=job_id)
    last = JobItem.objects.filter(job=job).aggregate(seq=Max("seq"))["seq"]
    first = 0 if last is None else last + 1
    JobItem.objects.bulk_create(
        JobItem(job=job, seq=first + n, payload=payload) for n, payload in enumerate(payloads)
    )
    Job.objects.filter(id=job_id).update(total=F("total") + len(payloads))
