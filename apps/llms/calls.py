"""A call from the wish to the books: looked up, reserved and noted, sent, settled.

``prepare`` and ``settle`` work on many calls in the caller's transaction, with as many statements
for one as for a hundred; ``send`` is in between and knows no database. What is known of a call
before it is made is written down and committed, so that a call whose worker dies is not forgotten:
it is booked as an unknown outcome at the most it may have cost.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models.functions import Now

from apps.core.ids import uuid7s
from apps.core.rounds import for_each
from apps.core.tenancy import enter
from apps.llms import budgets, client, ledger, limits
from apps.llms.budgets import Amount, BudgetReachedError, Payer
from apps.llms.connections import ProviderConnection
from apps.llms.errors import NoTurnError, ProviderError, TransientError
from apps.llms.keys import canonical_json, digest
from apps.llms.learning import remember
from apps.llms.ledger import Attempt, Entry, Kept
from apps.llms.models import EntryKind, LLMAttempt
from apps.llms.wire import Reply, Request

__all__ = [
    "Ask",
    "BudgetReachedError",
    "Outcome",
    "Prepared",
    "close",
    "prepare",
    "release",
    "reserve",
    "send",
    "settle",
    "settle_budgets",
]

USUAL_ANSWER: Final = 4096  # tokens a budget allows for an answer without a limit of its own
ABANDONED_AFTER: Final = timedelta(minutes=30)  # longer than any call, with the wait for its turn
BUSY_SECONDS: Final = 1.0  # until an answer that somebody else is waiting for is looked up again


class InFlightError(TransientError):
    """Somebody else is asking exactly this at the moment; soon the cache will know."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that is wanted, and for whom: item ``seq`` of a job, taken ``attempt`` times."""

    connection: ProviderConnection
    request: Request
    job_id: UUID | None = None
    workspace_id: UUID | None = None
    seq: int | None = None
    attempt: int = 1

    @property
    def payer(self) -> Payer:
        return Payer(self.job_id, self.workspace_id)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that is ready: from the cache, to be sent, or, ``is_busy``, in flight elsewhere.

    ``busy_seconds`` is when it is worth looking again for an answer that is on its way; ``since``,
    of ``time.monotonic``, is when its attempt was opened. With ``is_limited`` some budget has a
    limit, and ``attempt.worst`` is set aside in it. What is ``is_fetched`` was answered by a batch
    and is in the books: finding the answer saves nothing.
    """

    ask: Ask
    attempt: Attempt
    kept: Kept | None = None
    is_busy: bool = False
    busy_seconds: float = BUSY_SECONDS
    is_limited: bool = False
    is_fetched: bool = False
    since: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> bytes:
        return self.attempt.key

    @property
    def outgoing(self) -> Request:
        """The request as it is made: where a budget is limited, so is the answer.

        That is no part of its key: with a limit or without, it is the same question.
        """
        request = self.ask.request
        if not self.is_limited or request.max_tokens is not None:
            return request
        return replace(request, max_tokens=USUAL_ANSWER)

    @property
    def hit(self) -> Reply | None:
        return self.kept.reply if self.kept else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call went: exactly one of ``reply`` and ``error`` is there."""

    prepared: Prepared
    reply: Reply | None = None
    error: ProviderError | None = None

    @property
    def is_hit(self) -> bool:
        return self.prepared.kept is not None

    @property
    def was_sent(self) -> bool:
        is_unsent = self.is_hit or self.prepared.is_busy or isinstance(self.error, NoTurnError)
        return not is_unsent

    @property
    def usd(self) -> Decimal:
        """What the answer costs, or cost when it was paid; 0 without one."""
        if self.prepared.kept is not None:
            return self.prepared.kept.usd
        if self.reply is None:
            return Decimal(0)
        price, reply = self.prepared.ask.connection.price, self.reply
        return price.usd(reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)


