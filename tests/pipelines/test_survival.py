"""Suggestions on real workers that are killed, with a provider that fails and a Redis that forgets.

``STONEWARE_SURVIVAL_ITEMS=10000`` makes it the long run, with five kills.
"""

import os
from decimal import Decimal

import pytest
from django.db.models import Count, Sum

from apps.annotation.ingest import log_records
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.jobs.models import Job
from apps.llms.models import LedgerEntry, LLMAttempt, Provider
from apps.pipelines.kinds import RecipeKind
from apps.pipelines.models import SuggestionVersion
from apps.pipelines.orders import RunOrder, start_run
from apps.records.inputs import RecordInput
from apps.records.models import Record, Suggestion
from tests.factories import QUESTIONS, make_dataset
from tests.jobs.test_worker import Worker
from tests.llm_server.controls import LlmServer
from tests.llms.test_survival import (
    FAILING,
    KILLS,
    kill_until_done,
    kinds_of,
    provider,
    tenant,
    wait,
    worker,
)

__all__ = ["provider", "tenant", "worker"]

ITEMS = int(os.environ.get("STONEWARE_SURVIVAL_ITEMS", "400"))

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


def begin(dataset: Dataset, provider: Provider) -> Job:
    order = RunOrder(recipe="suggest", question="sentiment", provider_id=provider.id)
    return start_run(dataset=dataset, order=order)


@pytest.fixture
def dataset(provider: Provider) -> Dataset:
    with enter(provider.organization_id):
        dataset = make_dataset(questions=QUESTIONS, required=[])
        for start in range(0, ITEMS, 500):
            texts = (f"Text {number}" for number in range(start, min(start + 500, ITEMS)))
            log_records(dataset=dataset, items=[RecordInput(fields={"text": one}) for one in texts])
    return dataset


def test_each_record_gets_one_suggestion_and_each_answer_is_paid_once(
    worker: Worker, provider: Provider, dataset: Dataset, llm_server: LlmServer
) -> None:
    llm_server.configure(**FAILING, latency_ms=20, seed=11)
    with enter(provider.organization_id):
        job = begin(dataset, provider)
    job, in_flight = kill_until_done(job, worker, ITEMS)
    paid = llm_server.ledger()
    with enter(provider.organization_id):
        assert (job.state, job.done, job.failed) == ("done", ITEMS, 0)
        records = Record.objects.filter(dataset=dataset)
        counted = records.annotate(n=Count("suggestions")).filter(n=1)
        assert (counted.count(), Suggestion.objects.count()) == (ITEMS, ITEMS)
        assert SuggestionVersion.objects.count() == ITEMS
        booked = LedgerEntry.objects.filter(job_id=job.id, kind="call")
        unknown = LedgerEntry.objects.filter(kind="unknown_outcome").count()
        assert booked.count() == paid["distinct"] == ITEMS
        assert paid["double_paid"] <= unknown == in_flight <= KILLS * 2 * RecipeKind.concurrency
        assert booked.aggregate(usd=Sum("usd"))["usd"] == job.cost > Decimal(0)
        assert not LLMAttempt.objects.exists()
        again = begin(dataset, provider)
    again = wait(again, lambda job: job.has_ended, worker)
    assert (again.done, kinds_of(again), again.cost) == (ITEMS, {"hit": ITEMS}, 0)
    assert llm_server.ledger()["calls"] == paid["calls"]
