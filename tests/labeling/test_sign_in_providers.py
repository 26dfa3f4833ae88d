"""Signing in through a provider: verified e-mails only, and no account is taken over."""

from collections.abc import Callable, Iterator
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from apps.organizations.models import Membership, Organization
from apps.users.models import User
from tests import factories
from tests.api.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, running
from tests.labeling.test_entrance import half_way

LOGIN, BEGIN = "/accounts/login/", "/accounts/with/company/"
SignIn = Callable[[Membership], Client]
PERSON = {
    "sub": "4711",
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "email_verified": True,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with running() as provider:
        yield provider


@pytest.fixture
def provider(server: Provider, settings: Any, db: None) -> Provider:
    server.profile, server.id_claims, server.broken = dict(PERSON), {}, set()
    app = {
        "provider_id": "company",
        "name": "Company",
        "client_id": CLIENT_ID,
        "secret": CLIENT_SECRET,
        "settings": {"server_url": server.url},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {"APPS": [app], "OAUTH_PKCE_ENABLED": True}
    }
    settings.SIGNUP, settings.OAUTH_ORGANIZATION = "open", ""
    return server


def come_back(client: Client, **form: str) -> Any:
    """To the provider and back; what the site answers then."""
    page = client.post(BEGIN, form)
    if page.status_code == 302:  # is it you?
        page = client.post(page.headers["Location"], {"password": factories.PASSWORD})
    assert page.status_code == 200, page.content
    text = page.content.decode()
    address = unescape(text.split('http-equiv="refresh" content="0;url=')[1].split('"')[0])
    answer = httpx.get(address)
    back = urlsplit(answer.headers["Location"])
    return client.get(f"{back.path}?{back.query}")


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_the_sign_in_page_offers_the_provider(provider: Provider, client: Client) -> None:
    assert "Continue with Company" in client.get(LOGIN).content.decode()
    assert client.get(BEGIN).status_code == 405
    assert client.post("/accounts/with/other/").status_code == 404


def test_without_providers_there_is_none(db: None, client: Client) -> None:
    assert "Continue with" not in client.get(LOGIN).content.decode()
    assert client.post(BEGIN).status_code == 404
    for path in ("oidc/company", "google", "github", "microsoft"):
        assert client.get(f"/accounts/{path}/login/callback/?code=a&state=b").status_code in {
            401,
            404,
        }


def test_a_verified_newcomer_gets_an_account(provider: Provider, client: Client) -> None:
    assert come_back(client).status_code == 302
    assert is_signed_in(client)
    user = User.objects.get(email="ada@example.org")
    assert not user.has_usable_password()
    assert client.get("/", follow=True).redirect_chain[-1][0] == "/welcome/"
    again = Client()
    come_back(again)
    assert again.session["_auth_user_id"] == str(user.id)


def refused(client: Client, words: str) -> None:
    answer = come_back(client)
    assert answer.status_code == 403
    assert words in answer.content.decode()
    assert not is_signed_in(client)


def test_an_unverified_email_gets_none(provider: Provider, client: Client) -> None:
    provider.profile["email_verified"] = False
    refused(client, "has not verified")
    assert User.objects.count() == 0


def test_an_account_is_not_taken_over(
    provider: Provider, client: Client, organization: Organization
) -> None:
    factories.make_member(email="ada@example.org", password=factories.PASSWORD)
    refused(client, "An account with this e-mail exists")
    assert SocialAccount.objects.count() == 0


@pytest.mark.parametrize("policy", ["invite", "closed"])
def test_where_sign_up_is_not_open_strangers_are_refused(
    provider: Provider, client: Client, settings: Any, policy: str
) -> None:
    settings.SIGNUP = policy
    refused(client, "by invitation")
    assert User.objects.count() == 0


def test_newcomers_are_admitted_where_the_host_says_so(
    provider: Provider, client: Client, settings: Any, organization: Organization
) -> None:
    settings.SIGNUP, settings.OAUTH_ORGANIZATION = "closed", organization.slug
    assert come_back(client).status_code == 302
    assert Membership.objects.get(user__email="ada@example.org").role == "annotator"
    assert client.get("/").status_code == 200


def test_a_member_adds_a_provider_after_proof(
    provider: Provider, organization: Organization, sign_in: SignIn
) -> None:
    mara = factories.make_member(email="mara@example.com", password=factories.PASSWORD)
    stale = sign_in(mara)
    assert "reauthenticate" in stale.post(BEGIN).headers["Location"]
    client = Client()
    half_way(client)
    come_back(client, next="/accounts/providers/")
    assert SocialAccount.objects.get().user_id == mara.user_id
    page = client.get("/accounts/providers/").content.decode()
    assert "Remove company" in page
    account = SocialAccount.objects.get()
    refusal = client.post("/accounts/providers/", {"account": account.pk})
    assert refusal.status_code in {302, 422}


def test_a_return_that_was_not_begun_here_is_refused(provider: Provider) -> None:
    begun, other = Client(), Client()
    page = begun.post(BEGIN).content.decode()
    address = unescape(page.split('http-equiv="refresh" content="0;url=')[1].split('"')[0])
    back = urlsplit(httpx.get(address).headers["Location"])
    answer = other.get(f"{back.path}?{back.query}")
    assert answer.status_code in {200, 401}
    assert not is_signed_in(other)


def test_a_foreign_address_is_not_followed(provider: Provider, client: Client) -> None:
    answer = come_back(client, next="https://evil.example/")
    assert "evil" not in answer.headers["Location"]


def test_a_provider_that_is_gone_is_said_to_be(provider: Provider, settings: Any) -> None:
    app = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"][0]
    app["settings"] = {"server_url": "http://127.0.0.1:9"}
    assert Client().post(BEGIN).status_code == 502
