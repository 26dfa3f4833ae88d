"""Suggestions by a model for 2,000 records, with examples, against the time of the calls alone.

A real worker does them, one that has had another such job before: it has loaded what it needs and
knows how the model is asked.
"""

# ruff: noqa: F811 (fixtures of another module, which arguments are named after)

import os
from decimal import Decimal
from pathlib import Path

import pytest
from celery import Celery

from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.core import doorbell as core_doorbell
from apps.core.tenancy import enter
from apps.jobs.models import Job
from apps.llms.models import Provider
from apps.llms.services import ModelInput, PriceInput, create_provider
from apps.organizations.models import Organization
from apps.pipelines.orders import RunOrder, start_run
from apps.records.inputs import RecordInput
from apps.records.models import Record, Suggestion
from tests.factories import make_dataset, make_member
from tests.llm_server.controls import LlmServer
from tests.llms.test_survival import AskingWorker, tenant, wait, worker  # noqa: F401

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"]),
]

RECORDS, LATENCY, AT_ONCE, ANSWERED = 2_000, 0.05, 32, 300
FACTOR = 1.5  # of the ideal time


def begin(provider: Provider, records: int, name: str) -> Job:
    """A run over new records, each with its four nearest of those that are answered."""
    dataset = make_dataset(questions=["sentiment"])
    texts = [f"{name} {n} of the day was {n % 7} times too cold." for n in range(records)]
    items = [RecordInput(fields={"text": text}) for text in texts]
    for at in range(0, records, 500):
        log_records(dataset=dataset, items=items[at : at + 500])
    person = make_member()
    for record in Record.objects.filter(dataset=dataset).in_order()[:ANSWERED]:
        values = {"sentiment": {"value": "mixed"}}
        save_response(record=record, annotator=person, status="submitted", values=values)
    order = RunOrder(recipe="suggest", question="sentiment", provider_id=provider.id, shots=4)
    return start_run(dataset=dataset, order=order)


def processor_seconds(pid: int) -> float:
    """What all threads of the process have taken so far, those that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def finish(job: Job, worker: AskingWorker) -> Job:
    job = wait(job, lambda job: job.has_ended, worker)
    assert job.state == "done"
    return job


def test_two_thousand_suggestions(
    tenant: Organization,
    worker: AskingWorker,
    llm_server: LlmServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    llm_server.configure(latency_ms=1000 * LATENCY)
    broker = worker.environment["REDIS_URL"].replace("unix://", "redis+socket://")
    rung = Celery(broker=broker, set_as_current=False)
    monkeypatch.setattr(core_doorbell, "current_app", rung)
    worker.start(sweep=60, queues="bulk,rounds")
    assert worker.process is not None
    with enter(tenant.id):
        provider = create_provider(
            name="stub",
            base_url=llm_server.url,
            api_key="sk-test",
            models=[ModelInput("tiny", prices=[PriceInput(input=Decimal(1), output=Decimal(2))])],
            concurrency=2 * AT_ONCE,
        )
        warm = begin(provider, 2 * AT_ONCE, "Bread")
    finish(warm, worker)
    with enter(tenant.id):
        before = Suggestion.objects.count()
        cpu = processor_seconds(worker.process.pid)
        job = begin(provider, RECORDS, "Soup")
    job = finish(job, worker)
    cpu = processor_seconds(worker.process.pid) - cpu
    assert job.started_at is not None
    assert job.finished_at is not None
    seconds = (job.finished_at - job.started_at).total_seconds()  # planning included
    with enter(tenant.id):
        written = Suggestion.objects.count() - before
    ideal = RECORDS / AT_ONCE * LATENCY
    print(
        f"\n{RECORDS} suggestions of {1000 * LATENCY:.0f} ms, {AT_ONCE} at once: {seconds:.2f} s,"
        f" ideal {ideal:.2f} s (x{seconds / ideal:.2f}), CPU {1000 * cpu / RECORDS:.2f} ms a call"
    )
    assert (job.done, written) == (RECORDS, RECORDS)
    assert seconds <= FACTOR * ideal
