"""Drafts as recipes hand them in, and what filters say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Origin:
    """Who wrote drafts: a job's recipe, and the model and prompt that sign as ``agent``."""

    job_id: UUID
    recipe: str
    agent: str
    prompt_version_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class DraftInput:
    """One draft; see ``models.Draft``.

    ``key`` tells apart what says the same and yet is not. ``after`` is the ordinal of the item's
    draft that this one was made from, in place of ``parents``. ``agent`` signs in place of the
    job's, where another model wrote it.
    """

    seq: int
    fields: Mapping[str, Any]
    ordinal: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    suggestions: Sequence[Mapping[str, Any]] = ()
    parents: Sequence[UUID] = ()
    group: str = ""
    key: str = ""
    after: int | None = None
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a filter says of a draft; ``score`` from 0 to 1, where it gives one.

    ``version`` is that of the draft as it was read, where others may have changed it since.
    """

    draft_id: UUID
    keep: bool
    reason: str = ""
    score: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None
