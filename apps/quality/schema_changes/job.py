"""The rewriting of many answers, a page of records an item."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final
from uuid import UUID

from apps.annotation.models import SchemaChange
from apps.core.tenancy import enter
from apps.jobs.errors import AbandonJobError
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.quality.schema_changes.plans import concerned_by, plan_for
from apps.quality.schema_changes.reach import FIRST
from apps.quality.schema_changes.rewriting import rewrite_page

PAGE: Final = 200  # records a transaction


class EditQuestions(Kind[list[UUID], list[UUID]]):
    """What is rewritten is kept in the transaction that rewrites it, so nothing happens twice."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        after = FIRST
        while True:
            with enter(organization_id):
                ids = concerned_by(_change(job), after=after, limit=PAGE)
            if not ids:
                return
            yield Planned({"ids": [str(id) for id in ids]}, size=len(ids))
            after = ids[-1]

    def read(self, work: Work) -> list[UUID]:
        return [UUID(id) for id in work.payload["ids"]]

    def compute(self, work: Work, material: list[UUID]) -> list[UUID]:
        return material

    def write(self, work: Work, result: list[UUID]) -> Decimal:
        change = _change(work.job)
        rewrite_page(change, plan_for(change, result), result)
        return FREE


def _change(job: Job) -> SchemaChange:
    rows = SchemaChange.objects.select_related("dataset__workspace", "created_by")
    found: SchemaChange | None = rows.filter(id=job.params["change_id"]).first()
    if found is None:
        raise AbandonJobError("The dataset was deleted.")
    return found
