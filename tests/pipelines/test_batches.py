"""Runs whose calls are handed in as files: asked once, and written when the answers are there."""

from uuid import UUID

import pytest
from django.utils import timezone

from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.llms.models import Batch, LedgerEntry, Provider
from apps.llms.services import ModelInput, PriceInput, create_provider
from apps.llms.tasks import look_after_batches
from apps.pipelines.orders import RunOrder, start_run
from apps.pipelines.tasks import wake_batches
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
        order = {"recipe": "suggest", "question": "sentiment", "in_batches": True, **values}
        provider = Provider.objects.get()
        dataset = Dataset.objects.get()
        return start_run(
            dataset=dataset, order=RunOrder.model_validate({**order, "provider_id": provider.id})
        )


def work(acme: UUID, job: Job) -> Job:
    while run_slice(organization_id=acme, job_id=job.id):
        pass
    with enter(acme):
        job.refresh_from_db()
    return job


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
    with enter(acme):
        assert Suggestion.objects.count() == RECORDS
        paid = [entry for entry in LedgerEntry.objects.all() if entry.kind == "call"]
        assert (len(paid), {entry.job_id for entry in paid}) == (RECORDS, {job.id})


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


@pytest.mark.parametrize("values", [{"dry_run": 2}, RULES])
def test_not_every_run_goes_in_batches(acme: UUID, values: dict[str, object]) -> None:
    with pytest.raises(InvalidError, match="Batches are for runs that ask a model"):
        begin(acme, **values)
