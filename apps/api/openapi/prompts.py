"""What the API answers about prompts, and runs that ask models."""

from typing import Any, Final
from uuid import UUID

from typing_extensions import TypedDict

from apps.api.openapi.background import DatasetJob
from apps.api.openapi.objects import Count, Listing, Page, Timestamp
from apps.api.openapi.operation import Who, row


class RunEstimate(TypedDict):
    """What a run will take: all ``requests``, of which so many are ``cached`` and cost nothing.

    ``usd_min`` and ``usd_max``: if all items were as cheap, or as dear, as those looked at.
    ``items_in_all`` are those of the whole run where ``items`` are only tried.
    """

    items_in_all: Count
    items: Count
    requests: Count
    cached: Count
    tokens: Count
    usd: float
    usd_min: float
    usd_max: float


class StartedJob(DatasetJob, total=False):
    """A job that was started; one that asks a model says before what it will take."""

    estimate: RunEstimate


class JobItem(TypedDict):
    """A part of a job; ``payload`` says of what, e.g. ``{"record": id}``."""

    seq: Count
    state: str
    payload: dict[str, Any]
    attempts: Count
    error: str | None


class Tried(TypedDict):
    """An item of a dry run: what was asked and answered, and what the answers come to.

    ``usd`` is the price, also where the answer came from the cache. ``before`` is the present
    suggestion, ``gold`` what people have come to.
    """

    seq: Count
    record_id: UUID | None
    calls: list[dict[str, Any]]
    result: dict[str, Any] | None
    gold: Any
    before: Any
    before_agent: str | None
    changed: bool
    prompt_tokens: Count
    completion_tokens: Count
    usd: float
    cached: bool
    error: str


class Extrapolation(TypedDict):
    """What all items would take, going by those that were tried."""

    items: Count
    tokens: Count
    usd: float
    usd_min: float
    usd_max: float


class DryRun(TypedDict):
    """The items tried so far, and what they say of all."""

    items: list[Tried]
    extrapolation: Extrapolation


class Recipe(TypedDict):
    """A kind of job that asks a model; ``params`` is the JSON schema of its parameters."""

    kind: str
    title: str
    paper: str
    needs_question: bool
    question_types: list[str] | None
    write_modes: list[str]
    params: dict[str, Any]


class PromptVersion(TypedDict):
    """A prompt as it was saved; ``stale`` names what has changed since: guidelines, question.

    Once ``used_at`` is set, only the note can be changed.
    """

    id: UUID
    dataset_id: UUID
    question: str | None
    recipe: str
    number: Count
    template: str
    guidelines: str
    guidelines_version: Count
    shots: Count
    strategy: str
    provider_id: UUID | None
    model: str
    params: dict[str, Any]
    parent_id: UUID | None
    note: str
    used_at: Timestamp | None
    stale: list[str]
    inserted_at: Timestamp
    updated_at: Timestamp


class AffectedPrompt(TypedDict):
    """A version whose suggestions are in force, so many, of which so many on pending records."""

    prompt: PromptVersion
    agent: str
    suggestions: Count
    pending: Count
    stale: list[str]


class PromptPreview(TypedDict):
    """What a model would be told about a record, or why that cannot be said."""

    record_id: UUID | None
    messages: list[dict[str, str]]
    characters: Count
    error: str


class PastSuggestion(TypedDict):
    """What an agent has suggested; ``details`` are its rationale, tokens and price."""

    agent: str | None
    type: str | None
    value: Any
    score: Any
    job_id: UUID | None
    prompt_version_id: UUID | None
    guidelines_version: int | None
    details: dict[str, Any]
    inserted_at: Timestamp
    updated_at: Timestamp


JOBS: Final = {
    "POST /datasets/{dataset_id}/jobs/estimate": row(
        "What a job would take", Who.ADMINS, RunEstimate
    ),
    "GET /datasets/{dataset_id}/jobs/{job_id}/items": row(
        "List a job's items", Who.ADMINS, Page[JobItem]
    ),
    "GET /datasets/{dataset_id}/jobs/{job_id}/dry-run": row(
        "What a dry run has found", Who.ADMINS, DryRun
    ),
    "GET /recipes": row("Kinds of job that ask a model", Who.USERS, Listing[Recipe]),
}
PROMPTS: Final = {
    "GET /datasets/{dataset_id}/prompts": row(
        "List prompt versions", Who.ADMINS, Listing[PromptVersion]
    ),
    "POST /datasets/{dataset_id}/prompts": row("Save a prompt", Who.ADMINS, PromptVersion, 201),
    "GET /datasets/{dataset_id}/prompts/affected": row(
        "Prompts in force, and what is out of date", Who.ADMINS, Listing[AffectedPrompt]
    ),
    "POST /datasets/{dataset_id}/prompts/preview": row(
        "Prompts of some records", Who.ADMINS, Listing[PromptPreview]
    ),
    "GET /prompts/{prompt_version_id}": row("Get a prompt version", Who.ADMINS, PromptVersion),
    "PATCH /prompts/{prompt_version_id}": row(
        "Change a prompt version that is not in use", Who.ADMINS, PromptVersion
    ),
    "DELETE /prompts/{prompt_version_id}": row(
        "Delete a prompt version that is not in use", Who.ADMINS, PromptVersion
    ),
    "POST /prompts/{prompt_version_id}/rebase": row(
        "Bring a prompt up to date", Who.ADMINS, PromptVersion, 201
    ),
    "POST /prompts/{prompt_version_id}/trial": row(
        "Try new guidelines", Who.ADMINS, DatasetJob, 202
    ),
    "POST /prompts/{prompt_version_id}/reprompt": row(
        "Ask again by the present guidelines", Who.ADMINS, DatasetJob, 202
    ),
    "GET /records/{record_id}/suggestions/history": row(
        "What each agent has suggested", Who.ADMINS, Listing[PastSuggestion]
    ),
}
