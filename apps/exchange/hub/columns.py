"""The columns of an exported dataset: their names, their types, and what a record puts in each.

``id`` (the external id), ``status``, ``inserted_at``, ``updated_at``, ``_server_id``; each field;
each question's ``Q.responses`` with ``.users`` and ``.status``, and ``Q.suggestion`` with
``.agent`` and ``.score``; ``metadata.M`` and ``vector.V``.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from apps.annotation.models import Response
from apps.core.errors import InvalidError
from apps.core.tenancy import current
from apps.datasets.models import Field, FieldType, MetadataProperty, PropertyType, QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.exchange.hub import library
from apps.records.models import Record, RecordVector, Suggestion

MOST_EXTRA: Final = 1_000  # metadata keys that the dataset does not declare
_IN_LISTS: Final = {QuestionType.MULTI_LABEL, QuestionType.RANKING, QuestionType.SPAN}

# Whether a picture is told by its address on the web, which no Image column could hold offline.
_HAS_ADDRESSES: Final = """
SELECT EXISTS (SELECT FROM record WHERE organization_id = %(o)s AND dataset_id = %(d)s
    AND left(fields ->> %(name)s, 4) ILIKE 'http')
"""
_EXTRA: Final = """
SELECT key, array_agg(DISTINCT jsonb_typeof(value)) FROM record, jsonb_each(metadata)
WHERE organization_id = %(o)s AND dataset_id = %(d)s AND jsonb_typeof(metadata) = 'object'
    AND NOT key = ANY(%(declared)s)
