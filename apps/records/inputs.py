"""Records as they come in, whatever way they came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

_EXACT: Final = 2**53  # of larger numbers, a double does not hold every whole one


def keeps_digits(given: Any) -> bool:
    """Whether a number is the one that was written: JSON's large ones are read as doubles."""
    return not isinstance(given, float) or abs(given) <= _EXACT


@dataclass(slots=True)
class SuggestionInput:
    """A proposed answer to the question with this id."""

    question_id: UUID
    value: Any
    score: Any = None
    agent: str | None = None
    type: str | None = None


@dataclass(slots=True)
class ResponseInput:
    """A member's answers, brought along with the record.

    ``inserted_at``, when they were first given, counts for new answers; None is now.
    """

    user_id: UUID
    status: str
    values: Mapping[str, Any] | None
    inserted_at: datetime | None = None


@dataclass(slots=True)
class RecordInput:
    """A record to insert, or to update when ``id`` or ``external_id`` is known.

    On an update ``fields`` None keeps them, ``sets_metadata`` False keeps the metadata;
    suggestions, vectors and responses are upserted one by one and others are kept. ``vectors``
    are lists of numbers, or arrays of float32. ``inserted_at`` of a new record; None is now.
    """

    fields: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = field(default_factory=dict)
    external_id: str | None = None
    id: UUID | None = None
    suggestions: Sequence[SuggestionInput] = ()
    vectors: Mapping[str, Any] = field(default_factory=dict)
    responses: Sequence[ResponseInput] = ()
    sets_metadata: bool = True
    inserted_at: datetime | None = None
