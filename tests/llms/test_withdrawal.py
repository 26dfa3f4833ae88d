"""Batches that nobody wants any more: cancelled at the provider, whatever became of it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Sum
from django.utils import timezone

from apps.core.tenancy import enter
from apps.llms import batching, calls
from apps.llms.batching import claim_cost, left_unanswered, look_after
from apps.llms.budgets import set_budget
from apps.llms.models import (
    Batch,
    BatchCall,
    Budget,
    BudgetScope,
    LedgerEntry,
    LLMAttempt,
    LLMResponse,
    Provider,
    ProviderModel,
)
from apps.llms.services import delete_provider, update_provider
from apps.llms.withdrawal import WINDOW, withdraw
from tests.llm_server.controls import LlmServer
from tests.llms.handed_in import JOB, asks, connected, due, finish, make_acme, ordered, step

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


@pytest.fixture
def acme(llm_server: LlmServer) -> UUID:
    """An organization with a provider, and a budget for the job; not entered, as in a worker."""
    llm_server.configure(batch_polls=100)
    made = make_acme(llm_server)
    with enter(made):
        set_budget(scope=BudgetScope.JOB, subject_id=JOB, usd=Decimal(5000))
    return made


def sent(acme: UUID, count: int = 5) -> UUID:
    """The id of a batch that the provider is busy with."""
    batch_id = ordered(acme, count)
    assert step(acme, batch_id).state == "sent"
    return batch_id


def take_back(acme: UUID) -> int:
    with enter(acme):
        return withdraw(job_id=JOB)


def booked(acme: UUID) -> dict[str, int]:
    """How many entries of each kind; what was reserved must have been given back."""
    with enter(acme):
        budget = Budget.objects.get()
        spent = LedgerEntry.objects.aggregate(usd=Sum("usd"))["usd"] or 0
        assert (budget.reserved_usd, budget.reserved_tokens) == (0, 0)
        assert budget.spent_usd == spent
        assert not LLMAttempt.objects.exists()
        assert not BatchCall.objects.exists()
        kinds = list(LedgerEntry.objects.values_list("kind", flat=True))
    return {kind: kinds.count(kind) for kind in kinds}


def states_there(llm_server: LlmServer) -> list[Any]:
    return [batch["status"] for batch in llm_server.batches()]


def test_what_was_answered_before_is_booked_and_the_rest_given_back(
    acme: UUID, llm_server: LlmServer
) -> None:
    llm_server.configure(answered_before_cancel=2)
    batch_id = sent(acme)
    assert (take_back(acme), take_back(acme)) == (1, 0)
    assert step(acme, batch_id).state == "sent", "the provider is still stopping"
    assert states_there(llm_server) == ["cancelling"]
    assert finish(acme, batch_id).state == "cancelled"
    assert booked(acme) == {"call": 2}
    assert llm_server.ledger()["answered"] == 2
    with enter(acme):
        assert LLMResponse.objects.count() == 2
        assert not left_unanswered(JOB)
        paid = LedgerEntry.objects.aggregate(usd=Sum("usd"))["usd"]
        assert paid > 0
        assert (claim_cost(job_id=JOB), claim_cost(job_id=JOB)) == (paid, 0)
        again = calls.prepare(asks(5, connected()))
        assert sum(one.hit is not None for one in again) == 2
        assert not any(one.is_busy for one in again)


def test_a_batch_that_was_not_handed_in_never_is(acme: UUID, llm_server: LlmServer) -> None:
    batch_id = ordered(acme)
    take_back(acme)
    assert step(acme, batch_id).state == "cancelled"
    assert booked(acme) == {}
    assert states_there(llm_server) == []


def test_a_batch_whose_worker_died_is_found_and_cancelled(
    acme: UUID, llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DiedError(BaseException):
        """The process ends here."""

    def die(*values: Any) -> None:
        raise DiedError

    batch_id = ordered(acme)
    due(acme)
    with monkeypatch.context() as patch:
        patch.setattr(batching, "_note_sent", die)
        with pytest.raises(DiedError):
            look_after(acme, batch_id)
    take_back(acme)
    assert finish(acme, batch_id).state == "cancelled"
    assert states_there(llm_server) == ["cancelled"]
    assert booked(acme) == {}


def test_a_batch_that_never_got_there_is_closed(acme: UUID, llm_server: LlmServer) -> None:
    batch_id = ordered(acme)
    llm_server.configure(batches_are_down=True)
    assert step(acme, batch_id).tries == 1
    take_back(acme)
    assert step(acme, batch_id).state == "waiting", "perhaps it did"
    llm_server.configure(batches_are_down=False)
    assert step(acme, batch_id).state == "cancelled"
    assert (booked(acme), states_there(llm_server)) == ({}, [])


def test_a_provider_that_is_down_is_told_later(acme: UUID, llm_server: LlmServer) -> None:
    batch_id = sent(acme)
    take_back(acme)
    llm_server.configure(batches_are_down=True, answered_before_cancel=1)
    for failures in range(1, 4):
        batch = step(acme, batch_id)
        assert (batch.state, batch.failures, "503" in str(batch.error)) == ("sent", failures, True)
        assert batch.next_look_at is not None
    with enter(acme):
        Batch.objects.update(failures=batching.MOST_FAILURES + 10)
        assert Budget.objects.get().reserved_usd > 0
    assert step(acme, batch_id).state == "sent"
    llm_server.configure(batches_are_down=False)
    assert finish(acme, batch_id).state == "cancelled"
    assert booked(acme) == {"call": 1}
    assert states_there(llm_server) == ["cancelled"]


def test_a_provider_that_stays_down_is_booked_at_the_most(
    acme: UUID, llm_server: LlmServer
) -> None:
    batch_id = sent(acme)
    take_back(acme)
    with enter(acme):
        worst = LLMAttempt.objects.aggregate(usd=Sum("usd"))["usd"]
        Batch.objects.update(inserted_at=timezone.now() - WINDOW - timedelta(minutes=1))
    llm_server.configure(batches_are_down=True)
    assert step(acme, batch_id).state == "failed"
    assert booked(acme) == {"unknown_outcome": 5}
    with enter(acme):
        assert Budget.objects.get().spent_usd == worst
        assert claim_cost(job_id=JOB) == worst


def test_a_batch_that_cannot_be_stopped_is_waited_for(acme: UUID, llm_server: LlmServer) -> None:
    batch_id = sent(acme)
    take_back(acme)
    llm_server.configure(stops_batches=False)
    assert step(acme, batch_id).state == "sent"
    llm_server.configure(batch_polls=0)
    assert finish(acme, batch_id).state == "cancelled"
    assert booked(acme) == {"call": 5}


def test_a_deleted_provider_is_told_too(acme: UUID, llm_server: LlmServer) -> None:
    llm_server.configure(keys=["sk-x"], answered_before_cancel=2)
    batch_id = sent(acme)
    with enter(acme):
        delete_provider(provider=Provider.objects.get())
        batch = Batch.objects.get()
        assert (batch.provider, batch.base_url) == (None, llm_server.url)
        assert b"sk-x" not in bytes(batch.sealed_key)
    batch = finish(acme, batch_id)
    assert (batch.state, batch.sealed_key) == ("cancelled", None)
    assert states_there(llm_server) == ["cancelled"]
    assert booked(acme) == {"call": 2}
    with enter(acme):
        tokens = LedgerEntry.objects.aggregate(all=Sum("prompt_tokens") + Sum("completion_tokens"))
        assert Budget.objects.get().spent_usd == Decimal(tokens["all"]) / 2


def test_a_deleted_provider_without_batches_leaves_nothing(acme: UUID) -> None:
    batch_id = ordered(acme)
    with enter(acme):
        delete_provider(provider=Provider.objects.get())
    assert step(acme, batch_id).state == "cancelled"
    assert booked(acme) == {}


def test_a_key_that_was_wrong_may_be_right_tomorrow(acme: UUID, llm_server: LlmServer) -> None:
    batch_id = sent(acme)
    llm_server.configure(keys=["sk-new"])
    batch = step(acme, batch_id)
    assert (batch.state, "401" in str(batch.error)) == ("sent", True)
    with enter(acme):
        update_provider(provider=Provider.objects.get(), changes={"api_key": "sk-new"})
    llm_server.configure(batch_polls=0)
    assert finish(acme, batch_id).state == "done"
    assert booked(acme) == {"call": 5}


def test_a_provider_that_moved_is_told_where_it_was(
    acme: UUID, llm_server: LlmServer, settings: Any
) -> None:
    llm_server.configure(keys=["sk-x"])
    batch_id = sent(acme)
    settings.OUTBOUND_ALLOW = [("127.0.0.1", 9), llm_server.place]
    with enter(acme):
        provider = Provider.objects.get()
        update_provider(provider=provider, changes={"base_url": "http://127.0.0.1:9/v1"})
        update_provider(provider=provider, changes={"base_url": "http://127.0.0.1:9/v2"})
        assert Batch.objects.get().base_url == llm_server.url
    assert finish(acme, batch_id).state == "cancelled"
    assert states_there(llm_server) == ["cancelled"]
    assert booked(acme) == {}


@pytest.mark.parametrize("change", ["disabled", "no model"])
def test_what_is_paid_is_fetched_from_a_provider_out_of_use(
    acme: UUID, llm_server: LlmServer, change: str
) -> None:
    batch_id = sent(acme)
    with enter(acme):
        if change == "disabled":
            Provider.objects.update(enabled=False)
        else:
            ProviderModel.objects.all().delete()
    llm_server.configure(batch_polls=0)
    assert finish(acme, batch_id).state == "done"
    assert booked(acme) == {"call": 5}


def test_a_batch_keeps_its_calls_when_their_items_are_taken_again(
    acme: UUID, llm_server: LlmServer
) -> None:
    """As after a worker's death: they are on their way, not lost."""
    batch_id = sent(acme)
    with enter(acme):
        later = [
            calls.Ask(a.connection, a.request, JOB, seq=a.seq, attempt=2)
            for a in asks(5, connected())
        ]
        assert all(one.is_busy for one in calls.prepare(later))
        assert LLMAttempt.objects.count() == 5
    llm_server.configure(batch_polls=0)
    assert finish(acme, batch_id).state == "done"
    assert booked(acme) == {"call": 5}
    assert llm_server.ledger()["double_paid"] == 0
