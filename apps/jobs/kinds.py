"""What a kind of job is made of, and which kinds there are.

An app offers a kind in its ``AppConfig.ready``::

    offer("suggest_few_shot", "apps.quality.few_shot.FewShotSuggestions")

The class is imported when the first job of the kind runs, so a web process never loads its model.
A ``Kind`` does its items one by one, in threads; a ``StreamedKind`` many at a time, in an event
loop, for items that mostly wait for others.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from django.utils.module_loading import import_string

from apps.jobs.errors import UnknownKindError
from apps.jobs.models import Job, Queue

FREE = Decimal(0)

_Material = TypeVar("_Material")
_Result = TypeVar("_Result")
_paths: dict[str, tuple[str, Queue]] = {}
_upkeep: set[str] = set()


@dataclass(frozen=True, slots=True)
class Planned:
    """An item to make; ``size`` is how many units, e.g. records, it counts for."""

    payload: Mapping[str, Any]
    size: int = 1


@dataclass(frozen=True, slots=True)
class Work:
    """An item in the hands of a run. ``attempt`` counts from 1 and fences the result.

    ``failures`` and ``waits`` count from 0, and anew when people retry it.
    """

    organization_id: UUID
    job: Job
    seq: int
    payload: Mapping[str, Any]
    size: int
    attempt: int
    failures: int
    waits: int = 0


@dataclass(frozen=True, slots=True)
class Undone:
    """What ``write_many`` says of an item whose result is stored, but which is not done.

    ``error`` decides how it goes on, as if ``compute`` had raised it; ``cost`` is in USD.
    """

    error: Exception
    cost: Decimal = FREE


class AnyKind(ABC):
    """What all kinds have: a plan, and how much at a time and how often."""

    is_chain: ClassVar[bool] = False
    concurrency: ClassVar[int] = 1  # items of one job at the same time
    max_attempts: ClassVar[int] = 3

    @abstractmethod
    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        """Yield the items. Runs outside the organization: enter it for each page, then yield.

        Repeated from the start when the worker dies meanwhile. A ``DomainError`` fails the job.
        """


class Kind(AnyKind, Generic[_Material, _Result]):
    """How the jobs of one kind are planned, and how one item is done in three steps.

    ``read`` and ``write`` run inside the organization, each in a transaction of its own;
    ``compute`` between them holds neither transaction nor connection, so it may take long.
    ``write`` commits together with the item's completion: it happens exactly once. ``compute``
    may be repeated when a worker dies, or fails up to ``max_attempts`` times.

    With ``is_chain`` each item leads to the next: ``plan`` yields the first one, with size 0,
    and ``write`` calls ``chain.advance`` and ``chain.append``. An item that fails for good then
    fails the job, which goes on there when it is retried.
    """

    @abstractmethod
    def read(self, work: Work) -> _Material:
        """What ``compute`` needs from the database."""

    @abstractmethod
    def compute(self, work: Work, material: _Material) -> _Result:
        """The slow part, outside any transaction."""

    @abstractmethod
    def write(self, work: Work, result: _Result) -> Decimal:
        """Store the result; returns what it cost in USD."""


class StreamedKind(AnyKind, Generic[_Material, _Result]):
    """How a job is done whose items wait for somebody else: many in flight, stored in groups.

    ``read_many`` runs in the transaction that leases the page, ``write_many`` in the one that
    completes all items whose results have arrived meanwhile; both inside the organization.
    ``compute`` runs in an event loop and knows no database, but for ``stream.in_database``.
    """

    concurrency: ClassVar[int] = 32
    max_attempts: ClassVar[int] = 7

    @abstractmethod
    def read_many(self, works: Sequence[Work]) -> Sequence[_Material]:
        """What ``compute`` needs of each item, in their order.

        A ``PauseJobError`` pauses the job once not even one item can be read and nothing is in
        flight, so that what is in flight may give back what it reserved.
        """

    @abstractmethod
    async def compute(self, work: Work, material: _Material) -> _Result:
        """The slow part. Raises like ``Kind.compute``."""

    @abstractmethod
    def write_many(self, pairs: Sequence[tuple[Work, _Result]]) -> Sequence[Decimal | Undone]:
        """Store the results; returns for each its cost in USD, or why it is not done."""

    async def close(self) -> None:
        """The last thing in the event loop, when all items are back."""

    def settle_lost(self, pairs: Sequence[tuple[Work, _Result]]) -> Decimal:
        """Book results whose items another run has taken meanwhile; returns what they cost in USD.

        Nothing else may be written: the items are somebody else's.
        """
        return FREE

    def release_many(self, pairs: Sequence[tuple[Work, _Material]]) -> None:
        """Give back what was reserved for items that were read and will not be computed now."""


def offer(name: str, path: str, *, queue: Queue = Queue.BULK, is_upkeep: bool = False) -> None:
    """Register the kind class at the dotted ``path`` under ``name``, with its usual queue.

    With ``is_upkeep`` its jobs start by themselves, again and again: those that nobody asked for
    are forgotten after a while (``upkeep.prune``).
    """
    _paths[name] = path, queue
    if is_upkeep:
        _upkeep.add(name)


def of_upkeep() -> list[str]:
    """The kinds whose jobs start by themselves."""
    return sorted(_upkeep)


def is_known(name: str) -> bool:
    """Whether an installed app offers the kind."""
    return name in _paths


def usual_queue(name: str) -> Queue:
    """Where jobs of the kind wait, unless they say otherwise."""
    return _paths[name][1]


@cache
def load(name: str) -> AnyKind:
    """The kind, imported on first use. Raises ``UnknownKindError``."""
    if name not in _paths:
        raise UnknownKindError(f"Unknown kind of job: {name}.")
    path = _paths[name][0]
    kind = import_string(path)()
    if not isinstance(kind, AnyKind):
        raise TypeError(f"{path} is not a kind of job.")
    return kind
