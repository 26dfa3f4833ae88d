"""Vectors of texts from a provider, as an alternative to the model that needs no network.

As a call of ``calls.py`` a portion of texts is reserved and noted, sent, and booked; ``prepare``
and ``settle`` belong in the caller's transactions, ``send`` knows no database. Vectors are not
cached: who needs them keeps them.
"""

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from apps.core.ids import uuid7s
from apps.llms import calls, client, ledger, limits
from apps.llms.budgets import Amount, Payer
from apps.llms.connections import ProviderConnection
from apps.llms.dialects import memory_of
from apps.llms.errors import ProviderError, RefusedError, TransientError
from apps.llms.keys import digest
from apps.llms.ledger import Attempt, Entry
from apps.llms.models import EntryKind

MOST_TEXTS: Final = 256  # in one call
MOST_TOKENS: Final = 50_000  # in one call, by estimate
AT_ONCE: Final = 4  # calls of one ``send``
MAX_DIMENSIONS: Final = 4096

Vectors = list[list[float]]


@dataclass(frozen=True, slots=True)
class Portion:
    """Texts that go in one call; ``attempt`` is written down until it is settled."""

    connection: ProviderConnection
    texts: tuple[str, ...]
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Embedded:
    """How a call went. ``tokens`` are None if it was not answered; what was may be of no use."""

    portion: Portion
    vectors: Vectors | None = None
    tokens: int | None = None
    error: ProviderError | None = None


def prepare(connection: ProviderConnection, texts: Sequence[str], payer: Payer) -> list[Portion]:
    """Divide the texts among calls, note these, and reserve the most they may cost.

    Raises ``BudgetReachedError``; then the transaction must be rolled back.
    """
    divided = list(_divided(connection, texts))
    attempts = [
        _attempt(id, connection, portion, payer)
        for id, portion in zip(uuid7s(len(divided)), divided, strict=True)
    ]
    if not attempts:
        return []
    ledger.open_attempts(attempts)
    metered = calls.reserve(attempts)
    return [
        Portion(connection, portion, replace(attempt, is_metered=attempt.id in metered))
        for portion, attempt in zip(divided, attempts, strict=True)
    ]


async def send(portions: Sequence[Portion]) -> list[Embedded]:
    """Make the calls, each when the limiter lets it; errors of the provider are in the results."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(portion: Portion) -> Embedded:
        async with room:
            try:
                return await _embed(portion)
            except ProviderError as error:
                return Embedded(portion, error=error)

    return list(await asyncio.gather(*map(one, portions)))


def settle(sent: Sequence[Embedded]) -> Decimal:
    """Book the calls; returns what they cost in USD. What was answered is paid, useful or not."""
    if not sent:
        return Decimal(0)
    still = ledger.close_attempts([one.portion.attempt.id for one in sent])
    entries = [_entry(one) for one in sent if one.portion.attempt.id in still]
    if entries:
        ledger.enter_ledger(entries)
        calls.settle_budgets(entries)
    return sum((entry.usd for entry in entries), Decimal(0))


def vectors_of(sent: Sequence[Embedded]) -> Vectors:
    """The vectors of all texts in their order, each of the same length, at most 4096.

    Raises the first error there was: all vectors or none.
    """
    found: Vectors = []
    for one in sent:
        if one.error is not None:
            raise one.error
        found += one.vectors or []
    if len({len(vector) for vector in found}) > 1:
        raise RefusedError("The vectors are of different lengths.")
    return found


def _attempt(
    id: UUID, connection: ProviderConnection, texts: Sequence[str], payer: Payer
) -> Attempt:
    """A token a byte at most, and two around it. The key is nobody else's: there is no cache."""
    most = sum(len(text.encode()) + 2 for text in texts)
    return Attempt(
        id=id,
        key=digest(b"embedding " + id.bytes),
        payer=payer,
        seq=None,
        attempt=1,
        provider_id=connection.provider_id,
        model=connection.model,
        worst=Amount(connection.price.usd(most, 0), most),
    )


def _entry(one: Embedded) -> Entry:
    attempt = one.portion.attempt
    told = None if one.error is None else one.error.message
    if one.tokens is None:
        return Entry(EntryKind.FAILED, attempt, error=told)
    usd = one.portion.connection.price.usd(one.tokens, 0)
    return Entry(EntryKind.CALL, attempt, prompt_tokens=one.tokens, usd=usd, error=told)


def _divided(connection: ProviderConnection, texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    portion: list[str] = []
    size = 0
    for text in texts:
        tokens = _tokens(connection, text)
        if portion and (len(portion) == MOST_TEXTS or size + tokens > MOST_TOKENS):
            yield tuple(portion)
            portion, size = [], 0
        portion.append(text if text.strip() else "-")  # providers refuse nothing at all
        size += tokens
    if portion:
        yield tuple(portion)


async def _embed(portion: Portion) -> Embedded:
    connection = portion.connection
    tokens = sum(_tokens(connection, text) for text in portion.texts)
    body = {"model": connection.model, "input": portion.texts, "encoding_format": "float"}
    async with limits.slot(connection, tokens=tokens) as used:
        document = await client.fetch(connection, "POST", "/embeddings", body=body)
        usage = document.get("usage")
        told = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        if isinstance(told, int) and 0 <= told < 10 * tokens + 1000:
            tokens = told
        used(tokens)
    try:
        return Embedded(portion, _vectors(document, len(portion.texts)), tokens)
    except ProviderError as error:
        return Embedded(portion, tokens=tokens, error=error)


def _vectors(document: dict[str, Any], count: int) -> Vectors:
    """The vectors by their index. Raises ``TransientError`` unless each is there once."""
    try:
        rows = {
            int(row.get("index", n)): row["embedding"] for n, row in enumerate(document["data"])
        }
        vectors = [[float(value) for value in rows[number]] for number in range(count)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TransientError("The answer does not hold a vector for each text.") from error
    for vector in vectors:
        if not 0 < len(vector) <= MAX_DIMENSIONS or not all(map(math.isfinite, vector)):
            raise RefusedError(f"A vector has 1 to {MAX_DIMENSIONS} finite numbers.")
    return vectors


def _tokens(connection: ProviderConnection, text: str) -> int:
    return math.ceil(len(text) / memory_of(connection).characters_per_token) + 1
