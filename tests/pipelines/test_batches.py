"""Runs whose calls are handed in as files: asked once, and written when the answers are there."""

from decimal import Decimal
from uuid import UUID

import pytest
from django.utils import timezone

from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.services import delete_dataset
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.jobs.services import cancel_job, pause_job, resume_job
from apps.llms.models import Batch, Budget, LedgerEntry, LLMAttempt, Provider
from apps.llms.services import ModelInput, PriceInput, create_provider, delete_provider
from apps.llms.tasks import look_after_batches
from apps.pipelines.models import SuggestionVersion
from apps.pipelines.orders import RunOrder, estimate_order, start_run
from apps.pipelines.tasks import charge_batches, wake_batches, withdraw_batches
from apps.records.models import Suggestion
from tests.factories import QUESTIONS, make_dataset, make_organization, make_records
from tests.llm_server.controls import LlmServer

RECORDS = 5

RULES = {"recipe": "rules", "question": None, "params": {"fields": ["text"]}}

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


@pytest.fixture
def acme(llm_server: LlmServer) -> UUID:
    """An organization with a provider and five records; not entered, as in a worker."""
    organization = make_organization()
    with enter(organization.id):
        dataset = make_dataset(questions=QUESTIONS, required=[])
        make_records(dataset, RECORDS)
        models = [ModelInput(name, prices=[PriceInput(1, 2)]) for name in ("tiny", "small")]
        create_provider(name="stub", base_url=llm_server.url, api_key="sk-x", models=models)
    return organization.id


def begin(acme: UUID, **values: object) -> Job:
    with enter(acme):
        return start_run(dataset=Dataset.objects.get(), order=ordered(**values))


def ordered(**values: object) -> RunOrder:
    provider_id = Provider.objects.get().id
    usual = {"recipe": "suggest", "question": "sentiment", "in_batches": True}
    return RunOrder.model_validate({**usual, "provider_id": provider_id, **values})


def work(acme: UUID, job: Job) -> Job:
    while run_slice(organization_id=acme, job_id=job.id):
        pass
    with enter(acme):
        job.refresh_from_db()
    return job


def look(acme: UUID, times: int = 1) -> None:
    """What the beat does about batches, so many times."""
    for _ in range(times):
        withdraw_batches()
        with enter(acme):
            Batch.objects.filter(next_look_at__isnull=False).update(next_look_at=timezone.now())
        look_after_batches()
        charge_batches()


def answer_batches(acme: UUID) -> None:
    for _ in range(6):
        with enter(acme):
            Batch.objects.filter(next_look_at__isnull=False).update(next_look_at=timezone.now())
        look_after_batches()


def test_a_run_in_batches(acme: UUID, llm_server: LlmServer) -> None:
    job = work(acme, begin(acme))
    with enter(acme):
        assert (job.state, job.done) == ("running", 0)
        assert not Suggestion.objects.exists()
        assert Batch.objects.get().calls.count() == RECORDS
    wake_batches()
    assert work(acme, job).done == 0, "nothing is asked again before the batch is done"
    answer_batches(acme)
    assert work(acme, job).done == 0, "the items wait"
    wake_batches()
    assert (work(acme, job).state, job.done, job.failed) == ("done", RECORDS, 0)
    ledger = llm_server.ledger()
    assert (ledger["answered"], ledger["double_paid"]) == (RECORDS, 0)
    charge_batches()
    charge_batches()
    with enter(acme):
        job.refresh_from_db()
        paid_usd = sum(LedgerEntry.objects.values_list("usd", flat=True))
        assert job.cost == paid_usd > 0, "what the batches cost is the job's, once"
        noted = [one.details["usd"] for one in SuggestionVersion.objects.all()]
        assert sum(map(Decimal, noted)) == paid_usd
        assert Suggestion.objects.count() == RECORDS
        paid = [entry for entry in LedgerEntry.objects.all() if entry.kind == "call"]
        assert (len(paid), {entry.job_id for entry in paid}) == (RECORDS, {job.id})
        assert len(paid) == LedgerEntry.objects.count(), "fetching an answer saved nothing"
    again = work(acme, begin(acme))
    with enter(acme):
        known = LedgerEntry.objects.of_job(again.id).totals()
        assert (known["hit"], known["call"], known["saved_usd"]) == (RECORDS, 0, paid_usd)


def test_what_no_batch_answers_is_asked_directly(acme: UUID, llm_server: LlmServer) -> None:
    llm_server.configure(offers_batches=False)
    job = work(acme, begin(acme))
    assert job.done == 0
    answer_batches(acme)
    wake_batches()
    job = work(acme, job)
    assert (job.state, job.done, job.failed) == ("done", RECORDS, 0)
    ledger = llm_server.ledger()
    assert (ledger["answered"], ledger["double_paid"]) == (RECORDS, 0)


