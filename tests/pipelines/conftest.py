"""A dataset with all kinds of question, a provider that is the scripted server, and runs."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.core.tenancy import current
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import DatasetSchema, load_schema
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.llms.models import Provider
from apps.llms.services import ModelInput, PriceInput, create_provider
from apps.organizations.models import Membership, Organization
from apps.pipelines.orders import RunOrder, start_run
from apps.records.inputs import RecordInput
from apps.records.models import Record
from tests.factories import QUESTIONS, make_dataset, make_member
from tests.llm_server.controls import LlmServer

TEXTS = [
    "Ana flew from Paris to Rome.",
    "The soup in Berlin was cold.",
    "Bob lost his card at the airport.",
    "Nobody answers the phone.",
    "Great bread, great cheese.",
    "My passport was stolen in Oslo, and then my luggage too, and nobody helped us at all.",
]


@pytest.fixture
def dataset(organization: Organization) -> Dataset:
    """Six records, with guidelines."""
    dataset = make_dataset(questions=QUESTIONS, required=[], guidelines="Be fair.")
    log_records(dataset=dataset, items=[RecordInput(fields={"text": text}) for text in TEXTS])
    return dataset


@pytest.fixture
def schema(dataset: Dataset) -> DatasetSchema:
    return load_schema(dataset)


@pytest.fixture
def records(dataset: Dataset) -> list[Record]:
    return list(Record.objects.filter(dataset=dataset).in_order())


@pytest.fixture
def question(dataset: Dataset) -> Question:
    found: Question = Question.objects.get(dataset=dataset, name="sentiment")
    return found


@pytest.fixture
def member(organization: Organization) -> Membership:
    return make_member(role="owner", username="olga")


@pytest.fixture
def provider(organization: Organization, llm_server: LlmServer) -> Provider:
    """The scripted server: a dollar a million tokens in, two out."""
    price = PriceInput(input=Decimal(1), output=Decimal(2))
    return create_provider(
        name="stub",
        base_url=llm_server.url,
        api_key="sk-test",
        models=[ModelInput("tiny", prices=[price]), ModelInput("small")],
    )


@pytest.fixture
def order(dataset: Dataset, provider: Provider, member: Membership) -> Callable[..., Job]:
    """Start a run of ``suggest`` about ``sentiment``, unless told otherwise."""

    def start(**values: Any) -> Job:
        given = {"recipe": "suggest", "question": "sentiment", "provider_id": provider.id, **values}
        return start_run(dataset=dataset, order=RunOrder(**given), created_by=member)

    return start


def run(job: Job) -> Job:
    """Run the job in this process until it waits or has ended."""
    while run_slice(organization_id=current(), job_id=job.id):
        pass
    job.refresh_from_db()
    return job


def answer(record: Record, **values: Any) -> None:
    """Submit ``{question name: value}`` as a new person."""
    save_response(
        record=record,
        annotator=make_member(),
        status="submitted",
        values={name: {"value": value} for name, value in values.items()},
    )
