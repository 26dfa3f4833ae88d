"""The event loop in which a streamed kind computes, in a thread of its own.

The other side is the thread that talks to the database: it submits items that were read, and takes
what lands. In between the loop keeps ``concurrency`` items in flight by itself, so that an item
never waits for a commit.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeVar

from apps.core.errors import DomainError
from apps.jobs.errors import FailedTryError, SteeringError
from apps.jobs.kinds import StreamedKind, Work

_T = TypeVar("_T")

_logger = logging.getLogger(__name__)
_here: "ContextVar[Workshop]" = ContextVar("workshop")


@dataclass(frozen=True, slots=True)
class Landing:
    """An item that comes back: with its result, an error, or, if not ``begun``, as it went."""

    work: Work
    material: Any
    result: Any = None
    error: Exception | None = None
    begun: bool = True


@dataclass(frozen=True, slots=True)
class Errand:
    """Something that an item in flight wants from the database."""

    function: Callable[[], Any]
    answer: asyncio.Future[Any]


async def in_database(function: Callable[[], _T]) -> _T:
    """Run ``function`` inside the organization, in a transaction of its own.

    For ``compute`` alone; the loop goes on meanwhile.
    """
    return await _here.get().send(function)


class Workshop:
    """A running loop; leaving the block ends it, whatever is still in flight."""

    def __init__(self, kind: StreamedKind[Any, Any]) -> None:
        self._kind = kind
        self._free = kind.concurrency
        self._waiting: deque[tuple[Work, Any]] = deque()
        self._flying: set[asyncio.Task[None]] = set()
        self._landed: SimpleQueue[Landing | Errand] = SimpleQueue()
        self._started = threading.Event()
        self._context = copy_context()
        self._context.run(_here.set, self)
        self._thread = threading.Thread(
            target=copy_context().run, args=[asyncio.run, self._serve()], name="workshop"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    # --- In the thread of the database ----------------------------------------------------------

    def submit(self, pairs: Sequence[tuple[Work, Any]]) -> None:
        """Compute these, as soon as there is room."""
        self._loop.call_soon_threadsafe(self._add, pairs, context=self._context)

    def withdraw(self) -> None:
        """Let all land that have not begun."""
        self._loop.call_soon_threadsafe(self._return_waiting)

    def landed(self, patience: float) -> list[Landing | Errand]:
        """All that has landed, at least one, or nothing after so many seconds."""
        found: list[Landing | Errand] = []
        with suppress(Empty):
            found.append(self._landed.get(timeout=patience))
            while True:
                found.append(self._landed.get_nowait())
        return found

    def answer(self, errand: Errand, result: Any, error: Exception | None) -> None:
        """Let the item go on that waits for the errand."""
        self._loop.call_soon_threadsafe(_resolve, errand.answer, result, error)

    # --- In the loop ----------------------------------------------------------------------------

    async def send(self, function: Callable[[], _T]) -> _T:
        """Hand an errand over, and wait for its answer."""
        answer: asyncio.Future[_T] = self._loop.create_future()
        self._landed.put(Errand(function, answer))
        return await answer

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._started.set()
        await self._over.wait()
        await self._kind.close()

    def _add(self, pairs: Sequence[tuple[Work, Any]]) -> None:
        self._waiting.extend(pairs)
        self._begin()

    def _begin(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            task = self._loop.create_task(self._compute(*self._waiting.popleft()))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)

    def _return_waiting(self) -> None:
        while self._waiting:
            self._landed.put(Landing(*self._waiting.popleft(), begun=False))

    async def _compute(self, work: Work, material: Any) -> None:
        try:
            result = await self._kind.compute(work, material)
            landing = Landing(work, material, result)
        except Exception as error:
            if not isinstance(error, SteeringError | DomainError | FailedTryError):
                _logger.warning("Job %s, item %s failed", work.job.id, work.seq, exc_info=True)
            landing = Landing(work, material, error=error)
        self._landed.put(landing)
        self._free += 1
        self._begin()


def _resolve(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
