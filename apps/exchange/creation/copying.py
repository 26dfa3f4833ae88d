"""The job that copies another dataset's records, without their answers, into a new one.

``params``: ``{"dataset_id", "copied_id", "total"}``. An item's payload ``{"last": id}`` is the
record after which the copy goes on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from apps.core.errors import InvalidError, NotFoundError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema
from apps.datasets.values import clean_value
from apps.exchange.compose import People
from apps.exchange.creation.importing import check_dataset
from apps.exchange.exporter import export_page
from apps.exchange.importer import Importer, Listener, Reject
from apps.exchange.own_form import read_own_form
from apps.exchange.rows import Row
from apps.exchange.strict_json import read_json
from apps.jobs import chain
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.records.inputs import RecordInput
from apps.records.models import RecordStatus

A_CHUNK: Final = 500  # records


@dataclass(frozen=True, slots=True)
class Chunk:
    rows: list[Row]
    last: UUID | None


class DatasetCopy(Kind[Chunk, Chunk]):
    """One item a chunk of records, in the order of their insertion."""

    is_chain = True

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        with enter(organization_id):
            check_dataset(job)
        yield Planned({"last": str(UUID(int=0)), "rows": 0}, size=0)

    def read(self, work: Work) -> Chunk:
        check_dataset(work.job)
        copied = UUID(work.job.params["copied_id"])
        if not Dataset.objects.filter(id=copied).exists():
            raise NotFoundError("The dataset that was to be copied is gone.")
        last = UUID(work.payload["last"])
        page = export_page(copied, RecordStatus.values, after=last, limit=A_CHUNK)
        if page is None:
            return Chunk([], None)
        lines = page.lines.split(b"\n")[:-1]
        first = work.payload["rows"] + 1
        rows = [Row(first + n, line, read_json(line)) for n, line in enumerate(lines)]
        return Chunk(rows, page.last)

    def compute(self, work: Work, material: Chunk) -> Chunk:
        return material

    def write(self, work: Work, result: Chunk) -> Decimal:
        rejects: list[Reject] = []
        dataset_id = UUID(work.job.params["dataset_id"])
        importer = Importer(work.organization_id, dataset_id, _composed, Listener(rejects.append))
        importer.take(result.rows)
        chain.reject_rows(work, [(one.row.number, one.reason, "") for one in rejects])
        if result.last is not None:
            rows = work.payload["rows"] + len(result.rows)
            chain.append(work, {"last": str(result.last), "rows": rows})
        expected = work.job.params["total"] if result.last is not None else 0
        chain.advance(
            work, done=len(result.rows) - len(rejects), failed=len(rejects), expected=expected
        )
        return FREE


def _composed(schema: DatasetSchema, row: Row) -> RecordInput:
    """Without what people have said, and suggestions that the copy's questions do not take."""
    kept: dict[str, Any] = {
        key: value for key, value in row.values.items() if key not in {"responses", "adjudication"}
    }
    suggestions = kept.get("suggestions", [])
    kept["suggestions"] = [one for one in suggestions if _fits(schema, one, kept["fields"])]
    return read_own_form(kept, schema=schema, people=People())


def _fits(schema: DatasetSchema, suggestion: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether the question is there still, with the labels that are suggested."""
    rule = schema.questions.get(suggestion["question"])
    if rule is None:
        return False
    try:
        clean_value(rule, suggestion["value"], fields, complete=False)
    except InvalidError:
        return False
    return True
