"""Vectors of texts from a provider, as an alternative to the model that needs no network."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

from apps.llms import client, limits
from apps.llms.connections import ProviderConnection
from apps.llms.dialects import memory_of
from apps.llms.errors import ProviderError, RefusedError, TransientError

MOST_TEXTS: Final = 256  # in one call
MOST_TOKENS: Final = 50_000  # in one call, by estimate
AT_ONCE: Final = 4  # calls of one ``embed``
MAX_DIMENSIONS: Final = 4096


async def embed(
    connection: ProviderConnection, model: str, texts: Sequence[str]
) -> list[list[float]]:
    """A vector for each text, in their order; all are of the same length, at most 4096.

    Texts go in batches, each when the limiter lets it. Raises an error of ``errors.py``; then
    nothing is returned, though some batches may have been paid.
    """
    room = asyncio.Semaphore(AT_ONCE)

    async def one(batch: Sequence[str]) -> list[list[float]]:
        async with room:
            return await _embed_batch(connection, model, batch)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_kept(one(batch))) for batch in _batches(connection, texts)]
    vectors: list[list[float]] = []
    for task in tasks:
        found = task.result()
        if isinstance(found, Exception):
            raise found
        vectors += found
    if len({len(vector) for vector in vectors}) > 1:
        raise RefusedError("The vectors are of different lengths.")
    return vectors


async def _kept(work: Any) -> Any:
    """The result, or the provider's error as a result: the other batches go to their end."""
    try:
        return await work
    except ProviderError as error:
        return error


def _batches(connection: ProviderConnection, texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        tokens = _tokens(connection, text)
        if batch and (len(batch) == MOST_TEXTS or size + tokens > MOST_TOKENS):
            yield batch
            batch, size = [], 0
        batch.append(text if text.strip() else "-")  # providers refuse nothing at all
        size += tokens
    if batch:
        yield batch


async def _embed_batch(
    connection: ProviderConnection, model: str, texts: Sequence[str]
) -> list[list[float]]:
    tokens = sum(_tokens(connection, text) for text in texts)
    body = {"model": model, "input": list(texts), "encoding_format": "float"}
    async with limits.slot(connection, tokens=tokens) as settle:
        document = await client.fetch(connection, "POST", "/embeddings", body=body)
        usage = document.get("usage")
        used = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        settle(used if isinstance(used, int) and 0 <= used < 10 * tokens + 1000 else tokens)
    return _vectors(document, len(texts))


def _vectors(document: dict[str, Any], count: int) -> list[list[float]]:
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