def prepare(asks: Sequence[Ask]) -> list[Prepared]:
    """Look the calls up, note those that must be made, and reserve the most they may cost.

    Three statements, four to seven with budgets or after a worker died. Raises
    ``BudgetReachedError``; then the transaction must be rolled back.
    """
    if not asks:
        return []
    _book_abandoned([ask for ask in asks if ask.attempt > 1])
    ids = uuid7s(len(asks))
    attempts = [_attempt(id, ask) for id, ask in zip(ids, asks, strict=True)]
    found = ledger.find_responses([attempt.key for attempt in attempts])
    missing = [attempt for attempt in attempts if attempt.key not in found]
    opened = ledger.open_attempts(missing) if missing else set()
    metered = reserve([attempt for attempt in missing if attempt.id in opened])
    return [
        Prepared(
            ask,
            replace(attempt, is_metered=attempt.id in metered),
            found.get(attempt.key),
            is_busy=attempt.key not in found and attempt.id not in opened,
            is_limited=metered.get(attempt.id, False),
        )
        for ask, attempt in zip(asks, attempts, strict=True)
    ]


async def send(prepared: Prepared) -> Outcome:
    """Make the call, when its turn has come; what the provider refuses is in the outcome."""
    if prepared.kept is not None:
        return Outcome(prepared, reply=prepared.kept.reply)
    if prepared.is_busy:
        told = "The same is being asked at the moment."
        return Outcome(prepared, error=InFlightError(told, prepared.busy_seconds))
    connection, request = prepared.ask.connection, prepared.ask.request
    try:
        tokens = client.estimate(connection, request)
        async with limits.slot(connection, tokens=tokens, since=prepared.since) as used:
            reply = await client.complete(connection, prepared.outgoing)
            used(reply.prompt_tokens + reply.completion_tokens)
    except ProviderError as error:
        return Outcome(prepared, error=error)
    return Outcome(prepared, reply=reply)


async def close() -> None:
    """Hang up: the last thing in an event loop that has sent calls."""
    await client.close()


def settle(outcomes: Sequence[Outcome]) -> list[Decimal]:
    """Keep the answers and book what they cost; returns USD for each, in order.

    Three statements, five with budgets. What was booked as abandoned meanwhile is only kept; what
    was never sent is released.
    """
    release([one.prepared for one in outcomes if isinstance(one.error, NoTurnError)])
    sent = [one for one in outcomes if one.was_sent]
    still = ledger.close_attempts([one.prepared.attempt.id for one in sent]) if sent else set()
    answered = [(one.prepared, Kept(one.reply, one.usd)) for one in sent if one.reply]
    if answered:
        ledger.keep_responses([(one.key, one.attempt.model, kept) for one, kept in answered])
    entries = {
        one.prepared.attempt.id: _entry(one)
        for one in outcomes
        if (one.is_hit and not one.prepared.is_fetched) or one.prepared.attempt.id in still
    }
    if entries:
        ledger.enter_ledger(list(entries.values()))
    settle_budgets(entries.values())
    remember(one.prepared.ask.connection for one in sent)
    booked = (entries.get(one.prepared.attempt.id) for one in outcomes)
    return [entry.usd if entry else Decimal(0) for entry in booked]


def release(prepared: Sequence[Prepared]) -> None:
    """Give up calls that were prepared and will not be made; nothing is booked."""
    waiting = [one.attempt for one in prepared if one.kept is None and not one.is_busy]
    if not waiting:
        return
    closed = ledger.close_attempts([attempt.id for attempt in waiting])
    settle_budgets(Entry(EntryKind.FAILED, attempt) for attempt in waiting if attempt.id in closed)


def give_up(prepared: Sequence[Prepared]) -> Decimal:
    """Book calls that were made and whose answers nobody will see, at the most they may have cost.

    Returns how much that is.
    """
    attempts = [one.attempt for one in prepared]
    closed = ledger.close_attempts([attempt.id for attempt in attempts])
    lost = [attempt for attempt in attempts if attempt.id in closed]
    _book_unknown(lost)
    return _total(attempt.worst for attempt in lost).usd


