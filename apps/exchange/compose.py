"""A row of columns becomes a record: each value in the form that its target takes."""

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from apps.annotation.models import ResponseStatus
from apps.core.errors import InvalidError
from apps.datasets.models import FieldType, PropertyType, QuestionType
from apps.datasets.schema import DatasetSchema
from apps.exchange import cells
from apps.exchange.strict_json import read_json
from apps.exchange.targets import ColumnMapping, Kind, Target
from apps.organizations.models import Membership
from apps.records.inputs import RecordInput, ResponseInput, SuggestionInput, keeps_digits
from apps.records.models import SuggestionType

MAX_AGENT: Final = 200


class People:
    """Members by username; each is looked up once. Used inside the organization."""

    def __init__(self) -> None:
        self._ids: dict[str, UUID] = {}

    def id_of(self, username: str) -> UUID:
        """The member's id. Raises ``InvalidError`` when nobody has this username."""
        if username not in self._ids:
            found = Membership.objects.filter(username=username).values_list("id", flat=True)
            for id in found:
                self._ids[username] = id
                return id
            raise InvalidError(f"nobody has the username {username[:100]!r}")
        return self._ids[username]


@dataclass(slots=True)
class _Answers:
    status: str | None = None
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Parts:
    """What the columns of a row have brought so far."""

    external_id: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    suggestions: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, _Answers] = field(default_factory=dict)
    responder: str = ""
    vectors: dict[str, Any] = field(default_factory=dict)
    seen: set[Kind] = field(default_factory=set)


def compose(
    values: Mapping[str, Any],
    *,
    mapping: ColumnMapping,
    schema: DatasetSchema,
    people: People,
    from_text: bool,
) -> RecordInput:
    """The record that a row describes.

    A row without an id gets one from a digest of its fields and metadata: so the same row again,
    or somebody else's answer to the same text, is the same record. Without any field it updates
    the record with its id. Raises ``InvalidError``.
    """
    parts = _Parts(responder=mapping.responder)
    for column, value in values.items():
        for target in mapping.targets(column):
            parts.seen.add(target.kind)
            if value is not None:
                _SETTERS[target.kind](parts, target, value, schema, from_text)
    if mapping.is_ours and parts.external_id is not None:
        _add_empty_texts(
            parts, [column for column, value in values.items() if value is None], mapping, schema
        )
    if Kind.FIELD not in parts.seen and parts.external_id is None:
        raise InvalidError("no value for any field")
    return RecordInput(
        external_id=parts.external_id or digest_id(parts.fields, parts.metadata),
        fields=parts.fields if Kind.FIELD in parts.seen else None,
        metadata=parts.metadata,
        sets_metadata=bool(parts.seen & {Kind.METADATA, Kind.ALL_METADATA}),
        suggestions=_suggestions(parts, schema),
        responses=_responses(parts, people),
        vectors=parts.vectors,
    )


