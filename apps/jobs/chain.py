"""Jobs whose next item is known only when the one before is done: a stream that is read.

The functions are called in ``Kind.write``: so a link and its successor are stored together.
"""

from collections.abc import Mapping
from typing import Any

from django.db.models import F, Value
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
