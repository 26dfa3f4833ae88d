"""Batches in tests: ordered, looked after step by step, until they are closed."""

from decimal import Decimal
from uuid import UUID

from django.utils import timezone

from apps.core.tenancy import enter
from apps.llms.batching import look_after, order
from apps.llms.calls import Ask
from apps.llms.connections import ProviderConnection, connect
from apps.llms.models import Batch, Provider
from apps.llms.services import ModelInput, PriceInput, create_provider
from apps.llms.wire import Request
from tests.factories import make_organization
from tests.llm_server.controls import LlmServer

JOB = UUID(int=7)
SCHEMA = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]}


def make_acme(llm_server: LlmServer, *, discount: int | None = None) -> UUID:
    """An organization with a provider whose tokens cost a dollar; not entered, as in a worker."""
    organization = make_organization()
    with enter(organization.id):
        price = PriceInput(Decimal(1_000_000), Decimal(1_000_000), batch_discount=discount)
        models = [ModelInput("tiny", prices=[price])]
        create_provider(name="Local", base_url=llm_server.url, api_key="sk-x", models=models)
    return organization.id


def connected() -> ProviderConnection:
    return connect(provider=Provider.objects.get())


def asks(count: int, connection: ProviderConnection) -> list[Ask]:
    return [
        Ask(
            connection,
            Request("tiny", ({"role": "user", "content": f"text {n}"},), SCHEMA, max_tokens=20),
            job_id=JOB,
            seq=n,
        )
        for n in range(count)
    ]


def ordered(acme: UUID, count: int = 3) -> UUID:
    """The id of a batch that waits."""
    with enter(acme):
        order(asks(count, connected()))
        return Batch.objects.get().id


def due(acme: UUID) -> None:
    with enter(acme):
        open_ones = Batch.objects.filter(next_look_at__isnull=False)
        open_ones.update(next_look_at=timezone.now())


def step(acme: UUID, batch_id: UUID) -> Batch:
    due(acme)
    look_after(acme, batch_id)
    with enter(acme):
        return Batch.objects.get(id=batch_id)


def finish(acme: UUID, batch_id: UUID) -> Batch:
    for _ in range(8):
        batch = step(acme, batch_id)
        if batch.next_look_at is None:
            return batch
    raise AssertionError(batch.state)
