"""When a call may go: limits of a model that all workers keep together, through Redis.

Calls and tokens a minute are buckets; tokens are reserved by estimate and settled with what was
used. Calls at once are shared evenly between processes, and those to one host between
organizations: whoever wants less leaves the rest to the others, so nobody starves. A 429 halves
how many may go at once, twenty successes add one; a provider that asks to wait is left alone for so
long. All of it is one script (``limit_script.py``), and calls that come or end in the same moment
share its round trip.

While Redis is away, each process goes on by itself, slower (``LOCAL_…``); when it comes back empty,
everybody tells it anew what they have in flight. Nothing but waiting depends on it.
"""

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from apps.llms.connections import ProviderConnection
from apps.llms.errors import NoTurnError, RateLimitedError, TransientError
from apps.llms.limit_script import SCRIPT

LOCAL_CONCURRENCY: Final = 4  # calls of a process at once while Redis is away
LOCAL_SHARE: Final = 0.25  # of calls and tokens a minute: there may be other processes
TIMEOUT: Final = 1.0  # seconds for Redis
REST: Final = 2.0  # seconds without a try after Redis was away
HEARTBEAT: Final = 3.0  # seconds after which what is in flight is told again
LONGEST_LOOK: Final = 1.0  # seconds a waiting gate goes without asking again
MOST_WANTS: Final = 64
LONGEST_WAIT: Final = 600.0  # seconds for a turn: an open call is soon taken for abandoned
COME_BACK: Final = 1.0  # seconds until a call whose turn did not come may wait again

Settle = Callable[[int], None]
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Ticket:
    """Leave to go, at Redis' time ``since`` (microseconds); ``tokens`` are reserved."""

    tokens: int
    since: int = 0


@asynccontextmanager
async def slot(
    connection: ProviderConnection, *, tokens: int, since: float | None = None
) -> AsyncIterator[Settle]:
    """Wait for the call's turn; give what it yields the tokens that were used.

    An error of the call, raised through the block, tells the limiter by itself. Raises
    ``NoTurnError`` when the turn has not come ``LONGEST_WAIT`` after ``since``, which is of
    ``time.monotonic`` and now by default.
    """
    gate = _gate(connection)
    left = LONGEST_WAIT - (0 if since is None else time.monotonic() - since)
    try:
        async with asyncio.timeout(left):
            ticket = await gate.enter(max(tokens, 1))
    except TimeoutError as error:
        raise NoTurnError("Too many calls to this model wait for their turn.", COME_BACK) from error
    used: list[int] = []
    try:
        yield used.append
    except RateLimitedError as error:
        gate.leave(ticket, "limited", -ticket.tokens, error.seconds)
        raise
    except TransientError as error:
        gate.leave(ticket, "failed", 0, error.seconds)
        raise
    except BaseException:
        gate.leave(ticket, "failed", 0)
        raise
    gate.leave(ticket, "ok", (used[-1] - ticket.tokens) if used else 0)


async def close() -> None:
    """Tell Redis what ended, and hang up: the last thing a loop does."""
    room = _rooms.pop(asyncio.get_running_loop(), None)
    if room is not None:
        await room.close()


@dataclass
class _Pace:
    """A limit kept alone, while Redis is away: the moment from which there is room again."""

    next: float = 0.0

    def take(self, amount: float, a_minute: int | None) -> float:
        """Seconds to wait; 0 when it was taken."""
        if not a_minute:
            return 0.0
        now = time.monotonic()
        if now < self.next:
            return self.next - now
        self.next = now + amount * 60 / (a_minute * LOCAL_SHARE)
        return 0.0


