"""Attempts: what is sent, what the answer means, and when it is tried again."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import WebhookVerificationError

from apps.core.sealing import seal
from apps.events.models import EventSubscription
from apps.organizations.models import Organization
from apps.webhooks import sending
from apps.webhooks.models import DeliveryStatus, Webhook, WebhookDelivery
from apps.webhooks.services import create_webhook, delete_webhook, resend, rotate_secret
from tests.webhooks.receiver import Receiver

pytestmark = pytest.mark.usefixtures("organization")


@pytest.fixture
def webhook(organization: Organization, receiver: Receiver) -> Webhook:
    return create_webhook(url=receiver.url(), events=["record.created"])


def deliver(webhook: Webhook, **values: Any) -> WebhookDelivery:
    """A message that has been tried once."""
    body = '{"type":"record.created","data":{}}'
    delivery = WebhookDelivery.objects.create(
        webhook=webhook, type="record.created", body=body, next_attempt_at=timezone.now(), **values
    )
    run(webhook)
    delivery.refresh_from_db()
    return delivery


def run(webhook: Webhook) -> bool:
    ids = {"organization_id": webhook.organization_id, "webhook_id": webhook.id}
    return sending.run_slice(**ids)


def make_due(delivery: WebhookDelivery) -> None:
    WebhookDelivery.objects.filter(id=delivery.id).update(next_attempt_at=timezone.now())


def wait_of(delivery: WebhookDelivery) -> float:
    assert delivery.next_attempt_at is not None
    return (delivery.next_attempt_at - timezone.now()).total_seconds()


def test_a_message_is_signed_and_told_once(webhook: Webhook, receiver: Receiver) -> None:
    delivery = deliver(webhook)
    (message,) = receiver.messages
    assert message.verify(webhook.secret)["type"] == "record.created"
    assert message.id == delivery.message_id
    assert message.headers["content-type"] == "application/json"
    assert message.body.decode() == delivery.body
    assert (delivery.status, delivery.next_attempt_at) == (DeliveryStatus.DELIVERED, None)
    assert (delivery.attempts, delivery.status_code, delivery.error) == (1, 200, None)
    run(webhook)
    assert len(receiver.messages) == 1


def test_of_the_answer_only_an_excerpt_is_kept(webhook: Webhook) -> None:
    excerpt = deliver(webhook).excerpt
    assert excerpt is not None
    assert excerpt.startswith("so be it�x")
    assert len(excerpt) == sending.EXCERPT


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
def test_anything_but_a_2xx_is_tried_again(
    webhook: Webhook, receiver: Receiver, status: int
) -> None:
    receiver.statuses["/hook"] = status
    delivery = deliver(webhook)
    assert (delivery.status, delivery.status_code) == (DeliveryStatus.PENDING, status)
    assert delivery.error == f"The address answered {status}."
    assert 3 < wait_of(delivery) < 6
    assert len(receiver.messages) == 1, "a redirect is not followed"


def test_every_attempt_has_the_same_id_and_body_and_its_own_signature(
    webhook: Webhook, receiver: Receiver
) -> None:
    receiver.statuses["/hook"] = 500
    delivery = deliver(webhook)
    webhook = rotate_secret(webhook=webhook)
    receiver.statuses.clear()
    make_due(delivery)
    run(webhook)
    first, second = receiver.messages
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    second.verify(webhook.secret)


def test_while_secrets_rotate_both_verify(webhook: Webhook, receiver: Receiver) -> None:
    old = webhook.secret
    new = rotate_secret(webhook=webhook).secret
    deliver(webhook)
    receiver.messages[0].verify(old)
    receiver.messages[0].verify(new)
    Webhook.objects.update(previous_secret_until=timezone.now())
    deliver(webhook)
    receiver.messages[1].verify(new)
    with pytest.raises(WebhookVerificationError):
        receiver.messages[1].verify(old)


def test_after_the_last_attempt_it_is_dead_and_can_be_sent_again(
    webhook: Webhook, receiver: Receiver
) -> None:
    receiver.statuses["/hook"] = 500
    delivery = deliver(webhook)
    for _ in sending.DELAYS:
        assert delivery.status == DeliveryStatus.PENDING
        make_due(delivery)
        run(webhook)
        delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DEAD, 10)
    receiver.statuses.clear()
    run(webhook)
    assert len(receiver.messages) == 10
    resend(delivery=delivery)
    run(webhook)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.error) == ("delivered", 11, None)
    assert len({message.id for message in receiver.messages}) == 1


def test_410_disables_at_once(webhook: Webhook, receiver: Receiver) -> None:
    waiting = WebhookDelivery.objects.create(
        webhook=webhook,
        type="record.created",
        body="{}",
        next_attempt_at=timezone.now() + timedelta(hours=1),
    )
    receiver.statuses["/hook"] = 410
    delivery = deliver(webhook)
    webhook.refresh_from_db()
    waiting.refresh_from_db()
    assert not webhook.enabled
    assert "410" in (webhook.disabled_reason or "")
    assert (delivery.status, delivery.status_code) == (DeliveryStatus.DEAD, 410)
    assert waiting.status == DeliveryStatus.DEAD
    assert not EventSubscription.objects.exists()


def test_five_days_of_failing_disable(webhook: Webhook, receiver: Receiver) -> None:
    receiver.statuses["/hook"] = 500
    deliver(webhook)
    webhook.refresh_from_db()
    assert webhook.failing_since is not None
    began = timezone.now() - timedelta(days=4, hours=23)
    Webhook.objects.update(failing_since=began)
    deliver(webhook)
    webhook.refresh_from_db()
    assert (webhook.enabled, webhook.failing_since) == (True, began)
    Webhook.objects.update(failing_since=timezone.now() - timedelta(days=5))
    deliver(webhook)
    webhook.refresh_from_db()
    assert (webhook.enabled, webhook.disabled_reason) == (
        False,
        "Every attempt failed for 5 days.",
    )


def test_a_webhook_that_has_just_recovered_stays(webhook: Webhook, receiver: Receiver) -> None:
    """An attempt that was begun before fails after another one has succeeded."""
    Webhook.objects.update(failing_since=timezone.now() - timedelta(days=5, minutes=1))
    for _ in range(2):
        WebhookDelivery.objects.create(
            webhook=webhook, type="record.created", body="{}", next_attempt_at=timezone.now()
        )
    slow, quick = (sending.take(webhook.organization_id, webhook.id) for _ in range(2))
    assert slow is not None
    assert quick is not None
    sending.record(quick, sending.post(quick.webhook, quick.delivery))
    receiver.statuses["/hook"] = 500
    sending.record(slow, sending.post(slow.webhook, slow.delivery))
    webhook.refresh_from_db()
    assert (webhook.enabled, webhook.disabled_reason) == (True, None)
    assert webhook.failing_since is not None
    assert timezone.now() - webhook.failing_since < timedelta(minutes=1)


def test_one_success_clears_the_record(webhook: Webhook, receiver: Receiver) -> None:
    Webhook.objects.update(failing_since=timezone.now() - timedelta(days=6))
    deliver(webhook)
    webhook.refresh_from_db()
    assert (webhook.enabled, webhook.failing_since) == (True, None)


def test_who_does_not_answer_is_left_alone_for_a_while(
    webhook: Webhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "TIMEOUT", 0.3)
    receiver.hanging.add("/hook")
    first = deliver(webhook)
    assert (first.status_code, first.error) == (None, "There was no complete answer in time.")
    second = deliver(webhook)
    assert second.attempts == 0, "the address rests, not only the message"
    webhook.refresh_from_db()
    assert webhook.resting_until is not None
    assert webhook.resting_until <= timezone.now() + timedelta(seconds=5)
    Webhook.objects.update(resting_until=timezone.now(), failing_since=None)
    receiver.hanging.clear()
    run(webhook)
    webhook.refresh_from_db()
    assert (webhook.resting_until, webhook.failing_since) == (None, None)


def test_a_ping_keeps_nobody_waiting(
    webhook: Webhook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PING_TIMEOUT", 0.3)
    receiver.hanging.add("/hook")
    outcome = sending.ping(webhook=webhook, document=b"{}")
    assert (outcome.status_code, outcome.error) == (None, "There was no complete answer in time.")


def test_an_address_that_became_an_inner_one_is_not_called(
    webhook: Webhook, receiver: Receiver, settings: Any
) -> None:
    settings.OUTBOUND_ALLOW = []
    delivery = deliver(webhook)
    assert "not a public address" in (delivery.error or "")
    assert delivery.status == DeliveryStatus.PENDING
    assert receiver.messages == []


def test_a_refused_connection_is_a_failure_like_any_other(webhook: Webhook, settings: Any) -> None:
    settings.OUTBOUND_ALLOW = [("127.0.0.1", 1)]
    Webhook.objects.update(url="http://127.0.0.1:1/")
    assert "refused" in (deliver(webhook).error or "").lower()


def test_without_a_readable_secret_nothing_is_sent(webhook: Webhook, receiver: Receiver) -> None:
    Webhook.objects.update(sealed_secret=seal("x", context="another row"))
    assert "rotate" in (deliver(webhook).error or "")
    assert receiver.messages == []


def test_what_is_in_a_workers_hands_is_nobody_elses_until_it_is_believed_dead(
    webhook: Webhook, receiver: Receiver
) -> None:
    delivery = WebhookDelivery.objects.create(
        webhook=webhook, type="record.created", body="{}", next_attempt_at=timezone.now()
    )
    ids = (webhook.organization_id, webhook.id)
    slow = sending.take(*ids)
    assert slow is not None
    assert sending.take(*ids) is None
    make_due(delivery)  # the worker is believed dead
    second = sending.take(*ids)
    assert second is not None
    sending.record(slow, sending.Outcome(500, None, "late"))
    delivery.refresh_from_db()
    assert (delivery.attempts, delivery.error, delivery.failures) == (2, None, 0)
    sending.record(second, sending.post(second.webhook, second.delivery))
    sending.record(slow, sending.Outcome(200))
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("delivered", 2)


def test_a_webhook_that_is_deleted_meanwhile_is_no_error(webhook: Webhook) -> None:
    WebhookDelivery.objects.create(
        webhook=webhook, type="record.created", body="{}", next_attempt_at=timezone.now()
    )
    attempt = sending.take(webhook.organization_id, webhook.id)
    assert attempt is not None
    delete_webhook(webhook=webhook)
    sending.record(attempt, sending.Outcome(200))
    assert sending.take(webhook.organization_id, webhook.id) is None


def test_only_some_threads_of_a_worker_send(
    webhook: Webhook, receiver: Receiver, settings: Any
) -> None:
    """Addresses that hang leave threads for everything else."""
    seats = 0
    while sending._seats.acquire(blocking=False):
        seats += 1
    try:
        assert seats == max(1, settings.CELERY_WORKER_CONCURRENCY // 2)
        assert deliver(webhook).attempts == 0
    finally:
        for _ in range(seats):
            sending._seats.release()
    run(webhook)
    assert len(receiver.messages) == 1
