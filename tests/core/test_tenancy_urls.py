"""Every URL there is, walked with the ids of another organization: not found, and no trace."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.core.tenancy import enter
from apps.organizations.models import Membership
from apps.organizations.services import create_api_key
from tests.core.test_tenancy_twins import EVERY_MODEL, fill, fingerprints, id_of
from tests.factories import PASSWORD, make_dataset, make_member, make_organization

pytestmark = pytest.mark.django_db

# The last word of a path's argument → the table whose id it is.
TABLES = {
    "user": "membership",
    "member": "membership",
    "key": "api_key",
    "property": "metadata_property",
    "settings": "vector_settings",
    "version": "guidelines_version",
    "delivery": "webhook_delivery",
    "evaluation": "prompt_evaluation",
}
METHODS = ("get", "post", "put", "patch", "delete")
GONE = {401, 404, 405}
# A body that is wrong in itself is said to be so before anything is looked up.
UNREAD = {400, 411, 413, 415, 422}
MARK = "only-theirs"


def patterns(resolver: Any, before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """``(route, converters)`` of every URL with an argument."""
    for entry in resolver.url_patterns:
        route = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, route)
        elif isinstance(entry, URLPattern) and entry.pattern.converters:
            yield route, entry.pattern.converters


# The hundreds of raw tables of the operator stand behind one door (tests/operator/test_access.py).
ROUTES = {
    route: converters
    for route, converters in patterns(get_resolver())
    if not route.startswith("operator/admin/")
}


def table_of(argument: str) -> str:
    """The table meant by ``dataset_id``, ``metadata_property_id``, ``user_id`` …"""
    name = argument.removesuffix("_id")
    tables = {model._meta.db_table for model in EVERY_MODEL}
    for candidate in (name, name.rstrip("s"), TABLES.get(name.split("_")[-1], "")):
        if candidate in tables:
            return candidate
    return ""


def foreign_id(argument: str) -> UUID:
    """Of their row; of no table we know, an id that nobody has."""
    for model in EVERY_MODEL:
        if model._meta.db_table == table_of(argument) and model._meta.pk.name == "id":
            return id_of(model, MARK)
    return uuid4()


def path_of(route: str, arguments: dict[str, Any]) -> str:
    for name, value in arguments.items():
        for text in (f"<{name}>", f"<uuid:{name}>", f"<str:{name}>", f"<slug:{name}>"):
            route = route.replace(text, str(value))
    return "/" + route.replace("^", "").replace("$", "")


@pytest.fixture
def theirs() -> UUID:
    organization_id = make_organization("Theirs").id
    with enter(organization_id):
        fill(MARK)
    return organization_id


@pytest.fixture
def owner() -> Membership:
    """The mightiest member of another organization, who has a dataset of their own."""
    with enter(make_organization("Ours").id):
        member = make_member(role="owner", username="olga", password=PASSWORD)
        make_dataset()
        member.key = create_api_key(member=member)[1]  # type: ignore[attr-defined]
    return member


@pytest.fixture
def scripted(owner: Any) -> Client:
    return Client(raise_request_exception=False, headers={"X-Argilla-Api-Key": owner.key})


@pytest.fixture
def browsing(owner: Membership) -> Client:
    client = Client(raise_request_exception=False)
    assert owner.user is not None
    client.force_login(owner.user)
    return client


def ask(client: Client, method: str, path: str) -> Any:
    if method == "delete":  # some take a list in the query
        return client.delete(f"{path}?ids={foreign_id('record_id')}")
    body = None if method == "get" else json.dumps({})
    return getattr(client, method)(path, body, content_type="application/json")


def is_refusal(response: Any, method: str) -> bool:
    if response.status_code in GONE:
        return True
    if response.status_code in {301, 302, 303}:
        return "login" in response["Location"] or "organizations" in response["Location"]
    return method in {"post", "put", "patch"} and response.status_code in UNREAD


def test_arguments_name_the_tables_they_mean() -> None:
    """So that the walk carries real ids of others, not merely unknown ones."""
    arguments = {name for converters in ROUTES.values() for name in converters}
    known = {name for name in arguments if table_of(name)}
    assert {"dataset_id", "record_id", "workspace_id", "user_id", "response_id"} <= known


@pytest.mark.parametrize("route", ROUTES)
def test_the_ids_of_others_lead_nowhere(
    route: str, theirs: UUID, scripted: Client, browsing: Client
) -> None:
    path = path_of(route, {name: foreign_id(name) for name in ROUTES[route]})
    before = fingerprints(theirs)
    for client in (scripted, browsing, Client(raise_request_exception=False)):
        for method in METHODS:
            response = ask(client, method, path)
            told = f"{method.upper()} {path}: {response.status_code}"
            assert is_refusal(response, method), f"{told} {response.content[:300]!r}"
            assert MARK not in response.content.decode(errors="replace"), told
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('app.organization_id')")
                assert cursor.fetchone() == ("no organization entered",), told
    assert fingerprints(theirs) == before


def test_the_walk_would_see_ones_own(theirs: UUID) -> None:
    """The same ids, asked for by a member of their own organization, are found."""
    with enter(theirs):
        key = create_api_key(member=make_member(role="owner"))[1]
    client = Client(raise_request_exception=False, headers={"X-Argilla-Api-Key": key})
    response = client.get(f"/api/v1/datasets/{foreign_id('dataset_id')}")
    assert response.status_code == 200
    assert MARK in response.content.decode()
