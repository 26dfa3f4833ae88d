"""Vectors of texts from the scripted server: in order, in batches, all or none."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from apps.llms import client, embeddings
from apps.llms.connections import ProviderConnection
from apps.llms.embeddings import embed
from apps.llms.errors import CredentialError, RefusedError, TransientError
from tests.llm_server.controls import LlmServer


def run(connection: ProviderConnection, texts: Sequence[str]) -> Any:
    async def main() -> Any:
        async with client.closing():
            return await embed(connection, "embedder", texts)

    return asyncio.run(main())


def likeness(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_texts_get_vectors_in_their_order(
    connection: ProviderConnection, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "MOST_TEXTS", 10)
    texts = [f"text number {number}" for number in range(95)]
    vectors = run(connection, texts)
    (alone,) = run(connection, [texts[42]])
    assert (len(vectors), len(vectors[0])) == (95, 64)
    assert likeness(alone, vectors[42]) == pytest.approx(1)
    assert likeness(alone, vectors[41]) < 0.99
    assert llm_server.ledger()["calls"] == 11
    assert run(connection, []) == []


def test_long_texts_go_in_smaller_batches(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    assert len(run(connection, ["x" * 100_000] * 5)) == 5
    assert llm_server.ledger()["calls"] == 5


def test_an_empty_text_is_no_reason_to_refuse_the_others(
    connection: ProviderConnection,
) -> None:
    assert len(run(connection, ["", "  ", "word"])) == 3


@pytest.mark.parametrize(
    ("changes", "meaning"),
    [
        ({"keys": ["another"]}, CredentialError),
        ({"max_batch_inputs": 1}, RefusedError),
        ({"failure_rate": 1, "failures": ["server_error"]}, TransientError),
    ],
)
def test_what_goes_wrong_has_its_meaning(
    connection: ProviderConnection,
    llm_server: LlmServer,
    changes: dict[str, Any],
    meaning: type[Exception],
) -> None:
    llm_server.configure(**changes)
    with pytest.raises(meaning):
        run(connection, ["one", "two"])


ROW = {"index": 0, "embedding": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("document", "meaning"),
    [
        ({}, TransientError),
        ({"data": None}, TransientError),
        ({"data": [ROW]}, TransientError),
        ({"data": [ROW, ROW]}, TransientError),
        ({"data": [ROW, {"index": 1, "embedding": ["x"]}]}, TransientError),
        ({"data": [ROW, {"index": 1, "embedding": []}]}, RefusedError),
        ({"data": [ROW, {"index": 1, "embedding": [float("inf")]}]}, RefusedError),
        ({"data": [ROW, {"index": 1, "embedding": [0.5] * 4097}]}, RefusedError),
    ],
)
def test_odd_vectors_are_refused(document: Any, meaning: type[Exception]) -> None:
    with pytest.raises(meaning):
        embeddings._vectors(document, 2)
