"""Calls from the wish to the books: cache, attempts, ledger, budgets."""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core.errors import InvalidError
from apps.core.ids import uuid7
from apps.core.tenancy import current, enter
from apps.jobs.errors import RetryLaterError
from apps.llms import budgets, calls, ledger, limits
from apps.llms.budgets import BudgetReachedError, set_budget
from apps.llms.calls import Ask, InFlightError, Outcome, Prepared
from apps.llms.connections import Price, ProviderConnection
from apps.llms.errors import NoTurnError, QuotaError, TransientError
from apps.llms.keys import canonical_json, request_key
from apps.llms.models import (
    Budget,
    BudgetScope,
    EntryKind,
    LedgerEntry,
    LLMAttempt,
    LLMResponse,
    Quirk,
)
from apps.llms.wire import Request
from apps.organizations.models import Membership, Organization
from apps.pipelines.steering import steer
from tests.factories import make_member, make_organization, make_workspace
from tests.llm_server.controls import LlmServer
from tests.llms.asking import request_of

pytestmark = pytest.mark.usefixtures("organization")

PRICE = Price(input=Decimal(10), output=Decimal(20))


@pytest.fixture
def priced(connection: ProviderConnection) -> ProviderConnection:
    return replace(connection, price=PRICE)


def ask(connection: ProviderConnection, text: str = "Hello", **values: Any) -> Ask:
    return Ask(connection, request_of(text), **values)


def send(prepared: Sequence[Prepared]) -> list[Outcome]:
    async def all_of_them() -> list[Outcome]:
        outcomes = await asyncio.gather(*map(calls.send, prepared))
        await calls.close()
        return list(outcomes)

    return asyncio.run(all_of_them())


def call(*asks: Ask) -> list[Decimal]:
    return calls.settle(send(calls.prepare(asks)))


def entries() -> list[LedgerEntry]:
    return list(LedgerEntry.objects.order_by("id"))


# --- The key ---------------------------------------------------------------------------------


def test_equal_requests_have_one_key_whatever_their_form(priced: ProviderConnection) -> None:
    request = Request("tiny", ({"role": "user", "content": "x"},), temperature=0.0)
    same = [
        Request("tiny", ({"content": "x", "role": "user"},), temperature=0),
        replace(request, temperature=-0.0),
    ]
    elsewhere = replace(priced, base_url=f"{priced.base_url}/other", api_key="another")
    keys = {request_key(priced, each) for each in [request, *same]}
    assert keys == {request_key(elsewhere, request)}
    assert b'"temperature":0,' in canonical_json(priced, request)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "small"},
        {"messages": ({"role": "user", "content": "y"},)},
        {"schema": {"type": "object"}},
        {"temperature": 0.7},
        {"top_p": 0.9},
        {"max_tokens": 17},
        {"seed": 1},
        {"sample_index": 1},
        {"salt": "again"},
    ],
)
def test_another_request_has_another_key(priced: ProviderConnection, change: Any) -> None:
    request = request_of("x")
    assert request_key(priced, request) != request_key(priced, replace(request, **change))


def test_another_host_has_another_key(priced: ProviderConnection) -> None:
    elsewhere = replace(priced, base_url="https://8.8.8.8/v1")
    assert request_key(priced, request_of("x")) != request_key(elsewhere, request_of("x"))


# --- The cache and the ledger ----------------------------------------------------------------


def test_a_call_is_paid_once_and_then_free(
    priced: ProviderConnection, llm_server: LlmServer
) -> None:
    job = uuid7()
    (paid,) = call(ask(priced, job_id=job, seq=3))
    (free,) = call(ask(priced, job_id=job, seq=4))
    first, second = entries()
    assert paid == first.usd == PRICE.usd(first.prompt_tokens, first.completion_tokens)
    assert paid > 0
    assert (free, second.usd, second.saved_usd) == (0, 0, paid)
    assert (first.kind, first.seq, second.kind, second.seq) == ("call", 3, "hit", 4)
    assert llm_server.ledger()["calls"] == 1
    kept = LLMResponse.objects.get()
    assert bytes(kept.key) == request_key(priced, request_of("Hello"))
    assert (kept.usd, kept.model) == (paid, "tiny")
    (prepared,) = calls.prepare([ask(priced)])
    assert prepared.hit is not None
    assert prepared.hit.text == kept.text


