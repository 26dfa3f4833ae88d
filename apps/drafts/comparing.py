"""The job that finds drafts which nearly repeat a record of their dataset, and marks them.

Drafts are compared with one another as they are written; with records only when somebody asks,
since there may be many.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import transaction

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current, enter
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.drafts.content import compared_text
from apps.drafts.likeness import bands_of, most_alike, runs_of
from apps.drafts.models import DraftState
from apps.jobs.errors import AbandonJobError
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.jobs.services import enqueue
from apps.organizations.models import Membership
from apps.records.models import Record

KIND: Final = "compare_drafts"
BATCH: Final = 500  # records an item
PAGE: Final = 10 * BATCH  # records a query while planning
GONE: Final = "The dataset was deleted."

_CANDIDATES: Final = """
SELECT b.band, d.id, d.fields FROM draft_band b
JOIN draft d ON d.organization_id = b.organization_id AND d.id = b.draft_id
WHERE b.organization_id = %(o)s AND b.dataset_id = %(d)s AND b.band = ANY(%(bands)s)
    AND d.state = %(waiting)s AND d."like" IS NULL
"""
_MARK: Final = """
UPDATE draft d SET "like" = found.record_id
FROM unnest(%(drafts)s::uuid[], %(records)s::uuid[]) AS found (draft_id, record_id)
WHERE d.organization_id = %(o)s AND d.id = found.draft_id AND d.state = %(waiting)s
    AND d."like" IS NULL
"""

Likenesses = dict[UUID, UUID]


@transaction.atomic
def compare_drafts(*, dataset: Dataset, created_by: Membership | None = None) -> Job:
    """Mark the waiting drafts that nearly repeat a record, as a job.

    Raises ``ConflictError`` while such a job runs.
    """
    return enqueue(
        kind=KIND,
        workspace=dataset.workspace,
        dataset_id=dataset.id,
        subject=str(dataset.id),
        created_by=created_by,
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts of records by id, and of the drafts that share a band with each."""

    records: dict[UUID, str]
    drafts: dict[UUID, str]
    pairs: list[tuple[UUID, UUID]]


class CompareDrafts(Kind[Batch, Likenesses]):
    """Records page by page, each with the drafts that it might be."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        last, dataset_id = UUID(int=0), _dataset_id(job)
        while True:
            with enter(organization_id):
                rows = Record.objects.filter(dataset_id=dataset_id, id__gt=last).in_order()
                page = list(rows.values_list("id", flat=True)[:PAGE])
            for start in range(0, len(page), BATCH):
                ids = page[start : start + BATCH]
                yield Planned({"records": [str(id) for id in ids]}, size=len(ids))
            if not page:
                return
            last = page[-1]

    def read(self, work: Work) -> Batch:
        dataset = Dataset.objects.filter(id=_dataset_id(work.job)).first()
        if dataset is None:
            raise AbandonJobError(GONE)
        schema = load_schema(dataset)
        rows = Record.objects.filter(id__in=work.payload["records"]).values_list("id", "fields")
        records = {id: compared_text(fields, schema) for id, fields in rows}
        bands: dict[int, list[UUID]] = {}
        for id, text in records.items():
            for band in bands_of(runs_of(text)):
                bands.setdefault(band, []).append(id)
        facts = {
            "o": current(),
            "d": dataset.id,
            "bands": list(bands),
            "waiting": DraftState.WAITING.value,
        }
        drafts: dict[UUID, str] = {}
        pairs = set()
        for band, id, fields in raw_cursor().execute(_CANDIDATES, facts).fetchall():
            drafts[id] = drafts.get(id) or compared_text(json.loads(fields), schema)
            pairs |= {(id, record) for record in bands[band]}
        return Batch(records, drafts, sorted(pairs))

    def compute(self, work: Work, material: Batch) -> Likenesses:
        records = {id: runs_of(material.records[id]) for _, id in material.pairs}
        found: Likenesses = {}
        for id, text in material.drafts.items():
            candidates = [record for draft, record in material.pairs if draft == id]
            best = most_alike(runs_of(text), [records[record] for record in candidates])
            if best is not None:
                found[id] = candidates[best]
        return found

    def write(self, work: Work, result: Likenesses) -> Decimal:
        facts = {
            "o": current(),
            "drafts": list(result),
            "records": list(result.values()),
            "waiting": DraftState.WAITING.value,
        }
        raw_cursor().execute(_MARK, facts)
        return FREE


def _dataset_id(job: Job) -> UUID:
    if job.dataset_id is None:
        raise AbandonJobError(GONE)
    return job.dataset_id