def book_old(*, age: timedelta = ABANDONED_AFTER) -> int:
    """Book the calls of all organizations whose worker died and that nobody took up again."""

    def book(organization_id: UUID) -> int:
        with enter(organization_id):
            return _book_unknown(ledger.take_old(age))

    return sum(for_each(ledger.organizations_with_old(age), book))


def most(connection: ProviderConnection, request: Request) -> Amount:
    """The most that the call may cost: a token a byte of the prompt, and the longest answer."""
    return _most(connection, request, canonical_json(connection, request))


def _most(connection: ProviderConnection, request: Request, document: bytes) -> Amount:
    prompt, answer = len(document), request.max_tokens or USUAL_ANSWER
    return Amount(connection.price.usd(prompt, answer), prompt + answer)


def _attempt(id: UUID, ask: Ask) -> Attempt:
    connection, request = ask.connection, ask.request
    document = canonical_json(connection, request)
    return Attempt(
        id=id,
        key=digest(document),
        payer=ask.payer,
        seq=ask.seq,
        attempt=ask.attempt,
        provider_id=connection.provider_id,
        model=request.model,
        worst=_most(connection, request, document),
    )


def reserve(attempts: Sequence[Attempt]) -> dict[UUID, bool]:
    """Reserve the most the attempts may cost; returns which count in some budget, and whether
    that has a limit."""
    metered: dict[UUID, bool] = {}
    for payer, mine in _by_payer(attempts).items():
        if found := budgets.reserve(payer, _total(one.worst for one in mine)):
            metered |= {one.id: any(budget.is_limited for budget in found) for one in mine}
    if metered:
        ledger.meter(list(metered))
    return metered


def has_reserved(*, job_id: UUID) -> bool:
    """Whether calls of the job are open that count in a budget and are soon settled.

    Not those of batches, which are dated ahead.
    """
    opened = LLMAttempt.objects.filter(job_id=job_id, is_metered=True)
    return opened.filter(inserted_at__lte=Now()).exists()


def settle_budgets(entries: Iterable[Entry]) -> None:
    """Give back what the entries' attempts had reserved, and add what they cost."""
    metered = {entry.attempt.id: entry for entry in entries if entry.attempt.is_metered}
    for payer, mine in _by_payer([entry.attempt for entry in metered.values()]).items():
        spent = _total(
            Amount(entry.usd, entry.prompt_tokens + entry.completion_tokens)
            for entry in (metered[one.id] for one in mine)
        )
        budgets.settle(payer, reserved=_total(one.worst for one in mine), spent=spent)


def _by_payer(attempts: Iterable[Attempt]) -> dict[Payer, list[Attempt]]:
    grouped: dict[Payer, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        grouped[attempt.payer].append(attempt)
    return grouped


def _total(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, Amount())


def _book_abandoned(asks: Sequence[Ask]) -> None:
    """Book what earlier holders of the items left open."""
    items = {
        (ask.job_id, ask.seq, ask.attempt)
        for ask in asks
        if ask.job_id is not None and ask.seq is not None
    }
    if items:
        _book_unknown(ledger.take_stale(sorted(items)))


def _book_unknown(abandoned: Sequence[Attempt]) -> int:
    entries = [
        Entry(EntryKind.UNKNOWN_OUTCOME, one, prompt_tokens=one.worst.tokens, usd=one.worst.usd)
        for one in abandoned
    ]
    if entries:
        ledger.enter_ledger(entries)
        settle_budgets(entries)
    return len(entries)


def _entry(outcome: Outcome) -> Entry:
    attempt, kept = outcome.prepared.attempt, outcome.prepared.kept
    if kept is not None:
        return Entry(EntryKind.HIT, attempt, saved_usd=kept.usd)
    if outcome.reply is None:
        return Entry(EntryKind.FAILED, attempt, error=str(outcome.error))
    reply = outcome.reply
    return Entry(
        EntryKind.CALL,
        attempt,
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.cached_tokens,
        usd=outcome.usd,
    )
