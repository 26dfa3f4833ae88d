"""Providers of language models: who may be asked, with which key, at what price.

A key is written and never read: an answer holds no more of it than ``key_hint``.
"""

from decimal import Decimal
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from django.db.models import Prefetch
from django.urls import path
from django.utils import timezone
from pydantic import AfterValidator, AnyHttpUrl, BeforeValidator, Field, StringConstraints
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.views import LEFT_OUT, ApiRequest, ApiView, ApiViewSet, Moment, Schema
from apps.core.errors import NotAllowedError
from apps.llms.models import (
    ModelKind,
    ModelPrice,
    Provider,
    ProviderModel,
    ProviderQuerySet,
)
from apps.llms.probe import begin
from apps.llms.services import (
    ModelInput,
    PriceInput,
    create_provider,
    delete_provider,
    update_provider,
)
from apps.organizations.models import Scope
from apps.workspaces.permissions import Action, check, may_somewhere

MAX_URL = 2000


def _base(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.query is not None or url.fragment is not None:
        raise ValueError("a base URL has no query and no fragment")
    if len(str(url)) > MAX_URL:
        raise ValueError(f"URL should have at most {MAX_URL} characters")
    return url


def _listed(value: object) -> object:
    """One price may stand for a list of one."""
    return [value] if isinstance(value, dict) else value


def _described(value: object) -> object:
    """The name of a model may stand for a model without more to say."""
    return {"name": value} if isinstance(value, str) else value


Url: TypeAlias = Annotated[AnyHttpUrl, AfterValidator(_base)]
Name: TypeAlias = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)
]
ModelName: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")
]
ApiKey: TypeAlias = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[\x21-\x7e]*$")]
Usd: TypeAlias = Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=14, decimal_places=6)]
AMinute: TypeAlias = Annotated[int, Field(ge=1, le=2_000_000_000)]
AtOnce: TypeAlias = Annotated[int, Field(ge=1, le=1000)]
Percent: TypeAlias = Annotated[int, Field(ge=0, le=100)]
Seconds: TypeAlias = Annotated[int, Field(ge=1, le=600)]


class PriceBody(Schema):
    """USD a million tokens from ``valid_from`` on, else from now on.

    ``batch_discount`` is the percentage off in batches; without one it stays, at first at 50.
    """

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    batch_discount: Percent | None = None
    valid_from: Moment | None = None


class ModelBody(Schema):
    """Limits of its own, where it has some; prices that are not named stay as they are."""

    name: ModelName
    kind: ModelKind = ModelKind.CHAT
    rpm: AMinute | None = None
    tpm: AMinute | None = None
    concurrency: AtOnce | None = None
    prices: Annotated[list[PriceBody], Field(max_length=100), BeforeValidator(_listed)] | None = (
        None
    )


Models: TypeAlias = Annotated[
    list[Annotated[ModelBody, BeforeValidator(_described)]], Field(max_length=200)
]


class ProviderCreate(Schema):
    name: Name
    base_url: Url
    api_key: ApiKey | None = None
    models: Models = Field(default=[])
    default_model: ModelName | None = None
    enabled: bool = True
    rpm: AMinute | None = None
    tpm: AMinute | None = None
    concurrency: AtOnce = 8
    timeout: Seconds = 120


class ProviderUpdate(Schema):
    """What is left out stays; ``models`` are all there are to be. Another host wipes the key."""

    name: Name = LEFT_OUT
    base_url: Url = LEFT_OUT
    api_key: ApiKey | None = None
    models: Models = LEFT_OUT
    default_model: ModelName | None = None
    enabled: bool = LEFT_OUT
    rpm: AMinute | None = None
    tpm: AMinute | None = None
    concurrency: AtOnce = LEFT_OUT
    timeout: Seconds = LEFT_OUT


class ProbeBody(Schema):
    """None is the default model."""

    model: ModelName | None = None


def price_document(price: ModelPrice) -> dict[str, Any]:
    return {
        "input": float(price.input),
        "output": float(price.output),
        "cached_input": None if price.cached_input is None else float(price.cached_input),
        "batch_discount": price.batch_discount,
        "valid_from": price.valid_from,
    }


def model_document(model: ProviderModel) -> dict[str, Any]:
    now = timezone.now()
    prices = sorted(model.prices.all(), key=lambda price: price.valid_from, reverse=True)
    current = next((price for price in prices if price.valid_from <= now), None)
    return {
        "name": model.name,
        "kind": model.kind,
        "rpm": model.rpm,
        "tpm": model.tpm,
        "concurrency": model.concurrency,
        "answer_form": model.answer_form,
        "price": price_document(current) if current else None,
        "prices": [price_document(price) for price in prices],
    }


