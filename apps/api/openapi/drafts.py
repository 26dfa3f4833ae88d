"""What the API answers about generated records."""

from typing import Any, Final
from uuid import UUID

from typing_extensions import TypedDict

from apps.api.openapi.background import DatasetJob
from apps.api.openapi.objects import Count, Dataset, Page, Timestamp
from apps.api.openapi.operation import Who, row
from apps.drafts.models import DraftState


class Draft(TypedDict):
    """A record that a program wrote and nobody has let in; ``provenance`` is what its record's
    metadata says, or will say. Of an edited one, ``written`` is what the model wrote."""

    id: UUID
    dataset_id: UUID
    state: DraftState
    fields: dict[str, Any]
    metadata: dict[str, Any]
    suggestions: list[dict[str, Any]]
    provenance: dict[str, Any]
    job_id: UUID | None
    recipe: str
    agent: str
    prompt_version_id: UUID | None
    parents: list[UUID]
    group: str
    like: UUID | None
    score: float | None
    keep: bool | None
    reasons: list[dict[str, Any]]
    written: dict[str, Any] | None
    edited_at: Timestamp | None
    edited_by: UUID | None
    record_id: UUID | None
    decision: UUID | None
    decided_at: Timestamp | None
    decided_by: UUID | None
    inserted_at: Timestamp
    updated_at: Timestamp


class DraftRefusal(TypedDict):
    id: UUID
    reason: str


class DraftDecision(TypedDict):
    """``decision`` names the drafts that were taken, so that it can be taken back; ``left`` could
    be taken by another call ``after`` the ``last``."""

    decision: UUID
    taken: Count
    left: Count
    last: UUID | None
    refused: list[DraftRefusal]


class DraftSummary(TypedDict):
    """Drafts by state; of those that wait: by group, with a filter against them, and those that
    nearly repeat something."""

    states: dict[str, Count]
    groups: dict[str, Count]
    advised_against: Count
    alike: Count


class ModelStanding(TypedDict):
    """``win_rate`` counts a tie as half a win; ``low`` to ``high`` is its 95 % interval."""

    model: str
    comparisons: Count
    wins: Count
    losses: Count
    ties: Count
    inconsistent: Count
    win_rate: float
    low: float | None
    high: float | None


class ModelPair(TypedDict):
    """Wins and losses are the first one's; inconsistent verdicts are among the ties."""

    first: str
    second: str
    wins: Count
    losses: Count
    ties: Count
    inconsistent: Count


class Preferences(TypedDict):
    models: list[ModelStanding]
    pairs: list[ModelPair]


DRAFTS: Final = {
    "GET /datasets/{dataset_id}/drafts": row("List drafts", Who.ADMINS, Page[Draft]),
    "GET /datasets/{dataset_id}/drafts/summary": row("Count drafts", Who.ADMINS, DraftSummary),
    "GET /datasets/{dataset_id}/drafts/{draft_id}": row("Get a draft", Who.ADMINS, Draft),
    "PATCH /datasets/{dataset_id}/drafts/{draft_id}": row("Edit a draft", Who.ADMINS, Draft),
    "POST /datasets/{dataset_id}/drafts/accept": row(
        "Accept drafts as records", Who.ADMINS, DraftDecision
    ),
    "POST /datasets/{dataset_id}/drafts/discard": row("Discard drafts", Who.ADMINS, DraftDecision),
    "POST /datasets/{dataset_id}/drafts/restore": row(
        "Take decisions on drafts back", Who.ADMINS, DraftDecision
    ),
    "POST /datasets/{dataset_id}/drafts/compare": row(
        "Find drafts that repeat records", Who.ADMINS, DatasetJob, 202
    ),
    "POST /datasets/{dataset_id}/retrieval-sets": row(
        "Make a dataset for retrieval", Who.ADMINS, Dataset, 201
    ),
    "GET /datasets/{dataset_id}/triplets.jsonl": row(
        "Export triplets", Who.ADMINS, str, media="application/x-ndjson"
    ),
    "GET /datasets/{dataset_id}/beir.zip": row(
        "Export corpus, queries and relevance", Who.ADMINS, bytes, media="application/zip"
    ),
    "GET /datasets/{dataset_id}/preferences": row(
        "Win rates of models", Who.REVIEWERS, Preferences
    ),
}
