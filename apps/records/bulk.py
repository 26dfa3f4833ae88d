"""The bulk upsert: hundreds of records with everything about them, in one transaction.

New rows go through COPY into a stage and one INSERT … SELECT a table; rows that match an existing
record by id or external id are updated. Cost: a fixed number of statements, however many records.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction
from django.utils import timezone

from apps.core.errors import ConflictError, DomainError, InvalidError
from apps.core.ids import uuid7s
from apps.core.metrics import RECORDS_WRITTEN
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets import content, values
from apps.datasets.models import Dataset, DatasetStatus
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import refuse_archived
from apps.events.log import emit
from apps.organizations.volume import count_records
from apps.records import staging
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import RecordStatus
from apps.records.search_document import BODIES, DATASET_LEXEME, DOCUMENT, Bodies
from apps.records.side_rows import SideRows
from apps.records.staging import Stage

MAX_EXTERNAL_ID = 500


@dataclass(slots=True)
class UpsertedRecord:
    """What became of one input; ``fields`` and ``metadata`` as stored when it was inserted."""

    id: UUID
    external_id: str
    inserted: bool
    at: datetime
    fields: dict[str, Any]
    metadata: Any
    suggestions: Sequence[tuple[UUID, SuggestionInput]] = ()
    vectors: Any = ()


class _RacedError(Exception):
    """Another writer inserted one of the external ids first."""


class _OutdatedError(Exception):
    """A part of the dataset was changed since its schema was read."""


def upsert_records(
    *,
    dataset: Dataset,
    items: Sequence[RecordInput],
    schema: DatasetSchema | None = None,
    must_be_new: bool = False,
) -> list[UpsertedRecord]:
    """Insert or update the records, all or nothing, and return them in input order.

    Raises ``InvalidError`` naming the first bad position, or when the dataset is a draft, or when
    one is known that ``must_be_new``; ``LimitReachedError`` over the plan's limit.
    """
    if dataset.status != DatasetStatus.READY:
        raise InvalidError("records cannot be created or updated for a non published dataset")
    refuse_archived(dataset)
    schema = schema or load_schema(dataset)
    for _ in range(5):
        for position, reason in record_errors(schema, items):
            raise _invalid(position, reason)
        try:
            with transaction.atomic():
                written = _Upsert(dataset, schema, items, must_be_new).run()
            RECORDS_WRITTEN.inc(len(written))
            return written
        except _OutdatedError:
            dataset = Dataset.objects.get(pk=dataset.pk)
            refuse_archived(dataset)
            schema = load_schema(dataset)
        except _RacedError:  # look again: what they inserted is known now
            continue
    raise ConflictError("Other writers keep changing the same records; try again.")


def record_errors(schema: DatasetSchema, items: Iterable[RecordInput]) -> Iterable[tuple[int, str]]:
    """``(position, reason)`` of each record that cannot be stored; cleans the others in place.

    ``fields`` may be missing only where a record is updated, which is checked later.
    """
    seen: set[str] = set()
    for position, item in enumerate(items):
        try:
            clean_record(schema, item)
            if item.external_id is not None:
                if item.external_id in seen:
                    raise InvalidError(f"the external_id {item.external_id!r} occurs twice")
                seen.add(item.external_id)
        except DomainError as error:
            yield position, error.message


def clean_record(schema: DatasetSchema, item: RecordInput) -> None:
    """Bring one record into stored form, or raise ``InvalidError`` with the reason."""
    if item.external_id is not None and not 1 <= len(item.external_id) <= MAX_EXTERNAL_ID:
        raise InvalidError(f"external_id must have 1 to {MAX_EXTERNAL_ID} characters")
    if item.fields is not None:
        item.fields = content.clean_fields(schema, item.fields)
    elif item.id is None and item.external_id is None:
        raise InvalidError("fields cannot be empty")
    content.check_metadata(schema, item.metadata)
    if item.vectors:
        item.vectors = {
            name: values.clean_vector(schema, name, vector) for name, vector in item.vectors.items()
        }
    answered = set()
    for suggestion in item.suggestions:
        clean_suggestion(schema, suggestion, item.fields)
        if suggestion.question_id in answered:
            raise InvalidError("found duplicate suggestions for question")
        answered.add(suggestion.question_id)


def clean_suggestion(
    schema: DatasetSchema, suggestion: SuggestionInput, fields: Any, *, strict: bool = False
) -> None:
    """Bring a suggestion into stored form, or raise ``InvalidError``.

    Spans of an update that brings no fields are checked once the stored fields are known.
    """
    rule = schema.questions_by_id.get(suggestion.question_id)
    if rule is None:
        raise InvalidError(f"question_id={suggestion.question_id} does not exist")
    values.check_score(suggestion.value, suggestion.score)
    if rule.field and fields is None and not strict:
        return
    suggestion.value = values.clean_value(rule, suggestion.value, fields, complete=False)


_NEW = Stage(
    "record",
    'id uuid, external_id text COLLATE "C", fields text, metadata text, certainty float8,'
    f" inserted_at timestamptz, {BODIES}",
)
_CHANGED = Stage("change", f"id uuid, fields text, sets_metadata bool, metadata text, {BODIES}")
_HOLD_SCHEMA = """
SELECT schema_version FROM dataset WHERE organization_id = %(o)s AND id = %(d)s FOR SHARE
"""
_INSERT = f"""
INSERT INTO record (organization_id, id, dataset_id, external_id, fields, metadata, status,
    inserted_at, updated_at)
