"""A dry run on its form's page: the items tried so far, and what all would take."""

from collections.abc import Sequence
from functools import cached_property

from apps.console.jobs import JobPage
from apps.jobs.models import Job
from apps.pipelines.dry_runs import Extrapolation, dry_run_items, extrapolation
from apps.pipelines.models import DryRunItem


class Trial:
    """One query for the items."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.page = JobPage(job)

    @cached_property
    def items(self) -> Sequence[DryRunItem]:
        return dry_run_items(self.job)

    @cached_property
    def all(self) -> Extrapolation:
        return extrapolation(self.job, self.items)

    @property
    def is_running(self) -> bool:
        return self.page.is_running

    @property
    def wanted(self) -> int:
        """How many items are tried."""
        return self.job.total or int((self.job.params.get("estimate") or {}).get("items", 0))

    @property
    def version(self) -> str:
        return f"{self.job.state}.{len(self.items)}"
