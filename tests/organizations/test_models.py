"""What the database refuses of organizations, members, keys and accounts."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.organizations.models import ApiKey, Invitation, Membership, Organization
from apps.users.models import User
from tests.factories import make_member

pytestmark = pytest.mark.usefixtures("organization")


def refuses(constraint: str, make: Any, **values: Any) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make(**values)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"slug": "Upper"}, "organization_slug_is_a_host_label"),
        ({"slug": "-dash"}, "organization_slug_is_a_host_label"),
        ({"slug": "two words"}, "organization_slug_is_a_host_label"),
        ({"slug": "line\n"}, "organization_slug_is_a_host_label"),
        ({"slug": ""}, "organization_slug_is_a_host_label"),
        ({"plan": "gold"}, "organization_plan_known"),
    ],
)
def test_an_organization(change: dict[str, str], constraint: str) -> None:
    refuses(constraint, Organization.objects.update, **change)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"username": ""}, "membership_username_given"),
        ({"username": "olga"}, "membership_username_unique"),
        ({"role": "king"}, "membership_role_known"),
    ],
)
def test_a_member(owner: Membership, change: dict[str, str], constraint: str) -> None:
    member = make_member()
    refuses(constraint, Membership.objects.filter(pk=member.pk).update, **change)


def test_an_account_is_one_member_of_an_organization(owner: Membership) -> None:
    refuses("membership_user_unique", Membership.objects.create, username="x", user=owner.user)


def test_a_key_is_one_key(owner: Membership) -> None:
    values = {"membership": owner, "digest": "d", "prefix": "sw_1"}
    ApiKey.objects.create(**values)
    refuses("api_key_digest_unique", ApiKey.objects.create, **values)


@pytest.mark.parametrize(
    ("scopes", "constraint"),
    [(["read", "everything"], "api_key_scopes_known"), ([], "api_key_scopes_given")],
)
def test_a_key_has_known_scopes(owner: Membership, scopes: list[str], constraint: str) -> None:
    values = {"membership": owner, "digest": "d", "prefix": "sw_1"}
    refuses(constraint, ApiKey.objects.create, **values, scopes=scopes)


def test_an_address_is_one_account_however_it_is_written() -> None:
    User.objects.create(email="Ann@example.org")
    refuses("user_account_email_unique", User.objects.create, email="ann@EXAMPLE.org")
    User.objects.create(email=None)
    User.objects.create(email=None)


def test_names() -> None:
    member = Membership(username="ann", first_name="Ann", last_name=None)
    assert (str(member), member.display_name) == ("ann", "Ann")
    assert Membership(username="bob").display_name == "bob"
    assert str(Organization(name="Acme")) == "Acme"
    assert str(ApiKey(prefix="sw_abc")) == "sw_abc…"
    assert str(User(email="a@example.org")) == "a@example.org"


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"digest": "other"}, "invitation_digest_unique"),
        ({"email": "b@example.com"}, "invitation_waiting_once"),
        ({"email": "A@example.com"}, "invitation_email_lower_case"),
        ({"role": "king"}, "invitation_role_known"),
        (
            {"accepted_at": timezone.now(), "revoked_at": timezone.now()},
            "invitation_ends_once|invitation_accepted_gives_a_place",
        ),
        ({"accepted_at": timezone.now()}, "invitation_accepted_gives_a_place"),
    ],
)
def test_an_invitation(owner: Membership, change: dict[str, Any], constraint: str) -> None:
    values = {"invited_by": owner, "expires_at": timezone.now()}
    one = Invitation.objects.create(email="a@example.com", digest="one", **values)
    Invitation.objects.create(email="b@example.com", digest="other", **values)
    refuses(constraint, Invitation.objects.filter(pk=one.pk).update, **change)
