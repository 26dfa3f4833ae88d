"""Signing in by e-mail and by organization, choosing an organization, and nothing given away."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from apps.core.tenancy import enter
from apps.organizations.models import Membership, Organization
from apps.organizations.services import remove_member
from tests import factories

LOGIN, MEMBER_LOGIN = "/accounts/login/", "/accounts/login/member/"
SignIn = Callable[[Membership], Client]


@pytest.fixture
def mara(organization: Organization) -> Membership:
    return factories.make_member(email="mara@example.com", password=factories.PASSWORD)


@pytest.fixture
def bo(organization: Organization) -> Membership:
    return factories.make_member(username="bo", password=factories.PASSWORD)


def test_sign_in_by_email_leads_where_one_wanted(client: Client, mara: Membership) -> None:
    assert client.get("/datasets/").headers["Location"] == f"{LOGIN}?next=/datasets/"
    form = {"login": "Mara@Example.com", "password": factories.PASSWORD, "next": "/datasets/"}
    assert client.post(LOGIN, form).headers["Location"] == "/datasets/"
    assert client.get("/datasets/").status_code == 200


def test_sign_in_by_organization(
    client: Client, organization: Organization, bo: Membership
) -> None:
    assert client.get(MEMBER_LOGIN).status_code == 200
    form = {
        "organization": organization.slug.upper(),
        "username": "bo",
        "password": factories.PASSWORD,
        "next": "/datasets/",
    }
    assert client.post(MEMBER_LOGIN, form).headers["Location"] == "/datasets/"
    assert "bo" in client.get("/").content.decode()
    assert client.get(MEMBER_LOGIN).status_code == 302


def test_a_foreign_address_is_not_followed(
    client: Client, organization: Organization, bo: Membership
) -> None:
    form = {
        "organization": organization.slug,
        "username": "bo",
        "password": factories.PASSWORD,
        "next": "https://evil.example/",
    }
    assert client.post(MEMBER_LOGIN, form).headers["Location"] == "/"


def _body(client: Client, path: str, form: dict[str, str]) -> str:
    answer = client.post(path, form)
    assert answer.status_code == 422
    text = re.sub(r'value="[^"]*"', "", answer.content.decode())
    return re.sub(r"csrfmiddlewaretoken.*", "", text)


def test_a_refused_sign_in_tells_nothing(
    client: Client, organization: Organization, mara: Membership, bo: Membership
) -> None:
    known = _body(client, LOGIN, {"login": "mara@example.com", "password": "wrong"})
    unknown = _body(client, LOGIN, {"login": "nobody@example.com", "password": "wrong"})
    assert "don’t match" in known
    assert known == unknown
    slug = organization.slug
    answers = {
        _body(client, MEMBER_LOGIN, {"organization": o, "username": u, "password": "wrong"})
        for o, u in ((slug, "bo"), (slug, "nobody"), ("no-such-place", "bo"))
    }
    assert len(answers) == 1
    assert "These three don’t match." in answers.pop()


def test_a_refused_sign_in_keeps_what_was_typed_except_the_password(
    db: None, client: Client
) -> None:
    form = {"organization": "acme", "username": "bo", "password": "secret-word"}
    text = client.post(MEMBER_LOGIN, form).content.decode()
    assert 'value="bo"' in text
    assert "secret-word" not in text


def test_tries_are_limited(
    client: Client, settings: Any, organization: Organization, bo: Membership
) -> None:
    cache.clear()
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "5/300s/key"}
    form = {"organization": organization.slug, "username": "bo", "password": "wrong"}
    for _ in range(5):
        assert "These three" in client.post(MEMBER_LOGIN, form).content.decode()
    text = client.post(MEMBER_LOGIN, {**form, "password": factories.PASSWORD}).content.decode()
    assert "Too many tries" in text
    other_name = {"headers": {"Host": "elsewhere.example"}}
    assert "Too many tries" in client.post(MEMBER_LOGIN, form, **other_name).content.decode()
    cache.clear()


def test_several_organizations_are_chosen_from(db: None, client: Client) -> None:
    places = [factories.make_organization(name) for name in ("Acme", "Bolt")]
    for place in places:
        with enter(place.id):
            member = factories.make_member(email="both@example.com", password=factories.PASSWORD)
            workspace = factories.make_workspace()
            factories.make_dataset(workspace, name=f"dataset-of-{place.name}")
            Membership.objects.filter(pk=member.pk).update(role="owner")
    client.post(LOGIN, {"login": "both@example.com", "password": factories.PASSWORD})
    answer = client.get("/datasets/")
    assert answer.headers["Location"] == "/organizations/?next=%2Fdatasets%2F"
    assert "Bolt" in client.get("/organizations/").content.decode()
    chosen = client.post(
        "/organizations/", {"organization": str(places[1].id), "next": "/datasets/"}
    )
    assert chosen.headers["Location"] == "/datasets/"
    text = client.get("/datasets/").content.decode()
    assert "dataset-of-Bolt" in text
    assert "dataset-of-Acme" not in text


def test_what_is_no_address_leads_home_in_the_organization(
    organization: Organization, mara: Membership, sign_in: SignIn
) -> None:
    client = sign_in(mara)
    sent = {"organization": str(organization.id), "next": "-1"}
    assert client.post("/organizations/", sent).headers["Location"] == "/"
    assert client.session["organization_id"] == str(organization.id)


def test_an_organization_of_others_cannot_be_chosen(
    organization: Organization, mara: Membership, sign_in: SignIn
) -> None:
    client = sign_in(mara)
    other = "0" * 32
    assert client.post("/organizations/", {"organization": other}).status_code == 200
    assert client.session.get("organization_id") is None


def test_who_was_removed_is_out_at_once(
    organization: Organization, mara: Membership, sign_in: SignIn
) -> None:
    client = sign_in(mara)
    assert client.get("/").status_code == 200
    remove_member(member=mara)
    assert client.get("/").headers["Location"] == "/organizations/"
    assert client.get("/organizations/").status_code == 403
    assert "No organization yet" in client.get("/organizations/").content.decode()


def test_a_forgotten_password_is_replaced_by_mail(
    client: Client, mara: Membership, django_capture_on_commit_callbacks: Any
) -> None:
    form = {"email": "mara@example.com"}
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(reverse("account_reset_password"), form)
    assert answer.headers["Location"] == reverse("account_reset_password_done")
    unknown = client.post(reverse("account_reset_password"), {"email": "nobody@example.com"})
    assert unknown.headers["Location"] == answer.headers["Location"]
    link = re.search(r"http://testserver(\S+)", str(mail.outbox[0].body))
    assert link is not None
    page = client.get(link[1], follow=True)
    assert "New password" in page.content.decode()
    address = page.redirect_chain[-1][0]
    short = client.post(address, {"password1": "short", "password2": "short"})
    assert short.status_code == 422
    new = {"password1": "a brand new phrase", "password2": "a brand new phrase"}
    assert client.post(address, new).status_code == 302
    done = client.post(LOGIN, {"login": "mara@example.com", "password": "a brand new phrase"})
    assert done.status_code == 302


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/logout/",
        "/accounts/signup/",
        "/accounts/inactive/",
        "/accounts/password/reset/",
        "/accounts/password/reset/done/",
        "/accounts/password/reset/key/done/",
        "/accounts/password/reset/key/1-bad/",
    ],
)
def test_the_pages_around_sign_in_are_ours(
    path: str, mara: Membership, client: Client, sign_in: SignIn
) -> None:
    visitor = sign_in(mara) if "logout" in path else client
    answer = visitor.get(path)
    assert answer.status_code == 200
    assert "Labels that hold water." in answer.content.decode()


@pytest.mark.parametrize("path", ["email/confirm/", "password/reset/code/", "login/code/"])
def test_other_pages_of_the_account_library_are_not_served(path: str, client: Client) -> None:
    assert client.get(f"/accounts/{path}").status_code == 404


def test_error_pages_need_no_database(
    db: None, client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_an_old_form_is_refused_in_words(mara: Membership) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post(LOGIN, {"login": "mara@example.com", "password": factories.PASSWORD})
    assert answer.status_code == 403
    assert "This form was too old" in answer.content.decode()
