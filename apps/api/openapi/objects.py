"""What the API answers with, as types: each key that is always there, and those that may be."""

from typing import Annotated, Any, Generic, Literal, NotRequired, TypeAlias, TypeVar
from uuid import UUID

from pydantic import Field as Limits
from typing_extensions import TypedDict

from apps.api.v1.datasets import Distribution
from apps.datasets.models import DatasetStatus, QueueOrder
from apps.datasets.settings import FieldSettings, PropertySettings, QuestionSettings
from apps.organizations.models import Role, Scope

_Item = TypeVar("_Item")

Timestamp: TypeAlias = Annotated[
    str,
    Limits(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$",
        description="Naive UTC with microseconds.",
        examples=["2026-11-21T05:05:49.186399"],
    ),
]
Count: TypeAlias = Annotated[int, Limits(ge=0)]


class Listing(TypedDict, Generic[_Item]):
    items: list[_Item]


class Page(TypedDict, Generic[_Item]):
    """One page; ``total`` counts what all pages hold."""

    items: list[_Item]
    total: Count


# --- People and places ------------------------------------------------------------------------
class Token(TypedDict):
    access_token: str
    token_type: Literal["bearer"]


class LoginProvider(TypedDict):
    name: str


class Elsewhere(TypedDict):
    location: str


class ApiKey(TypedDict):
    """``api_key`` is whole in the answer that makes it, and masked ever after."""

    id: UUID
    name: str
    api_key: str
    scopes: list[Scope]
    expires_at: Timestamp | None
    last_used_at: Timestamp | None
    inserted_at: Timestamp
    updated_at: Timestamp


class User(TypedDict):
    """``api_key`` is whole in the answer that creates the user, and masked ever after."""

    id: UUID
    first_name: str
    last_name: str | None
    username: str
    role: Literal["owner", "admin", "annotator"]
    stoneware_role: Role
    api_key: str
    inserted_at: Timestamp
    updated_at: Timestamp


class Workspace(TypedDict):
    id: UUID
    name: str
    inserted_at: Timestamp
    updated_at: Timestamp


# --- Datasets and their parts -----------------------------------------------------------------
class Dataset(TypedDict):
    id: UUID
    name: str
    guidelines: str | None
    allow_extra_metadata: bool
    status: DatasetStatus
    distribution: Distribution
    metadata: dict[str, Any] | None
    workspace_id: UUID
    last_activity_at: Timestamp
    inserted_at: Timestamp
    updated_at: Timestamp
    queue_order: QueueOrder
    daily_quota: int | None
    total_quota: int | None
    guidelines_version: Count


class _Part(TypedDict):
    id: UUID
    name: str
    title: str
    dataset_id: UUID
    inserted_at: Timestamp
    updated_at: Timestamp


class Field(_Part):
    required: bool
    settings: FieldSettings


class Question(_Part):
    description: str | None
    required: bool
    settings: QuestionSettings


class MetadataProperty(_Part):
    settings: PropertySettings
    visible_for_annotators: bool


class VectorSettings(_Part):
    dimensions: Annotated[int, Limits(ge=1)]


class TermCount(TypedDict):
    term: str
    count: Count


class TermsMetrics(TypedDict):
    """The most frequent terms; ``total`` counts all different ones."""

    type: Literal["terms"]
    total: Count
    values: list[TermCount]


class IntegerMetrics(TypedDict):
    type: Literal["integer"]
    min: int | None
    max: int | None


class FloatMetrics(TypedDict):
    type: Literal["float"]
    min: float | None
    max: float | None


PropertyMetrics: TypeAlias = Annotated[
    TermsMetrics | IntegerMetrics | FloatMetrics, Limits(discriminator="type")
]


# --- Records ----------------------------------------------------------------------------------
class SpanValue(TypedDict):
    """Offsets count code points; ``end`` is exclusive."""

    label: str
    start: Count
    end: int


class RankedValue(TypedDict):
    value: str
    rank: int | None


AnyValue: TypeAlias = list[SpanValue] | list[RankedValue] | list[str] | int | str


class Answer(TypedDict):
    value: AnyValue