def digest_id(fields: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    """An id that depends on the record's content alone, e.g. ``row-1f0c…`` (36 characters)."""
    text = json.dumps([fields, metadata], sort_keys=True, separators=(",", ":"))
    return "row-" + hashlib.sha256(text.encode()).hexdigest()[:32]


def external_id(value: Any) -> str | None:
    """An id as text; an empty one is none.

    Raises ``InvalidError`` for lists and the like, and for a number of which digits were lost.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidError("an id is a text or a number")
    if not keeps_digits(value):
        raise InvalidError("an id of more than 53 bits is a text, not a number")
    return str(value) or None


def _add_empty_texts(
    parts: _Parts, blank: Iterable[str], mapping: ColumnMapping, schema: DatasetSchema
) -> None:
    """Where a record or a submitted answer cannot be without a text, a blank cell is an empty one.

    Elsewhere nobody can tell it from none.
    """
    targets = [target for column in blank for target in mapping.targets(column)]
    texts = [
        target.name
        for target in targets
        if target.kind == Kind.FIELD and schema.fields[target.name].type == FieldType.TEXT
    ]
    needed = _needed(texts, schema.required_fields, has_others=bool(parts.fields))
    parts.fields |= dict.fromkeys(needed, "")
    for user, answers in parts.answers.items():
        if answers.status != ResponseStatus.SUBMITTED:
            continue
        texts = [
            target.name
            for target in targets
            if (target.kind, target.user) == (Kind.RESPONSE, user)
            and schema.questions[target.name].type == QuestionType.TEXT
        ]
        needed = _needed(texts, schema.required_questions, has_others=bool(answers.values))
        answers.values |= dict.fromkeys(needed, "")


def _needed(texts: list[str], required: Container[str], *, has_others: bool) -> list[str]:
    """Those that are required; else one, where nothing else is there."""
    return [name for name in texts if name in required] or texts[: not has_others]


# --- Suggestions and responses ----------------------------------------------------------------
def _suggestions(parts: _Parts, schema: DatasetSchema) -> list[SuggestionInput]:
    suggestions = []
    for name, about in parts.suggestions.items():
        if "value" in about:
            check_about(about)
            suggestions.append(SuggestionInput(question_id=schema.questions[name].id, **about))
    return suggestions


def _responses(parts: _Parts, people: People) -> list[ResponseInput]:
    """One a member; the columns without a username belong to the row's responder."""
    merged: dict[str, _Answers] = {}
    for user, answers in parts.answers.items():
        name = user or parts.responder
        if not name:
            raise InvalidError("an answer without a user: name one, or a column that does")
        one = merged.setdefault(name, _Answers())
        one.status = answers.status or one.status
        one.values |= answers.values
    return [
        ResponseInput(
            user_id=people.id_of(name),
            status=checked_status(answers.status or ResponseStatus.SUBMITTED),
            values={question: {"value": value} for question, value in answers.values.items()},
        )
        for name, answers in merged.items()
    ]


def check_about(about: Mapping[str, Any]) -> None:
    """Raise ``InvalidError`` for a suggestion's agent or type that cannot be stored."""
    agent, type = about.get("agent"), about.get("type")
    if agent is not None and (not isinstance(agent, str) or len(agent) > MAX_AGENT):
        raise InvalidError(f"a suggestion's agent is a text of up to {MAX_AGENT} characters")
    if type is not None and type not in SuggestionType.values:
        raise InvalidError(f"a suggestion's type is {' or '.join(SuggestionType.values)}")


def checked_status(status: Any) -> str:
    """A response's status. Raises ``InvalidError`` for an unknown one."""
    if status not in ResponseStatus.values:
        raise InvalidError(f"{status!r} is no response status: {', '.join(ResponseStatus.values)}")
    return str(status)


# --- One setter a kind of target --------------------------------------------------------------
def _set_id(parts: _Parts, target: Target, value: Any, *_: object) -> None:
    parts.external_id = external_id(value)


def _set_field(
    parts: _Parts, target: Target, value: Any, schema: DatasetSchema, from_text: bool
) -> None:
    field = schema.fields.get(target.name)
    is_json = field is not None and field.type in {FieldType.CHAT, FieldType.CUSTOM}
    parts.fields[target.name] = read_json(value) if from_text and is_json else value


def _set_metadata(
    parts: _Parts, target: Target, value: Any, schema: DatasetSchema, from_text: bool
) -> None:
    property = schema.properties.get(target.name)
    if not from_text:
        pass
    elif property is None or property.type == PropertyType.TERMS:
        value = cells.read_term(value, (property and property.settings.get("values")) or ())
    elif property.type == PropertyType.INTEGER:
        value = cells.read_whole(value)
    else:
        value = cells.read_number(value)
    told = parts.metadata.get(target.name)
    parts.metadata[target.name] = _more_exact(told, value) if from_text else value


def _set_all_metadata(
    parts: _Parts, target: Target, value: Any, schema: DatasetSchema, from_text: bool
) -> None:
    given = read_json(value) if from_text else value
    if not isinstance(given, dict):
        raise InvalidError("metadata must be an object")
    known = parts.metadata
    if from_text:
        known = {name: _more_exact(given.get(name), value) for name, value in known.items()}
    parts.metadata = {**given, **known}


def _more_exact(told: Any, value: Any) -> Any:
    """``told``, where it is what a cell of its own can only say as text: 2011, or true."""
    is_same = isinstance(value, str) and told is not None and cells.write_cell(told) == value
    return told if is_same else value


def _set_suggestion(
    parts: _Parts, target: Target, value: Any, schema: DatasetSchema, from_text: bool
) -> None:
    about = parts.suggestions.setdefault(target.name, {})
    about["value"] = answer(schema, target.name, value)


def _set_score(parts: _Parts, target: Target, value: Any, *_: object) -> None:
    if isinstance(value, str):
        is_list = value.lstrip().startswith("[")
        value = cells.read_list(value) if is_list else cells.read_number(value)
    parts.suggestions.setdefault(target.name, {})["score"] = value


def _set_about(parts: _Parts, target: Target, value: Any, *_: object) -> None:
    parts.suggestions.setdefault(target.name, {})[str(target.kind)] = value


def _set_response(
    parts: _Parts, target: Target, value: Any, schema: DatasetSchema, from_text: bool
) -> None:
    answers = parts.answers.setdefault(target.user, _Answers())
    answers.values[target.name] = answer(schema, target.name, value)


def _set_status(parts: _Parts, target: Target, value: Any, *_: object) -> None:
    parts.answers.setdefault(target.user, _Answers()).status = value


def _set_responder(parts: _Parts, target: Target, value: Any, *_: object) -> None:
    if not isinstance(value, str):
        raise InvalidError("a response's user is a username")
    parts.responder = value


def _set_vector(parts: _Parts, target: Target, value: Any, *_: object) -> None:
    parts.vectors[target.name] = read_json(value) if isinstance(value, str) else value


def _ignore(*_: object) -> None:
    pass


_SETTERS: Final[dict[Kind, Callable[..., None]]] = {
    Kind.ID: _set_id,
    Kind.FIELD: _set_field,
    Kind.METADATA: _set_metadata,
    Kind.ALL_METADATA: _set_all_metadata,
    Kind.SUGGESTION: _set_suggestion,
    Kind.SCORE: _set_score,
    Kind.AGENT: _set_about,
    Kind.TYPE: _set_about,
    Kind.RESPONSE: _set_response,
    Kind.RESPONSE_STATUS: _set_status,
    Kind.RESPONSE_USER: _set_responder,
    Kind.VECTOR: _set_vector,
    Kind.ADJUDICATION: _ignore,  # read by adjudications.py
    Kind.IGNORE: _ignore,
}


# --- Answers ----------------------------------------------------------------------------------
def answer(schema: DatasetSchema, question: str, value: Any) -> Any:
    """The value of an answer; a text is turned into what the question takes.

    Ratings are whole numbers. Several labels, a ranking (best first) and spans are JSON lists;
    labels and rankings may also be texts separated by ``|``. Raises ``InvalidError``.
    """
    rule = schema.questions.get(question)
    if rule is None:
        raise InvalidError(f"the dataset has no question {question!r}")
    if isinstance(value, str):
        if rule.type == QuestionType.RATING:
            return cells.read_whole(value)
        if rule.type in {QuestionType.MULTI_LABEL, QuestionType.RANKING}:
            value = [value] if value in rule.options else cells.read_list(value)
        elif rule.type == QuestionType.SPAN:
            value = read_json(value)
    if rule.type == QuestionType.RANKING and isinstance(value, list):
        return [{"value": item} if isinstance(item, str) else item for item in value]
    return value
