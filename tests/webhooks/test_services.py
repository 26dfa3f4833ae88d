"""Webhooks themselves: their rules, their secrets, and what follows for the event log."""

from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.core.errors import ConflictError, InvalidError
from apps.core.sealing import seal
from apps.events.log import emit
from apps.events.models import Event, EventSubscription, WaitingEvent
from apps.organizations.models import Membership
from apps.webhooks.models import DeliveryStatus, Webhook, WebhookDelivery, WebhookEvent
from apps.webhooks.services import (
    MAX_WEBHOOKS,
    announce,
    create_webhook,
    delete_webhook,
    describe,
    disable_webhook,
    resend,
    rotate_secret,
    update_webhook,
)
from tests.factories import make_dataset, make_records

pytestmark = pytest.mark.usefixtures("organization")

URL = "https://8.8.8.8/hook"


def make(*events: str, url: str = URL) -> Webhook:
    return create_webhook(url=url, events=list(events or ["record.created"]))


def subscribed() -> set[str]:
    return set(EventSubscription.objects.values_list("kind", flat=True))


def make_delivery(webhook: Webhook, **values: Any) -> WebhookDelivery:
    values = {"type": "record.created", "body": "{}", "next_attempt_at": timezone.now(), **values}
    return WebhookDelivery.objects.create(webhook=webhook, **values)


def test_a_secret_is_64_random_bytes_and_lies_sealed_in_its_row() -> None:
    first, second = make(), make()
    assert len(b64decode(first.secret)) == 64
    assert first.secret != second.secret
    assert first.secret.encode() not in bytes(first.sealed_secret)
    Webhook.objects.filter(id=first.id).update(sealed_secret=second.sealed_secret)
    first.refresh_from_db()
    assert first.secret == "", "a secret is worth nothing in another row"


def test_the_eleventh_is_refused() -> None:
    for _ in range(MAX_WEBHOOKS):
        make()
    with pytest.raises(InvalidError, match="more than 10"):
        make()
    assert Webhook.objects.count() == MAX_WEBHOOKS


def test_an_inner_address_is_refused_when_it_is_saved() -> None:
    with pytest.raises(InvalidError, match="not a public address"):
        make(url="http://127.0.0.1:8000/")
    webhook = make()
    with pytest.raises(InvalidError, match="not a public address"):
        update_webhook(webhook=webhook, changes={"url": "http://169.254.169.254/"})
    assert Webhook.objects.get().url == URL


def test_the_log_keeps_for_the_relay_what_somebody_wants() -> None:
    dataset = make_dataset()
    make_records(dataset)
    assert not WaitingEvent.objects.exists()
    webhook = make("record.created")
    assert subscribed() == {"record.created"}
    other = make("record.updated", "record.deleted")
    assert subscribed() == {
        "record.created",
        "record.updated",
        "response.created",
        "response.updated",
        "response.deleted",
        "adjudication.created",
        "adjudication.updated",
    }
    make_records(dataset)
    assert WaitingEvent.objects.count() == 1
    delete_webhook(webhook=other)
    assert subscribed() == {"record.created"}
    webhook = update_webhook(webhook=webhook, changes={"enabled": False})
    assert subscribed() == set()
    update_webhook(webhook=webhook, changes={"enabled": True, "events": ["dataset.published"]})
    assert subscribed() == {"dataset.published"}


def test_without_a_subscription_an_event_is_one_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        emit("record.created")
    make("record.created")
    with django_assert_num_queries(1):
        emit("record.created")
    assert WaitingEvent.objects.count() == 1


def test_rotation_keeps_the_previous_secret_for_a_day() -> None:
    webhook = make()
    old, now = webhook.secret, timezone.now()
    assert webhook.secrets(now) == [old]
    webhook = rotate_secret(webhook=webhook)
    assert webhook.secret != old
    assert webhook.secrets(now) == [webhook.secret, old]
    assert webhook.secrets(now + timedelta(hours=25)) == [webhook.secret]
    again = rotate_secret(webhook=webhook)
    assert again.secrets(now) == [again.secret, webhook.secret]


