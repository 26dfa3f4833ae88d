"""Suggestions by a model for 2,000 records, with examples, against the time of the calls alone."""

import time
from decimal import Decimal

import pytest

from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.core.tenancy import enter
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.llms.services import ModelInput, PriceInput, create_provider
from apps.pipelines.orders import RunOrder, start_run
from apps.records.inputs import RecordInput
from apps.records.models import Record, Suggestion
from tests.factories import make_dataset, make_member, make_organization
from tests.llm_server.controls import LlmServer

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"]),
]

RECORDS, LATENCY, AT_ONCE, ANSWERED = 2_000, 0.05, 32, 300
FACTOR = 1.5  # of the ideal time


def begin(llm_server: LlmServer) -> Job:
    """A run over the records, each with its four nearest of those that are answered."""
    dataset = make_dataset(questions=["sentiment"])
    texts = [f"Soup {n} of the day was {n % 7} times too cold." for n in range(RECORDS)]
    items = [RecordInput(fields={"text": text}) for text in texts]
    for at in range(0, RECORDS, 500):
        log_records(dataset=dataset, items=items[at : at + 500])
    person = make_member()
    for record in Record.objects.filter(dataset=dataset).in_order()[:ANSWERED]:
        values = {"sentiment": {"value": "mixed"}}
        save_response(record=record, annotator=person, status="submitted", values=values)
    provider = create_provider(
        name="stub",
        base_url=llm_server.url,
        api_key="sk-test",
        models=[ModelInput("tiny", prices=[PriceInput(input=Decimal(1), output=Decimal(2))])],
        concurrency=2 * AT_ONCE,
    )
    order = RunOrder(recipe="suggest", question="sentiment", provider_id=provider.id, shots=4)
    return start_run(dataset=dataset, order=order)


def test_two_thousand_suggestions(llm_server: LlmServer) -> None:
    llm_server.configure(latency_ms=1000 * LATENCY)
    organization_id = make_organization().id
    with enter(organization_id):
        job = begin(llm_server)
    run_slice(organization_id=organization_id, job_id=job.id, seconds=0)
    began, cpu = time.perf_counter(), time.process_time()
    while run_slice(organization_id=organization_id, job_id=job.id):
        pass
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    ideal = RECORDS / AT_ONCE * LATENCY
    with enter(organization_id):
        done, written = Job.objects.get(id=job.id).done, Suggestion.objects.count()
    print(
        f"\n{RECORDS} suggestions of {1000 * LATENCY:.0f} ms, {AT_ONCE} at once: {seconds:.2f} s,"
        f" ideal {ideal:.2f} s (x{seconds / ideal:.2f}), CPU {1000 * cpu / RECORDS:.2f} ms a call"
    )
    assert (done, written) == (RECORDS, RECORDS)
    assert seconds <= FACTOR * ideal
