"""Calls in batches: handed in once, paid once, whatever dies in between."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from apps.core.tenancy import enter
from apps.llms import batch_wire, batching, calls, client, transport
from apps.llms.batching import look_after, order
from apps.llms.budgets import BudgetReachedError, set_budget
from apps.llms.errors import TransientError
from apps.llms.models import (
    Batch,
    BatchCall,
    Budget,
    BudgetScope,
    LedgerEntry,
    LLMAttempt,
    LLMResponse,
    Provider,
)
from apps.llms.tasks import look_after_batches
from tests.llm_server.controls import LlmServer
from tests.llms.handed_in import JOB, asks, connected, due, finish, make_acme, ordered, step

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


@pytest.fixture
def acme(llm_server: LlmServer) -> UUID:
    return make_acme(llm_server)


def test_a_batch_ends_in_the_cache_and_in_the_books(acme: UUID, llm_server: LlmServer) -> None:
    batch_id = ordered(acme)
    with enter(acme):
        again = calls.prepare(asks(3, connected()))
        assert all(one.is_busy for one in again), "they are on their way"
    states = [step(acme, batch_id).state for _ in range(3)]
    assert states == ["sent", "sent", "done"]
    with enter(acme):
        hits = calls.prepare(asks(3, connected()))
        assert all(one.hit is not None for one in hits)
        entries = list(LedgerEntry.objects.all())
        assert {entry.kind for entry in entries} == {"call"}
        assert {entry.job_id for entry in entries} == {JOB}
        tokens = sum(entry.prompt_tokens + entry.completion_tokens for entry in entries)
        assert sum(entry.usd for entry in entries) == Decimal(tokens) / 2, "half of the list price"
        assert sum(LLMResponse.objects.values_list("usd", flat=True)) == Decimal(tokens) / 2
        assert not LLMAttempt.objects.exists()
        assert not BatchCall.objects.exists()
    ledger = llm_server.ledger()
    assert (ledger["answered"], ledger["double_paid"]) == (3, 0)


def test_what_is_known_already_is_not_handed_in(acme: UUID, llm_server: LlmServer) -> None:
    finish(acme, ordered(acme))
    with enter(acme):
        prepared = order(asks(5, connected()))
        assert [one.hit is not None for one in prepared] == [True] * 3 + [False] * 2
        assert BatchCall.objects.count() == 2


def test_many_calls_are_several_batches(acme: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_CALLS", 4)
    with enter(acme):
        order(asks(10, connected()))
        assert sorted(batch.calls.count() for batch in Batch.objects.all()) == [2, 4, 4]


def test_long_answers_are_several_batches(acme: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of two million tokens of 16 bytes is as long as one may be."""
    assert batching.MOST_TOKENS * 16 <= transport.MAX_ANSWER
    with enter(acme):
        long, *short = asks(10, connected())
        most = calls.most(short[0].connection, short[0].request).tokens
        monkeypatch.setattr(batching, "MOST_TOKENS", 4 * most)
        long = replace(long, request=replace(long.request, max_tokens=5 * most))
        order([*short, long])
        assert sorted(batch.calls.count() for batch in Batch.objects.all()) == [1, 1, 4, 4]


