"""A dry run on its form's page: the items tried so far, and what all would take."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from apps.console.jobs import JobPage
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.jobs.models import Job
from apps.pipelines.dry_runs import Extrapolation, dry_run_items, extrapolation
from apps.pipelines.models import DryRunItem
from apps.records.models import Record
from apps.records.text import searchable_text


@dataclass(frozen=True, slots=True)
class Tried:
    """An item, and the record that it is about: its id as people know it, and its words."""

    item: DryRunItem
    name: str = ""
    text: str = ""


def tried_items(dataset: Dataset, items: Sequence[DryRunItem]) -> list[Tried]:
    """The items with their records. One query, and those of the dataset's fields."""
    ids = [item.record_id for item in items if item.record_id]
    rows = Record.objects.filter(dataset=dataset, id__in=ids) if ids else Record.objects.none()
    fields = load_schema(dataset).fields if ids else {}
    found = {row.id: (row.external_id, searchable_text(row.fields, fields)) for row in rows}
    return [Tried(item, *found.get(item.record_id or item.job_id, ("", ""))) for item in items]


class Trial:
    """A query for the items, and one for their records."""

    def __init__(self, dataset: Dataset, job: Job) -> None:
        self.dataset, self.job = dataset, job
        self.page = JobPage(job)

    @cached_property
    def items(self) -> Sequence[DryRunItem]:
        return dry_run_items(self.job)

    @cached_property
    def tried(self) -> list[Tried]:
        return tried_items(self.dataset, self.items)

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
