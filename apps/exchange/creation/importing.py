"""The job that brings an uploaded file's records into the dataset that was made for it.

``params``: ``{"dataset_id", "sketch_id", "format", "size", "total", "columns": {column:
[targets]}, "responder"}``. An item's payload ``{"rows", "offset", "lines"}`` is where reading goes
on; its rows are stored together with its completion and the next item.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Final
from uuid import UUID

from django.db import transaction

from apps.core.errors import DomainError, InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, DatasetStatus
from apps.datasets.schema import DatasetSchema
from apps.exchange.compose import People, compose
from apps.exchange.creation import uploads
from apps.exchange.formats import FileFormat, Position, read_on
from apps.exchange.hub.cells import fit
from apps.exchange.importer import CHUNK, CHUNK_BYTES, Importer, Listener, Reject
from apps.exchange.rows import Row, Start
from apps.exchange.targets import ColumnMapping, Target
from apps.exchange.targets import Kind as Kinds
from apps.jobs import chain
from apps.jobs.errors import AbandonJobError
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.records.inputs import RecordInput

MAX_OPEN: Final = 8  # files that stay open between two items of their jobs
KEPT_OF_REJECTED: Final = 10_000  # characters of a row that is left out


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as they were read; ``position`` is None when they are the last."""

    rows: list[Row]
    position: Position | None
    from_text: bool


class FileImport(Kind[Path, Batch]):
    """Reads on where the last item ended; the rows are stored with the item's completion."""

    is_chain = True

    def __init__(self) -> None:
        self._readings = _Readings()

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        with enter(organization_id):
            check_dataset(job)
            path = _path(organization_id, job)
        self._readings.take(job.id, path, Position(), _format(job)).close()
        yield Planned({"rows": 0}, size=0)

    def read(self, work: Work) -> Path:
        check_dataset(work.job)
        return _path(work.organization_id, work.job)

    def compute(self, work: Work, material: Path) -> Batch:
        position = _position(work.payload)
        reading = self._readings.take(work.job.id, material, position, _format(work.job))
        try:
            batch = reading.batch()
        except BaseException:
            reading.close()
            raise
        uploads.touch(material)
        if batch.position is None:
            reading.close()
        else:
            self._readings.keep(work.job.id, reading)
        return batch

    def write(self, work: Work, result: Batch) -> Decimal:
        rejects: list[Reject] = []
        composer = _Composer(work.job, from_text=result.from_text)
        dataset_id = UUID(work.job.params["dataset_id"])
        importer = Importer(work.organization_id, dataset_id, composer, Listener(rejects.append))
        importer.take(result.rows)
        chain.reject_rows(
            work,
            [
                (one.row.number, one.reason, storable(one.row.original[:KEPT_OF_REJECTED]))
                for one in rejects
            ],
        )
        if result.position is None:
            sketch_id = UUID(work.job.params["sketch_id"])
            gone = partial(uploads.remove, work.organization_id, sketch_id)
            transaction.on_commit(gone, robust=True)
        else:
            chain.append(work, _payload(result.position))
        chain.advance(
            work,
            done=len(result.rows) - len(rejects),
            failed=len(rejects),
            expected=_expected(work, result),
        )
        return FREE