class Response(TypedDict):
    """One person's answer to a record; ``values`` by the question's name."""

    id: UUID
    values: dict[str, Answer]
    status: Literal["draft", "submitted", "discarded"]
    record_id: UUID
    user_id: UUID
    inserted_at: Timestamp
    updated_at: Timestamp


class Suggestion(TypedDict):
    id: UUID
    question_id: UUID
    type: Literal["model", "human"] | None
    value: AnyValue
    agent: str | None
    score: float | list[float] | None
    inserted_at: Timestamp
    updated_at: Timestamp


class Record(TypedDict):
    """Relations that were not asked for are absent, never null."""

    id: UUID
    status: Literal["pending", "completed"]
    fields: dict[str, Any]
    metadata: dict[str, Any] | None
    external_id: str
    dataset_id: UUID
    inserted_at: Timestamp
    updated_at: Timestamp
    responses: NotRequired[list[Response]]
    suggestions: NotRequired[list[Suggestion]]
    vectors: NotRequired[dict[str, list[float]]]


class Adjudication(TypedDict):
    """A reviewer's decision: the adjudicated answer. ``ambiguous`` cannot be decided.

    ``accepted`` names, by question, the acceptance through which a model's answer was taken
    without a look; a person decided the others.
    """

    record_id: UUID
    reviewer_id: UUID | None
    values: dict[str, Any]
    ambiguous: list[str]
    note: str
    accepted: dict[str, UUID]
    decided_at: Timestamp


class RecordPage(Page[Record]):
    """One page; ``next`` is the ``after`` of the next one, null on the last."""

    next: UUID | None


class UpsertedRecords(Listing[Record]):
    updated_item_ids: list[UUID]


class Problem(TypedDict):
    detail: str


class SearchHit(TypedDict):
    """``query_score`` says how well it matches, from 0 to 1 for likeness."""

    record: Record
    query_score: float | None


class QuestionName(TypedDict):
    id: UUID
    name: str


class SuggestionAgents(TypedDict):
    """Who made suggestions to a question."""

    question: QuestionName
    agents: list[str]


class ResponseResult(TypedDict):
    """One of the two is null."""

    item: Response | None
    error: Problem | None


class Lease(TypedDict):
    expires_at: Timestamp


class ClaimedRecord(TypedDict):
    record: Record
    lease: Lease


class GivenResponse(Response):
    """``claimed`` stands where ``claim`` was asked for."""

    claimed: NotRequired[list[ClaimedRecord]]


# --- Progress ---------------------------------------------------------------------------------
class Username(TypedDict):
    username: str


class Progress(TypedDict):
    """Records of the dataset, and everybody who ever answered."""

    total: Count
    completed: Count
    pending: Count
    users: list[Username]


class Answers(TypedDict):
    submitted: Count
    discarded: Count
    draft: Count


class UserProgress(Username):
    """A person's answers by the status of the record."""

    completed: Answers
    pending: Answers


class UsersProgress(TypedDict):
    users: list[UserProgress]


class MyAnswers(Answers):
    """``pending`` are the records without an answer of the caller's."""

    total: Count
    pending: int


class Today(TypedDict):
    submitted: Count
    daily_quota: int | None


class Quotas(TypedDict):
    """What the dataset or the person sets; null is no limit, or the dataset's for a person."""

    daily_quota: int | None
    total_quota: int | None


class PersonQuotas(Quotas):
    user_id: UUID
    username: str
    submitted: Count
    submitted_today: Count


class DatasetQuotas(Quotas):
    users: list[PersonQuotas]


class MyMetrics(TypedDict):
    responses: MyAnswers
    today: Today
    total_quota: int | None


# --- What runs here ---------------------------------------------------------------------------
class Version(TypedDict):
    version: str
    argilla: str


class Engine(TypedDict):
    name: str


class Memory(TypedDict):
    peak_bytes: Count


class Status(TypedDict):
    version: str
    search_engine: Engine
    memory: Memory


class FrontEnd(TypedDict):
    share_your_progress_enabled: bool
    show_huggingface_space_persistent_storage_warning: NotRequired[bool]


class ServerSettings(TypedDict):
    """``huggingface`` stands only where the server runs as a Space there."""

    argilla: FrontEnd
    huggingface: NotRequired[dict[str, Any]]
