"""Where a column of a file goes.

Written forms, which are also the column names of our CSV files::

    id                     the record's external id
    field:NAME             a field
    metadata:NAME          a metadata value; plain ``metadata``: an object of several
    suggestion:QUESTION    a suggested answer; with ``.score``, ``.agent``, ``.type`` about it
    response:QUESTION      an answer, of the row's user; with ``@USERNAME``, of that member
    response-user          the username whose answers the row holds
    response-status        draft, submitted (the default) or discarded; also with ``@USERNAME``
    vector:NAME            a vector
    adjudication:QUESTION  what a reviewer decided; ``adjudication.reviewer``, ``.note``,
                           ``.ambiguous`` (a list of questions) and ``.decided_at`` about it
    ignore                 nothing
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from apps.core.errors import InvalidError
from apps.datasets.schema import DatasetSchema


class Kind(StrEnum):
    ID = "id"
    FIELD = "field"
    METADATA = "metadata"
    ALL_METADATA = "all metadata"
    SUGGESTION = "suggestion"
    SCORE = "score"
    AGENT = "agent"
    TYPE = "type"
    RESPONSE = "response"
    RESPONSE_USER = "response-user"
    RESPONSE_STATUS = "response-status"
    VECTOR = "vector"
    ADJUDICATION = "adjudication"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Target:
    """``name`` is that of the field, question, property or vector; ``user`` a username."""

    kind: Kind
    name: str = ""
    user: str = ""


_ABOUT: Final = {".score": Kind.SCORE, ".agent": Kind.AGENT, ".type": Kind.TYPE}
_ALONE: Final = {
    "id": Kind.ID,
    "metadata": Kind.ALL_METADATA,
    "response-user": Kind.RESPONSE_USER,
    "response-status": Kind.RESPONSE_STATUS,
    "ignore": Kind.IGNORE,
}
_DECISIONS: Final = {
    f"adjudication.{name}": f".{name}"
    for name in ("reviewer", "note", "ambiguous", "accepted", "decided_at")
}
# Columns of our own files that the import derives from other things.
_DERIVED: Final = {"status"}
_OTHER_IDS: Final = {"external_id"}


def parse_target(schema: DatasetSchema, text: str) -> Target:
    """The target of this written form. Raises ``InvalidError`` when the dataset has none such."""
    if text in _ALONE:
        return Target(_ALONE[text])
    if text in _DECISIONS:
        return Target(Kind.ADJUDICATION, _DECISIONS[text])
    prefix, _, name = text.partition(":")
    if prefix == "metadata" and name:
        return Target(Kind.METADATA, name)
    if prefix == "field":
        return Target(Kind.FIELD, _known("field", name, schema.fields))
    if prefix == "vector":
        return Target(Kind.VECTOR, _known("vector", name, schema.vectors))
    if prefix == "adjudication":
        return Target(Kind.ADJUDICATION, _known("question", name, schema.questions))
    if prefix == "suggestion":
        return _suggestion(schema, name)
    if prefix == "response":
        return _response(schema, name)
    if text.startswith("response-status@"):
        return Target(Kind.RESPONSE_STATUS, user=text.partition("@")[2])
    raise InvalidError(f"{text!r} is no target: {_FORMS}.")


_FORMS: Final = (
    "use id, field:…, metadata:…, suggestion:…, response:…, response-user, response-status,"
    " vector:…, adjudication:… or ignore"
)


def _response(schema: DatasetSchema, name: str) -> Target:
    """Of the longest question that there is: both its name and the username may have an ``@``."""
    question = name
    while question not in schema.questions and "@" in question:
        question = question.rpartition("@")[0]
    if question not in schema.questions:
        question = name.partition("@")[0]
    known = _known("question", question, schema.questions)
    return Target(Kind.RESPONSE, known, name[len(question) + 1 :])


def _suggestion(schema: DatasetSchema, name: str) -> Target:
    for ending, kind in _ABOUT.items():
        if name.endswith(ending) and name not in schema.questions:
            return Target(kind, _known("question", name.removesuffix(ending), schema.questions))
    return Target(Kind.SUGGESTION, _known("question", name, schema.questions))


def _known(kind: str, name: str, known: Mapping[str, object]) -> str:
    if name not in known:
        there = ", ".join(known) or "none"
        raise InvalidError(f"The dataset has no {kind} {name!r}; there are: {there}.")
    return name


def guess_target(
    schema: DatasetSchema, column: str, *, as_response: bool, is_ours: bool = False
) -> Target | None:
    """Where a column goes by its name alone, or None.

    The name of a field, a question (a suggestion, or with ``as_response`` an answer), a metadata
    property or a vector, in this order; else a written form, which means itself. In a file that
    ``is_ours`` the written forms go first: there, ``id`` is never a field of that name.
    """
    if is_ours and (target := _written(schema, column)):
        return target
    if column in schema.fields:
        return Target(Kind.FIELD, column)
    if column in schema.questions:
        return Target(Kind.RESPONSE if as_response else Kind.SUGGESTION, column)
    if column in schema.properties:
        return Target(Kind.METADATA, column)
    if column in schema.vectors:
        return Target(Kind.VECTOR, column)
    if column in _OTHER_IDS:
        return Target(Kind.ID)
    try:
        return _written(schema, column) or _suggestion(schema, column)
    except InvalidError:
        return None


def _written(schema: DatasetSchema, column: str) -> Target | None:
    """What a column of our own files means, or None."""
    if column in _DERIVED:
        return Target(Kind.IGNORE)
    try:
        return parse_target(schema, column)
    except InvalidError:
        return None


_MOST_REMEMBERED: Final = 1_000  # columns of a JSONL file, where every row may bring new ones


class ColumnMapping:
    """Where each column goes: as told, else by its name, else nowhere.

    ``told`` maps columns to one or more written forms. ``responder`` is the username whose
    answers the file holds where it does not say. Made inside the organization. Raises
    ``InvalidError`` for an unknown target.
    """

    def __init__(
        self,
        schema: DatasetSchema,
        told: Mapping[str, Sequence[str]] | None = None,
        *,
        responder: str = "",
    ) -> None:
        # All parts are read now: columns come up later, outside the organization too.
        _ = schema.fields, schema.questions, schema.properties, schema.vectors
        self.is_told = bool(told)
        self.is_ours = False
        self.responder = responder
        self._schema = schema
        self._targets = {
            column: [parse_target(schema, text) for text in texts]
            for column, texts in (told or {}).items()
        }
        self._told = list(self._targets)
        self._unmapped: set[str] = set()

    @property
    def ignored(self) -> list[str]:
        """The columns seen so far that go nowhere, and what else was left out, in order."""
        return sorted(self._unmapped)

    def leave_out(self, names: Iterable[str]) -> None:
        """Tell of these among what is ``ignored``."""
        self._unmapped.update(names)

    def targets(self, column: str) -> Sequence[Target]:
        """Where the values of the column go."""
        if column in self._targets:
            return self._targets[column]
        target = guess_target(
            self._schema, column, as_response=bool(self.responder), is_ours=self.is_ours
        )
        targets = [target] if target else []
        if len(self._targets) < _MOST_REMEMBERED:
            self._targets[column] = targets
            if not targets:
                self._unmapped.add(column)
        return targets

    def decisions(self, values: Mapping[str, object]) -> dict[str, object]:
        """The cells of a row that tell a decision: by question, and ``.reviewer`` and the like."""
        return {
            target.name: value
            for column, value in values.items()
            for target in self.targets(column)
            if target.kind == Kind.ADJUDICATION and value is not None
        }

    def take_header(self, columns: Sequence[str], *, is_ours: bool) -> None:
        """These are the columns; ``is_ours``: our export named them.

        Raises ``InvalidError`` when a told column is not there, or nothing useful is.
        """
        self.is_ours = is_ours
        for column in self._told:
            if column not in columns:
                there = ", ".join(columns)
                raise InvalidError(f"The file has no column {column!r}; there are: {there}.")
        kinds = {target.kind for column in columns for target in self.targets(column)}
        if not kinds & {Kind.FIELD, Kind.ID}:
            wanted = ", ".join(self._schema.fields)
            raise InvalidError(f"No column goes to a field; the dataset has: {wanted}.")
