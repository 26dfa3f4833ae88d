"""Batches that nobody wants any more, and how to reach a provider that is about to leave us.

The answers of a batch are wanted as long as its job is; whether it is, its owner says. A provider
that is deleted or moves to another server leaves its open batches behind: these keep the address
and the key they were handed in with until they are cancelled there.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext

from apps.core.sealing import BrokenSealError, seal, unseal
from apps.core.tenancy import current
from apps.llms.connections import Price, ProviderConnection, connect
from apps.llms.errors import CredentialError, SetupError
from apps.llms.models import Batch, BatchState, Provider

WINDOW: Final = timedelta(hours=26)  # the provider's day, and some time to fetch the answers


def withdraw(*, job_id: UUID) -> int:
    """The job's open batches are to be cancelled at the provider; how many. One statement."""
    wanted = Batch.objects.filter(
        job_id=job_id, next_look_at__isnull=False, withdrawn_at__isnull=True
    )
    return wanted.update(withdrawn_at=timezone.now())


def leave(*, provider: Provider) -> None:
    """Withdraw the open batches of a provider that is about to go, in the caller's transaction.

    They keep the address and key that it has in the database. One query if there are none.
    """
    open_ones = Batch.objects.filter(
        provider=provider, next_look_at__isnull=False, base_url__isnull=True
    )
    batches = list(open_ones.select_for_update(of=("self",)))
    if not batches:
        return
    stored = Provider.objects.get(id=provider.id)
    key = stored.api_key if stored.has_readable_key else ""
    for batch in batches:
        batch.base_url = stored.base_url
        batch.sealed_key = seal(key, context=batch.key_context) if key else None
        batch.withdrawn_at = batch.withdrawn_at or timezone.now()
    Batch.objects.bulk_update(batches, ["base_url", "sealed_key", "withdrawn_at"])


def reach(batch: Batch) -> ProviderConnection:
    """To where the batch was handed in, or will be, at its price.

    What the provider has already is fetched, or cancelled, even when the provider was disabled or
    the model removed since. Raises as ``connections.connect``.
    """
    provider = batch.provider
    if batch.withdrawn_at and not batch.was_begun:
        return books_of(batch)  # nobody is asked
    if batch.base_url is not None or provider is None:
        return replace(books_of(batch), api_key=_kept_key(batch))
    try:
        found = connect(provider=provider, model=batch.model)
    except SetupError:
        if batch.state == BatchState.WAITING and batch.withdrawn_at is None:
            raise
        found = replace(books_of(batch), api_key=_present_key(provider))
    return replace(found, price=_price(batch))


def books_of(batch: Batch) -> ProviderConnection:
    """A connection for the books, without a key; inside the organization."""
    provider = batch.provider
    return ProviderConnection(
        organization_id=current(),
        provider_id=provider.id if provider else batch.id,
        provider=provider.name if provider else "",
        model_id=batch.id,
        model=batch.model,
        base_url=batch.base_url or (provider.base_url if provider else ""),
        api_key="",
        price=_price(batch),
    )


def _price(batch: Batch) -> Price:
    return Price(batch.input, batch.output, batch.cached_input)


def _kept_key(batch: Batch) -> str:
    if batch.sealed_key is None:
        return ""
    try:
        return unseal(bytes(batch.sealed_key), context=batch.key_context)
    except BrokenSealError as error:
        raise CredentialError(gettext("The key of the batch cannot be read any more.")) from error


def _present_key(provider: Provider) -> str:
    try:
        return provider.api_key
    except BrokenSealError as error:
        told = gettext("The key of %s cannot be read any more: enter it again.")
        raise CredentialError(told % provider.name) from error