def test_a_cancelled_run_costs_what_was_answered(acme: UUID, llm_server: LlmServer) -> None:
    llm_server.configure(batch_polls=100, answered_before_cancel=2)
    job = work(acme, begin(acme, budget={"max_usd": 5}))
    look(acme)
    with enter(acme):
        assert Budget.objects.get().reserved_usd > 0
        assert cancel_job(job=job).state == "cancelled"
    llm_server.configure(batches_are_down=True)
    look(acme, 2)
    with enter(acme):
        assert Batch.objects.get().state == "sent"
    llm_server.configure(batches_are_down=False)
    look(acme, 3)
    with enter(acme):
        assert Batch.objects.get().state == "cancelled"
        budget, entries = Budget.objects.get(), list(LedgerEntry.objects.all())
        assert [entry.kind for entry in entries] == ["call", "call"]
        spent = sum(entry.usd for entry in entries)
        job.refresh_from_db()
        assert (budget.reserved_usd, budget.spent_usd, job.cost) == (0, spent, spent)
    assert [batch["status"] for batch in llm_server.batches()] == ["cancelled"]


def test_a_run_that_goes_on_after_all_pays_the_price_of_batches(
    acme: UUID, llm_server: LlmServer
) -> None:
    llm_server.configure(batch_polls=100, answered_before_cancel=2)
    job = work(acme, begin(acme))
    look(acme)
    with enter(acme):
        cancel_job(job=job)
    withdraw_batches()
    with enter(acme):
        resume_job(job=job)
    assert work(acme, job).done == 0, "what is being cancelled is still on its way"
    look(acme, 3)
    wake_batches()
    assert work(acme, job).done == 2
    llm_server.configure(batch_polls=0)
    look(acme, 3)
    wake_batches()
    assert (work(acme, job).state, job.done, job.failed) == ("done", RECORDS, 0)
    ledger = llm_server.ledger()
    assert (ledger["answered"], ledger["double_paid"]) == (RECORDS, 0)
    charge_batches()
    with enter(acme):
        for entry in LedgerEntry.objects.filter(kind="call"):
            listed = Decimal(entry.prompt_tokens + 2 * entry.completion_tokens) / 1_000_000
            assert entry.usd == listed / 2
        job.refresh_from_db()
        assert job.cost == sum(LedgerEntry.objects.values_list("usd", flat=True))
        states = sorted(Batch.objects.values_list("state", flat=True))
        assert states == ["cancelled", "done"]


@pytest.mark.parametrize("gone", ["dataset", "provider"])
def test_what_is_deleted_leaves_no_batch_open(acme: UUID, llm_server: LlmServer, gone: str) -> None:
    llm_server.configure(batch_polls=100, keys=["sk-x"])
    job = work(acme, begin(acme))
    look(acme)
    with enter(acme):
        if gone == "dataset":
            delete_dataset(dataset=Dataset.objects.get())
        else:
            delete_provider(provider=Provider.objects.get())
    look(acme, 3)
    with enter(acme):
        assert Batch.objects.get().state == "cancelled"
        assert not LLMAttempt.objects.exists()
    assert [batch["status"] for batch in llm_server.batches()] == ["cancelled"]
    wake_batches()
    if gone == "provider":
        assert work(acme, job).state == "cancelled"


def test_a_run_that_is_wanted_keeps_its_batches(acme: UUID, llm_server: LlmServer) -> None:
    job = work(acme, begin(acme))
    with enter(acme):
        pause_job(job=job)
    withdraw_batches()
    with enter(acme):
        assert Batch.objects.get().withdrawn_at is None


def test_the_estimate_is_at_the_price_of_batches(acme: UUID) -> None:
    with enter(acme):
        at_once, in_batches = (
            estimate_order(dataset=Dataset.objects.get(), order=ordered(in_batches=n), member=None)
            for n in (False, True)
        )
    assert 0 < in_batches.usd == at_once.usd / 2
    assert (in_batches.usd_min, in_batches.usd_max) == (at_once.usd_min / 2, at_once.usd_max / 2)
    assert in_batches.tokens == at_once.tokens
    assert begin(acme).params["estimate"]["usd"] == float(in_batches.usd)


@pytest.mark.parametrize("values", [{"dry_run": 2}, RULES])
def test_not_every_run_goes_in_batches(acme: UUID, values: dict[str, object]) -> None:
    with pytest.raises(InvalidError, match="Batches are for runs that ask a model"):
        begin(acme, **values)