def check_dataset(job: Job) -> None:
    """Raise when there is no published dataset to import into."""
    dataset = Dataset.objects.filter(id=job.params["dataset_id"]).first()
    if dataset is None:
        raise AbandonJobError("The dataset was deleted.")
    if dataset.status != DatasetStatus.READY:
        raise InvalidError("The dataset is a draft; publish it first.")


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot hold."""
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()


def _format(job: Job) -> FileFormat:
    return FileFormat(job.params["format"])


def _path(organization_id: UUID, job: Job) -> Path:
    path = uploads.path_of(organization_id, UUID(job.params["sketch_id"]))
    if not path.exists():
        raise InvalidError("The uploaded file is no longer there; upload it again.")
    return path


def _position(payload: Any) -> Position:
    after = Start(payload["offset"], payload["lines"]) if "offset" in payload else None
    return Position(payload["rows"], after)


def _payload(position: Position) -> dict[str, int]:
    payload = {"rows": position.rows}
    if position.after is not None:
        payload |= {"offset": position.after.offset, "lines": position.after.lines}
    return payload


def _expected(work: Work, batch: Batch) -> int:
    """How many rows there will be: as the file says, or as its bytes so far let expect."""
    position = batch.position
    if position is None:
        return 0
    if position.after is None or work.job.params["is_counted"]:
        return int(work.job.params["total"])
    return int(position.rows * work.job.params["size"] / max(position.after.offset, 1))


# --- Reading ----------------------------------------------------------------------------------
class _Reading:
    """An open file, and how far it was read."""

    def __init__(self, source: BinaryIO, position: Position, format: FileFormat) -> None:
        self.source = source
        self.position = position
        table = read_on(source, format, position)
        self._rows = table.rows
        self._from_text = table.from_text

    def batch(self) -> Batch:
        """At most 500 rows or about 16 MB."""
        rows: list[Row] = []
        size = 0
        while len(rows) < CHUNK and size < CHUNK_BYTES:
            row = next(self._rows, None)
            if row is None:
                return Batch(rows, None, self._from_text)
            rows.append(row)
            size += len(row.raw)
        self.position = Position(self.position.rows + len(rows), rows[-1].after)
        return Batch(rows, self.position, self._from_text)

    def close(self) -> None:
        self.source.close()


class _Readings:
    """Open files by job, so that its next item need not find its place again."""

    def __init__(self) -> None:
        self._open: dict[UUID, _Reading] = {}
        self._lock = Lock()

    def keep(self, job_id: UUID, reading: _Reading) -> None:
        with self._lock:
            self._open[job_id] = reading
            dropped = next(iter(self._open)) if len(self._open) > MAX_OPEN else None
            oldest = self._open.pop(dropped) if dropped else None
        if oldest is not None:
            oldest.close()

    def take(self, job_id: UUID, path: Path, position: Position, format: FileFormat) -> _Reading:
        """The job's file at this position; it is the caller's from now on."""
        with self._lock:
            reading = self._open.pop(job_id, None)
        if reading is not None and reading.position == position:
            return reading
        if reading is not None:
            reading.close()
        source = path.open("rb")
        try:
            return _Reading(source, position, format)
        except BaseException:
            source.close()
            raise


# --- Storing ----------------------------------------------------------------------------------
class _Composer:
    """Makes the records of a job's rows."""

    def __init__(self, job: Job, *, from_text: bool) -> None:
        self.params = job.params
        self.from_text = from_text
        self._people = People()
        self._mapping: ColumnMapping | None = None

    def __call__(self, schema: DatasetSchema, row: Row) -> RecordInput:
        if self._mapping is None:
            columns, responder = self.params["columns"], self.params["responder"]
            self._mapping = ColumnMapping(schema, columns, responder=responder)
        return compose_row(
            {name: row.values.get(name) for name in self.params["columns"]},
            self._mapping,
            schema=schema,
            people=self._people,
            from_text=self.from_text,
        )


def compose_row(
    values: Mapping[str, Any],
    mapping: ColumnMapping,
    *,
    schema: DatasetSchema,
    people: People,
    from_text: bool,
) -> RecordInput:
    """The record of a row's mapped columns. Raises ``InvalidError`` with the reason."""
    if not from_text:  # numbers as texts where texts are wanted, and the like
        values = {name: _fit(name, value, mapping, schema) for name, value in values.items()}
    return compose(values, mapping=mapping, schema=schema, people=people, from_text=from_text)


def _fit(name: str, value: Any, mapping: ColumnMapping, schema: DatasetSchema) -> Any:
    for target in mapping.targets(name):
        kind = Kinds.SUGGESTION if target.kind == Kinds.RESPONSE else target.kind
        try:
            return fit(value, Target(kind, target.name), schema)
        except DomainError as error:
            raise InvalidError(f"column {name!r}: {error.message}") from error
    return value
