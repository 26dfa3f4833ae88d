"""Writes of providers, their models and prices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps.core import outbound
from apps.core.errors import ConflictError, InvalidError
from apps.core.ids import uuid7
from apps.core.sealing import seal
from apps.core.tenancy import current
from apps.events.log import changes as difference
from apps.events.log import emit, host_of
from apps.llms import withdrawal
from apps.llms.models import (
    USUAL_BATCH_DISCOUNT,
    ModelKind,
    ModelPrice,
    Provider,
    ProviderModel,
)

MAX_PROVIDERS: Final = 50
MAX_MODELS: Final = 200


@dataclass(frozen=True, slots=True)
class PriceInput:
    """USD a million tokens, from ``valid_from`` on (None: from now on).

    ``batch_discount`` is the percentage off in batches; None: as it was, else the usual one.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    valid_from: datetime | None = None
    batch_discount: int | None = None


@dataclass(frozen=True, slots=True)
class ModelInput:
    """A model as it is to be; limits of None are the provider's, ``prices`` of None stay."""

    name: str
    kind: str = ModelKind.CHAT
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    prices: Sequence[PriceInput] | None = field(default=None)


@transaction.atomic
def create_provider(
    *,
    name: str,
    base_url: str,
    api_key: str | None = None,
    models: Sequence[ModelInput] = (),
    default_model: str | None = None,
    **limits: Any,
) -> Provider:
    """A provider with its models; the first chat model is the default one unless one is named.

    ``limits`` are of rpm, tpm, concurrency, timeout and enabled. Raises ``InvalidError`` when
    requests must not go to the address, ``ConflictError`` when the name is taken.
    """
    outbound.check_url(base_url)
    if Provider.objects.count() >= MAX_PROVIDERS:
        raise InvalidError(gettext("You can't create more than %d providers.") % MAX_PROVIDERS)
    provider = Provider(
        id=uuid7(), organization_id=current(), name=name, base_url=base_url, **limits
    )
    _seal(provider, api_key)
    _save(provider, is_new=True)
    _set_models(provider, models)
    _choose_default(provider, default_model)
    emit("provider.created", object_id=provider.id, payload=_described(provider))
    return provider


@transaction.atomic
def update_provider(*, provider: Provider, changes: Mapping[str, Any]) -> Provider:
    """Change what is named; ``models`` are all there are to be.

    A base URL of another scheme, host or port wipes the key, unless the change brings one: a key
    must never reach a server it was not entered for. Open batches are cancelled where they were
    handed in. Raises as ``create_provider``.
    """
    row = Provider.objects.select_for_update(of=("self",), no_key=True).get(id=provider.id)
    before = _described(row)
    moved = _move(row, changes.get("base_url", row.base_url))
    if moved:
        withdrawal.leave(provider=row)
    if "api_key" in changes:
        _seal(row, changes["api_key"])
    elif moved:
        _seal(row, None)
    for field_name in ("name", "enabled", "rpm", "tpm", "concurrency", "timeout"):
        if field_name in changes:
            setattr(row, field_name, changes[field_name])
    _save(row, is_new=False)
    if "models" in changes:
        _set_models(row, changes["models"])
    elif moved:
        forget_dialects(provider=row)
    _choose_default(row, changes.get("default_model", row.default_model))
    told = {"name": row.name, "changed": [*changes], **difference(before, _described(row))}
    emit("provider.updated", object_id=row.id, payload=told)
    return row


@transaction.atomic
def delete_provider(*, provider: Provider) -> None:
    """Delete it with its models and prices; what was spent stays in the ledger.

    Its open batches are cancelled there afterwards.
    """
    withdrawal.leave(provider=provider)
    Provider.objects.filter(id=provider.id).delete()
    emit("provider.deleted", object_id=provider.id, payload=_described(provider))


def forget_dialects(*, provider: Provider) -> None:
    """What was learned of the models was learned of another server."""
    ProviderModel.objects.filter(provider=provider).update(
        answer_form=None, quirks=[], seen_characters=0, seen_tokens=0
    )


