"""The key, the transaction, the order of checks."""

from typing import Any

import pytest
from django.db import connection

from apps.core.tenancy import entered
from apps.events.models import Event
from apps.organizations.models import ApiKey
from apps.organizations.services import remove_member, revoke_api_key
from tests.api.conftest import OVERHEAD, Api, Cast

UNAUTHORIZED = {
    "detail": {
        "code": "argilla.api.errors::UnauthorizedError",
        "params": {"detail": "Could not validate credentials"},
    }
}


@pytest.mark.parametrize("name", ["nobody", "bad_key"])
def test_without_a_valid_key_nothing_is_told(cast: Cast, name: str) -> None:
    answer = cast[name].get("/me")
    assert (answer.status_code, answer.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize("key", ["", " ", "\x00", "sw_\udcff", "é", "x" * 5_000])
def test_strange_keys_are_unknown_keys(cast: Cast, key: str) -> None:
    assert Api(key).get("/me").status_code == 401


def test_a_stray_authorization_header_does_not_break_a_good_key(cast: Cast) -> None:
    for value in ("Bearer hf_abc", "Basic !!", ""):
        answer = cast["owner"].get("/me", Authorization=value)
        assert answer.json()["username"] == "owner"


def test_a_bearer_token_alone_is_no_key(cast: Cast) -> None:
    assert Api().get("/me", Authorization="Bearer hf_abc").status_code == 401


def test_a_revoked_key_and_a_removed_member_are_refused_at_once(cast: Cast) -> None:
    with cast.inside():
        revoke_api_key(key_id=ApiKey.objects.get(membership_id=cast.id("annotator_in")).id)
        remove_member(member=cast.people["annotator_out"])
    assert cast["annotator_in"].get("/me").status_code == 401
    assert cast["annotator_out"].get("/me").status_code == 401


def test_nothing_is_entered_after_a_request(cast: Cast) -> None:
    cast["owner"].get("/me")
    cast["owner"].post("/workspaces", {})
    assert entered() is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.organization_id')")
        assert cursor.fetchone() == ("no organization entered",)


def test_events_name_who_acted(cast: Cast) -> None:
    user = {"username": "new", "first_name": "New", "password": "long enough"}
    created = cast["owner"].post("/users", user).json()
    with cast.inside():
        event = Event.objects.get(kind="member.created", object_id=created["id"])
        assert event.actor_id == cast.id("owner")


def test_a_request_costs_two_queries_beside_its_own(
    cast: Cast, django_assert_num_queries: Any
) -> None:
    cast["owner"].get("/me")  # notes the key's use, for five minutes
    with django_assert_num_queries(OVERHEAD):
        cast["owner"].get("/me")


def test_the_use_of_a_key_is_noted(cast: Cast) -> None:
    cast["owner"].get("/me")
    with cast.inside():
        assert ApiKey.objects.get(membership_id=cast.id("owner")).last_used_at is not None


def test_malformed_json_comes_before_the_key_and_the_key_before_the_schema(cast: Cast) -> None:
    nobody = cast["nobody"]
    assert nobody.post("/users", raw=b"{").status_code == 422
    assert nobody.post("/users", {}).status_code == 401
    assert nobody.patch("/users/not-an-id", {}).status_code == 401
    # A stranger's large body is not even read.
    assert nobody.post("/users", raw=b"{" * 1_100_000).status_code == 401


def test_schema_comes_before_look_up_and_look_up_before_permission(cast: Cast) -> None:
    annotator, unknown = cast["annotator_in"], "/users/00000000-0000-0000-0000-000000000000"
    assert annotator.patch(unknown, {"username": ""}).status_code == 422
    assert annotator.patch(unknown, {"username": "x"}).status_code == 404
    assert annotator.patch(f"/users/{cast.id('owner')}", {"username": "x"}).status_code == 403
    assert annotator.get(unknown).status_code == 403  # here the permission comes first