def test_disabling_gives_up_what_waits_and_enabling_starts_anew() -> None:
    webhook = make()
    waiting = make_delivery(webhook)
    disable_webhook(webhook=webhook, reason="It is gone.")
    disable_webhook(webhook=webhook, reason="Said twice.")
    webhook.refresh_from_db()
    waiting.refresh_from_db()
    assert (webhook.enabled, webhook.disabled_reason) == (False, "It is gone.")
    assert (waiting.status, waiting.next_attempt_at) == (DeliveryStatus.DEAD, None)
    assert Event.objects.filter(kind="webhook.disabled").count() == 1
    with pytest.raises(ConflictError, match="disabled"):
        resend(delivery=waiting)
    Webhook.objects.update(failing_since=timezone.now())
    webhook = update_webhook(webhook=webhook, changes={"enabled": True})
    assert (webhook.enabled, webhook.disabled_reason, webhook.failing_since) == (True, None, None)
    again = resend(delivery=waiting)
    assert (again.status, again.failures, again.message_id) == (
        DeliveryStatus.PENDING,
        0,
        waiting.message_id,
    )


def test_what_is_deleted_is_described_only_if_somebody_asks(django_assert_num_queries: Any) -> None:
    (record,) = make_records(make_dataset())
    with django_assert_num_queries(1):
        assert describe(WebhookEvent.RECORD_DELETED, [record.id]) == {}
        announce(WebhookEvent.RECORD_DELETED, [])
    make("record.deleted")
    (document,) = describe(WebhookEvent.RECORD_DELETED, [record.id]).values()
    announce(WebhookEvent.RECORD_DELETED, [document])
    delivery = WebhookDelivery.objects.get()
    assert str(record.id) in delivery.body
    assert delivery.type == "record.deleted"


def test_webhooks_are_shown_to_owners_alone(owner: Membership, make_member: Any) -> None:
    delivery = make_delivery(make())
    assert Webhook.objects.visible_to(owner).get() == delivery.webhook
    assert WebhookDelivery.objects.visible_to(owner).get() == delivery
    for role in ("admin", "reviewer", "annotator"):
        member = make_member(role=role)
        assert not Webhook.objects.visible_to(member).exists()
        assert not WebhookDelivery.objects.visible_to(member).exists()


def test_a_message_id_has_the_contracts_shape_and_no_twin() -> None:
    webhook = make()
    ids = {make_delivery(webhook).message_id for _ in range(3)}
    assert len(ids) == 3
    assert {len(id) for id in ids} == {26}
    assert all(id.startswith("msg_") for id in ids)


# --- What the database refuses ------------------------------------------------------------------


def refused(constraint: str, model: Any, **values: Any) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        model.objects.create(**values)


@pytest.mark.parametrize("events", [[], ["record.read"], ["record.created", "x"]])
def test_events_are_of_the_closed_list(events: list[str]) -> None:
    values = {"url": URL, "sealed_secret": b"x", "events": events}
    refused("webhook_events_known", Webhook, **values)


def test_a_previous_secret_has_an_end() -> None:
    values = {"url": URL, "sealed_secret": b"x", "events": ["record.created"]}
    refused("webhook_previous_secret_ends", Webhook, **values, sealed_previous_secret=b"x")
    refused("webhook_previous_secret_ends", Webhook, **values, previous_secret_until=timezone.now())


def test_a_delivery_is_of_a_known_kind_and_due_while_it_waits() -> None:
    values = {"webhook": make(), "body": "{}", "next_attempt_at": timezone.now()}
    refused("webhook_delivery_type_known", WebhookDelivery, **values, type="x")
    values["type"] = "record.created"
    refused("webhook_delivery_pending_is_due", WebhookDelivery, **values, status="dead")
    values["next_attempt_at"] = None
    refused("webhook_delivery_pending_is_due", WebhookDelivery, **values)
    refused("webhook_delivery_status_known", WebhookDelivery, **values, status="x")


def test_a_secret_sealed_for_nobody_reads_as_none() -> None:
    webhook = make()
    Webhook.objects.update(sealed_secret=seal("x", context="another row"))
    webhook.refresh_from_db()
    assert webhook.secrets(timezone.now()) == []
