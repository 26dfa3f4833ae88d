"""The look-ups before the tenant is known, and log-in by organization, name and password."""

from typing import Any

import pytest
from django.contrib.auth import authenticate

from apps.core.tenancy import enter
from apps.organizations import directory, services
from apps.organizations.models import Membership
from apps.users.models import User
from tests.factories import PASSWORD, make_member, make_organization


@pytest.fixture
def acme(db: None) -> Any:
    organization = make_organization("Acme")
    with enter(organization.id):
        make_member(username="ann", password=PASSWORD)
        make_member(username="mailed", email="mailed@example.org", password=PASSWORD)
    return organization


def test_each_question_is_answered_from_outside(acme: Any) -> None:
    assert directory.find_organization(acme.slug) == acme.id
    assert directory.find_organization("nobody") is None
    account = User.objects.get(email="mailed@example.org")
    (place,) = directory.find_memberships(account.id)
    assert (place.organization_id, place.slug, place.name) == (acme.id, acme.slug, acme.name)


def test_an_account_finds_all_its_organizations_by_slug(acme: Any) -> None:
    others = [make_organization(name) for name in ("Zeta", "Beta")]
    for other in others:
        with enter(other.id):
            services.create_member(username="mailed", email="mailed@example.org")
    account = User.objects.get(email="mailed@example.org")
    slugs = [place.slug for place in directory.find_memberships(account.id)]
    assert slugs == sorted([acme.slug, *(other.slug for other in others)])
    with enter(others[0].id):
        Membership.objects.filter(username="mailed").update(is_active=False)
    assert len(directory.find_memberships(account.id)) == 2


def log_in(**credentials: Any) -> Any:
    return authenticate(None, **credentials)


def test_a_member_logs_in_on_their_organizations_page(acme: Any) -> None:
    user = log_in(organization=acme.slug, username="ann", password=PASSWORD)
    assert user is not None
    with enter(acme.id):
        assert Membership.objects.get(username="ann").user == user


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "wrong"},
        {"username": "nobody"},
        {"username": "mailed"},  # has an address: logs in with it
        {"organization": "nowhere"},
        {"organization": None},
        {"username": None},
        {"password": None},
        {"password": ""},
    ],
)
def test_nobody_else_does(acme: Any, wrong: dict[str, Any]) -> None:
    right = {"organization": acme.slug, "username": "ann", "password": PASSWORD}
    assert log_in(**{**right, **wrong}) is None


def test_a_name_is_no_ones_in_another_organization(acme: Any) -> None:
    other = make_organization("Other")
    with enter(other.id):
        make_member(username="ann", password="another password")
    assert log_in(organization=other.slug, username="ann", password=PASSWORD) is None


def test_who_left_or_was_barred_is_not_let_in(acme: Any) -> None:
    right = {"organization": acme.slug, "username": "ann", "password": PASSWORD}
    User.objects.filter(email=None).update(is_active=False)
    assert log_in(**right) is None
    User.objects.update(is_active=True)
    assert log_in(**right) is not None
    with enter(acme.id):
        Membership.objects.filter(username="ann").update(is_active=False)
    assert log_in(**right) is None


def test_an_unknown_name_costs_a_hash_as_well(acme: Any, monkeypatch: Any) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(
        "apps.organizations.backends.make_password", lambda text: hashed.append(text)
    )
    log_in(organization=acme.slug, username="nobody", password="guess")
    log_in(organization="nowhere", username="ann", password="guess")
    assert hashed == ["guess", "guess"]