SELECT %(o)s, id, %(d)s, external_id, fields::jsonb, metadata::jsonb, %(pending)s,
    coalesce(inserted_at, %(now)s), %(now)s
FROM {_NEW} ORDER BY external_id
ON CONFLICT (organization_id, dataset_id, external_id) DO NOTHING
"""
_INSERT_DOCUMENT = f"""
INSERT INTO record_search (organization_id, record_id, dataset_id, document)
SELECT %(o)s, id, %(d)s, {DOCUMENT}
FROM {_NEW}
"""
# min_submitted is read anew: whoever changes it waits for the records, or they have waited.
_INSERT_TASK = f"""
INSERT INTO record_task
    (organization_id, record_id, dataset_id, submitted, open_slots, certainty)
SELECT %(o)s, id, %(d)s, 0,
    (SELECT min_submitted FROM dataset WHERE organization_id = %(o)s AND id = %(d)s), certainty
FROM {_NEW}
"""
_CHANGE = f"""
UPDATE record r SET fields = coalesce(s.fields::jsonb, r.fields),
    metadata = CASE WHEN s.sets_metadata THEN s.metadata::jsonb ELSE r.metadata END,
    updated_at = %(now)s
FROM {_CHANGED} s WHERE r.organization_id = %(o)s AND r.id = s.id
"""
_CHANGE_DOCUMENT = f"""
INSERT INTO record_search (organization_id, record_id, dataset_id, document)
SELECT %(o)s, id, %(d)s, {DOCUMENT}
FROM {_CHANGED} WHERE fields IS NOT NULL
ON CONFLICT (organization_id, record_id) DO UPDATE SET document = excluded.document
"""


class _Upsert:
    """One pass over the inputs inside a transaction."""

    def __init__(
        self,
        dataset: Dataset,
        schema: DatasetSchema,
        items: Sequence[RecordInput],
        must_be_new: bool,
    ) -> None:
        self.dataset = dataset
        self.schema = schema
        self.items = items
        self.must_be_new = must_be_new
        self.organization_id = current()
        self.now = timezone.now()
        self.cursor: psycopg.Cursor[Any] = raw_cursor()
        self.lexeme = DATASET_LEXEME.format(dataset.id.hex)

    def run(self) -> list[UpsertedRecord]:
        self._hold_schema()
        self.known = known = self._lock_known()
        taken: set[UUID] = set()
        results: list[UpsertedRecord] = []
        inserts: list[tuple[UpsertedRecord, RecordInput]] = []
        updates: list[tuple[UpsertedRecord, RecordInput]] = []
        for position, (item, new_id) in enumerate(
            zip(self.items, uuid7s(len(self.items)), strict=True)
        ):
            match = known.get(item.id) or known.get(item.external_id)  # the id counts first
            if match is None and not item.fields:
                raise _invalid(position, "fields cannot be empty")
            if match is not None and match[0] in taken:
                raise _invalid(position, f"the record {match[0]} occurs twice")
            if match is not None:
                taken.add(match[0])
            result = self._result(item, new_id, match)
            results.append(result)
            (updates if match else inserts).append((result, item))
        if inserts:
            self._insert(inserts)
        if updates:
            self._update(updates, position_of={id(i): n for n, i in enumerate(self.items)})
        side_rows = SideRows(self.cursor, self.dataset, self.schema, self.now)
        identified = side_rows.write(
            [(row.id, item) for row, item in inserts], [(row.id, item) for row, item in updates]
        )
        for row in results:
            row.suggestions = identified.get(row.id, ())
        self._finish(inserts, updates)
        return results

    def _result(
        self, item: RecordInput, new_id: UUID, match: tuple[UUID, str, Any] | None
    ) -> UpsertedRecord:
        new = (new_id, item.external_id or str(new_id))
        record_id, external_id = match[:2] if match else new
        return UpsertedRecord(
            id=record_id,
            external_id=external_id,
            inserted=match is None,
            at=self.now,
            fields=dict(item.fields or {}),
            metadata=item.metadata,
            vectors=item.vectors,
        )

    def _hold_schema(self) -> None:
        """As ``hold_schema``: who edits questions, or declares a property, waits for our values."""
        facts = {"o": self.organization_id, "d": self.dataset.id}
        versions = self.cursor.execute(_HOLD_SCHEMA, facts).fetchall()
        if versions != [(self.schema.dataset.schema_version,)]:
            raise _OutdatedError

    def _lock_known(self) -> dict[UUID | str | None, tuple[UUID, str, Any]]:
        """Existing records by id and by external id, locked in id order."""
        found = self._find_known()
        known: dict[UUID | str | None, tuple[UUID, str, Any]] = {}
        if not found:
            return known
        # Spans are checked against the stored text when an update brings none.
        needs_fields = any(item.fields is None and item.suggestions for item in self.items)
        self.cursor.execute(
            f"SELECT id, external_id, {'fields' if needs_fields else 'NULL'} FROM record"
            " WHERE organization_id = %(o)s AND id = ANY(%(ids)s)"
            " ORDER BY id FOR NO KEY UPDATE",
            {"o": self.organization_id, "ids": found},
        )
        for row in self.cursor.fetchall():
            known[row[0]] = known[row[1]] = row
        if known and self.must_be_new:
            names = sorted({external_id for _, external_id, _ in known.values()})
            raise InvalidError(f"found records with same external ids: {', '.join(names)}")
        return known

    def _find_known(self) -> list[UUID]:
        """One index probe a name, however little PostgreSQL knows of a table that just grew."""
        names = sorted({item.external_id for item in self.items if item.external_id})
        ids = [item.id for item in self.items if item.id]
        probe = (
            "SELECT r.id FROM unnest(%(wanted)b::{type}[]) AS wanted (key), LATERAL ("
            "SELECT id FROM record WHERE organization_id = %(o)s AND dataset_id = %(d)s"
            " AND {column} = wanted.key OFFSET 0) r"
        )
        found: list[UUID] = []
        for wanted, type, column in ((names, "text", "external_id"), (ids, "uuid", "id")):
            if wanted:
                self.cursor.execute(
                    probe.format(type=type, column=column),
                    {"wanted": wanted, "o": self.organization_id, "d": self.dataset.id},
                )
                found += [row[0] for row in self.cursor.fetchall()]
        return found

    def _insert(self, inserts: list[tuple[UpsertedRecord, RecordInput]]) -> None:
        """Stage the new records, then write record, search document and task row from it."""
        bodies = Bodies(self.schema.fields)
        _NEW.fill(
            self.cursor,
            [
                (
                    row.id.hex,
                    staging.as_text(row.external_id),
                    staging.as_json(row.fields),
                    staging.as_json(row.metadata),
                    str(_certainty(item.suggestions)),
                    item.inserted_at.isoformat() if item.inserted_at else staging.NULL,
                    *map(staging.as_text, bodies.of(row.fields)),
                )
                for row, item in inserts
            ],
        )
        facts = {"o": self.organization_id, "d": self.dataset.id, "now": self.now}
        self.cursor.execute(_INSERT, {**facts, "pending": RecordStatus.PENDING.value})
        if self.cursor.rowcount != len(inserts):
            raise _RacedError
        self.cursor.execute(_INSERT_DOCUMENT, {**facts, "lexeme": self.lexeme})
        self.cursor.execute(_INSERT_TASK, facts)

    def _update(
        self,
        updates: list[tuple[UpsertedRecord, RecordInput]],
        position_of: dict[int, int],
    ) -> None:
        """Replace fields and metadata where they were given; the search document follows."""
        for row, item in updates:
            if item.fields is None and item.suggestions:
                self._check_late_spans(row, item, position_of[id(item)])
        bodies = Bodies(self.schema.fields)
        _CHANGED.fill(
            self.cursor,
            [
                (
                    row.id.hex,
                    staging.as_json(None if item.fields is None else row.fields),
                    "t" if item.sets_metadata else "f",
                    staging.as_json(item.metadata),
                    *map(staging.as_text, bodies.of(item.fields and row.fields)),
                )
                for row, item in updates
            ],
        )
        facts = {"o": self.organization_id, "d": self.dataset.id, "now": self.now}
        self.cursor.execute(_CHANGE, facts)
        self.cursor.execute(_CHANGE_DOCUMENT, {**facts, "lexeme": self.lexeme})

    def _check_late_spans(self, row: UpsertedRecord, item: RecordInput, position: int) -> None:
        stored = json.loads(self.known[row.external_id][2])  # Django keeps jsonb as text
        for suggestion in item.suggestions:
            try:
                clean_suggestion(self.schema, suggestion, stored, strict=True)
            except InvalidError as error:
                raise _invalid(position, error.message) from error

    def _finish(
        self,
        inserts: list[tuple[UpsertedRecord, RecordInput]],
        updates: list[tuple[UpsertedRecord, RecordInput]],
    ) -> None:
        """Events, then the counters that every writer of the dataset shares, last."""
        for kind, rows in (("record.created", inserts), ("record.updated", updates)):
            if rows:
                ids = [str(row.id) for row, _ in rows]
                emit(kind, dataset_id=self.dataset.id, payload={"records": ids})
        if inserts:
            self.cursor.execute(
                "UPDATE dataset_counter SET records = records + %(n)s, reopened_at = %(now)s"
                " WHERE organization_id = %(o)s AND dataset_id = %(d)s",
                {
                    "n": len(inserts),
                    "now": self.now,
                    "o": self.organization_id,
                    "d": self.dataset.id,
                },
            )
            count_records(len(inserts))


def _invalid(position: int, reason: str) -> InvalidError:
    return InvalidError(f"Record at position {position} is not valid because {reason}")


def _certainty(suggestions: Sequence[SuggestionInput]) -> float:
    scores = [values.certainty(suggestion.score) for suggestion in suggestions]
    return min((score for score in scores if score is not None), default=0.0)