def provider_document(provider: Provider) -> dict[str, Any]:
    return {
        "id": provider.id,
        "name": provider.name,
        "base_url": provider.base_url,
        "has_key": provider.sealed_key is not None,
        "key_hint": provider.key_hint,
        "enabled": provider.enabled,
        "default_model": provider.default_model,
        "rpm": provider.rpm,
        "tpm": provider.tpm,
        "concurrency": provider.concurrency,
        "timeout": provider.timeout,
        "models": [model_document(model) for model in provider.models.all()],
        "inserted_at": provider.inserted_at,
        "updated_at": provider.updated_at,
    }


class LlmProviders(ApiViewSet):
    """Read by those who run jobs somewhere; changed by owners, with a key that manages."""

    write_scope = Scope.MANAGE

    def list(self, request: ApiRequest) -> ApiResponse:
        if not may_somewhere(self.member, Action.USE_PROVIDERS):
            raise NotAllowedError
        providers = described().visible_to(self.member).in_order()
        return ApiResponse({"items": [provider_document(provider) for provider in providers]})

    def create(self, request: ApiRequest) -> ApiResponse:
        body = self.read_body(ProviderCreate)
        check(self.member, Action.MANAGE_PROVIDERS)
        provider = create_provider(**_values(body))
        return ApiResponse(provider_document(described().get(id=provider.id)), status=201)

    def retrieve(self, request: ApiRequest, llm_provider_id: UUID) -> ApiResponse:
        provider = find(described(), llm_provider_id)
        if not may_somewhere(self.member, Action.USE_PROVIDERS):
            raise NotAllowedError
        return ApiResponse(provider_document(provider))

    def update(self, request: ApiRequest, llm_provider_id: UUID) -> ApiResponse:
        """The changed provider; a base URL of another host has no key unless one comes with it."""
        body = self.read_body(ProviderUpdate)
        provider = find_provider(self, llm_provider_id)
        update_provider(provider=provider, changes=_values(body, only_set=True))
        return ApiResponse(provider_document(described().get(id=provider.id)))

    def destroy(self, request: ApiRequest, llm_provider_id: UUID) -> ApiResponse:
        provider = find_provider(self, llm_provider_id)
        document = provider_document(described().get(id=provider.id))
        delete_provider(provider=provider)
        return ApiResponse(document)


class LlmProviderTest(ApiView):
    """For owners only, with a key that manages: it costs a little."""

    write_scope = Scope.MANAGE

    def post(self, request: ApiRequest, llm_provider_id: UUID) -> ApiResponse:
        """Make one tiny call; ``ok`` says whether it worked, ``error`` why not."""
        body = self.read_body(ProbeBody)
        provider = find_provider(self, llm_provider_id)
        trial = begin(provider=provider, model=body.model)
        with self.between():
            found = trial()
        document = {
            "ok": found.error is None,
            "model": found.model,
            "error": found.error,
            "answer_form": found.answer_form,
            "keeps_schema": found.is_schema_kept,
            "dimensions": found.dimensions,
            "text": found.text,
            "prompt_tokens": found.prompt_tokens,
            "completion_tokens": found.completion_tokens,
            "latency_ms": found.latency_ms,
            "usd": float(found.usd),
            "offered_models": found.offered,
        }
        return ApiResponse(document)


def described() -> ProviderQuerySet:
    """Providers with their models and prices: three queries."""
    models = ProviderModel.objects.in_order().prefetch_related("prices")
    rows: ProviderQuerySet = Provider.objects.prefetch_related(Prefetch("models", models))
    return rows


def find_provider(view: ApiView | ApiViewSet, llm_provider_id: UUID) -> Provider:
    """The provider, if the caller manages providers."""
    provider = find(Provider.objects.all(), llm_provider_id)
    check(view.member, Action.MANAGE_PROVIDERS)
    return provider


def _values(body: ProviderCreate | ProviderUpdate, *, only_set: bool = False) -> dict[str, Any]:
    """The body as the services take it."""
    values = body.model_dump(exclude_unset=only_set)
    if "base_url" in values:
        values["base_url"] = str(body.base_url).rstrip("/")
    if "models" in values:
        values["models"] = [_model_input(model) for model in body.models]
    return values


def _model_input(model: ModelBody) -> ModelInput:
    prices = None
    if model.prices is not None:
        prices = [PriceInput(**price.model_dump()) for price in model.prices]
    return ModelInput(**{**model.model_dump(), "prices": prices})


urlpatterns = [
    path("llm/providers", LlmProviders.as_view({"get": "list", "post": "create"})),
    path(
        "llm/providers/<llm_provider_id>",
        LlmProviders.as_view({"get": "retrieve", "patch": "update", "delete": "destroy"}),
    ),
    path("llm/providers/<llm_provider_id>/test", LlmProviderTest.as_view()),
]
