"""Webhooks on their pages, with a receiver that really listens."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.events.models import Event
from apps.organizations.models import Membership
from apps.organizations.services import create_api_key
from apps.webhooks.models import DeliveryStatus, Webhook, WebhookDelivery
from apps.webhooks.services import create_webhook
from tests import factories
from tests.webhooks.conftest import receiver
from tests.webhooks.receiver import Receiver

__all__ = ["receiver"]


def url(name: str, *arguments: Any) -> str:
    return reverse(f"console:{name}", args=arguments)


@pytest.fixture
def webhook(olga: Membership, receiver: Receiver) -> Webhook:
    return create_webhook(url=receiver.url(), events=["record.created"])


def dead(webhook: Webhook, **values: Any) -> WebhookDelivery:
    given: dict[str, Any] = {"type": "record.created", "body": "{}", "attempts": 11}
    given["status_code"] = 500
    return WebhookDelivery.objects.create(
        webhook=webhook, status=DeliveryStatus.DEAD, **given | values
    )


def shown(page: Any) -> str:
    found = re.search(r'class="once"><code>([^<]+)</code>', page.content.decode())
    assert found
    return found[1].replace("&#x3D;", "=").replace("&#x2B;", "+")


def test_a_refusal_is_in_the_persons_language_and_the_api_stays_english(
    client: Client, olga: Membership
) -> None:
    german = {"Accept-Language": "de"}
    sent = {"url": "http://10.0.0.1/hook", "events": ["record.created"]}
    page = client.post(url("webhook_new"), sent, headers=german)
    assert page.status_code == 422
    assert "keine öffentliche Adresse" in page.content.decode()
    given = {"X-Argilla-Api-Key": create_api_key(member=olga)[1], **german}
    answer = Client().post("/api/v1/webhooks", sent, content_type="application/json", headers=given)
    assert answer.status_code == 422
    assert "10.0.0.1 leads to 10.0.0.1, which is not a public address." in answer.content.decode()


def test_without_a_webhook_the_page_says_what_it_is_for_and_offers_the_form(client: Client) -> None:
    page = client.get(url("webhooks")).content.decode()
    assert "lets a program of yours keep up" in page
    assert page.count(f'href="{url("webhook_new")}"') == 1


def test_the_secret_is_shown_once(client: Client, olga: Membership, receiver: Receiver) -> None:
    sent = {"url": receiver.url(), "events": ["record.created", "response.created"]}
    page = client.post(url("webhook_new"), sent)
    made = Webhook.objects.get()
    assert shown(page) == made.secret
    assert made.secret not in client.get(url("webhook", made.id)).content.decode()
    assert receiver.url() in client.get(url("webhooks")).content.decode()
    rotated = client.post(url("webhook_rotate", made.id))
    again = Webhook.objects.get()
    assert shown(rotated) == again.secret != made.secret
    assert again.previous_secret_until is not None
    told = str(list(Event.objects.values_list("payload", flat=True)))
    assert made.secret not in told
    assert again.secret not in told


@pytest.mark.parametrize(
    "sent",
    [
        {"url": "ftp://example.com", "events": ["record.created"]},
        {"url": "http://169.254.169.254/", "events": ["record.created"]},
        {"url": "https://example.com"},
        {"url": "https://example.com", "events": ["everything"]},
        {},
    ],
)
def test_what_is_wrong_is_said(client: Client, olga: Membership, sent: dict[str, Any]) -> None:
    page = client.post(url("webhook_new"), sent)
    assert page.status_code == 422
    assert "Nothing was changed." in page.content.decode()
    assert not Webhook.objects.exists()


def test_events_change_and_it_pauses(client: Client, webhook: Webhook) -> None:
    sent = {"url": webhook.url, "events": ["dataset.created"], "description": "ours"}
    assert client.post(url("webhook", webhook.id), sent).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.events, webhook.description) == (["dataset.created"], "ours")
    changes = Event.objects.filter(kind="webhook.updated").latest("id").payload["changes"]
    assert changes["events"] == [["record.created"], ["dataset.created"]]
    assert client.post(url("webhook", webhook.id), {"url": "x"}).status_code == 422
    client.post(url("webhook_switch", webhook.id), {})
    webhook.refresh_from_db()
    assert not webhook.enabled
    assert "paused" in client.get(url("webhooks")).content.decode()
    client.post(url("webhook_switch", webhook.id), {"enabled": "on"})
    webhook.refresh_from_db()
    assert webhook.enabled


def test_a_test_really_arrives(client: Client, webhook: Webhook, receiver: Receiver) -> None:
    page = client.post(url("webhook_test", webhook.id)).content.decode()
    assert "It answered with 200" in page
    assert len(receiver.messages) == 1


def test_a_dead_letter_is_looked_at_and_sent_again(client: Client, webhook: Webhook) -> None:
    harm = '{"text":"<script>alert(1)</script>"}'
    delivery = dead(webhook, body=harm, error="It hurt.", excerpt="<b>no</b>")
    dead(webhook, status_code=200)
    page = client.get(url("webhook", webhook.id), {"state": "dead"}).content.decode()
    assert delivery.message_id in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "<b>no</b>" not in page
    assert (
        "Nothing here."
        in client.get(url("webhook", webhook.id), {"state": "delivered"}).content.decode()
    )
    path = url("webhook_resend", webhook.id, delivery.id)
    assert client.post(path).status_code == 302
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.PENDING
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at <= timezone.now()
    client.post(url("webhook_switch", webhook.id), {})
    assert client.post(path).status_code == 409


def test_deleting_asks_for_the_word(client: Client, webhook: Webhook) -> None:
    path = url("webhook_delete", webhook.id)
    assert client.post(path, {"word": "yes"}).status_code == 422
    assert client.post(path, {"word": "Delete"}).status_code == 302
    assert not Webhook.objects.exists()


@pytest.mark.parametrize("role", ["admin", "reviewer", "annotator"])
def test_only_owners_get_near(
    webhook: Webhook, sign_in: Callable[[Membership], Client], role: str
) -> None:
    client, delivery = sign_in(factories.make_member(role=role)), dead(webhook)
    for path in (url("webhooks"), url("webhook_new"), url("webhook", webhook.id)):
        assert client.get(path).status_code == 403
    for name in ("webhook", "webhook_rotate", "webhook_switch", "webhook_test", "webhook_delete"):
        assert client.post(url(name, webhook.id), {"word": "delete"}).status_code == 403
    assert client.post(url("webhook_resend", webhook.id, delivery.id)).status_code == 403
    assert "settings/webhooks" not in client.get("/").content.decode()
