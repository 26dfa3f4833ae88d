"""What a recipe is: what to ask about an item, and what to make of the answers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, ClassVar, Final, Generic, Literal, TypeAlias, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.llms.wire import Request
from apps.pipelines.blocks import RULE
from apps.pipelines.selection import Selection

Payload: TypeAlias = Mapping[str, Any]
Material = TypeVar("Material")
Result = TypeVar("Result")

MAX_AGENT: Final = 200  # characters
SUGGESTION: Final = "suggestion"
NEW_RECORDS: Final = "new_records"
METADATA: Final = "metadata"
EVALUATION: Final = "evaluation"


class Params(BaseModel):
    """The parameters of a recipe; a name that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asking(BaseModel):
    """How the model is asked. ``n`` is how many answers a recipe wants of each prompt, where it
    can use several; ``salt`` asks anew what the cache has answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1, le=200_000)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    n: int = Field(default=1, ge=1, le=20)
    salt: str = Field(default="", max_length=100)


class Prompt(BaseModel):
    """The words a recipe starts from, as they were when the run began.

    ``template`` is empty where the recipe's own is wanted. ``guidelines`` are those that the
    answers shall follow, ``asked`` how the question read; ``shots`` is how many answered records
    are shown as examples, and ``strategy`` how they are chosen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str = Field(default="", max_length=50_000)
    guidelines: str = Field(default="", max_length=200_000)
    guidelines_version: int = 0
    asked: dict[str, Any] = Field(default_factory=dict)
    shots: int = Field(default=0, ge=0, le=50)
    strategy: Literal["nearest", "random", "errors"] = "nearest"
    version_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """All that a recipe knows of the run it serves; the same for each of its items.

    ``agent`` signs what is written: ``<provider>/<model>@<prompt version>``. ``job_id`` is None
    where nothing is written. What people answered after ``began_at`` plays no part.
    """

    organization_id: UUID
    dataset: Dataset
    schema: DatasetSchema
    model: str
    agent: str
    params: Any
    asking: Asking
    prompt: Prompt
    selection: Selection
    write_mode: str
    question: QuestionRule | None = None
    job_id: UUID | None = None
    created_by_id: UUID | None = None
    began_at: datetime | None = None
    is_dry: bool = False

    def ask(
        self,
        user: str,
        *,
        system: str = "",
        schema: Mapping[str, Any] | None = None,
        sample_index: int = 0,
        temperature: float | None = None,
        model: str | None = None,
    ) -> Request:
        """A call of one system and one user message; the rule about data blocks comes first.

        Calls that are equal but for ``sample_index`` are different answers to the cache.
        """
        rules = f"{RULE}\n\n{system}".strip()
        return Request(
            model=model or self.model,
            messages=(
                {"role": "system", "content": rules},
                {"role": "user", "content": user},
            ),
            schema=schema,
            temperature=self.asking.temperature if temperature is None else temperature,
            top_p=self.asking.top_p,
            max_tokens=self.asking.max_tokens,
            seed=self.asking.seed,
            sample_index=sample_index,
            salt=self.asking.salt,
        )

    def signed_by(self, models: Sequence[str]) -> str:
        """The agent, of what other models of the run's provider wrote, e.g. ``acme/a+b@v1``."""
        if set(models) == {self.model}:
            return self.agent
        signed, at, version = self.agent.rpartition("@")
        named = signed.removesuffix(self.model) + "+".join(dict.fromkeys(models))
        return named[: MAX_AGENT - len(at + version)] + at + version


@dataclass(frozen=True, slots=True)
class Usage:
    """What the calls of an item took, at their price; ``from_cache``: none was paid for again."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: Decimal = Decimal(0)
    from_cache: bool = False


@dataclass(frozen=True, slots=True)
class Answered(Generic[Material, Result]):
    """An item whose answers were understood. ``seq`` is its number in the job, from 0: with the
    job's id it names what is made of the item, however often it is written."""

    seq: int
    material: Material
    result: Result
    usage: Usage


class Recipe(ABC, Generic[Material, Result]):
    """The steps of an item: ``load`` → ``requests`` → (``follow_up``) → ``parse`` → ``write``.

    An answer arrives as the document that its request's ``schema`` describes, validated, or as
    text where the request has none; NUL and control characters are gone. Its use is up to the
    recipe, which raises ``InvalidAnswerError(index, message)`` for one that breaks a rule: that
    call is repeated once with the message, then the item has failed.

    Only ``load`` and ``write`` may touch the database: both run inside the organization, in a
    transaction, for many items at once.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str] = ""  # where the method was described
    Params: ClassVar[type[Params]] = Params
    needs_question: ClassVar[bool] = False
    question_types: ClassVar[frozenset[str] | None] = None  # None: any
    write_modes: ClassVar[tuple[str, ...]] = (SUGGESTION,)  # the first is the default

    def needs_model(self, params: Any) -> bool:
        """Whether a run with these parameters calls a model at all."""
        return True

    def check(self, context: Context) -> None:
        """Raise ``InvalidError`` for what can be known to be wrong before a job is made."""

    @abstractmethod
    def plan(self, context: Context) -> Iterator[Payload]:
        """The items' payloads, as JSON. Runs outside the organization: enter it a page at a time.

        ``context.selection.pages(context)`` yields the chosen records' ids that way.
        """

    def sample(self, context: Context, count: int) -> list[Payload]:
        """Payloads for a dry run: the first ones, or what shows more. Outside the organization."""
        return list(islice(self.plan(context), count))

    def probe(self, context: Context, count: int) -> list[Payload]:
        """Payloads that stand for all, for an estimate. Outside the organization."""
        return list(islice(self.plan(context), count))

    def count(self, context: Context) -> int:
        """How many items there will be, for an estimate. Outside the organization."""
        return sum(1 for _ in self.plan(context))

    @abstractmethod
    def load(self, context: Context, payloads: Sequence[Payload]) -> list[Material]:
        """What the items need, one for each payload in order. A bulk read.

        An item about something that is gone gets a material with no requests.
        """

    @abstractmethod
    def requests(self, context: Context, material: Material) -> list[Request]:
        """The calls of an item, made at the same time; none for an item that needs no model."""

    def follow_up(self, context: Context, material: Material, answers: list[Any]) -> list[Request]:
        """Calls that build on the answers so far, in order. Asked again until there are none."""
        return []

    @abstractmethod
    def parse(self, context: Context, material: Material, answers: list[Any]) -> Result:
        """What the answers, in the order of the calls, come to. No database."""

    @abstractmethod
    def write(self, context: Context, pairs: Sequence[Answered[Material, Result]]) -> None:
        """Store the results; doing it again changes nothing. A bulk write."""

    def shown(self, context: Context, material: Material, result: Result) -> dict[str, Any]:
        """A result as JSON for a dry run, e.g. ``{"record_id": "…", "value": "refund"}``."""
        return {"value": result}
