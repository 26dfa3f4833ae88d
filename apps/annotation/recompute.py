"""A changed ``min_submitted``: every record of the dataset is brought in line with it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import transaction

from apps.annotation import slots
from apps.annotation.services import recount
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current, enter
from apps.datasets.models import Dataset
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.jobs.services import enqueue
from apps.organizations.models import Membership

PAGE: Final = 2_000  # records a transaction, which people who answer them wait for
_START: Final = UUID(int=0)


@transaction.atomic
def recompute_dataset(*, dataset: Dataset, created_by: Membership | None = None) -> Job | None:
    """Bring the records in line now if they fill no more than a page, else by a job."""
    record_ids = _next_page(dataset.id, after=_START)
    if len(record_ids) < PAGE:
        _recompute(record_ids)
        return None
    return enqueue(
        kind="recompute_dataset",
        workspace=dataset.workspace,
        dataset_id=dataset.id,
        created_by=created_by,
    )


class Recompute(Kind[list[UUID], list[UUID]]):
    """A page of records an item. Each sees the rule of its own time, so the last word holds."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        after = _START
        while True:
            with enter(organization_id):
                record_ids = _next_page(job.dataset_id, after=after)
            if not record_ids:
                return
            yield Planned({"after": str(after)}, size=len(record_ids))
            after = record_ids[-1]

    def read(self, work: Work) -> list[UUID]:
        return _next_page(work.job.dataset_id, after=UUID(work.payload["after"]))

    def compute(self, work: Work, material: list[UUID]) -> list[UUID]:
        return material

    def write(self, work: Work, result: list[UUID]) -> Decimal:
        _recompute(result)
        return FREE


def _recompute(record_ids: list[UUID]) -> None:
    if record_ids:
        slots.lock(record_ids)
        recount(record_ids)


def _next_page(dataset_id: UUID | None, *, after: UUID) -> list[UUID]:
    rows = raw_cursor().execute(
        "SELECT record_id FROM record_task WHERE organization_id = %(o)s"
        f" AND dataset_id = %(d)s AND record_id > %(after)s ORDER BY record_id LIMIT {PAGE}",
        {"o": current(), "d": dataset_id, "after": after},
    )
    return [row[0] for row in rows]
