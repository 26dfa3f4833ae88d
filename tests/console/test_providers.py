"""Providers on their pages: added, tested, changed, limited; the key goes in and never out."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.test import Client
from django.urls import reverse

from apps.core.tenancy import current
from apps.llms.models import Budget, ModelPrice, Provider
from apps.llms.services import ModelInput, create_provider
from apps.organizations.models import Membership
from apps.users.models import User
from tests import factories
from tests.llm_server.controls import LlmServer

KEY = "sk-test-of-the-console"


def url(provider: Provider, name: str = "provider") -> str:
    return reverse(f"console:{name}", args=[provider.id])


def typed(provider: Provider, **values: Any) -> dict[str, Any]:
    sent = {"name": provider.name, "base_url": provider.base_url, "enabled": "on", "api_key": ""}
    limits = {"concurrency": "8", "rpm": "", "tpm": "", "timeout": "60"}
    models = {
        "m0-name": "tiny",
        "m0-kind": "chat",
        "m0-input": "1",
        "m0-output": "2",
        "m1-name": "small",
        "m1-kind": "chat",
    }
    return sent | limits | models | values


def test_a_provider_is_added(client: Client, llm_server: LlmServer) -> None:
    sent = {
        "name": "ours",
        "base_url": llm_server.url,
        "api_key": KEY,
        "enabled": "on",
        "concurrency": "4",
        "timeout": "60",
        "m0-name": "tiny",
        "m0-kind": "chat",
        "m0-input": "0.15",
        "m0-output": "0.6",
        "m0-batch_discount": "40",
        "m1-name": "",
        "m1-batch_discount": "50",
    }
    made = client.post(reverse("console:provider_new"), sent)
    provider = Provider.objects.get()
    assert made["Location"] == url(provider)
    assert (provider.api_key, provider.default_model) == (KEY, "tiny")
    price = ModelPrice.objects.get()
    assert (price.input, price.batch_discount) == (Decimal("0.15"), 40)
    page = client.get(url(provider)).content.decode()
    assert KEY not in page
    assert provider.key_hint in page
    shown = 'name="m{}-batch_discount" type="text" autocomplete="off" value="{}"'
    assert shown.format(0, 40) in page
    assert shown.format(1, 50) in page, "the usual one"
    odd = client.post(url(provider), typed(provider, **{"m0-batch_discount": "101"}))
    assert odd.status_code == 422
    taken = client.post(reverse("console:provider_new"), sent)
    assert taken.status_code == 422
    assert "already" in taken.content.decode()
    assert KEY not in taken.content.decode()
    taken = client.post(reverse("console:provider_new"), sent, headers={"Accept-Language": "de"})
    assert taken.context["form"].errors == {"name": ["Einen Anbieter namens ours gibt es schon."]}


def test_what_is_wrong_is_said(client: Client, db: None) -> None:
    sent = {"name": "x", "base_url": "ftp://x", "concurrency": "0", "timeout": "60"}
    page = client.post(reverse("console:provider_new"), sent)
    assert page.status_code == 422
    assert set(page.context["form"].errors) == {"base_url", "concurrency"}
    inside = client.post(
        reverse("console:provider_new"),
        {**sent, "base_url": "http://169.254.169.254/v1", "concurrency": "1"},
    )
    assert inside.status_code == 422
    assert set(inside.context["form"].errors) == {"base_url"}
    assert Provider.objects.count() == 0


def test_another_host_wipes_the_key_and_says_so(client: Client, provider: Provider) -> None:
    saved = client.post(url(provider), typed(provider, timeout="30"))
    assert saved["Location"] == f"{url(provider)}?saved=1"
    provider.refresh_from_db()
    assert (provider.api_key, provider.timeout) == (KEY, 30)
    assert ModelPrice.objects.count() == 1  # the same price, told again
    moved = client.post(url(provider), typed(provider, base_url="https://example.com/v1"))
    provider.refresh_from_db()
    assert provider.sealed_key is None
    assert "the key was wiped" in client.get(moved["Location"]).content.decode()


def test_a_model_without_a_name_goes(client: Client, provider: Provider) -> None:
    client.post(url(provider), typed(provider, **{"m1-name": ""}))
    assert list(provider.models.values_list("name", flat=True)) == ["tiny"]


def test_prices_survive_a_german_page(client: Client, provider: Provider) -> None:
    User.objects.update(language="de")
    client.post(url(provider), typed(provider, **{"m0-input": "0,15"}))
    page = client.get(url(provider))
    assert page.context["models"][1].initial["input"] == "0.15"
    client.post(url(provider), typed(provider, **{"m0-input": "0.15"}))
    prices = ModelPrice.objects.order_by("valid_from").values_list("input", flat=True)
    assert list(prices) == [Decimal(1), Decimal("0.15")]


def test_a_test_tells_how_it_went(
    client: Client, provider: Provider, llm_server: LlmServer
) -> None:
    page = client.post(url(provider, "provider_test"), {"model": "tiny"}).content.decode()
    assert "tiny works." in page
    assert "It offers" in page
    llm_server.configure(keys=["sk-another"])
    page = client.post(url(provider, "provider_test"), {"model": "tiny"}).content.decode()
    assert "tiny cannot be asked." in page


def test_the_month_has_a_limit(client: Client, provider: Provider) -> None:
    client.post(url(provider, "provider_test"), {"model": "tiny"})
    client.post(reverse("console:budget"), {"usd": "5"})
    assert Budget.objects.get(subject_id=current()).limit_usd == 5
    page = client.get(reverse("console:providers"))
    assert "of $5.00 at most" in page.content.decode()
    assert page.context["month"].calls == 1
    assert client.post(reverse("console:budget"), {"usd": "-1"}).status_code == 422
    client.post(reverse("console:budget"), {"usd": ""})
    assert Budget.objects.get(subject_id=current()).limit_usd is None


def test_deleting_asks_for_the_name(client: Client, provider: Provider) -> None:
    assert client.post(url(provider, "provider_delete"), {"name": "st"}).status_code == 422
    assert client.post(url(provider, "provider_delete"), {"name": "stub"}).status_code == 302
    assert Provider.objects.count() == 0


def test_who_may_look_and_who_may_change(
    provider: Provider, sign_in: Callable[[Membership], Client]
) -> None:
    admin = sign_in(factories.make_member(role="admin"))
    page = admin.get(url(provider))
    assert page.status_code == 200
    assert 'type="submit">Save' not in page.content.decode()
    assert admin.get(reverse("console:providers")).status_code == 200
    annotator = sign_in(factories.make_member())
    for path in (url(provider), reverse("console:providers"), reverse("console:provider_new")):
        assert annotator.get(path).status_code == 403
    for client in (admin, annotator):
        for name in ("provider", "provider_test", "provider_delete"):
            assert client.post(url(provider, name), typed(provider)).status_code == 403
        assert client.post(reverse("console:budget"), {"usd": "1"}).status_code == 403


def test_pages_ask_little(
    client: Client, provider: Provider, django_assert_max_num_queries: Any
) -> None:
    create_provider(name="second", base_url=provider.base_url, models=[ModelInput("large")])
    with django_assert_max_num_queries(16):
        client.get(reverse("console:providers"))
    with django_assert_max_num_queries(9):
        client.get(url(provider))