@dataclass
class Gate:
    """The line of one process' calls to one model."""

    room: "_Room"
    connection: ProviderConnection
    id: str = field(default_factory=lambda: uuid4().hex[:16])
    held: int = 0
    waiting: deque[tuple[Ticket, asyncio.Future[None]]] = field(default_factory=deque)
    done: list[list[Any]] = field(default_factory=list)
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    told_at: float = 0.0
    resting_until: float = 0.0
    calls: _Pace = field(default_factory=_Pace)
    tokens: _Pace = field(default_factory=_Pace)

    async def enter(self, tokens: int) -> Ticket:
        ticket, turn = Ticket(tokens), asyncio.get_running_loop().create_future()
        self.waiting.append((ticket, turn))
        self.wake()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(ticket, "failed", -tokens)  # its turn came in the same moment
            raise
        return ticket

    def leave(self, ticket: Ticket, outcome: str, change: int, pause: float | None = None) -> None:
        self.held -= 1
        self.done.append([outcome, change, ticket.since, round((pause or 0) * 1_000_000)])
        if pause:
            self.resting_until = max(self.resting_until, time.monotonic() + pause)
        self.wake()

    def wake(self) -> None:
        self.nudge.set()
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self.run())

    async def run(self) -> None:
        """Exchange with Redis as long as there is anybody here."""
        while (self.waiting or self.done or self.held) and not self.room.is_closing:
            await asyncio.sleep(0)  # calls that end together have ended now
            self.nudge.clear()
            wait = await self.exchange()
            if not (self.nudge.is_set() or self.room.is_closing):
                timer = asyncio.get_running_loop().call_later(wait, self.nudge.set)
                await self.nudge.wait()
                timer.cancel()

    async def exchange(self) -> float:
        """Let in whom the limits let in; how many seconds to sleep when nothing happens."""
        while self.waiting and self.waiting[0][1].done():
            self.waiting.popleft()  # gave up
        wants = self.wants()
        is_due = time.monotonic() > self.told_at + HEARTBEAT
        if not wants and not self.done and not (self.held and is_due):
            return HEARTBEAT
        done, self.done = self.done, []
        answer = await self.room.ask(self, wants, done)
        if answer is None:
            return self.let_in_alone()
        self.told_at = time.monotonic()
        granted, wait, now = int(answer[0]), int(answer[1]), int(answer[2])
        self.let_in(granted, now)
        return min(wait / 1_000_000, LONGEST_LOOK) if wants[granted:] else HEARTBEAT

    def wants(self) -> list[int]:
        """The tokens of those who may come next, as far as there is room in this process."""
        free = min(self.connection.concurrency - self.held, MOST_WANTS)
        turns = (self.waiting[n] for n in range(min(free, len(self.waiting))))
        return [ticket.tokens for ticket, _ in turns]

    def let_in(self, count: int, now: int) -> None:
        for _ in range(count):
            ticket, turn = self.waiting.popleft()
            ticket.since = now
            self.held += 1
            if turn.done():
                self.leave(ticket, "failed", -ticket.tokens)
            else:
                turn.set_result(None)

    def let_in_alone(self) -> float:
        """Without Redis: few at once, at a share of the rates."""
        limits = self.connection
        while self.waiting and self.held < min(limits.concurrency, LOCAL_CONCURRENCY):
            wait = max(self.resting_until - time.monotonic(), 0.0)
            wait = wait or self.tokens.take(self.waiting[0][0].tokens, limits.tpm)
            wait = wait or self.calls.take(1, limits.rpm)
            if wait > 0:
                return min(wait, LONGEST_LOOK)
            self.let_in(1, 0)
        return LONGEST_LOOK


class _Room:
    """The gates of one event loop, and its line to Redis."""

    def __init__(self) -> None:
        self.gates: dict[tuple[Any, ...], Gate] = {}
        self.away_until = 0.0
        self.is_closing = False
        self.redis = redis.asyncio.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        self.script = self.redis.register_script(SCRIPT)

    async def ask(
        self, gate: Gate, wants: Sequence[int], done: Sequence[Sequence[Any]]
    ) -> list[Any] | None:
        """The script's answer; None while Redis is away."""
        if time.monotonic() < self.away_until:
            return None
        try:
            answer: list[Any] = await self.script(
                keys=_keys(gate), args=[_asked(gate, wants, done)]
            )
        except (redis.RedisError, OSError, TimeoutError) as error:
            self.away_until = time.monotonic() + REST
            logger.warning("Calls to models are limited by this process alone: %s", error)
            return None
        return answer

    async def close(self) -> None:
        self.is_closing = True
        for gate in self.gates.values():
            if gate.task is not None:  # not cancelled: a Redis call may swallow that
                gate.nudge.set()
                await gate.task
            if gate.told_at:
                await self.ask(gate, [], gate.done)
        await self.redis.aclose()


_rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, _Room] = WeakKeyDictionary()


def _gate(connection: ProviderConnection) -> Gate:
    loop = asyncio.get_running_loop()
    room = _rooms.get(loop) or _rooms.setdefault(loop, _Room())
    key = (connection.organization_id, connection.model_id, connection.base_url)
    gate = room.gates.get(key)
    if gate is None:
        gate = room.gates[key] = Gate(room, connection)
    gate.connection = connection  # the limits may have changed
    return gate


def _keys(gate: Gate) -> list[str]:
    connection = gate.connection
    model = f"llm:{connection.organization_id}:{connection.model_id}"
    host = urlsplit(connection.base_url).netloc.lower()
    return [f"{model}:state", f"{model}:gates", f"llm:host:{host}"]


def _asked(gate: Gate, wants: Sequence[int], done: Sequence[Sequence[Any]]) -> str:
    connection = gate.connection
    return json.dumps(
        {
            "gate": gate.id,
            "organization": str(connection.organization_id),
            "rpm": connection.rpm or 0,
            "tpm": connection.tpm or 0,
            "concurrency": connection.concurrency,
            "capacity": settings.LLM_HOST_CONCURRENCY or 1_000_000,
            "held": gate.held,
            "wants": wants,
            "done": done,
        }
    )
