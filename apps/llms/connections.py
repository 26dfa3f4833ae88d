"""What a call needs to know of its provider, read once and then free of the database."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext

from apps.core.prepared import fetch_one
from apps.core.sealing import BrokenSealError
from apps.core.tenancy import current
from apps.llms.errors import CredentialError, SetupError
from apps.llms.models import ModelPrice, Provider, ProviderModel

USUAL_CHARACTERS: Final = 4.0  # a token, of a model nobody has asked anything yet
_NAMED: Final = "t.provider_id = %(provider)s AND t.name = %(name)s"
_PRICED: Final = (
    "t.model_id = %(id)s AND t.valid_from <= %(now)s ORDER BY t.valid_from DESC LIMIT 1"
)
_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """USD a million tokens; ``batch_discount`` is the percentage off for calls in a batch."""

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cached_input: Decimal = Decimal(0)
    batch_discount: int = 0

    def usd(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> Decimal:
        """What so many tokens cost; ``cached_tokens`` are a part of ``prompt_tokens``."""
        cached = min(cached_tokens, prompt_tokens)
        spent = (
            self.input * (prompt_tokens - cached)
            + self.cached_input * cached
            + self.output * completion_tokens
        )
        return (spent / _MILLION).quantize(Decimal("1e-8"))

    @property
    def in_batches(self) -> "Price":
        """The price of calls that are handed in as a batch."""
        share = Decimal(100 - self.batch_discount) / 100
        return Price(self.input * share, self.output * share, self.cached_input * share)


@dataclass(frozen=True, slots=True)
class ProviderConnection:
    """A model of a provider, ready to be called; ``timeout`` in seconds for a whole call."""

    organization_id: UUID
    provider_id: UUID
    provider: str
    model_id: UUID
    model: str
    base_url: str
    api_key: str = field(repr=False)
    answer_form: str | None = None
    quirks: frozenset[str] = frozenset()
    characters_per_token: float = USUAL_CHARACTERS
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int = 8
    timeout: float = 120.0
    price: Price = field(default_factory=Price)

    @property
    def agent(self) -> str:
        """``provider/model``."""
        return f"{self.provider}/{self.model}"

    @property
    def in_batches(self) -> "ProviderConnection":
        """The same at the price of batches."""
        return replace(self, price=self.price.in_batches)


def connect(*, provider: Provider, model: str | None = None) -> ProviderConnection:
    """The named model of the provider, else its default one. Two or three queries.

    Raises ``SetupError`` when the provider is disabled or has no such model, ``CredentialError``
    when its key cannot be read any more.
    """
    if not provider.enabled:
        raise SetupError(gettext("The provider %s is disabled.") % provider.name)
    name = model or provider.default_model
    row = fetch_one(ProviderModel, _NAMED, provider=provider.id, name=name) if name else None
    if row is None:
        told = gettext("The provider %(provider)s has no default model.")
        if name:
            told = gettext("The provider %(provider)s has no model called %(model)s.")
        raise SetupError(told % {"provider": provider.name, "model": name})
    try:
        key = provider.api_key
    except BrokenSealError as error:
        told = gettext("The key of %s cannot be read any more: enter it again.")
        raise CredentialError(told % provider.name) from error
    return ProviderConnection(
        organization_id=current(),
        provider_id=provider.id,
        provider=provider.name,
        model_id=row.id,
        model=row.name,
        base_url=provider.base_url,
        api_key=key,
        answer_form=row.answer_form,
        quirks=frozenset(row.quirks),
        characters_per_token=characters_per_token(row),
        rpm=row.rpm or provider.rpm,
        tpm=row.tpm or provider.tpm,
        concurrency=row.concurrency or provider.concurrency,
        timeout=provider.timeout,
        price=_price(row),
    )


def characters_per_token(model: ProviderModel) -> float:
    """Learned from past prompts, between 0.5 and 12."""
    if model.seen_tokens < 1:
        return USUAL_CHARACTERS
    return min(max(model.seen_characters / model.seen_tokens, 0.5), 12.0)


def _price(model: ProviderModel) -> Price:
    row = fetch_one(ModelPrice, _PRICED, id=model.id, now=timezone.now())
    if row is None:
        return Price()
    cached = row.input if row.cached_input is None else row.cached_input
    return Price(row.input, row.output, cached, row.batch_discount)
