"""What a kind of job is made of, and which kinds there are.

An app offers a kind in its ``AppConfig.ready``::

    offer("suggest_few_shot", "apps.quality.few_shot.FewShotSuggestions")

The class is imported when the first job of the kind runs, so a web process never loads its model.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from django.utils.module_loading import import_string

from apps.jobs.errors import UnknownKindError
from apps.jobs.models import Job

FREE = Decimal(0)

_Material = TypeVar("_Material")
_Result = TypeVar("_Result")
_paths: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Planned:
    """An item to make; ``size`` is how many units, e.g. records, it counts for."""

    payload: Mapping[str, Any]
    size: int = 1


@dataclass(frozen=True, slots=True)
class Work:
    """An item in the hands of a run. ``attempt`` counts from 1 and fences the result."""

    organization_id: UUID
    job: Job
    seq: int
    payload: Mapping[str, Any]
    size: int
    attempt: int
    failures: int


class Kind(ABC, Generic[_Material, _Result]):
    """How the jobs of one kind are planned, and how one item is done in three steps.

    ``read`` and ``write`` run inside the organization, each in a transaction of its own;
    ``compute`` between them holds neither transaction nor connection, so it may take long.
    ``write`` commits together with the item's completion: it happens exactly once. ``compute``
    may be repeated when a worker dies, or fails up to ``max_attempts`` times.

    With ``is_chain`` each item leads to the next: ``plan`` yields the first one, with size 0,
    and ``write`` calls ``chain.advance`` and ``chain.append``. An item that fails for good then
    fails the job, which goes on there when it is retried.
    """

    is_chain: ClassVar[bool] = False
    concurrency: ClassVar[int] = 1  # items of one job at the same time, each in a thread
    max_attempts: ClassVar[int] = 3

    @abstractmethod
    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        """Yield the items. Runs outside the organization: enter it for each page, then yield.

        Repeated from the start when the worker dies meanwhile. A ``DomainError`` fails the job.
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


def offer(name: str, path: str) -> None:
    """Register the kind class at the dotted ``path`` under ``name``."""
    _paths[name] = path


def is_known(name: str) -> bool:
    """Whether an installed app offers the kind."""
    return name in _paths


@cache
def load(name: str) -> Kind[Any, Any]:
    """The kind, imported on first use. Raises ``UnknownKindError``."""
    if name not in _paths:
        raise UnknownKindError(f"Unknown kind of job: {name}.")
    kind = import_string(_paths[name])()
    if not isinstance(kind, Kind):
        raise TypeError(f"{_paths[name]} is not a Kind.")
    return kind
