"""Providers as their pages show them: models with present prices, and what the month cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, Sum
from django.utils import timezone

from apps.llms.models import EntryKind, LedgerEntry, ModelPrice, Provider, ProviderModel
from apps.llms.services import ModelInput
from apps.organizations.models import Membership


@dataclass(frozen=True)
class ModelRow:
    """A model, and its price at present."""

    model: ProviderModel
    price: ModelPrice | None

    @property
    def initial(self) -> dict[str, Any]:
        """For its form."""
        found = {"name": self.model.name, "kind": self.model.kind}
        if self.price is None:
            return found
        prices = {name: getattr(self.price, name) for name in ("input", "output", "cached_input")}
        filled = {name: plain(price) for name, price in prices.items() if price is not None}
        return {**found, **filled, "batch_discount": self.price.batch_discount}

    @property
    def as_input(self) -> ModelInput:
        row = self.model
        return ModelInput(row.name, row.kind, row.rpm, row.tpm, row.concurrency)


def plain(price: Decimal) -> str:
    """As it is typed: ``0.15``."""
    return f"{price:f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class Spent:
    """Of a month: USD paid and saved, calls paid and answers from the cache."""

    usd: Decimal = Decimal(0)
    saved: Decimal = Decimal(0)
    calls: int = 0
    hits: int = 0


def model_rows(*providers: Provider) -> dict[UUID, list[ModelRow]]:
    """The models of each provider. Two queries."""
    rows = ProviderModel.objects.filter(provider__in=providers).in_order()
    models = list(rows)
    priced = ModelPrice.objects.filter(model__in=models).at(timezone.now())
    prices = {price.model_id: price for price in priced}
    found: dict[UUID, list[ModelRow]] = {provider.id: [] for provider in providers}
    for model in models:
        found[model.provider_id].append(ModelRow(model, prices.get(model.id)))
    return found


def spent_this_month(member: Membership, *, workspace_id: UUID | None = None) -> dict[UUID, Spent]:
    """By provider, of what the member may see, or of one workspace. One query."""
    since = timezone.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    rows = LedgerEntry.objects.visible_to(member).filter(inserted_at__gte=since)
    if workspace_id is not None:
        rows = rows.filter(workspace_id=workspace_id)
    totals = (
        rows.order_by()
        .values("provider_id")
        .annotate(
            paid=Sum("usd"),
            saved=Sum("saved_usd"),
            calls=Count("id", filter=Q(kind=EntryKind.CALL)),
            hits=Count("id", filter=Q(kind=EntryKind.HIT)),
        )
    )
    return {
        row["provider_id"]: Spent(row["paid"], row["saved"], row["calls"], row["hits"])
        for row in totals
    }


def total(spent: Mapping[UUID, Spent]) -> Spent:
    """All together."""
    return Spent(
        sum((one.usd for one in spent.values()), Decimal(0)),
        sum((one.saved for one in spent.values()), Decimal(0)),
        sum(one.calls for one in spent.values()),
        sum(one.hits for one in spent.values()),
    )
