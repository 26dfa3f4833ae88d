"""The form of our JSONL export, which is read back without any mapping.

One object a line::

    {"id": "film-001", "fields": {"text": "…"}, "metadata": {"year": 2011}, "status": "pending",
     "suggestions": [{"question": "sentiment", "value": "mixed", "score": 0.7, "agent": "few-shot",
                      "type": "model"}],
     "responses": [{"user": "anna", "status": "submitted",
                    "values": {"sentiment": {"value": "mixed"}}, "inserted_at": "…"}],
     "vectors": {"text": [0.1, …]}}

A reviewed record also has its ``adjudication`` (``adjudications.py``).

The record's ``status`` is told, not read: it follows from the answers. ``inserted_at`` is when the
answer was first given, in UTC unless it names another zone.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from apps.core.errors import InvalidError
from apps.datasets.schema import DatasetSchema
from apps.exchange.compose import (
    People,
    answer,
    check_about,
    checked_status,
    digest_id,
    external_id,
)
from apps.records.inputs import RecordInput, ResponseInput, SuggestionInput

_KEYS: Final = {
    *("id", "fields", "metadata", "status", "suggestions", "responses", "vectors"),
    "adjudication",
}


def is_own_form(values: Mapping[str, Any], schema: DatasetSchema) -> bool:
    """Whether a row is in this form, rather than one of columns."""
    return (
        ("fields" in values or {"id", "suggestions"} <= values.keys())
        and "fields" not in schema.fields
        and values.keys() <= _KEYS
    )


def read_own_form(
    values: Mapping[str, Any], *, schema: DatasetSchema, people: People
) -> RecordInput:
    """The record. Raises ``InvalidError`` with the reason."""
    given_id = values.get("id")
    fields, metadata = _object(values, "fields"), _object(values, "metadata")
    id = None if given_id is None else external_id(given_id)
    responses = [_response(one, schema, people) for one in _objects(values, "responses")]
    if len({one.user_id for one in responses}) < len(responses):
        raise InvalidError("found several responses for the same user")
    return RecordInput(
        external_id=id or digest_id(fields or {}, metadata or {}),
        fields=fields,
        metadata=metadata if "metadata" in values else {},
        sets_metadata="metadata" in values,
        suggestions=[_suggestion(one, schema) for one in _objects(values, "suggestions")],
        responses=responses,
        vectors=_object(values, "vectors") or {},
    )


def _suggestion(given: Mapping[str, Any], schema: DatasetSchema) -> SuggestionInput:
    name = given.get("question")
    rule = schema.questions.get(name) if isinstance(name, str) else None
    if rule is None:
        raise InvalidError(f"a suggestion for the unknown question {name!r}")
    check_about(given)
    return SuggestionInput(
        question_id=rule.id,
        value=answer(schema, rule.name, given.get("value")),
        score=given.get("score"),
        agent=given.get("agent"),
        type=given.get("type"),
    )


def _response(given: Mapping[str, Any], schema: DatasetSchema, people: People) -> ResponseInput:
    user = given.get("user")
    if not isinstance(user, str):
        raise InvalidError("a response without the username of its author")
    values = _object(given, "values") or {}
    return ResponseInput(
        user_id=people.id_of(user),
        status=checked_status(given.get("status", "submitted")),
        values={
            name: {"value": answer(schema, name, bare(value))} for name, value in values.items()
        },
        inserted_at=moment(given.get("inserted_at")),
    )


def moment(value: Any) -> datetime | None:
    """A time in ISO 8601, UTC when it names no zone; None for None. Raises ``InvalidError``."""
    if value is None:
        return None
    try:
        return in_utc(datetime.fromisoformat(value))
    except (TypeError, ValueError) as error:
        raise InvalidError(f"{str(value)[:50]!r} is not a time in ISO 8601") from error


def in_utc(moment: datetime | None) -> datetime | None:
    """The moment in UTC, which it is when it names no zone. Raises ``InvalidError``."""
    if moment is None:
        return None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise InvalidError(f"{str(moment)[:50]!r} is not a time in ISO 8601") from error


def bare(value: Any) -> Any:
    """An answer without its wrapping ``{"value": …}``."""
    return value["value"] if isinstance(value, dict) and value.keys() == {"value"} else value


def _object(values: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = values.get(key)
    if value is not None and not isinstance(value, dict):
        raise InvalidError(f"{key} must be an object")
    return value


def _objects(values: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = values.get(key) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise InvalidError(f"{key} must be a list of objects")
    return value