def mask(api_key: str) -> str:
    """Enough of a key to recognise it: ``sk-…wxyz``; of a short one nothing but that it is."""
    if len(api_key) < 16:
        return "…"
    return f"{api_key[:3]}…{api_key[-4:]}"


def _seal(provider: Provider, api_key: str | None) -> None:
    if not api_key:
        provider.sealed_key, provider.key_hint = None, ""
        return
    provider.sealed_key = seal(api_key, context=provider.key_context)
    provider.key_hint = mask(api_key)


def _move(provider: Provider, base_url: str) -> bool:
    """Give the provider the address; whether it is another server's."""
    if base_url == provider.base_url:
        return False
    outbound.check_url(base_url)
    before, after = outbound.read_url(provider.base_url), outbound.read_url(base_url)
    provider.base_url = base_url
    return (before.scheme, before.host, before.port) != (after.scheme, after.host, after.port)


def _save(provider: Provider, *, is_new: bool) -> None:
    try:
        with transaction.atomic():
            provider.save(force_insert=is_new)
    except IntegrityError as error:
        if "llm_provider_name_unique" not in str(error):
            raise
        raise ConflictError(
            gettext("There is a provider called %s already.") % provider.name
        ) from error


def _set_models(provider: Provider, models: Sequence[ModelInput]) -> None:
    """Make the provider's models those: what stays keeps what was learned of it."""
    if len(models) > MAX_MODELS:
        raise InvalidError(gettext("A provider can't have more than %d models.") % MAX_MODELS)
    if len({model.name for model in models}) < len(models):
        raise InvalidError(gettext("The names of a provider's models must be unique."))
    existing = {row.name: row for row in ProviderModel.objects.filter(provider=provider)}
    for model in models:
        row = existing.pop(model.name, None) or ProviderModel(provider=provider, name=model.name)
        row.kind, row.rpm, row.tpm = model.kind, model.rpm, model.tpm
        row.concurrency = model.concurrency
        row.save()
        if model.prices is not None:
            _set_prices(row, model.prices)
    ProviderModel.objects.filter(id__in=[row.id for row in existing.values()]).delete()


def _set_prices(model: ProviderModel, prices: Sequence[PriceInput]) -> None:
    """Add the prices; one for a moment that has one replaces it."""
    now = timezone.now()
    newest = ModelPrice.objects.filter(model=model).at(now).first()
    before = newest.batch_discount if newest else USUAL_BATCH_DISCOUNT
    for price in prices:
        discount = before if price.batch_discount is None else price.batch_discount
        values = {
            "input": price.input,
            "output": price.output,
            "cached_input": price.cached_input,
            "batch_discount": discount,
        }
        if not 0 <= discount <= 100:
            raise InvalidError(gettext("A discount is between 0 and 100 percent."))
        if price.cached_input is not None and price.cached_input > price.input:
            raise InvalidError(gettext("A cached token can't cost more than one that is not."))
        is_old = newest and all(getattr(newest, key) == value for key, value in values.items())
        if price.valid_from is None and is_old:
            continue  # the same price, told again
        ModelPrice.objects.update_or_create(
            model=model, valid_from=price.valid_from or now, defaults=values
        )


def _choose_default(provider: Provider, name: str | None) -> None:
    """Keep the named model as the default; without one, the first chat model is."""
    rows = ProviderModel.objects.filter(provider=provider)
    if name is not None and not rows.filter(name=name).exists():
        if name != provider.default_model:
            raise InvalidError(gettext("The provider has no model called %s.") % name)
        name = None
    if name is None:
        chat = rows.filter(kind=ModelKind.CHAT).order_by("id")
        name = chat.values_list("name", flat=True).first()
    if name != provider.default_model:
        provider.default_model = name
        provider.save(update_fields=["default_model", "updated_at"])


def _described(provider: Provider) -> dict[str, object]:
    """For the event log: never the key."""
    return {
        "name": provider.name,
        "base_url": host_of(provider.base_url),
        "has_key": provider.sealed_key is not None,
        "enabled": provider.enabled,
        "default_model": provider.default_model,
        "rpm": provider.rpm,
        "tpm": provider.tpm,
        "concurrency": provider.concurrency,
        "timeout": provider.timeout,
    }
