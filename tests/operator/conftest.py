"""An operator with a fresh proof, and an organization to look at; everything is committed."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from apps.core.tenancy import enter
from apps.operator.access import PROVED
from apps.organizations.models import Membership, Organization
from apps.users.models import User
from tests import factories
from tests.labeling.conftest import BACKEND, site, visit

__all__ = ["site", "visit"]

EVERYWHERE = pytest.mark.django_db(databases=["default", "operator"], transaction=True)


def make_user(**values: Any) -> User:
    email = f"user-{uuid4().hex[:10]}@example.com"
    return User.objects.create_user(email, factories.PASSWORD, **values)


def signed_in(user: User, *, proved: bool = False) -> Client:
    """A browser of the account; ``proved``: past the operator's door."""
    client = Client()
    client.force_login(user, backend=BACKEND)
    if proved:
        answer = client.post("/operator/sign-in/", {"password": factories.PASSWORD})
        assert answer.status_code == 302
        assert client.session[PROVED][0] == str(user.pk)
    return client


@pytest.fixture
def operator(transactional_db: None) -> User:
    return make_user(is_staff=True)


@pytest.fixture
def console(operator: User) -> Client:
    return signed_in(operator, proved=True)


@pytest.fixture
def acme(transactional_db: None) -> Organization:
    return factories.make_organization("Acme")


@pytest.fixture
def member_of() -> Callable[..., Membership]:
    """A member with an account."""

    def made(organization: Organization, role: str = "owner", **values: Any) -> Membership:
        values.setdefault("email", f"{role}-{uuid4().hex[:8]}@example.com")
        with enter(organization.id):
            return factories.make_member(role=role, password=factories.PASSWORD, **values)

    return made