@pytest.mark.parametrize("is_new", [False, True])
def test_a_budget_allows_no_answer_longer_than_it_reserves(
    priced: ProviderConnection, llm_server: LlmServer, is_new: bool
) -> None:
    connection = replace(priced, quirks={Quirk.MAX_COMPLETION_TOKENS} if is_new else set())
    llm_server.script(".", answer="x" * 100_000)
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), tokens=20_000)
    unlimited = Ask(connection, request_of("Hello", None))
    call(unlimited)
    (sent,) = llm_server.calls()
    parameter = "max_completion_tokens" if is_new else "max_tokens"
    assert sent["body"][parameter] == calls.USUAL_ANSWER
    (entry,) = entries()
    assert entry.completion_tokens == calls.USUAL_ANSWER
    assert Budget.objects.get().spent_tokens < 20_000
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current())
    (prepared,) = calls.prepare([unlimited])
    assert prepared.hit is not None, "the same question, with a budget or without"
    call(Ask(connection, request_of("Bye", None)))
    assert parameter not in llm_server.calls()[1]["body"]


def test_what_a_job_spent_is_one_query(
    priced: ProviderConnection, django_assert_num_queries: Any
) -> None:
    job = uuid7()
    (paid,) = call(ask(priced, job_id=job))
    call(ask(priced, job_id=job))
    call(ask(priced, "Another's", job_id=uuid7()))
    with django_assert_num_queries(1):
        totals = LedgerEntry.objects.of_job(job).totals()
    assert (totals["call"], totals["hit"], totals["failed"]) == (1, 1, 0)
    assert (totals["usd"], totals["saved_usd"]) == (paid, paid)
    assert totals["prompt_tokens"] > 0
    assert LedgerEntry.objects.of_job(uuid7()).totals()["usd"] == 0


def test_an_attempt_stands_in_the_database_before_the_call(priced: ProviderConnection) -> None:
    (prepared,) = calls.prepare([ask(priced, job_id=uuid7(), seq=1)])
    attempt = LLMAttempt.objects.get()
    assert attempt.id == prepared.attempt.id
    assert attempt.usd == calls.most(priced, request_of("Hello")).usd > 0
    calls.settle(send([prepared]))
    assert not LLMAttempt.objects.exists()
    assert [entry.id for entry in entries()] == [prepared.attempt.id]


def test_settling_twice_books_once(priced: ProviderConnection) -> None:
    outcomes = send(calls.prepare([ask(priced)]))
    assert calls.settle(outcomes)[0] > 0
    assert calls.settle(outcomes) == [0]
    assert len(entries()) == 1


def test_what_is_asked_at_the_moment_is_not_asked_again(
    priced: ProviderConnection, llm_server: LlmServer
) -> None:
    first, second = calls.prepare([ask(priced), ask(priced)])
    assert (first.is_busy, second.is_busy) == (False, True)
    outcomes = send([first, second])
    assert isinstance(outcomes[1].error, InFlightError)
    assert outcomes[1].error.seconds == calls.BUSY_SECONDS
    calls.settle(outcomes)
    assert call(ask(priced)) == [0]
    assert llm_server.ledger()["calls"] == 1


def test_a_failed_call_is_booked_and_costs_nothing(
    priced: ProviderConnection, llm_server: LlmServer
) -> None:
    llm_server.configure(failure_rate=1, failures=["server_error"])
    (outcome,) = send(calls.prepare([ask(priced)]))
    assert isinstance(outcome.error, TransientError)
    assert calls.settle([outcome]) == [0]
    (entry,) = entries()
    assert (entry.kind, entry.usd) == ("failed", 0)
    assert entry.error
    assert not LLMAttempt.objects.exists()


def test_a_quota_error_is_an_outcome(priced: ProviderConnection, llm_server: LlmServer) -> None:
    llm_server.configure(quota_calls=0)
    (outcome,) = send(calls.prepare([ask(priced)]))
    assert isinstance(outcome.error, QuotaError)


def test_a_call_that_is_given_up_leaves_nothing(priced: ProviderConnection) -> None:
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), usd=Decimal(1))
    calls.release(calls.prepare([ask(priced)]))
    assert not LLMAttempt.objects.exists()
    assert entries() == []
    assert Budget.objects.get().reserved_usd == 0


