"""Fixtures: an entered organization with its people, and a second one to keep out."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.servers.basehttp import WSGIRequestHandler
from django.db import OperationalError, connections
from django.test.utils import setup_databases, teardown_databases
from django.utils import translation
from psycopg.errors import ObjectInUse

from apps.core.checks import role_attributes
from apps.core.tenancy import enter
from apps.organizations.models import Membership, Organization
from apps.organizations.services import create_api_key
from apps.workspaces.models import Workspace
from tests import factories
from tests.browser import _own_loop, chromium
from tests.llm_server.fixtures import fresh_dialects, llm_process, llm_server

__all__ = ["_own_loop", "chromium", "fresh_dialects", "llm_process", "llm_server"]

ALL_DATABASES = ["default", "owner", "operator"]

# The server of live tests writes heads and bodies apart: a kept connection would wait 40 ms each.
WSGIRequestHandler.disable_nagle_algorithm = True


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: Any
) -> Iterator[None]:
    """The owner makes and migrates the database; tests talk to it as the walled-in role.

    pytest-django would set up only the aliases a test names, and the mirrors of an alias that
    nobody named would lead to the real database.
    """
    with django_db_blocker.unblock():
        created = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
        assert role_attributes("default") == ("stoneware_app", False, False)
    yield
    with django_db_blocker.unblock():
        for connection in connections.all():
            connection.close()
        try:
            teardown_databases(created, verbosity=0)
        except OperationalError as error:  # a page was still asking when its browser had gone
            if not isinstance(error.__cause__, ObjectInUse):
                raise  # else the next run drops it


@pytest.fixture(autouse=True)
def _own_language() -> Iterator[None]:
    """The language of a request stays with its thread: the next test does not begin in it."""
    yield
    translation.deactivate()


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