GROUP BY key ORDER BY key LIMIT %(limit)s
"""


@dataclass(slots=True)
class Row:
    """A record with what belongs to it; by question and vector settings."""

    record: Record
    suggestions: dict[UUID, Suggestion] = field(default_factory=dict)
    responses: list[Response] = field(default_factory=list)
    vectors: dict[UUID, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """``feature`` is the type in ``datasets``; ``value`` gives what is stored of a row."""

    name: str
    feature: Any
    value: Callable[[Row], Any]


def columns_of(schema: DatasetSchema) -> list[Column]:
    """All columns of the dataset, inside the organization.

    Raises ``InvalidError`` when two would have the same name, and for more than a thousand kinds
    of undeclared metadata.
    """
    columns = [
        *_about(),
        *(_field_column(schema, part) for part in schema.fields.values()),
        *(column for rule in schema.questions.values() for column in _question_columns(rule)),
        *(_property_column(part) for part in schema.properties.values()),
        *_extra_columns(schema),
        *(_vector_column(part.id, part.name) for part in schema.vectors.values()),
    ]
    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1:
            raise InvalidError(f"Two columns of the export would be called {name!r}.")
    return columns


def load_rows(ids: Sequence[UUID]) -> list[Row]:
    """The records with these ids and what belongs to them: four queries."""
    records = Record.objects.filter(id__in=ids).in_order()
    rows = {record.id: Row(record) for record in records}
    for suggestion in Suggestion.objects.filter(record__in=ids):
        rows[suggestion.record_id].suggestions[suggestion.question_id] = suggestion
    for response in Response.objects.filter(record__in=ids).order_by("id"):
        rows[response.record_id].responses.append(response)
    for vector in RecordVector.objects.filter(record__in=ids):
        rows[vector.record_id].vectors[vector.settings_id] = vector.embedding
    return list(rows.values())


# --- Columns ----------------------------------------------------------------------------------
def _about() -> list[Column]:
    datasets = library.datasets()
    text, moment = datasets.Value("string"), datasets.Value("timestamp[us]")
    return [
        Column("id", text, lambda row: row.record.external_id),
        Column("status", text, lambda row: str(row.record.status)),
        Column("inserted_at", moment, lambda row: _naive(row.record.inserted_at)),
        Column("updated_at", moment, lambda row: _naive(row.record.updated_at)),
        Column("_server_id", text, lambda row: str(row.record.id)),
    ]


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _field_column(schema: DatasetSchema, part: Field) -> Column:
    datasets = library.datasets()
    name = part.name
    text = datasets.Value("string")
    if part.type == FieldType.CHAT:
        message = {"role": text, "content": text}
        return Column(name, datasets.List(message), lambda row: row.record.fields.get(name))
    if part.type == FieldType.CUSTOM:
        return Column(name, datasets.Json(), lambda row: _json(row.record.fields.get(name)))
    if part.type == FieldType.IMAGE and not _has_addresses(schema, name):
        return Column(name, datasets.Image(), lambda row: _picture(row.record.fields.get(name)))
    return Column(name, text, lambda row: row.record.fields.get(name))


def _has_addresses(schema: DatasetSchema, name: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_HAS_ADDRESSES, {"o": current(), "d": schema.dataset.id, "name": name})
        [found] = cursor.fetchone()
    return bool(found)


def _picture(url: str | None) -> dict[str, Any] | None:
    """``{"bytes", "path"}`` of a data URL."""
    if url is None:
        return None
    head, _, content = url.partition(",")
    if not head.endswith(";base64"):
        return {"bytes": None, "path": url}
    return {"bytes": base64.b64decode(content), "path": None}


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _question_columns(rule: QuestionRule) -> list[Column]:
    return _response_columns(rule) + _suggestion_columns(rule)


def _response_columns(rule: QuestionRule) -> list[Column]:
    datasets = library.datasets()
    text, name = datasets.Value("string"), rule.name

    def answers(row: Row) -> list[Response]:
        return [response for response in row.responses if name in (response.values or {})]

    return [
        Column(
            f"{name}.responses",
            datasets.List(_answer_feature(rule)),
            lambda row: [response.values[name]["value"] for response in answers(row)],
        ),
        Column(
            f"{name}.responses.users",
            datasets.List(text),
            lambda row: [str(response.user_id) for response in answers(row)],
        ),
        Column(
            f"{name}.responses.status",
            datasets.List(text),
            lambda row: [str(response.status) for response in answers(row)],
        ),
    ]


def _suggestion_columns(rule: QuestionRule) -> list[Column]:
    """A suggested label is the number of its class."""
    datasets = library.datasets()
    text, number, name = datasets.Value("string"), datasets.Value("float64"), rule.name
    classes = [str(value) for value in rule.values]
    is_label = rule.type == QuestionType.LABEL
    numbers = {value: place for place, value in enumerate(classes)}

    def suggested(row: Row, part: str) -> Any:
        suggestion = row.suggestions.get(rule.id)
        return None if suggestion is None else getattr(suggestion, part)

    def value(row: Row) -> Any:
        return numbers.get(suggested(row, "value")) if is_label else suggested(row, "value")

    return [
        Column(
            f"{name}.suggestion",
            datasets.ClassLabel(names=classes) if is_label else _answer_feature(rule),
            value,
        ),
        Column(f"{name}.suggestion.agent", text, lambda row: suggested(row, "agent")),
        Column(
            f"{name}.suggestion.score",
            datasets.List(number) if rule.type in _IN_LISTS else number,
            lambda row: suggested(row, "score"),
        ),
    ]


def _answer_feature(rule: QuestionRule) -> Any:
    datasets = library.datasets()
    text, whole = datasets.Value("string"), datasets.Value("int64")
    if rule.type == QuestionType.RATING:
        return whole
    if rule.type == QuestionType.MULTI_LABEL:
        return datasets.List(text)
    if rule.type == QuestionType.RANKING:
        return datasets.List({"value": text, "rank": whole})
    if rule.type == QuestionType.SPAN:
        return datasets.List({"label": text, "start": whole, "end": whole})
    return text


def _property_column(part: MetadataProperty) -> Column:
    datasets = library.datasets()
    if part.type == PropertyType.TERMS:
        terms = datasets.List(datasets.Value("string"))
        return _metadata_column(part.name, terms, _terms)
    type = "int64" if part.type == PropertyType.INTEGER else "float64"
    return _metadata_column(part.name, datasets.Value(type), lambda value: value)


def _terms(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else [value]


def _extra_columns(schema: DatasetSchema) -> list[Column]:
    """Of metadata that the dataset does not declare; JSON unless all values are texts."""
    datasets = library.datasets()
    facts: dict[str, Any] = {
        "o": current(),
        "d": schema.dataset.id,
        "declared": list(schema.properties),
        "limit": MOST_EXTRA + 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(_EXTRA, facts)
        found: list[tuple[str, list[str]]] = cursor.fetchall()
    if len(found) > MOST_EXTRA:
        raise InvalidError(f"The records have more than {MOST_EXTRA} kinds of metadata.")
    return [
        _metadata_column(name, datasets.Value("string"), lambda value: value)
        if set(types) <= {"string", "null"}
        else _metadata_column(name, datasets.Json(), _json)
        for name, types in found
    ]


def _metadata_column(name: str, feature: Any, form: Callable[[Any], Any]) -> Column:
    def value(row: Row) -> Any:
        metadata: Mapping[str, Any] = row.record.metadata or {}
        return form(metadata.get(name))

    return Column(f"metadata.{name}", feature, value)


def _vector_column(id: UUID, name: str) -> Column:
    datasets = library.datasets()

    def value(row: Row) -> Any:
        embedding = row.vectors.get(id)
        return None if embedding is None else [float(number) for number in embedding]

    return Column(f"vector.{name}", datasets.List(datasets.Value("float32")), value)
