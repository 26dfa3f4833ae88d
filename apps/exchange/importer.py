"""Files become records: chunk by chunk, each good row stored, each bad one named.

- A row with the id of a stored record updates it, so importing a file again changes nothing.
  Without an id column the id is a digest of fields and metadata: equal ones are one record.
- A chunk is one transaction. A row that cannot be stored is left out of it and reported with its
  reason; the rest of the chunk is stored.
- Rows are held until their chunk is full (500 rows or 16 MB), so memory does not grow with the
  file.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import psycopg
from django.db import DataError, IntegrityError, transaction

from apps.annotation.ingest import log_records
from apps.annotation.services import clean_responses
from apps.core.errors import ConflictError, DomainError, InvalidError, NotFoundError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, DatasetStatus
from apps.datasets.schema import DatasetSchema
from apps.datasets.services import hold_schema
from apps.exchange.adjudications import judged, read_adjudication, read_cells, store_adjudications
from apps.exchange.compose import People, compose
from apps.exchange.misfits import leave_out_misfits
from apps.exchange.own_form import is_own_form, read_own_form
from apps.exchange.rows import MAX_ROW, Row, Table
from apps.exchange.targets import ColumnMapping
from apps.records.bulk import UpsertedRecord, clean_record
from apps.records.inputs import RecordInput

CHUNK: Final = 500  # rows
CHUNK_BYTES: Final = MAX_ROW
# What a single row can be to blame for; anything else ends the import.
_ROW_ERRORS: Final = (
    InvalidError,
    ConflictError,
    DataError,
    IntegrityError,
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
)


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not stored, and why."""

    row: Row
    reason: str


