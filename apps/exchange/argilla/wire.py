"""What the other server's objects look like; keys that are not named are passed over."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from apps.exchange.blueprint import QuestionPart


class User(BaseModel):
    id: UUID
    username: str
    first_name: str | None = None
    last_name: str | None = None
    role: Literal["owner", "admin", "annotator"]
    stoneware_role: str | None = None  # servers of our own know one more


class Workspace(BaseModel):
    id: UUID
    name: str


class Distribution(BaseModel):
    strategy: str
    min_submitted: int


class Dataset(BaseModel):
    id: UUID
    name: str
    workspace_id: UUID
    status: Literal["draft", "ready"]
    guidelines: str | None = None
    allow_extra_metadata: bool = True
    distribution: Distribution | None = None
    metadata: dict[str, Any] | None = None


class Question(QuestionPart):
    id: UUID


class Response(BaseModel):
    """``values`` may be null, which other servers write for none."""

    user_id: UUID
    status: str
    values: dict[str, Any] | None = None
    inserted_at: datetime | None = None


class Suggestion(BaseModel):
    question_id: UUID
    value: Any
    type: str | None = None
    agent: str | None = None
    score: Any = None


class Record(BaseModel):
    """Relations that were not loaded are absent."""

    id: UUID
    fields: dict[str, Any]
    metadata: dict[str, Any] | None = None
    external_id: str | None = None
    inserted_at: datetime | None = None
    responses: list[Any] = []
    suggestions: list[Any] = []
    vectors: dict[str, Any] | None = None


class Page(BaseModel):
    """A page of records; the items are looked at one by one."""

    items: list[dict[str, Any]]
    total: int