def test_a_call_waits_for_its_turn_only_while_its_attempt_is_fresh(
    priced: ProviderConnection, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be booked as abandoned, and asked for again, while it waits."""
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), usd=Decimal(1))
    monkeypatch.setattr(limits, "LONGEST_WAIT", 0.2)
    llm_server.configure(latency_ms=500)
    narrow = replace(priced, concurrency=1)
    outcomes = send(calls.prepare([ask(narrow, f"Text {number}") for number in range(3)]))
    assert [type(one.error) for one in outcomes] == [type(None), NoTurnError, NoTurnError]
    assert isinstance(steer(NoTurnError("", limits.COME_BACK)), RetryLaterError), "no blame"
    costs = calls.settle(outcomes)
    assert costs[0] > 0
    assert costs[1:] == [0, 0]
    assert [entry.kind for entry in entries()] == ["call"]
    assert not LLMAttempt.objects.exists()
    assert (Budget.objects.get().reserved_usd, llm_server.ledger()["calls"]) == (0, 1)


def test_what_was_read_long_before_its_turn_is_read_anew(
    priced: ProviderConnection, llm_server: LlmServer
) -> None:
    (prepared,) = calls.prepare([ask(priced)])
    (late,) = send([replace(prepared, since=prepared.since - limits.LONGEST_WAIT)])
    assert isinstance(late.error, NoTurnError)
    assert late.error.seconds == limits.COME_BACK
    calls.settle([late])
    (paid,) = call(ask(priced))
    assert paid > 0
    assert llm_server.ledger()["calls"] == 1
    longest = timedelta(seconds=limits.LONGEST_WAIT + 2 * 600)  # its turn, another's call, its own
    assert longest <= calls.ABANDONED_AFTER


def test_a_call_whose_worker_died_is_booked_at_its_most(priced: ProviderConnection) -> None:
    job = uuid7()
    set_budget(scope=BudgetScope.JOB, subject_id=job, usd=Decimal(1))
    calls.prepare([ask(priced, job_id=job, seq=1, attempt=1)])
    call(ask(priced, job_id=job, seq=1, attempt=2))
    lost, paid = entries()
    most = calls.most(priced, request_of("Hello"))
    assert (lost.kind, lost.usd, paid.kind) == ("unknown_outcome", most.usd, "call")
    budget = Budget.objects.get()
    assert (budget.spent_usd, budget.reserved_usd) == (most.usd + paid.usd, 0)


@pytest.mark.parametrize("many", [2, 20])
def test_statements_do_not_grow_with_the_number_of_calls(
    priced: ProviderConnection, many: int
) -> None:
    asks = [ask(priced, f"Text {number}") for number in range(many)]
    with CaptureQueriesContext(connection) as preparing:
        prepared = calls.prepare(asks)
    outcomes = send(prepared)
    with CaptureQueriesContext(connection) as settling:
        calls.settle(outcomes)
    assert (len(preparing), len(settling)) == (3, 3)
    with CaptureQueriesContext(connection) as hits:
        calls.settle(send(calls.prepare(asks)))
    assert len(hits) == 2
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), usd=Decimal(100))
    others = [ask(priced, f"Other {number}") for number in range(many)]
    with CaptureQueriesContext(connection) as preparing:
        prepared = calls.prepare(others)
    outcomes = send(prepared)
    with CaptureQueriesContext(connection) as settling:
        calls.settle(outcomes)
    assert (len(preparing), len(settling)) == (5, 5)


@pytest.mark.parametrize("verb", ["UPDATE llm_ledger SET usd = 0", "DELETE FROM llm_ledger"])
def test_the_ledger_only_grows(priced: ProviderConnection, verb: str) -> None:
    call(ask(priced))
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(verb)
    assert len(entries()) == 1


def test_the_ledger_goes_with_its_organization() -> None:
    """Shown by the contract of tenancy for every table; here with the trigger in the way."""

    def fill_and_delete() -> None:
        other = make_organization("Gone")
        with enter(other.id):
            ledger.enter_ledger([_entry()])
            assert LedgerEntry.objects.count() == 1
            Organization.objects.filter(id=other.id).delete()
            assert LedgerEntry.objects.count() == 0

    Context().run(fill_and_delete)


def _entry(**values: Any) -> ledger.Entry:
    attempt = ledger.Attempt(
        uuid7(), b"k" * 32, budgets.Payer(None, None), None, 1, uuid7(), "tiny", budgets.Amount()
    )
    return ledger.Entry(EntryKind.CALL, attempt, **values)


# --- Budgets ---------------------------------------------------------------------------------


def one_call(priced: ProviderConnection) -> budgets.Amount:
    return calls.most(priced, request_of("Hello"))


@pytest.mark.parametrize("scope", list(BudgetScope))
@pytest.mark.parametrize("unit", ["usd", "tokens"])
def test_a_budget_stops_what_might_exceed_it(
    priced: ProviderConnection, scope: BudgetScope, unit: str
) -> None:
    payer = {"job_id": uuid7(), "workspace_id": make_workspace().id}
    subject: UUID = payer.get(f"{scope.value}_id", current())
    limit = {unit: getattr(one_call(priced), unit)}
    set_budget(scope=scope, subject_id=subject, **limit)
    (prepared,) = calls.prepare([ask(priced, **payer)])
    with pytest.raises(BudgetReachedError, match=rf"{scope.value}'s budget"), transaction.atomic():
        calls.prepare([ask(priced, "Hallo", **payer)])
    budget = Budget.objects.get()
    assert budget.reserved_usd == one_call(priced).usd
    (paid,) = calls.settle(send([prepared]))
    budget.refresh_from_db()
    assert (budget.reserved_usd, budget.reserved_tokens, budget.spent_usd) == (0, 0, paid)
    assert budget.spent_tokens > 0
    assert LLMAttempt.objects.count() == 0


def test_a_hit_needs_no_budget(priced: ProviderConnection) -> None:
    call(ask(priced))
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), usd=Decimal(0))
    assert call(ask(priced)) == [0]
    with pytest.raises(BudgetReachedError), transaction.atomic():
        calls.prepare([ask(priced, "Something else")])


def test_a_month_begins_at_nothing_spent(priced: ProviderConnection) -> None:
    usd = one_call(priced).usd
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), usd=usd)
    Budget.objects.update(spent_usd=usd, spent_tokens=5, month=date(2020, 1, 1))
    (paid,) = call(ask(priced))
    budget = Budget.objects.get()
    assert (budget.month, budget.spent_usd) == (budgets.this_month(), paid)


def test_a_jobs_budget_knows_no_month(priced: ProviderConnection) -> None:
    job, usd = uuid7(), one_call(priced).usd
    set_budget(scope=BudgetScope.JOB, subject_id=job, usd=usd)
    call(ask(priced, job_id=job))
    with pytest.raises(BudgetReachedError), transaction.atomic():
        calls.prepare([ask(priced, "Something else", job_id=job)])
    set_budget(scope=BudgetScope.JOB, subject_id=job, usd=2 * usd)
    call(ask(priced, "Something else", job_id=job))
    assert Budget.objects.get().month is None


def test_a_budget_can_be_lifted_and_is_never_negative() -> None:
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), tokens=5)
    lifted = set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current())
    assert lifted is not None
    assert (lifted.limit_usd, lifted.limit_tokens) == (None, None)
    assert set_budget(scope=BudgetScope.JOB, subject_id=uuid7()) is None
    with pytest.raises(InvalidError, match="below 0"):
        set_budget(scope=BudgetScope.JOB, subject_id=uuid7(), usd=Decimal(-1))


# --- Who sees what, and what the database refuses --------------------------------------------


def test_spending_is_seen_in_ones_workspaces(
    priced: ProviderConnection,
    owner: Membership,
) -> None:
    mine, others = make_workspace("mine"), make_workspace("others")
    for workspace in (mine, others):
        set_budget(scope=BudgetScope.WORKSPACE, subject_id=workspace.id, usd=Decimal(1))
        call(ask(priced, workspace.name, workspace_id=workspace.id))
    call(ask(priced, "nobody's"))
    member = make_member(workspace=mine)
    assert LedgerEntry.objects.visible_to(owner).count() == 3
    assert [e.workspace_id for e in LedgerEntry.objects.visible_to(member)] == [mine.id]
    assert [b.subject_id for b in Budget.objects.visible_to(member)] == [mine.id]
    assert Budget.objects.visible_to(owner).count() == 2


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"scope": "planet"}, "llm_budget_scope_known"),
        ({"spent_usd": -1}, "llm_budget_not_negative"),
        ({"month": None}, "llm_budget_month_but_for_jobs"),
    ],
)
def test_the_database_refuses_an_impossible_budget(changes: Any, constraint: str) -> None:
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), tokens=5)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Budget.objects.update(**changes)


def test_the_database_refuses_a_second_budget_and_a_second_attempt(
    priced: ProviderConnection,
) -> None:
    budget = set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current(), tokens=5)
    assert budget is not None
    budget.id = uuid7()
    with pytest.raises(IntegrityError, match="llm_budget_one_each"), transaction.atomic():
        budget.save(force_insert=True)
    set_budget(scope=BudgetScope.ORGANIZATION, subject_id=current())
    calls.prepare([ask(priced)])
    attempt = LLMAttempt.objects.get()
    attempt.id = uuid7()
    with pytest.raises(IntegrityError, match="llm_attempt_one_at_a_time"), transaction.atomic():
        attempt.save(force_insert=True)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"kind": "gift"}, "llm_ledger_kind_known"),
        ({"kind": "hit", "usd": 1}, "llm_ledger_only_calls_cost"),
    ],
)
def test_the_database_refuses_an_impossible_entry(values: Any, constraint: str) -> None:
    plain = {"id": uuid7(), "inserted_at": timezone.now(), "kind": "call", "key": b"k"}
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        LedgerEntry.objects.create(**{**plain, "provider_id": uuid7(), "model": "x", **values})