@dataclass(slots=True)
class Summary:
    """How far an import is; ``read`` = created + updated + rejected after each chunk."""

    read: int = 0
    created: int = 0
    updated: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of rejects, and of progress after each chunk."""

    on_reject: Callable[[Reject], None] = field(default=lambda reject: None)
    on_progress: Callable[[Summary], None] = field(default=lambda summary: None)


# Makes the record of a row, inside the organization. Raises a ``DomainError`` with the reason.
Composer = Callable[[DatasetSchema, Row], RecordInput]


def import_table(
    *,
    organization_id: UUID,
    dataset_id: UUID,
    table: Table,
    mapping: ColumnMapping,
    listener: Listener | None = None,
) -> Summary:
    """Store the table's rows in a published dataset.

    Rows of a JSONL file in the form of our own export (``own_form``) need no mapping.

    Raises ``InvalidError`` when nothing can be imported at all, ``NotFoundError`` when the
    dataset is gone, ``LimitReachedError`` when the plan's limit is reached; what was stored
    before stays, and the import may simply be repeated.
    """
    if table.columns is not None:
        mapping.take_header(table.columns, is_ours=table.is_ours)
    composer = _composer(table, mapping)
    return import_rows(organization_id, dataset_id, table.rows, composer, listener)


def import_rows(
    organization_id: UUID,
    dataset_id: UUID,
    rows: Iterable[Row],
    composer: Composer,
    listener: Listener | None = None,
) -> Summary:
    """Store the records that ``composer`` makes of the rows; errors are those of import_table."""
    importer = Importer(organization_id, dataset_id, composer, listener or Listener())
    for chunk in chunks(rows):
        importer.take(chunk)
    return importer.summary


def _composer(table: Table, mapping: ColumnMapping) -> Composer:
    people = People()
    may_be_ours = not mapping.is_told and not table.from_text

    def composed(schema: DatasetSchema, row: Row) -> RecordInput:
        is_own = may_be_ours and is_own_form(row.values, schema)
        record = own(schema, row) if is_own else of_columns(schema, row)
        if is_own or mapping.is_ours:
            mapping.leave_out(leave_out_misfits(record, schema))
        return record

    def own(schema: DatasetSchema, row: Row) -> RecordInput:
        record = read_own_form(row.values, schema=schema, people=people)
        given = row.values.get("adjudication")
        if given is None:
            return record
        return judged(record, read_adjudication(given, schema=schema, people=people))

    def of_columns(schema: DatasetSchema, row: Row) -> RecordInput:
        record = compose(
            row.values,
            mapping=mapping,
            schema=schema,
            people=people,
            from_text=table.from_text,
        )
        decision = read_cells(mapping.decisions(row.values), schema=schema, people=people)
        return record if decision is None else judged(record, decision)

    return composed


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """At most 500 rows and about 16 MB at a time."""
    chunk: list[Row] = []
    size = 0
    for row in rows:
        if chunk and (len(chunk) == CHUNK or size + len(row.raw) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += len(row.raw)
    if chunk:
        yield chunk


_Pair = tuple[Row, RecordInput]


class Importer:
    """One import under way."""

    def __init__(
        self, organization_id: UUID, dataset_id: UUID, composer: Composer, listener: Listener
    ) -> None:
        self.organization_id = organization_id
        self.dataset_id = dataset_id
        self.composer = composer
        self.listener = listener
        self.summary = Summary()
        self.rejects: list[Reject] = []

    def take(self, chunk: list[Row]) -> list[UpsertedRecord]:
        """Store the good rows of a chunk in one transaction and report the others.

        Returns what became of the good ones.
        """
        self.rejects = []
        stored: list[UpsertedRecord] = []
        with enter(self.organization_id):
            schema = self._schema()
            for pairs in _without_repeats(self._composed(schema, chunk)):
                stored += self._store(schema, pairs)
        created = sum(record.inserted for record in stored)
        self.summary.read += len(chunk)
        self.summary.created += created
        self.summary.updated += len(stored) - created
        self.summary.rejected += len(self.rejects)
        for reject in sorted(self.rejects, key=lambda reject: reject.row.number):
            self.listener.on_reject(reject)
        self.listener.on_progress(self.summary)
        return stored

    def _schema(self) -> DatasetSchema:
        """The dataset as it is now: people may change it between the chunks of a long import."""
        dataset = Dataset.objects.filter(id=self.dataset_id).first()
        if dataset is None:
            raise NotFoundError("The dataset is gone.")
        if dataset.status != DatasetStatus.READY:
            raise InvalidError("The dataset is a draft; publish it first.")
        return hold_schema(dataset)

    def _composed(self, schema: DatasetSchema, chunk: Iterable[Row]) -> Iterator[_Pair]:
        for row in chunk:
            if row.problem:
                self._reject(row, row.problem)
                continue
            try:
                item = self.composer(schema, row)
            except DomainError as error:
                self._reject(row, error.message)
            else:
                yield row, item

    def _store(self, schema: DatasetSchema, pairs: list[_Pair]) -> list[UpsertedRecord]:
        """All at once if possible; else without those that break a rule; else by halves."""
        try:
            return self._log(schema, pairs)
        except _ROW_ERRORS:
            good = [pair for pair in pairs if self._is_sound(schema, pair)]
        return self._store_by_halves(schema, good)

    def _is_sound(self, schema: DatasetSchema, pair: _Pair) -> bool:
        row, item = pair
        try:
            clean_record(schema, item)
            if item.fields is not None:
                authors = {given.user_id for given in item.responses}
                clean_responses(
                    schema=schema,
                    responses=item.responses,
                    fields=item.fields,
                    known_users=authors,
                )
        except DomainError as error:
            self._reject(row, error.message)
            return False
        return True

    def _store_by_halves(
        self, schema: DatasetSchema, pairs: Sequence[_Pair]
    ) -> list[UpsertedRecord]:
        """For what only the database knows, such as the fields of the record to update."""
        if not pairs:
            return []
        try:
            return self._log(schema, pairs)
        except _ROW_ERRORS as error:
            if len(pairs) == 1:
                self._reject(pairs[0][0], _reason(error))
                return []
        middle = len(pairs) // 2
        first = self._store_by_halves(schema, pairs[:middle])
        return first + self._store_by_halves(schema, pairs[middle:])

    def _log(self, schema: DatasetSchema, pairs: Sequence[_Pair]) -> list[UpsertedRecord]:
        with transaction.atomic():
            items = [item for _, item in pairs]
            stored = log_records(dataset=schema.dataset, items=items, schema=schema)
            store_adjudications(schema.dataset, items, [record.id for record in stored])
            return stored

    def _reject(self, row: Row, reason: str) -> None:
        self.rejects.append(Reject(row, " ".join(reason.split())))


def _without_repeats(pairs: Iterable[_Pair]) -> Iterator[list[_Pair]]:
    """Batches in which no id occurs twice: a later row with the same id is an update."""
    batch: list[_Pair] = []
    seen: set[str | None] = set()
    for row, item in pairs:
        if item.external_id in seen:
            yield batch
            batch, seen = [], set()
        batch.append((row, item))
        seen.add(item.external_id)
    if batch:
        yield batch


def _reason(error: Exception) -> str:
    """The reason alone, without the position in a batch that nobody knows."""
    text = str(error).partition("\n")[0] if not isinstance(error, DomainError) else error.message
    return text.removeprefix("Record at position 0 is not valid because ")
