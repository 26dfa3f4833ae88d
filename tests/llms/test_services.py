"""Providers: their keys, models and prices, and what the database refuses."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.core import outbound
from apps.core.errors import ConflictError, InvalidError
from apps.core.sealing import BrokenSealError
from apps.core.tenancy import enter
from apps.events.models import Event
from apps.llms.connections import Price, connect
from apps.llms.errors import CredentialError, SetupError
from apps.llms.models import ModelPrice, Provider, ProviderModel
from apps.llms.services import (
    ModelInput,
    PriceInput,
    create_provider,
    delete_provider,
    mask,
    update_provider,
)
from tests.factories import make_organization
from tests.llms.conftest import PUBLIC

KEY = "sk-0123456789abcdef"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
Make = Callable[..., Provider]


def test_a_key_is_sealed_for_its_organization_and_row(make_provider: Make) -> None:
    provider = make_provider()
    assert provider.api_key == KEY
    assert (provider.key_hint, provider.has_readable_key) == ("sk-…cdef", True)
    assert KEY.encode() not in bytes(provider.sealed_key or b"")
    another = make_provider(name="Another", api_key="sk-another-key-of-ours")
    another.sealed_key = provider.sealed_key
    with pytest.raises(BrokenSealError):
        _ = another.api_key
    elsewhere = Provider(id=provider.id, organization_id=another.id)
    elsewhere.sealed_key = provider.sealed_key
    with pytest.raises(BrokenSealError):
        _ = elsewhere.api_key
    assert not elsewhere.has_readable_key


@pytest.mark.parametrize(
    ("base_url", "is_kept"),
    [
        (PUBLIC, True),
        ("https://8.8.8.8/v2/openai", True),
        ("https://8.8.8.8:443/v1", True),
        ("http://8.8.8.8/v1", False),
        ("https://8.8.8.8:8443/v1", False),
        ("https://8.8.4.4/v1", False),
    ],
)
def test_another_host_never_gets_the_key(make_provider: Make, base_url: str, is_kept: bool) -> None:
    provider = make_provider()
    ProviderModel.objects.update(answer_form="text", quirks=["no_seed"])
    changed = update_provider(provider=provider, changes={"base_url": base_url})
    stored = Provider.objects.get()
    assert stored.base_url == changed.base_url == base_url
    assert stored.api_key == (KEY if is_kept else "")
    assert stored.key_hint == ("sk-…cdef" if is_kept else "")
    learned = ProviderModel.objects.get(name="tiny")
    assert (learned.answer_form, learned.quirks) == (
        ("text", ["no_seed"]) if is_kept else (None, [])
    )


def test_another_host_may_come_with_a_key_of_its_own(make_provider: Make) -> None:
    changes = {"base_url": "https://8.8.4.4/v1", "api_key": "sk-of-the-other-host"}
    assert update_provider(provider=make_provider(), changes=changes).api_key == changes["api_key"]


def test_a_key_can_be_taken_away(make_provider: Make) -> None:
    changed = update_provider(provider=make_provider(), changes={"api_key": None})
    assert (changed.api_key, changed.sealed_key, changed.key_hint) == ("", None, "")


def test_short_keys_show_nothing() -> None:
    assert mask("sk-short") == "…"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://10.0.0.1/", "ftp://8.8.8.8/"])
def test_addresses_inside_are_refused(make_provider: Make, url: str) -> None:
    with pytest.raises(outbound.ForbiddenAddressError):
        make_provider(base_url=url)
    assert not Provider.objects.exists()
    provider = make_provider()
    with pytest.raises(outbound.ForbiddenAddressError):
        update_provider(provider=provider, changes={"base_url": url})
    assert Provider.objects.get().base_url == PUBLIC


def test_a_name_is_taken_once_in_an_organization(make_provider: Make) -> None:
    make_provider()
    with pytest.raises(ConflictError, match="called Local"):
        make_provider()
    other = make_provider(name="Other")
    with pytest.raises(ConflictError, match="called Local"):
        update_provider(provider=other, changes={"name": "Local"})


def test_another_organization_may_use_the_same_name(db: None) -> None:
    for name in ("Acme", "Other"):
        with enter(make_organization(name).id):
            create_provider(name="Same", base_url=PUBLIC)
            assert Provider.objects.count() == 1


def test_models_are_those_named_and_keep_what_was_learned(make_provider: Make) -> None:
    provider = make_provider()
    ProviderModel.objects.filter(name="tiny").update(answer_form="json_object")
    models = [ModelInput("tiny", rpm=5), ModelInput("large", concurrency=2)]
    changed = update_provider(provider=provider, changes={"models": models})
    rows = {row.name: row for row in ProviderModel.objects.all()}
    assert rows.keys() == {"tiny", "large"}
    assert (rows["tiny"].answer_form, rows["tiny"].rpm) == ("json_object", 5)
    assert changed.default_model == "tiny"
    changed = update_provider(provider=provider, changes={"models": models[1:]})
    assert changed.default_model == "large"
    with pytest.raises(InvalidError, match="no model called"):
        update_provider(provider=provider, changes={"default_model": "small"})
    with pytest.raises(InvalidError, match="unique"):
        update_provider(provider=provider, changes={"models": [*models, *models]})


def test_prices_have_a_history(make_provider: Make) -> None:
    def told(*prices: PriceInput) -> list[ModelInput]:
        return [ModelInput("tiny", prices=prices)]

    old = PriceInput(Decimal("2"), Decimal("8"), Decimal("0.5"), valid_from=NEW_YEAR)
    provider = make_provider(models=told(old))
    assert connect(provider=provider).price == Price(Decimal(2), Decimal(8), Decimal("0.5"), 50)
    dearer = PriceInput(Decimal("3"), Decimal("9"))
    for _ in range(2):  # the same price again is no new one
        update_provider(provider=provider, changes={"models": told(dearer)})
    assert ModelPrice.objects.count() == 2
    price = connect(provider=provider).price
    assert price == Price(Decimal(3), Decimal(9), Decimal(3), 50)
    assert price.usd(1_000_000, 500_000, 250_000) == Decimal("7.5")
    later = PriceInput(Decimal("1"), Decimal("1"), valid_from=timezone.now() + timedelta(days=1))
    update_provider(provider=provider, changes={"models": told(later)})
    assert connect(provider=provider).price == price
    wrong = PriceInput(Decimal(1), Decimal(1), Decimal(2))
    with pytest.raises(InvalidError, match="cached"):
        update_provider(provider=provider, changes={"models": told(wrong)})


def test_a_batch_costs_less(make_provider: Make) -> None:
    def told(discount: int | None) -> list[ModelInput]:
        price = PriceInput(Decimal(3), Decimal(8), Decimal(1), batch_discount=discount)
        return [ModelInput("tiny", prices=[price])]

    provider = make_provider(models=told(None))
    usual = connect(provider=provider).in_batches
    assert usual.price == Price(Decimal("1.5"), Decimal(4), Decimal("0.5"))
    assert usual.in_batches.price == usual.price, "nothing is taken off twice"
    for discount, output in ((25, 6), (None, 6), (0, 8), (None, 8), (100, 0)):
        update_provider(provider=provider, changes={"models": told(discount)})
        assert connect(provider=provider).in_batches.price.output == output
    assert ModelPrice.objects.count() == 4, "what is not named stays"
    for discount in (-1, 101):
        with pytest.raises(InvalidError, match="between 0 and 100"):
            update_provider(provider=provider, changes={"models": told(discount)})


def test_a_connection_knows_limits_and_form(make_provider: Make) -> None:
    models = [ModelInput("tiny", rpm=7), ModelInput("small")]
    provider = make_provider(models=models, rpm=60, tpm=1000, concurrency=3, default_model="small")
    ProviderModel.objects.filter(name="tiny").update(seen_characters=900, seen_tokens=300)
    tiny, small = connect(provider=provider, model="tiny"), connect(provider=provider)
    assert (tiny.rpm, tiny.tpm, tiny.concurrency, tiny.characters_per_token) == (7, 1000, 3, 3.0)
    assert (small.model, small.rpm, small.characters_per_token) == ("small", 60, 4.0)
    assert (tiny.agent, KEY in repr(tiny)) == ("Local/tiny", False)


def test_what_cannot_be_connected_is_told(make_provider: Make, settings: Any) -> None:
    provider = make_provider()
    with pytest.raises(SetupError, match="no model called huge"):
        connect(provider=provider, model="huge")
    settings.SECRET_KEY = "another"
    with pytest.raises(CredentialError, match="enter it again"):
        connect(provider=provider)
    disabled = update_provider(provider=provider, changes={"enabled": False})
    with pytest.raises(SetupError, match="disabled"):
        connect(provider=disabled)
    bare = make_provider(name="Bare", models=())
    with pytest.raises(SetupError, match="no default model"):
        connect(provider=bare)


def test_the_log_knows_what_happened_but_no_key(make_provider: Make) -> None:
    provider = make_provider()
    update_provider(provider=provider, changes={"api_key": "sk-the-next-key-of-all"})
    delete_provider(provider=provider)
    events = list(Event.objects.filter(object_id=provider.id).order_by("id"))
    assert [e.kind for e in events] == ["provider.created", "provider.updated", "provider.deleted"]
    assert "sk-" not in str([event.payload for event in events])
    assert not ProviderModel.objects.exists()


@pytest.mark.parametrize(
    ("table", "changes", "constraint"),
    [
        (Provider, {"name": ""}, "llm_provider_name_given"),
        (Provider, {"name": "Other"}, "llm_provider_name_unique"),
        (Provider, {"sealed_key": None}, "llm_provider_hint_of_a_key"),
        (Provider, {"concurrency": 0}, "llm_provider_limits_positive"),
        (ProviderModel, {"name": "embedder"}, "llm_model_name_unique"),
        (ProviderModel, {"kind": "image"}, "llm_model_kind_known"),
        (ProviderModel, {"answer_form": "xml"}, "llm_model_answer_form_known"),
        (ProviderModel, {"quirks": ["odd"]}, "llm_model_quirks_known"),
        (ProviderModel, {"seen_tokens": -1}, "llm_model_sums_not_negative"),
        (ProviderModel, {"rpm": 0}, "llm_model_limits_positive"),
        (ModelPrice, {"output": -1}, "llm_model_price_not_negative"),
        (ModelPrice, {"cached_input": 3}, "llm_model_price_not_negative"),
        (ModelPrice, {"batch_discount": 101}, "llm_model_price_discount_percent"),
        (
            ModelPrice,
            {"valid_from": NEW_YEAR},
            "llm_model_price_one_a_moment",
        ),
    ],
)
def test_the_database_refuses(
    make_provider: Make, table: Any, changes: dict[str, Any], constraint: str
) -> None:
    old = PriceInput(Decimal(1), Decimal(1), valid_from=NEW_YEAR)
    now = PriceInput(Decimal(2), Decimal(2))
    make_provider(name="Other")
    provider = make_provider(models=[ModelInput("tiny", prices=[old, now]), ModelInput("embedder")])
    rows = {
        Provider: Provider.objects.filter(id=provider.id),
        ProviderModel: ProviderModel.objects.filter(provider=provider, name="tiny"),
        ModelPrice: ModelPrice.objects.filter(input=2),
    }[table]
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        rows.update(**changes)
