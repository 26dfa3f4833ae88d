"""Log-in by a real OpenID Connect provider that runs beside the tests."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from apps.core.rate_limits import refill
from apps.core.tenancy import enter
from apps.organizations.models import Membership, Organization
from apps.organizations.services import create_member, remove_member
from apps.users.models import User
from apps.workspaces.models import WorkspaceMembership
from config import env
from tests.api.conftest import Api, Cast
from tests.api.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, running
from tests.factories import PASSWORD

ROOT = "/api/v1/oauth2/providers"
PERSON = {
    "sub": "4711",
    "preferred_username": "ada",
    "name": "Ada Lovelace",
    "email": "ada@example.org",
    "email_verified": True,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with running() as provider:
        yield provider


@pytest.fixture
def provider(server: Provider, settings: Any, cast: Cast) -> Provider:
    """Configured, and open to newcomers of the cast's first organization."""
    server.profile, server.id_claims, server.broken = dict(PERSON), {}, set()
    server.asked.clear()
    app = {
        "provider_id": "company",
        "name": "company",
        "client_id": CLIENT_ID,
        "secret": CLIENT_SECRET,
        "settings": {"server_url": server.url},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {"APPS": [app], "OAUTH_PKCE_ENABLED": True}
    }
    settings.OAUTH_ORGANIZATION = cast.organization.slug
    return server


@pytest.fixture
def browser() -> Client:
    return Client(raise_request_exception=False)


def begin(browser: Client, **query: str) -> str:
    """Where the browser is sent."""
    answer = browser.get(f"{ROOT}/company/authentication", query)
    assert answer.status_code == 303, answer.content
    return str(answer["Location"])


def agree(address: str) -> str:
    """The person agrees at the provider: where they are sent back to."""
    answer = httpx.get(address)
    assert answer.status_code == 302
    back = urlsplit(answer.headers["Location"])
    assert (back.netloc, back.path) == ("testserver", f"{ROOT}/company/access-token")
    return f"{back.path}?{back.query}"


def log_in(browser: Client, **query: str) -> Any:
    return browser.get(agree(begin(browser, **query)))


def test_without_configuration_there_is_no_provider(db: None, browser: Client) -> None:
    assert browser.get(ROOT).json() == {"items": []}
    for path in ("authentication", "access-token", "access-token?code=a&state=b"):
        answer = browser.get(f"{ROOT}/company/{path}")
        assert (answer.status_code, answer.json()) == (
            404,
            {"detail": "Provider with name `company` not found"},
        )


def test_providers_are_listed_by_name(provider: Provider, browser: Client) -> None:
    assert browser.get(ROOT).json() == {"items": [{"name": "company"}]}
    assert browser.get(f"{ROOT}/openid_connect/authentication").status_code == 404


def test_the_log_in_page_stays_as_it_is(provider: Provider, browser: Client) -> None:
    assert browser.get("/accounts/login/").status_code == 200


def test_the_browser_is_sent_away_with_a_cookie(provider: Provider, browser: Client) -> None:
    address = urlsplit(begin(browser))
    assert f"{address.scheme}://{address.netloc}" == provider.url
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert query["redirect_uri"] == f"http://testserver{ROOT}/company/access-token"
    assert (query["client_id"], query["response_type"]) == (CLIENT_ID, "code")
    assert (query["code_challenge_method"], len(query["state"])) == ("S256", 43)
    assert set(query["scope"].split()) == {"openid", "profile", "email"}
    cookie = browser.cookies["stoneware_oauth2"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (
        *(True, "Lax"),
        "/api/v1/oauth2/",
    )
    assert not cookie["secure"]
    browser.get(f"{ROOT}/company/authentication", secure=True)
    assert browser.cookies["stoneware_oauth2"]["secure"]


def test_a_newcomer_becomes_an_annotator(
    provider: Provider, browser: Client, cast: Cast, settings: Any
) -> None:
    settings.OAUTH_WORKSPACES = ["reviews", "not there"]
    answer = log_in(browser)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "bearer")
    assert answer.cookies["stoneware_oauth2"].value == ""
    me = Api().get("/me", Authorization=f"Bearer {answer.json()['access_token']}").json()
    assert (me["username"], me["role"]) == ("ada", "annotator")
    assert (me["first_name"], me["last_name"]) == ("Ada", "Lovelace")
    with cast.inside():
        places = WorkspaceMembership.objects.filter(membership_id=me["id"])
        assert [place.workspace_id for place in places] == [cast.workspace.id]
        member = Membership.objects.select_related("user").get(id=me["id"])
    assert member.user is not None
    assert member.user.email == "ada@example.org"
    assert not member.user.has_usable_password()
    with enter(cast.other.id):
        assert not Membership.objects.filter(username="ada").exists()


