"""Fixtures: an entered organization with its people, and a second one to keep out."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections

from apps.core.checks import role_attributes
from apps.core.tenancy import enter
from apps.organizations.models import Membership, Organization
from apps.organizations.services import create_api_key
from apps.workspaces.models import Workspace
from tests import factories

ALL_DATABASES = ["default", "owner", "operator"]


@pytest.fixture(scope="session", autouse=True)
def _walled_in(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests run as the application's role, or they prove nothing about the wall."""
    yield
    for connection in connections.all():
        connection.close()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        name, superuser, bypasses = role_attributes("default")
        assert (name, superuser, bypasses) == ("stoneware_app", False, False)
    yield
    with django_db_blocker.unblock():
        connections["default"].close()
        connections["operator"].close()


@pytest.fixture
def organization(db: None) -> Iterator[Organization]:
    """An organization, entered for the length of the test."""
    organization = factories.make_organization()
    with enter(organization.id):
        yield organization


@pytest.fixture
def workspace(organization: Organization) -> Workspace:
    return factories.make_workspace()


@pytest.fixture
def owner(organization: Organization) -> Membership:
    return factories.make_member(role="owner", username="olga")


@pytest.fixture
def make_member(organization: Organization) -> Callable[..., Membership]:
    return factories.make_member


@pytest.fixture
def make_dataset(organization: Organization) -> Callable[..., Any]:
    return factories.make_dataset


@pytest.fixture
def make_records(organization: Organization) -> Callable[..., Any]:
    return factories.make_records


@pytest.fixture
def api_key(organization: Organization) -> Callable[[Membership], str]:
    """The key itself, of any member."""
    return lambda member: create_api_key(member=member)[1]
