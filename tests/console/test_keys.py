"""API keys on their page: shown once, rotated with an overlap, revoked at once."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.core.errors import ConflictError, NotFoundError
from apps.events.models import Event
from apps.organizations.models import ApiKey, Membership
from apps.organizations.services import create_api_key, revoke_api_key, rotate_api_key
from tests import factories

SignIn = Callable[[Membership], Client]


def url(name: str, *arguments: Any) -> str:
    return reverse(f"console:{name}", args=arguments)


def shown(page: Any) -> str:
    found = re.search(r"<code>(sw_[\w-]{40,})</code>", page.content.decode())
    assert found
    return found[1]


def answer(key: str, **extra: Any) -> int:
    headers = {"X-Argilla-Api-Key": key}
    status: int = Client().get("/api/v1/me", headers=headers, **extra).status_code
    return status


def test_a_key_is_shown_once_and_works(client: Client, olga: Membership) -> None:
    sent = {"name": "nightly", "scopes": ["read", "write"], "days": "30"}
    page = client.post(url("keys"), sent)
    key = shown(page)
    assert answer(key) == 200
    assert "no-store" in page["Cache-Control"]
    later = client.get(url("keys")).content.decode()
    assert key not in later
    assert f"{key[:10]}…" in later
    row = ApiKey.objects.get()
    assert (row.name, row.scopes) == ("nightly", ["read", "write"])
    assert row.expires_at is not None
    assert timedelta(days=29) < row.expires_at - timezone.now() <= timedelta(days=30)
    assert key not in str(list(Event.objects.values_list("payload", flat=True)))


def test_where_it_was_used_is_told(client: Client, olga: Membership) -> None:
    key = shown(client.post(url("keys"), {"name": "x", "scopes": ["read"]}))
    assert answer(key, REMOTE_ADDR="203.0.113.9") == 200
    page = client.get(url("keys")).content.decode()
    assert "203.0.113.9" in page
    assert "just now" in page
    olga.refresh_from_db()
    assert olga.last_seen_at is not None


@pytest.mark.parametrize("address", ["", "not an address", "fe80::1%eth0", "1.2.3.4, 5.6.7.8"])
def test_an_address_that_is_none_breaks_nothing(olga: Membership, address: str) -> None:
    _row, key = create_api_key(member=olga)
    assert answer(key, REMOTE_ADDR=address) == 200


@pytest.mark.parametrize(
    "sent",
    [
        {"name": "", "scopes": ["read"]},
        {"name": "x"},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "scopes": ["read"], "days": "9999"},
        {"name": "x" * 101, "scopes": ["read"]},
    ],
)
def test_what_is_wrong_is_said(client: Client, sent: dict[str, Any]) -> None:
    page = client.post(url("keys"), sent)
    assert page.status_code == 422
    assert "No key was made." in page.content.decode()
    assert not ApiKey.objects.exists()


def test_a_rotated_key_works_on_for_a_while(client: Client, olga: Membership) -> None:
    row, old = create_api_key(member=olga, name="nightly", scopes=["read"])
    page = client.post(url("key_rotate", row.id), {"hours": "24"})
    new = shown(page)
    assert (answer(old), answer(new)) == (200, 200)
    made = ApiKey.objects.exclude(id=row.id).get()
    assert (made.name, made.scopes, made.expires_at) == ("nightly", ["read"], None)
    past = timezone.now() - timedelta(hours=1)
    ApiKey.objects.filter(id=row.id).update(expires_at=past)
    assert (answer(old), answer(new)) == (401, 200)
    assert client.post(url("key_rotate", row.id), {"hours": "24"}).status_code == 409
    assert client.post(url("key_rotate", made.id), {"hours": "5000"}).status_code == 422
    event = Event.objects.get(kind="api_key.rotated")
    assert event.payload["replaced_by"] == str(made.id)


def test_rotation_never_prolongs_a_key(olga: Membership) -> None:
    end = timezone.now() + timedelta(hours=2)
    row, _old = create_api_key(member=olga, expires_at=end)
    made, _new = rotate_api_key(key_id=row.id, overlap=timedelta(days=7))
    row.refresh_from_db()
    assert (row.expires_at, made.expires_at) == (end, end)
    revoke_api_key(key_id=row.id)
    with pytest.raises(ConflictError):
        rotate_api_key(key_id=row.id, overlap=timedelta(0))
    with pytest.raises(NotFoundError):
        rotate_api_key(key_id=olga.id, overlap=timedelta(0))


def test_a_revoked_key_is_refused_at_once(client: Client, olga: Membership) -> None:
    row, key = create_api_key(member=olga)
    assert answer(key) == 200
    assert client.post(url("key_revoke", row.id)).status_code == 302
    assert answer(key) == 401
    for name in ("key_revoke", "key_rotate"):
        assert client.post(url(name, row.id), {"hours": "1"}).status_code == 404
    assert client.get(url("keys")).content.decode().count(row.prefix) == 0


def test_whose_keys_one_sees(client: Client, olga: Membership, sign_in: SignIn) -> None:
    admin, ann = factories.make_member(role="admin"), factories.make_member()
    keys = {one.role: create_api_key(member=one)[0] for one in (olga, admin, ann)}
    seen = {
        who.role: [key.id for key, _ in sign_in(who).get(url("keys")).context["rows"]]
        for who in (olga, admin, ann)
    }
    everything = {key.id for key in keys.values()}
    assert set(seen["owner"]) == set(seen["admin"]) == everything
    assert {role: ids[0] for role, ids in seen.items()} == {r: k.id for r, k in keys.items()}
    assert seen["annotator"] == [keys["annotator"].id]
    chief, small = sign_in(admin), sign_in(ann)
    assert chief.post(url("key_revoke", keys["owner"].id)).status_code == 403
    assert small.post(url("key_revoke", keys["admin"].id)).status_code == 404
    assert chief.post(url("key_revoke", keys["annotator"].id)).status_code == 302
    assert client.post(url("key_rotate", keys["admin"].id), {"hours": "1"}).status_code == 404