def test_who_comes_again_is_the_same_member(
    provider: Provider, browser: Client, cast: Cast
) -> None:
    ids = set()
    for _ in range(2):
        token = log_in(browser).json()["access_token"]
        ids.add(Api().get("/me", Authorization=f"Bearer {token}").json()["id"])
        provider.profile["email"] = "new-address@example.org"
        provider.profile["preferred_username"] = "countess"
    assert len(ids) == 1
    assert SocialAccount.objects.count() == 1


def test_another_person_of_the_same_name_gets_a_number(
    provider: Provider, browser: Client, cast: Cast
) -> None:
    with cast.inside():
        create_member(username="ada", role="owner", password=PASSWORD)
    names = []
    for sub in ("1", "2"):
        provider.profile = {"sub": sub, "preferred_username": "ada"}
        token = log_in(browser).json()["access_token"]
        names.append(Api().get("/me", Authorization=f"Bearer {token}").json()["username"])
    assert names == ["ada-2", "ada-3"]


# --- Who does not come in ------------------------------------------------------------------------


def refused(answer: Any, words: str) -> None:
    assert answer.status_code == 403, answer.content
    assert words in answer.json()["detail"]["params"]["detail"]


def test_newcomers_are_refused_unless_the_host_says_where_they_go(
    provider: Provider, browser: Client, settings: Any
) -> None:
    for organization in ("", "nowhere"):
        settings.OAUTH_ORGANIZATION = organization
        refused(log_in(browser), "Newcomers are not admitted")
    assert not SocialAccount.objects.exists()
    assert not User.objects.filter(email="ada@example.org").exists()


def test_newcomers_cannot_choose_another_organization(
    provider: Provider, browser: Client, cast: Cast
) -> None:
    refused(log_in(browser, organization=cast.other.slug), "Newcomers are not admitted")
    assert log_in(browser, organization=cast.organization.slug).status_code == 200


@pytest.mark.parametrize(
    ("change", "admitted"),
    [
        ({}, True),
        ({"email": "ada@EXAMPLE.org"}, True),
        ({"email": "ada@example.org.evil.net"}, False),
        ({"email": "ada@evil-example.org"}, False),
        ({"email_verified": False}, False),
        ({"email_verified": "true"}, False),
        ({"email": None}, False),
    ],
)
def test_only_verified_emails_of_admitted_domains(
    provider: Provider, browser: Client, settings: Any, change: dict[str, Any], admitted: bool
) -> None:
    settings.OAUTH_EMAIL_DOMAINS = ["Example.org"]
    provider.profile.update(change)
    answer = log_in(browser)
    if admitted:
        assert answer.status_code == 200
    else:
        refused(answer, "verified e-mail of an admitted domain")


def test_an_email_takes_over_nobodys_account(
    provider: Provider, browser: Client, cast: Cast
) -> None:
    with cast.inside():
        create_member(username="boss", role="owner", email="ADA@example.org", password=PASSWORD)
    refused(log_in(browser), "An account with this e-mail exists")
    assert not SocialAccount.objects.exists()


def test_an_unverified_email_is_not_kept(provider: Provider, browser: Client) -> None:
    provider.profile["email_verified"] = False
    assert log_in(browser).status_code == 200
    assert SocialAccount.objects.get().user.email is None


def test_an_organization_that_asks_for_a_second_factor_gives_no_token(
    provider: Provider, browser: Client, cast: Cast
) -> None:
    with enter(cast.organization.id):
        Organization.objects.update(requires_mfa=True)
    refused(log_in(browser), "second factor")
    with enter(cast.organization.id):
        Organization.objects.update(requires_mfa=False)
    assert log_in(browser).status_code == 200


def test_who_was_removed_does_not_come_back_by_themselves(
    provider: Provider, browser: Client, cast: Cast
) -> None:
    token = log_in(browser).json()["access_token"]
    with cast.inside():
        remove_member(member=Membership.objects.get(username="ada"))
    assert Api().get("/me", Authorization=f"Bearer {token}").status_code == 401
    refused(log_in(browser), "no longer, a member")


def test_a_member_of_several_organizations_names_one(
    provider: Provider, browser: Client, cast: Cast, settings: Any
) -> None:
    log_in(browser)
    with enter(cast.other.id):
        create_member(username="ada-there", email="ada@example.org")
    settings.OAUTH_ORGANIZATION = ""
    refused(log_in(browser), "several organizations")
    token = log_in(browser, organization=cast.other.slug).json()["access_token"]
    me = Api().get("/me", Authorization=f"Bearer {token}").json()
    assert me["username"] == "ada-there"
    refused(log_in(browser, organization="nowhere"), "no longer, a member")


# --- What goes wrong on the way ------------------------------------------------------------------


