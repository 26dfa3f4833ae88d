"""A dataset whose manager has a provider: the scripted server."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.annotation.ingest import log_records
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.llms.models import Provider
from apps.llms.services import ModelInput, PriceInput, create_provider
from apps.organizations.models import Membership
from apps.records.inputs import RecordInput
from apps.workspaces.models import Workspace
from tests import factories
from tests.labeling.conftest import BACKEND, Site, sign_in, site, visit
from tests.llm_server.controls import LlmServer

__all__ = ["BACKEND", "sign_in", "site", "visit"]

TEXTS = (
    "The soup in Berlin was cold.",
    "Great bread, great cheese.",
    "Nobody answers the phone.",
    "Bob lost his card at the airport.",
    "Ana flew from Paris to Rome.",
    "My passport was stolen in Oslo.",
)


@pytest.fixture
def olga(workspace: Workspace) -> Membership:
    return factories.make_member(role="owner", username="olga", workspace=workspace)


@pytest.fixture
def owner(site: Site) -> Membership:
    """Olga, of the site that a browser visits."""
    with site.inside():
        return factories.make_member(
            role="owner",
            first_name="Olga",
            email=f"olga-{uuid4().hex[:8]}@example.com",
            workspace=Workspace.objects.get(id=site.dataset.workspace_id),
        )


@pytest.fixture
def client(olga: Membership, sign_in: Callable[[Membership], Client]) -> Client:
    """Olga's, who owns the organization."""
    return sign_in(olga)


@pytest.fixture
def dataset(workspace: Workspace) -> Dataset:
    return fill(factories.make_dataset(workspace, name="reviews", questions=("sentiment",)))


def fill(dataset: Dataset) -> Dataset:
    items = [
        RecordInput(fields={"text": text}, external_id=f"r{n}") for n, text in enumerate(TEXTS)
    ]
    log_records(dataset=dataset, items=items)
    return dataset


@pytest.fixture
def provider(workspace: Workspace, llm_server: LlmServer) -> Provider:
    return add_provider(llm_server)


def add_provider(llm_server: LlmServer) -> Provider:
    """A dollar a million tokens in, two out."""
    price = PriceInput(input=Decimal(1), output=Decimal(2))
    return create_provider(
        name="stub",
        base_url=llm_server.url,
        api_key="sk-test-of-the-console",
        models=[ModelInput("tiny", prices=[price]), ModelInput("small")],
    )


def run(job: Job) -> Job:
    """Run the job in this process until it waits or has ended."""
    while run_slice(organization_id=current(), job_id=job.id):
        pass
    job.refresh_from_db()
    return job


def typed(page: Any, **values: Any) -> dict[str, Any]:
    """The run form of a page as a browser would send it, with some inputs changed."""
    form = page.context["form"]
    sent: dict[str, Any] = {}
    for one in form.inputs:
        if one.widget == "pairs":
            sent |= {f"{one.name}.{key}": text for key, text in one.pairs.items()}
        else:
            sent[one.name] = [one.text] if one.widget == "lines" else one.values
    return sent | {name.replace("__", "."): value for name, value in values.items()}
