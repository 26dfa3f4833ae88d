"""Webhooks over the API: the contract's routes, and those beside it."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from apps.webhooks.models import Webhook, WebhookDelivery
from tests.api.conftest import EVERYBODY, OVERHEAD, Api, Cast
from tests.webhooks.receiver import Receiver, serving

URL = "https://8.8.8.8/hook"
BODY = {"url": URL, "events": ["record.created", "response.updated"]}


@pytest.fixture
def owner(cast: Cast) -> Api:
    return cast["owner"]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with serving(Receiver()) as server:
        settings.OUTBOUND_ALLOW = [("127.0.0.1", server.port)]
        yield server


@pytest.fixture
def webhook(owner: Api) -> dict[str, Any]:
    made: dict[str, Any] = owner.post("/webhooks", BODY).json()
    return made


def make_deliveries(cast: Cast, webhook: dict[str, Any], *statuses: str) -> list[WebhookDelivery]:
    with cast.inside():
        return [
            WebhookDelivery.objects.create(
                webhook_id=webhook["id"],
                type="record.created",
                body='{"type":"record.created"}',
                status=status,
                next_attempt_at=timezone.now() if status == "pending" else None,
            )
            for status in statuses
        ]


def test_a_webhook_has_the_contracts_keys(owner: Api) -> None:
    response = owner.post("/webhooks", {**BODY, "description": "Ours", "secret": "mine", "id": 1})
    assert response.status_code == 201
    made = response.json()
    assert UUID(made["id"])
    assert {key: made[key] for key in ("url", "events", "enabled", "description")} == {
        **BODY,
        "enabled": True,
        "description": "Ours",
    }
    assert len(b64decode(made["secret"], validate=True)) == 64
    assert made["inserted_at"].count(":") == 2
    assert not made["inserted_at"].endswith("Z")
    listed = owner.get("/webhooks")
    assert (listed.status_code, listed.json()) == (200, {"items": [made]})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://8.8.8.8", "https://8.8.8.8/"),
        ("HTTPS://8.8.8.8:443/a?b=c", "https://8.8.8.8/a?b=c"),
        ("http://8.8.8.8:80", "http://8.8.8.8/"),
        ("http://8.8.8.8:1", "http://8.8.8.8:1/"),
        ("https://no-such-name.invalid", "https://no-such-name.invalid/"),
    ],
)
def test_urls_are_normalised(owner: Api, given: str, kept: str) -> None:
    assert owner.post("/webhooks", {**BODY, "url": given}).json()["url"] == kept


@pytest.mark.parametrize(
    ("change", "loc", "type"),
    [
        ({"url": "/relative"}, ["body", "url"], "url_parsing"),
        ({"url": "ftp://8.8.8.8/"}, ["body", "url"], "url_scheme"),
        ({"url": "https://"}, ["body", "url"], "url_parsing"),
        ({"url": ""}, ["body", "url"], "url_parsing"),
        ({"url": 1}, ["body", "url"], "url_type"),
        ({"url": "https://8.8.8.8/" + "x" * 2000}, ["body", "url"], "value_error"),
        ({"events": []}, ["body", "events"], "too_short"),
        ({"events": ["record.created"] * 2}, ["body", "events"], "value_error"),
        ({"events": ["record.read"]}, ["body", "events", 0], "enum"),
        ({"events": None}, ["body", "events"], "list_type"),
        ({"description": ""}, ["body", "description"], "string_too_short"),
        ({"description": "x" * 1001}, ["body", "description"], "string_too_long"),
    ],
)
def test_a_wrong_shape_is_told(
    owner: Api, webhook: dict[str, Any], change: Any, loc: Any, type: str
) -> None:
    for response in (
        owner.post("/webhooks", {**BODY, **change}),
        owner.patch(f"/webhooks/{webhook['id']}", change),
    ):
        assert response.status_code == 422
        (problem,) = response.json()["detail"]["params"]["errors"]
        assert (problem["loc"], problem["type"]) == (loc, type)
    assert owner.get("/webhooks").json()["items"] == [webhook]


@pytest.mark.parametrize("key", ["url", "events"])
def test_what_is_required_is_required(owner: Api, key: str) -> None:
    response = owner.post("/webhooks", {k: v for k, v in BODY.items() if k != key})
    (problem,) = response.json()["detail"]["params"]["errors"]
    assert (response.status_code, problem["type"]) == (422, "missing")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::7f00:1]/",
        "http://localhost/",
        "http://user:secret@8.8.8.8/",
        "http://８.8.8.8.127.0.0.1.nip.invalid@10.0.0.1/",
    ],
)
def test_addresses_inside_are_refused_in_plain_words(
    owner: Api, webhook: dict[str, Any], url: str
) -> None:
    for response in (
        owner.post("/webhooks", {**BODY, "url": url}),
        owner.patch(f"/webhooks/{webhook['id']}", {"url": url}),
    ):
        assert response.status_code == 422
        assert isinstance(response.json()["detail"], str)
    assert owner.get("/webhooks").json()["items"] == [webhook]


def test_the_eleventh_is_refused(owner: Api) -> None:
    for _ in range(10):
        assert owner.post("/webhooks", BODY).status_code == 201
    response = owner.post("/webhooks", BODY)
    assert response.status_code == 422
    assert response.json() == {"detail": "You can't create more than 10 webhooks."}


def test_an_update_changes_what_it_names(owner: Api, webhook: dict[str, Any]) -> None:
    path = f"/webhooks/{webhook['id']}"
    response = owner.patch(path, {"events": ["dataset.created"], "description": "New"})
    assert response.status_code == 200
    changed = response.json()
    assert changed == {
        **webhook,
        "events": ["dataset.created"],
        "stoneware_events": ["dataset.created"],
        "description": "New",
        "updated_at": changed["updated_at"],
    }
    assert owner.patch(path, {"description": None}).json()["description"] is None
    assert owner.patch(path, {"enabled": False}).json()["enabled"] is False
    assert owner.patch(path, changed).status_code == 200, "as read, with its secret"
    for key in ("url", "events", "enabled"):
        assert owner.patch(path, {key: None}).status_code == 422


def test_deleting_answers_with_what_it_was(owner: Api, webhook: dict[str, Any]) -> None:
    path = f"/webhooks/{webhook['id']}"
    response = owner.delete(path)
    assert (response.status_code, response.json()) == (200, webhook)
    missing = owner.delete(path)
    assert missing.status_code == 404
    assert missing.json() == {"detail": f"Webhook with id `{webhook['id']}` not found"}


def test_a_ping_is_sent_at_once(owner: Api, receiver: Receiver) -> None:
    made = owner.post("/webhooks", {**BODY, "url": receiver.url()}).json()
    response = owner.post(f"/webhooks/{made['id']}/ping")
    assert (response.status_code, response.content) == (204, b"")
    (message,) = receiver.messages
    body = message.verify(made["secret"])
    assert (body["type"], body["version"]) == ("ping", 1)
    assert set(body["data"]) == {"agent", "version"}
    receiver.statuses["/hook"] = 500
    assert owner.post(f"/webhooks/{made['id']}/ping").status_code == 204, "it was sent"


def test_a_ping_that_nobody_answers_says_so(
    cast: Cast, owner: Api, webhook: dict[str, Any], settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = [("127.0.0.1", 1)]
    with cast.inside():
        Webhook.objects.update(url="http://127.0.0.1:1/")
    response = owner.post(f"/webhooks/{webhook['id']}/ping")
    assert response.status_code == 422
    assert "could not be pinged" in response.json()["detail"]
    settings.OUTBOUND_ALLOW = []
    response = owner.post(f"/webhooks/{webhook['id']}/ping")
    assert response.status_code == 422
    assert "not a public address" in response.json()["detail"]


def test_a_rotated_secret_is_new_and_the_old_one_ends(owner: Api, webhook: dict[str, Any]) -> None:
    response = owner.post(f"/webhooks/{webhook['id']}/rotate-secret")
    assert response.status_code == 200
    rotated = response.json()
    assert rotated["secret"] != webhook["secret"]
    assert webhook["previous_secret_until"] is None
    assert rotated["previous_secret_until"] > rotated["updated_at"]
    assert owner.get("/webhooks").json()["items"] == [rotated]


def test_deliveries_are_paged_and_filtered(
    cast: Cast, owner: Api, webhook: dict[str, Any], django_assert_num_queries: Any
) -> None:
    rows = make_deliveries(cast, webhook, "delivered", "dead", "pending", "dead")
    path = f"/webhooks/{webhook['id']}/deliveries"
    with django_assert_num_queries(OVERHEAD + 3):  # webhook, page, total
        page = owner.get(path).json()
    assert [item["id"] for item in page["items"]] == [str(row.id) for row in reversed(rows)]
    assert page["total"] == 4
    assert page["items"][0]["message_id"] == rows[-1].message_id
    assert page["items"][0]["body"] == rows[-1].body
    dead = owner.get(f"{path}?status=dead&limit=1&offset=1").json()
    assert [item["id"] for item in dead["items"]] == [str(rows[1].id)]
    assert dead["total"] == 2
    for query in ("status=x", "limit=0", "limit=1001", "offset=-1"):
        assert owner.get(f"{path}?{query}").status_code == 422


def test_a_dead_letter_is_sent_again(cast: Cast, owner: Api, webhook: dict[str, Any]) -> None:
    (row,) = make_deliveries(cast, webhook, "dead")
    path = f"/webhooks/{webhook['id']}/deliveries/{row.id}/resend"
    response = owner.post(path)
    assert response.status_code == 202
    assert (response.json()["status"], response.json()["message_id"]) == (
        "pending",
        row.message_id,
    )
    owner.patch(f"/webhooks/{webhook['id']}", {"enabled": False})
    refused = owner.post(path)
    assert (refused.status_code, "disabled" in refused.json()["detail"]) == (409, True)
    other = owner.post("/webhooks", BODY).json()
    elsewhere = owner.post(f"/webhooks/{other['id']}/deliveries/{row.id}/resend")
    assert elsewhere.status_code == 404, "a delivery of another webhook"
    assert owner.post(f"/webhooks/{other['id']}/deliveries/{uuid4()}/resend").status_code == 404


ROUTES = [
    ("GET", "/webhooks", None, 200, 200),
    ("POST", "/webhooks", BODY, 201, 201),
    ("PATCH", "/webhooks/{id}", {"description": "x"}, 200, 404),
    ("DELETE", "/webhooks/{id}", None, 200, 404),
    ("POST", "/webhooks/{id}/ping", None, 422, 404),
    ("POST", "/webhooks/{id}/rotate-secret", None, 200, 404),
    ("GET", "/webhooks/{id}/deliveries", None, 200, 404),
    ("POST", "/webhooks/{id}/deliveries/{delivery}/resend", None, 202, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "owner_gets", "stranger_gets"), ROUTES)
def test_webhooks_are_the_owners(
    cast: Cast,
    webhook: dict[str, Any],
    method: str,
    path: str,
    body: Any,
    owner_gets: int,
    stranger_gets: int,
) -> None:
    with cast.inside():
        Webhook.objects.update(url="http://127.0.0.1:1/")  # refused when it is called
    (row,) = make_deliveries(cast, webhook, "dead")
    path = path.format(id=webhook["id"], delivery=row.id)
    wanted = dict.fromkeys(EVERYBODY, 403) | {"nobody": 401, "bad_key": 401}
    wanted |= {"owner": owner_gets, "stranger": stranger_gets}
    found = {who: cast[who].send(method, path, body).status_code for who in EVERYBODY}
    assert found == wanted


def test_a_stranger_sees_none_of_ours(cast: Cast, webhook: dict[str, Any]) -> None:
    assert cast["stranger"].get("/webhooks").json() == {"items": []}