def test_code_and_state_must_be_those_of_this_browser(provider: Provider, browser: Client) -> None:
    back = agree(begin(browser))
    path, _, query = back.partition("?")
    given = {name: values[0] for name, values in parse_qs(query).items()}
    wrong = [
        {},
        {"code": given["code"]},
        {"state": given["state"]},
        {**given, "state": "another"},
        {**given, "state": "é\x00"},
        {**given, "code": "x" * 5_000},
    ]
    for one in wrong:
        assert browser.get(path, one).status_code == 422, one
    other = Client(raise_request_exception=False)
    assert other.get(back).status_code == 422
    other.cookies["stoneware_oauth2"] = "forged"
    assert other.get(back).status_code == 422
    assert "/token" not in provider.asked, "nothing of this reached the provider"
    assert browser.get(back).status_code == 200
    assert browser.get(back).status_code == 422, "the cookie is gone"


def test_a_code_that_the_provider_does_not_know_is_a_422(
    provider: Provider, browser: Client
) -> None:
    path, _, query = agree(begin(browser)).partition("?")
    state = parse_qs(query)["state"][0]
    answer = browser.get(path, {"code": "guess", "state": state})
    assert (answer.status_code, answer.json()) == (
        422,
        {"detail": "The provider did not accept the code"},
    )


def test_a_state_of_one_provider_is_none_of_another(
    provider: Provider, browser: Client, settings: Any
) -> None:
    apps = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
    apps.append({**apps[0], "provider_id": "second", "name": "second"})
    back = agree(begin(browser)).replace("/company/", "/second/")
    assert browser.get(back).status_code == 422


def test_a_refusal_is_a_401_with_a_text(provider: Provider, browser: Client) -> None:
    begin(browser)
    answer = browser.get(f"{ROOT}/company/access-token", {"error": "access_denied"})
    assert (answer.status_code, answer.json()) == (
        401,
        {"detail": "The provider did not confirm who you are."},
    )


@pytest.mark.parametrize(
    "claims",
    [{"aud": "another client"}, {"iss": "https://evil.example"}, {"exp": 1}, {"sub": "other"}],
)
def test_a_token_for_others_is_refused(
    provider: Provider, browser: Client, claims: dict[str, Any]
) -> None:
    provider.id_claims = claims
    assert log_in(browser).status_code == 401
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/userinfo"])
def test_a_provider_that_answers_nonsense_is_a_502(
    provider: Provider, browser: Client, path: str
) -> None:
    back = agree(begin(browser))
    provider.broken = {path}
    answer = browser.get(back)
    assert answer.status_code == 502, answer.content
    assert answer.json() == {"detail": "The provider does not answer as it should."}


def test_tries_are_counted_by_address(provider: Provider, browser: Client, settings: Any) -> None:
    settings.LOGIN_LIMIT_PER_ADDRESS = 2
    where = f"{ROOT}/company/authentication"
    extra = {"REMOTE_ADDR": "10.0.0.7"}
    statuses = [browser.get(where, **extra).status_code for _ in range(3)]
    refill("login-address:10.0.0.7")
    assert statuses == [303, 303, 429]


def test_a_provider_that_is_gone_is_a_502(
    provider: Provider, browser: Client, settings: Any
) -> None:
    apps = settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]
    apps[0] = {**apps[0], "settings": {"server_url": "http://127.0.0.1:9"}}
    assert browser.get(f"{ROOT}/company/authentication").status_code == 502


@pytest.mark.parametrize(
    "change",
    [
        {"preferred_username": 7, "name": None},
        {"preferred_username": "a/b\x00\n" * 100, "name": "\x00"},
        {"preferred_username": "", "name": "", "email": "@"},
        {"preferred_username": "x" * 5_000, "name": "y " * 5_000},
        {"email": "no address", "email_verified": True},
        {"email": ["ada@example.org"]},
        {"sub": "x" * 5_000},
        {"sub": ""},
    ],
)
def test_odd_people_break_nothing(
    provider: Provider, browser: Client, change: dict[str, Any]
) -> None:
    provider.profile.update(change)
    assert log_in(browser).status_code in {200, 401, 422, 502}


def test_providers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Exception, match=r"OAUTH_MY_SSO_CLIENT_ID and .*_SERVER_URL"):
        env.oauth_provider("my-sso")
    monkeypatch.setenv("OAUTH_HUGGINGFACE_CLIENT_ID", "id")
    monkeypatch.setenv("OAUTH_HUGGINGFACE_CLIENT_SECRET", "secret")
    app = env.oauth_provider("huggingface")
    assert app["settings"] == {"server_url": "https://huggingface.co"}
    assert (app["provider_id"], app["client_id"], app["secret"]) == ("huggingface", "id", "secret")
