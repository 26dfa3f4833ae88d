"""Vectors of texts from the scripted server: in order, in batches, all or none."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from apps.core.tenancy import current
from apps.llms import calls, client, embeddings, ledger
from apps.llms.budgets import Payer, set_budget
from apps.llms.calls import BudgetReachedError
from apps.llms.connections import ProviderConnection, connect
from apps.llms.embeddings import prepare, send, settle, vectors_of
from apps.llms.errors import CredentialError, RefusedError, TransientError
from apps.llms.models import Budget, BudgetScope, LedgerEntry, LLMAttempt, Provider
from apps.llms.probe import begin
from apps.llms.services import ModelInput, PriceInput
from tests.llm_server.controls import LlmServer

JOB = UUID(int=7)
Make = Callable[..., Provider]


@pytest.fixture
def connection(make_provider: Make, llm_server: LlmServer) -> ProviderConnection:
    """An embedding model at a dollar a token."""
    price = PriceInput(Decimal(1_000_000), Decimal(0))
    models = [ModelInput("embedder", "embedding", prices=[price])]
    return connect(provider=make_provider(base_url=llm_server.url, models=models), model="embedder")


def run(connection: ProviderConnection, texts: Sequence[str]) -> Any:
    portions = prepare(connection, texts, Payer(JOB, None))

    async def main() -> Any:
        async with client.closing():
            return await send(portions)

    sent = asyncio.run(main())
    settle(sent)
    assert not LLMAttempt.objects.exists()
    return vectors_of(sent)


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


def test_vectors_are_booked_at_the_price_of_what_is_read(
    connection: ProviderConnection, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "MOST_TEXTS", 2)
    run(connection, ["one", "two words", "and three words"])
    entries = list(LedgerEntry.objects.of_job(JOB))
    assert {(entry.kind, entry.model, entry.completion_tokens) for entry in entries} == {
        ("call", "embedder", 0)
    }
    assert len(entries) == 2
    assert all(entry.usd == entry.prompt_tokens > 0 for entry in entries)
    bill = llm_server.ledger()
    assert sum(entry.prompt_tokens for entry in entries) == bill["prompt_tokens"]
    run(connection, ["one"])
    assert LedgerEntry.objects.count() == 3, "the same again is paid again"


def test_budgets_hold_for_vectors(connection: ProviderConnection, llm_server: LlmServer) -> None:
    set_budget(scope=BudgetScope.JOB, subject_id=JOB, usd=Decimal(100))
    run(connection, ["a few words"])
    budget = Budget.objects.get()
    spent = LedgerEntry.objects.get().usd
    assert (budget.spent_usd, budget.reserved_usd) == (spent, 0)
    with pytest.raises(BudgetReachedError), transaction.atomic():
        run(connection, ["x" * 100])
    assert llm_server.ledger()["calls"] == 1


def test_a_worker_that_dies_leaves_the_most_it_may_have_cost(
    connection: ProviderConnection,
) -> None:
    set_budget(scope=BudgetScope.JOB, subject_id=JOB, usd=Decimal(100))
    (portion,) = prepare(connection, ["a few words"], Payer(JOB, None))
    assert Budget.objects.get().reserved_usd == portion.attempt.worst.usd > 0
    calls._book_unknown(ledger.take_old(timedelta(0)))
    entry = LedgerEntry.objects.get()
    assert (entry.kind, entry.usd) == ("unknown_outcome", portion.attempt.worst.usd)
    assert settle([embeddings.Embedded(portion, [[1.0]], 3)]) == 0, "it is booked already"


def test_what_fails_is_booked_as_failed_and_what_is_useless_as_paid(
    connection: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.configure(failure_rate=1, failures=["server_error"])
    with pytest.raises(TransientError):
        run(connection, ["one"])
    llm_server.configure(failure_rate=0, dimensions=embeddings.MAX_DIMENSIONS + 1)
    with pytest.raises(RefusedError, match="finite numbers"):
        run(connection, ["one"])
    failed, useless = LedgerEntry.objects.order_by("id")
    assert (failed.kind, failed.usd, bool(failed.error)) == ("failed", 0, True)
    assert (useless.kind, useless.usd > 0, "finite" in str(useless.error)) == ("call", True, True)


def test_the_test_of_a_model_is_in_the_books(connection: ProviderConnection) -> None:
    found = begin(provider=Provider.objects.get(), model="embedder")()
    entry = LedgerEntry.objects.get()
    assert (found.error, found.dimensions) == (None, 64)
    assert (found.usd, found.prompt_tokens) == (entry.usd, entry.prompt_tokens)
    assert entry.usd > 0
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), usd=Decimal(0))
    refused = begin(provider=Provider.objects.get(), model="embedder")()
    assert "budget" in str(refused.error)
    assert not LLMAttempt.objects.exists()
    assert LedgerEntry.objects.count() == 1


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
