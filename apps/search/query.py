"""What can be asked of a dataset's records: filters, orders, words and likenesses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

RecordProperty = Literal["id", "external_id", "inserted_at", "updated_at", "status"]
SuggestionProperty = Literal["value", "score", "agent", "type"]


@dataclass(frozen=True, slots=True)
class RecordScope:
    property: RecordProperty


@dataclass(frozen=True, slots=True)
class MetadataScope:
    """A declared property, by name."""

    property: str


@dataclass(frozen=True, slots=True)
class SuggestionScope:
    question: str
    property: SuggestionProperty = "value"


@dataclass(frozen=True, slots=True)
class ResponseScope:
    """The values that responses give to a question; without one, the responses' status.

    ``member``: of this one's responses alone, as far as the viewpoint allows others'.
    """

    question: str | None = None
    member: UUID | None = None


@dataclass(frozen=True, slots=True)
class AnswererScope:
    """Who has answered, by membership id; ``pending`` is nobody at all."""


@dataclass(frozen=True, slots=True)
class PairScope:
    """Two who answered the question differently; values as ``between.py`` reads them."""

    question: str


@dataclass(frozen=True, slots=True)
class OutcomeScope:
    """What the answers to the question come to; values as ``between.py`` reads them."""

    question: str


Scope = (
    RecordScope
    | MetadataScope
    | SuggestionScope
    | ResponseScope
    | AnswererScope
    | PairScope
    | OutcomeScope
)


@dataclass(frozen=True, slots=True)
class Terms:
    """One of the values, given as text: ``"1"`` is also the number 1."""

    scope: Scope
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class Range:
    """From ``ge`` to ``le``, both inclusive; numbers, or text with a number or a time in it."""

    scope: Scope
    ge: float | str | None = None
    le: float | str | None = None


Filter = Terms | Range


@dataclass(frozen=True, slots=True)
class Sort:
    scope: Scope
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """A simple query string (``text.py``), over all fields or one."""

    typed: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Similar:
    """Near to a vector, or to that of a record, which itself is then left out."""

    name: str
    value: Any = None
    record_id: UUID | None = None
    least: bool = False


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """Who asks: ``own`` is the member whose responses alone count, None means everybody's;
    ``hidden`` names the metadata properties that they may not filter by."""

    own: UUID | None = None
    hidden: frozenset[str] = frozenset()


EVERYBODY = Viewpoint()
