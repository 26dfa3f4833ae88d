"""The rows beside a record: filterable metadata, suggestions, vectors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from apps.core.ids import uuid7s
from apps.core.tenancy import current
from apps.datasets import values
from apps.datasets.models import Dataset, PropertyType
from apps.datasets.schema import DatasetSchema
from apps.records import staging
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.staging import Stage

MAX_TERM = 500  # longer terms are filtered by their beginning

_METADATA = Stage(
    "metadata", "record_id uuid, number smallint, ordinal smallint, term text, value float8"
)
_SUGGESTIONS = Stage(
    "suggestion",
    "id uuid, record_id uuid, question_id uuid, value text, value_key text, score text,"
    " certainty float8, agent text, type text",
)
_VECTORS = Stage("vector", "settings_id uuid, record_id uuid, embedding vector")


class SideRows:
    """Writes side rows of many records with one COPY and one upsert a table."""

    def __init__(
        self,
        cursor: psycopg.Cursor[Any],
        dataset: Dataset,
        schema: DatasetSchema,
        now: datetime,
    ) -> None:
        self.cursor = cursor
        self.dataset = dataset
        self.schema = schema
        self.now = now
        self.organization_id = current()

    def write(
        self,
        inserts: Sequence[tuple[UUID, RecordInput]],
        updates: Sequence[tuple[UUID, RecordInput]],
    ) -> dict[UUID, list[tuple[UUID, SuggestionInput]]]:
        """Upsert what the inputs bring; of an updated record, metadata is replaced if given.

        Returns the ids given to new suggestions, by record.
        """
        changed = [record_id for record_id, item in updates if item.sets_metadata]
        if changed and self.schema.properties:
            self.cursor.execute(
                "DELETE FROM record_metadata"
                " WHERE organization_id = %(o)s AND record_id = ANY(%(ids)s)",
                {"o": self.organization_id, "ids": changed},
            )
        everything = [*inserts, *updates]
        self.write_metadata((id, item.metadata) for id, item in everything if item.sets_metadata)
        suggestions = self.write_suggestions(everything)
        self.write_vectors((id, item.vectors) for id, item in everything if item.vectors)
        suggested = [record_id for record_id, item in updates if item.suggestions]
        if suggested:
            self.refresh_certainty(suggested)
        return suggestions

    def write_metadata(self, records: Iterable[tuple[UUID, Mapping[str, Any] | None]]) -> None:
        """Insert the declared values; earlier ones are gone already."""
        if not self.schema.properties:
            return
        rows = [row for record_id, metadata in records for row in self._values(record_id, metadata)]
        if not rows:
            return
        _METADATA.fill(self.cursor, rows)
        self.cursor.execute(
            "INSERT INTO record_metadata"
            " (organization_id, record_id, number, ordinal, dataset_id, term, value)"
            f" SELECT %(o)s, record_id, number, ordinal, %(d)s, term, value FROM {_METADATA}",
            {"o": self.organization_id, "d": self.dataset.id},
        )

    def _values(
        self, record_id: UUID, metadata: Mapping[str, Any] | None
    ) -> Iterator[tuple[str, str, str, str, str]]:
        record = record_id.hex
        for name, value in (metadata or {}).items():
            property = self.schema.properties.get(name)
            if property is None or value is None:
                continue
            key = (record, str(property.number))
            if property.type != PropertyType.TERMS:
                yield (*key, "0", staging.NULL, repr(float(value)))
                continue
            terms = value if isinstance(value, list) else [value]
            for ordinal, term in enumerate(dict.fromkeys(_term(term) for term in terms)):
                yield (*key, str(ordinal), staging.as_text(term), staging.NULL)

    def write_suggestions(
        self, records: Iterable[tuple[UUID, RecordInput]]
    ) -> dict[UUID, list[tuple[UUID, SuggestionInput]]]:
        """Upsert by (record, question); a replaced suggestion keeps its id."""
        pairs = [(id, item.suggestions) for id, item in records if item.suggestions]
        if not pairs:
            return {}
        ids = iter(uuid7s(sum(len(suggestions) for _, suggestions in pairs)))
        identified = {
            record_id: [(next(ids), suggestion) for suggestion in suggestions]
            for record_id, suggestions in pairs
        }
        lines = [
            self._suggestion(record_id, id, given)
            for record_id, suggestions in identified.items()
            for id, given in suggestions
        ]
        _SUGGESTIONS.fill(self.cursor, lines)
        self.cursor.execute(
            "INSERT INTO suggestion (organization_id, id, record_id, question_id, dataset_id,"
            " value, value_key, score, certainty, agent, type, inserted_at, updated_at)"
            " SELECT %(o)s, id, record_id, question_id, %(d)s, value::jsonb, value_key,"
            f" score::jsonb, certainty, agent, type, %(now)s, %(now)s FROM {_SUGGESTIONS}"
            " ON CONFLICT (organization_id, record_id, question_id) DO UPDATE SET"
            " value = excluded.value, value_key = excluded.value_key, score = excluded.score,"
            " certainty = excluded.certainty, agent = excluded.agent, type = excluded.type,"
            " updated_at = excluded.updated_at",
            {"o": self.organization_id, "d": self.dataset.id, "now": self.now},
        )
        return identified

    def _suggestion(self, record_id: UUID, id: UUID, given: SuggestionInput) -> tuple[str, ...]:
        rule = self.schema.questions_by_id[given.question_id]
        certainty = values.certainty(given.score)
        return (
            id.hex,
            record_id.hex,
            given.question_id.hex,
            staging.as_json(given.value),
            staging.as_text(values.value_key(rule, given.value)),
            staging.as_json(given.score),
            staging.NULL if certainty is None else repr(certainty),
            staging.as_text(given.agent),
            staging.as_text(given.type),
        )

    def write_vectors(self, records: Iterable[tuple[UUID, Mapping[str, values.Vector]]]) -> None:
        """Upsert by (vector settings, record)."""
        keys, vectors = [], []
        for record_id, named in records:
            for name, vector in named.items():
                keys.append((self.schema.vectors[name].id, record_id))
                vectors.append(vector)
        if not keys:
            return
        _VECTORS.fill_vectors(self.cursor, keys, vectors)
        self.cursor.execute(
            "INSERT INTO record_vector (organization_id, settings_id, record_id, embedding)"
            f" SELECT %(o)s, settings_id, record_id, embedding FROM {_VECTORS}"
            " ON CONFLICT (organization_id, settings_id, record_id)"
            " DO UPDATE SET embedding = excluded.embedding",
            {"o": self.organization_id},
        )

    def refresh_certainty(self, record_ids: Sequence[UUID]) -> None:
        """Set each task's certainty to the lowest score among the record's suggestions."""
        self.cursor.execute(
            "UPDATE record_task k SET certainty = coalesce((SELECT min(s.certainty)"
            " FROM suggestion s WHERE s.organization_id = k.organization_id"
            " AND s.record_id = k.record_id), 0)"
            " WHERE k.organization_id = %(o)s AND k.record_id = ANY(%(ids)s)",
            {"o": self.organization_id, "ids": list(record_ids)},
        )


def _term(value: Any) -> str:
    """A term as text: ``True`` is ``true``, as in JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:MAX_TERM]
