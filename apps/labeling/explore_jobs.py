"""A bulk answer as its person sees it: how far it is, what it left out, whether it can go back."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final
from uuid import UUID

from django.utils import timezone

from apps.annotation.bulk import count_stored
from apps.annotation.models import ResponseStatus
from apps.datasets.models import Dataset
from apps.jobs.models import Job, JobReject
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.search.bulk_answers import KIND, UNDO, may_undo

REASONS: Final = 50  # records left out that are named
_FRESH: Final = timedelta(hours=24)


@dataclass(frozen=True)
class BulkJob:
    """``undoing`` is the job that takes it back, if there is one."""

    job: Job
    member: Membership
    undoing: Job | None = None

    @property
    def status(self) -> str:
        """Of the answers it stores."""
        return str(self.job.params["answer"]["status"])

    @property
    def status_label(self) -> str:
        return str(ResponseStatus(self.status).label)

    @property
    def is_running(self) -> bool:
        """Whether something is going on that is worth looking at again."""
        return not self.job.has_ended or (self.undoing is not None and not self.undoing.has_ended)

    @property
    def is_taken_back(self) -> bool:
        return self.undoing is not None and self.undoing.state == "done"

    @property
    def may_undo(self) -> bool:
        return may_undo(self.job) and (self.undoing is None or self.undoing.state == "failed")

    @cached_property
    def stored(self) -> int:
        key, dataset_id = self.job.id, self.job.dataset_id
        if dataset_id is None:
            return 0
        return count_stored(annotator=self.member, dataset_id=dataset_id, request_key=key)

    @cached_property
    def refused(self) -> int:
        return JobReject.objects.filter(job=self.job).count()

    @property
    def kept(self) -> int:
        """Own answers that stayed as they were."""
        return max(self.job.done - self.stored - self.refused, 0)

    @property
    def reason(self) -> str:
        """Why it ended before its time."""
        return str(self.job.error_sample[0]["error"]) if self.job.error_sample else ""

    @property
    def refusals(self) -> list[tuple[str, str]]:
        """The name of a record that was left out, and why; the first of them."""
        rows = JobReject.objects.filter(job=self.job).in_order()[:REASONS]
        pairs = [row.reason.partition(": ")[::2] for row in rows]
        found = Record.objects.filter(id__in=[id for id, _reason in pairs])
        names = {str(id): name for id, name in found.values_list("id", "external_id")}
        return [(names.get(id, id), reason) for id, reason in pairs]


def last_bulk_job(dataset: Dataset, member: Membership) -> BulkJob | None:
    """The member's newest, while it runs or can be taken back. Up to two queries."""
    mine = Job.objects.of_dataset(dataset.id).filter(created_by=member, kind=KIND)
    job = mine.newest_first().first()
    if job is None or (job.finished_at and job.finished_at < timezone.now() - _FRESH):
        return None
    return with_undo(job, member)


def with_undo(job: Job, member: Membership) -> BulkJob:
    undoing = Job.objects.of_dataset(_dataset_id(job)).filter(kind=UNDO, subject=str(job.id))
    return BulkJob(job, member, undoing.newest_first().first())


def _dataset_id(job: Job) -> UUID:
    if job.dataset_id is None:
        raise ValueError("a bulk answer belongs to a dataset")
    return job.dataset_id
