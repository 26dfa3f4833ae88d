"""What the API answers about work in the background: jobs, and messages to webhooks."""

from typing import Any, Literal
from uuid import UUID

from typing_extensions import TypedDict

from apps.api.openapi.objects import Count, Timestamp
from apps.llms.models import AnswerForm, ModelKind
from apps.webhooks.models import DeliveryStatus, WebhookEvent


# --- Jobs -------------------------------------------------------------------------------------
class _Budget(TypedDict):
    usd: float | None
    tokens: Count | None
    spent_usd: float
    spent_tokens: Count
    reserved_usd: float
    reserved_tokens: Count


class WorkspaceBudget(_Budget):
    """What models may cost in the month that begins at ``month``; null is no limit."""

    workspace_id: UUID
    month: str


class JobBudget(_Budget):
    """What models may cost in the job; null is no limit."""

    job_id: UUID


class DatasetJob(TypedDict):
    """Work in the background; ``counters`` count its items by what became of them."""

    id: UUID
    kind: str
    state: str
    params: dict[str, Any]
    counters: dict[str, Any]
    cost_usd: float
    errors: Any
    dataset_id: UUID | None
    started_at: Timestamp | None
    finished_at: Timestamp | None
    inserted_at: Timestamp
    updated_at: Timestamp


class JobStatus(TypedDict):
    """What every admin may know of a job."""

    id: UUID
    status: Literal["queued", "started", "finished", "failed", "deferred", "stopped", "canceled"]


class JobReport(DatasetJob, JobStatus):
    """A job with how far it is; ``total`` is null while nobody knows it.

    ``skipped`` counts what was left out, which ``report_url`` tells one by one.
    """

    processed: Count
    total: int | None
    skipped: Count
    report_url: str


class JobReject(TypedDict):
    """What a job left out: its number in the source, and why."""

    row: int
    reason: str


class Suggester(TypedDict):
    """Suggestions while people label: every ``every`` answers for up to ``limit`` records."""

    enabled: bool
    every: int | None
    limit: int | None


# --- Webhooks ---------------------------------------------------------------------------------
class Webhook(TypedDict):
    """``events`` are those of the contract, ``stoneware_events`` all that it is told of.

    Until ``previous_secret_until`` messages are signed by the secret before as well.
    """

    id: UUID
    url: str
    secret: str
    events: list[WebhookEvent]
    stoneware_events: list[WebhookEvent]
    enabled: bool
    description: str | None
    inserted_at: Timestamp
    updated_at: Timestamp
    previous_secret_until: Timestamp | None
    failing_since: Timestamp | None
    disabled_reason: str | None


class WebhookDelivery(TypedDict):
    """A message to a webhook; ``response`` is the beginning of the last answer."""

    id: UUID
    message_id: str
    type: WebhookEvent
    status: DeliveryStatus
    attempts: Count
    next_attempt_at: Timestamp | None
    status_code: int | None
    error: str | None
    response: str | None
    body: str
    inserted_at: Timestamp
    updated_at: Timestamp


# --- Providers of language models ---------------------------------------------------------------
class LlmPrice(TypedDict):
    """USD a million tokens, from ``valid_from`` on."""

    input: float
    output: float
    cached_input: float | None
    batch_discount: int
    valid_from: Timestamp


class LlmModel(TypedDict):
    """``answer_form`` is how it is asked for JSON, null until a call has found out."""

    name: str
    kind: ModelKind
    rpm: int | None
    tpm: int | None
    concurrency: int | None
    answer_form: AnswerForm | None
    price: LlmPrice | None
    prices: list[LlmPrice]


class LlmProvider(TypedDict):
    """A server that speaks the OpenAI protocol. The key is never told; ``key_hint`` shows its ends.

    ``rpm`` are calls a minute, ``tpm`` tokens a minute, ``concurrency`` calls at once, for each
    model without limits of its own; ``timeout`` is in seconds.
    """

    id: UUID
    name: str
    base_url: str
    has_key: bool
    key_hint: str
    enabled: bool
    default_model: str | None
    rpm: int | None
    tpm: int | None
    concurrency: int
    timeout: int
    models: list[LlmModel]
    inserted_at: Timestamp
    updated_at: Timestamp


class LlmProbe(TypedDict):
    """How one tiny call went; ``error`` says in words why it did not."""

    ok: bool
    model: str | None
    error: str | None
    answer_form: AnswerForm | None
    keeps_schema: bool | None
    dimensions: int | None
    text: str | None
    prompt_tokens: Count
    completion_tokens: Count
    latency_ms: int | None
    usd: float
    offered_models: list[str] | None