def die_once_handed_in(acme: UUID, batch_id: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    class DiedError(BaseException):
        """The process ends here."""

    def die(*values: Any) -> None:
        raise DiedError

    due(acme)
    with monkeypatch.context() as patch:
        patch.setattr(batching, "_note_sent", die)
        with pytest.raises(DiedError):
            look_after(acme, batch_id)


def test_a_worker_that_dies_after_handing_it_in_pays_once(
    acme: UUID, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name was not written down: the provider is asked for our batch."""
    batch_id = ordered(acme)
    die_once_handed_in(acme, batch_id, monkeypatch)
    assert finish(acme, batch_id).state == "done"
    ledger = llm_server.ledger()
    assert (ledger["answered"], ledger["double_paid"]) == (3, 0)


def test_it_is_found_among_many(
    acme: UUID, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MOST_CALLS", 1)
    llm_server.configure(batches_a_page=2)
    with enter(acme):
        order(asks(5, connected()))
        ids = list(Batch.objects.order_by("id").values_list("id", flat=True))
    die_once_handed_in(acme, ids[0], monkeypatch)
    for id in reversed(ids):
        finish(acme, id)
    assert len(llm_server.batches()) == 5
    assert llm_server.ledger()["double_paid"] == 0


def test_a_worker_that_dies_while_settling_books_once(
    acme: UUID, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_PAGE", 2)
    batch_id = ordered(acme, 5)
    for _ in range(2):
        step(acme, batch_id)
    pages = iter([batching._settle])

    def settle(*values: Any) -> None:
        page = next(pages, None)
        if page is None:
            raise KeyboardInterrupt
        page(*values)

    due(acme)
    with monkeypatch.context() as patch:
        patch.setattr(batching, "_settle", settle)
        with pytest.raises(KeyboardInterrupt):
            look_after(acme, batch_id)
    with enter(acme):
        assert (LedgerEntry.objects.count(), BatchCall.objects.count()) == (2, 3)
    assert finish(acme, batch_id).state == "done"
    with enter(acme):
        assert (LedgerEntry.objects.count(), LLMResponse.objects.count()) == (5, 5)
    assert llm_server.ledger()["double_paid"] == 0


def test_two_workers_do_not_look_after_one_batch(acme: UUID, llm_server: LlmServer) -> None:
    batch_id = ordered(acme)
    due(acme)
    assert look_after(acme, batch_id) is True
    assert look_after(acme, batch_id) is False


def test_a_look_ends_before_somebody_else_may_begin_one(
    acme: UUID, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else both would hand the batch in, each seeing nothing of the other's."""
    assert batching.LONGEST_LOOK < batching.IN_HAND
    batch_id = ordered(acme)
    llm_server.configure(batch_latency_ms=300)  # the file, the batch: each in time
    with monkeypatch.context() as patch:
        patch.setattr(batching, "LONGEST_LOOK", timedelta(seconds=0.5))
        batch = step(acme, batch_id)
    assert (batch.state, batch.failures, "too long" in str(batch.error)) == ("waiting", 1, True)
    llm_server.configure(batch_latency_ms=0)
    assert finish(acme, batch_id).state == "done"
    assert (len(llm_server.batches()), llm_server.ledger()["double_paid"]) == (1, 0)


def test_the_name_that_was_written_down_first_stays(
    acme: UUID, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that stood still for so long that another took the batch over."""
    batch_id = ordered(acme)
    with monkeypatch.context() as patch:
        patch.setattr(batching, "IN_HAND", timedelta(0))
        with enter(acme):
            slow = batching._take(batch_id)
    assert slow is not None
    remote_id = step(acme, batch_id).remote_id
    with enter(acme):
        batching._note_sent(slow, "another")
        assert Batch.objects.get().remote_id == remote_id
    assert finish(acme, batch_id).state == "done"


def test_a_provider_without_batches_frees_the_calls(acme: UUID, llm_server: LlmServer) -> None:
    llm_server.configure(offers_batches=False)
    batch = finish(acme, ordered(acme))
    assert (batch.state, "404" in str(batch.error)) == ("failed", True)
    with enter(acme):
        prepared = calls.prepare(asks(3, connected()))
        assert not any(one.is_busy or one.hit for one in prepared)


def test_a_bad_moment_passes(acme: UUID, llm_server: LlmServer, settings: Any) -> None:
    batch_id = ordered(acme)
    with enter(acme):
        Provider.objects.update(base_url="http://127.0.0.1:9/v1")
    settings.OUTBOUND_ALLOW = [("127.0.0.1", 9), llm_server.place]
    batch = step(acme, batch_id)
    assert (batch.state, batch.failures, bool(batch.error)) == ("waiting", 1, True)
    assert batch.next_look_at is not None
    with enter(acme):
        Provider.objects.update(base_url=llm_server.url)
    assert finish(acme, batch_id).state == "done"


def test_lines_that_fail_are_booked_as_failed(acme: UUID, llm_server: LlmServer) -> None:
    llm_server.script("text 1", status=400, error={"message": "no"})
    assert finish(acme, ordered(acme)).state == "done"
    with enter(acme):
        kinds = sorted(LedgerEntry.objects.values_list("kind", "error"))
    assert kinds == [("call", None), ("call", None), ("failed", "no")]


def test_a_line_that_is_missing_is_booked_as_failed(
    acme: UUID, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = batch_wire._download

    async def without_one(*values: Any) -> Any:
        found = await real(*values)
        found.popitem()
        return found

    monkeypatch.setattr(batch_wire, "_download", without_one)
    assert finish(acme, ordered(acme)).state == "done"
    with enter(acme):
        assert LedgerEntry.objects.filter(kind="failed", error__contains="without").count() == 1


def test_the_budget_is_reserved_as_long_as_it_takes(acme: UUID, llm_server: LlmServer) -> None:
    with enter(acme):
        set_budget(scope=BudgetScope.JOB, subject_id=JOB, usd=Decimal(3000))
        order(asks(3, connected()))
        assert Budget.objects.get().reserved_usd > 0
    with enter(acme):
        batch_id = Batch.objects.get().id
        calls.book_old()
        assert LLMAttempt.objects.count() == 3
    with pytest.raises(BudgetReachedError), enter(acme):
        order(asks(40, connected()))
    finish(acme, batch_id)
    with enter(acme):
        budget = Budget.objects.get()
        assert budget.reserved_usd == 0
        assert budget.spent_usd == sum(LedgerEntry.objects.values_list("usd", flat=True))


def test_the_sweep_finds_what_is_due(acme: UUID, llm_server: LlmServer) -> None:
    batch_id = ordered(acme)
    for _ in range(3):
        due(acme)
        look_after_batches()
    with enter(acme):
        assert Batch.objects.get(id=batch_id).state == "done"


def test_a_key_that_was_taken_away_ends_the_batch(acme: UUID, settings: Any) -> None:
    batch_id = ordered(acme)
    with enter(acme):
        Provider.objects.update(enabled=False)
    batch = step(acme, batch_id)
    assert (batch.state, "disabled" in str(batch.error)) == ("failed", True)
    with enter(acme):
        assert not LLMAttempt.objects.exists()


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"state": "lost"}, "llm_batch_state_known"),
        ({"state": "sent"}, "llm_batch_sent_has_name"),
        ({"next_look_at": None}, "llm_batch_open_is_looked_after"),
        ({"state": "done"}, "llm_batch_open_is_looked_after"),
        (
            {"state": "done", "next_look_at": None, "sealed_key": b"x"},
            "llm_batch_closed_has_no_key",
        ),
        ({"unclaimed_usd": -1}, "llm_batch_not_negative"),
    ],
)
def test_the_database_refuses(acme: UUID, changes: dict[str, Any], constraint: str) -> None:
    batch_id = ordered(acme)
    with (
        enter(acme),
        pytest.raises(IntegrityError, match=constraint),
        transaction.atomic(),
    ):
        Batch.objects.filter(id=batch_id).update(**changes)


def test_a_provider_that_forgets_names_is_refused(
    acme: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nameless(*values: Any, **more: Any) -> dict[str, Any]:
        return {"data": []}

    batch_id = ordered(acme)
    monkeypatch.setattr(client, "fetch", nameless)
    assert "no name" in str(step(acme, batch_id).error)


def test_an_unreadable_answer_is_a_failure() -> None:
    ask: Any = None
    for row in ({}, {"response": None}, {"response": {"body": "x"}}):
        reply, error = batch_wire.read(ask, row)
        assert (reply, type(error)) == (None, TransientError)
