"""Gold sets, evaluations, automation and monitoring, as the API answers with them."""

from typing import Any, Final, Literal
from uuid import UUID

from typing_extensions import TypedDict

from apps.api.openapi.background import DatasetJob
from apps.api.openapi.objects import Count, Listing, Page, Timestamp
from apps.api.openapi.operation import Who, row
from apps.monitoring.models import Routed


class GoldSet(TypedDict):
    """Right answers as they were known one day; ``test_looks`` evaluations saw the test split."""

    id: UUID
    dataset_id: UUID
    question: str
    number: Count
    size: Count
    dev_size: Count
    test_size: Count
    test_percent: Count
    test_looks: Count
    digest: str
    note: str
    inserted_at: Timestamp


class CheckedGoldSet(GoldSet):
    """``is_intact``: every record and answer that was frozen is still there."""

    is_intact: bool


class Evaluation(TypedDict):
    """How an agent did, by split; ``state`` is ``measured``, or its job's.

    A report holds ``n``, ``invalid``, the ``primary`` measure, ``metrics`` with 95 % intervals,
    ``by_label``, the human ``ceiling``, ``calibration``, ``confusion`` and ``cost``. ``look``
    says which look at the test split this was.
    """

    id: UUID
    gold_set_id: UUID
    prompt_version_id: UUID | None
    agent: str
    job_id: UUID | None
    state: str
    look: int | None
    reports: dict[str, Any]
    measured_at: Timestamp | None
    inserted_at: Timestamp


class Comparison(TypedDict):
    """B against A. ``test.verdict`` is better, worse or not_distinguishable; records are named
    on the development split only."""

    split: Literal["dev", "test"]
    gold_set_id: UUID
    test_looks: Count
    n: Count
    primary: str
    test: dict[str, Any] | None
    macro_f1: dict[str, Any] | None
    reports: dict[str, Any]
    differing: Count
    disagreements: list[dict[str, Any]]


class Disagreement(TypedDict):
    record_id: UUID
    gold: Any
    answer: Any
    confidence: float | None
    rationale: str


class CellRecords(TypedDict):
    record_ids: list[UUID]


class SentToReview(TypedDict):
    sent: Count


class AutomationPlan(TypedDict):
    """What a threshold accepts on each split; ``holds`` where the test split confirms it."""

    target: float
    dev: dict[str, Any] | None
    test: dict[str, Any] | None
    holds: bool
    ready: Count


class Acceptance(TypedDict):
    """A model's sure answers that were taken as decisions without a look."""

    id: UUID
    dataset_id: UUID
    question: str
    agent: str
    threshold: float
    basis: dict[str, Any]
    count: Count
    job_id: UUID | None
    inserted_at: Timestamp
    undone_at: Timestamp | None


class UndoneAcceptance(Acceptance):
    """``returned`` records go to people."""

    returned: Count


class LoggedPredictions(TypedDict):
    """``routed`` counts by reason; ``is_full``: the plan takes no more records for people."""

    created: Count
    known: Count
    routed: dict[str, Count]
    is_full: bool


class Prediction(TypedDict):
    id: UUID
    external_id: str
    fields: dict[str, Any]
    value: Any
    score: float | None
    model: str
    routed: Routed
    record_id: UUID | None
    predicted_at: Timestamp
    inserted_at: Timestamp


class Monitor(TypedDict):
    question: str
    threshold: float | None
    random_percent: float
    against_head: bool
    daily_limit: Count
    keep_days: Count
    retrain_every: int | None
    noticed_at: Timestamp | None


class Monitoring(TypedDict):
    """``series`` holds ``total`` and ``points``: counts, acceptance, precision (of what chance
    picked), and drift of labels and scores against the first week as ``{"psi", "js"}``."""

    monitor: Monitor
    series: dict[str, Any]


EVALUATIONS: Final = {
    "GET /datasets/{dataset_id}/gold-sets": row("List gold sets", Who.ADMINS, Listing[GoldSet]),
    "POST /datasets/{dataset_id}/gold-sets": row(
        "Freeze what is certain as a gold set", Who.ADMINS, GoldSet, 201
    ),
    "GET /gold-sets/{gold_set_id}": row("Get a gold set", Who.ADMINS, CheckedGoldSet),
    "GET /datasets/{dataset_id}/evaluations": row(
        "List evaluations", Who.ADMINS, Listing[Evaluation]
    ),
    "POST /datasets/{dataset_id}/evaluations": row(
        "Measure a prompt version or an agent", Who.ADMINS, Evaluation, 201, 202
    ),
    "POST /datasets/{dataset_id}/evaluations/compare": row(
        "Compare two evaluations", Who.ADMINS, Comparison
    ),
    "GET /evaluations/{evaluation_id}": row("Get an evaluation", Who.ADMINS, Evaluation),
    "DELETE /evaluations/{evaluation_id}": row("Delete an evaluation", Who.ADMINS, Evaluation),
    "GET /evaluations/{evaluation_id}/disagreements": row(
        "Where an evaluation differs from the gold set", Who.ADMINS, Listing[Disagreement]
    ),
    "GET /evaluations/{evaluation_id}/cell": row(
        "Records in a cell of the confusion", Who.ADMINS, CellRecords
    ),
    "POST /evaluations/{evaluation_id}/review": row(
        "Send disagreements to review", Who.ADMINS, SentToReview
    ),
    "POST /prompts/{prompt_version_id}/promote": row(
        "Let a prompt version suggest", Who.ADMINS, DatasetJob, 202
    ),
    "GET /evaluations/{evaluation_id}/automation": row(
        "Which threshold keeps a precision", Who.ADMINS, AutomationPlan
    ),
    "POST /evaluations/{evaluation_id}/automation": row(
        "Accept what is sure enough", Who.ADMINS, Acceptance, 202
    ),
    "GET /datasets/{dataset_id}/acceptances": row(
        "List what was accepted without a look", Who.ADMINS, Listing[Acceptance]
    ),
    "POST /acceptances/{acceptance_id}/undo": row(
        "Take an acceptance back", Who.ADMINS, UndoneAcceptance
    ),
    "POST /datasets/{dataset_id}/duplicates": row(
        "Mark near-duplicates", Who.ADMINS, DatasetJob, 202
    ),
}
MONITORING: Final = {
    "GET /datasets/{dataset_id}/predictions": row(
        "List live predictions", Who.ADMINS, Page[Prediction]
    ),
    "POST /datasets/{dataset_id}/predictions": row(
        "Log live predictions", Who.ADMINS, LoggedPredictions
    ),
    "GET /datasets/{dataset_id}/monitoring": row(
        "How a model does over time", Who.ADMINS, Monitoring
    ),
    "PUT /datasets/{dataset_id}/monitoring": row(
        "Set which predictions go to people", Who.ADMINS, Monitor
    ),
}
