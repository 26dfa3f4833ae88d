"""Writes of webhooks, and the messages of a transaction that deletes."""

import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core import outbound
from apps.core.errors import ConflictError, InvalidError
from apps.core.ids import uuid7
from apps.core.sealing import seal
from apps.core.tenancy import current
from apps.events.log import changes as difference
from apps.events.log import emit, host_of
from apps.events.models import EventSubscription
from apps.webhooks import doorbell
from apps.webhooks.documents import build
from apps.webhooks.messages import compose, kinds_behind, resource_of
from apps.webhooks.models import DeliveryStatus, Webhook, WebhookDelivery, WebhookEvent

MAX_WEBHOOKS: Final = 10
ROTATION: Final = timedelta(hours=24)  # how long the previous secret goes on signing


@transaction.atomic
def create_webhook(*, url: str, events: Sequence[str], description: str | None = None) -> Webhook:
    """Subscribe an address, with a secret made here.

    Raises ``InvalidError`` when requests must not go there, or for the eleventh webhook.
    """
    outbound.check_url(url)
    take_turns()
    if Webhook.objects.count() >= MAX_WEBHOOKS:
        raise InvalidError(_("You can't create more than %d webhooks.") % MAX_WEBHOOKS)
    id = uuid7()
    webhook = Webhook.objects.create(
        id=id,
        url=url,
        events=list(events),
        description=description,
        sealed_secret=seal(_new_secret(), context=str(id)),
    )
    _resubscribe()
    _emit("webhook.created", webhook, url=host_of(url), events=list(events))
    return webhook


@transaction.atomic
def update_webhook(*, webhook: Webhook, changes: Mapping[str, Any]) -> Webhook:
    """Change url, events, description or enabled; what is not named stays.

    Enabling forgets that it failed; disabling gives up what waits. Raises ``InvalidError`` when
    requests must not go to the new URL.
    """
    if changes.get("url", webhook.url) != webhook.url:
        outbound.check_url(changes["url"])
    take_turns()
    stays = {name: value for name, value in changes.items() if name != "enabled"}
    if changes.get("enabled"):
        stays |= {
            "enabled": True,
            "failing_since": None,
            "resting_until": None,
            "disabled_reason": None,
        }
    Webhook.objects.filter(id=webhook.id).update(**stays, updated_at=timezone.now())
    if changes.get("enabled") is False:
        disable_webhook(webhook=webhook)
    _resubscribe()
    row = Webhook.objects.get(id=webhook.id)
    told = difference(_described(webhook), _described(row))
    _emit("webhook.updated", webhook, url=host_of(row.url), changed=sorted(changes), **told)
    return row


@transaction.atomic
def delete_webhook(*, webhook: Webhook) -> None:
    """Delete it with all its deliveries."""
    take_turns()
    Webhook.objects.filter(id=webhook.id).delete()
    _resubscribe()
    _emit("webhook.deleted", webhook, url=host_of(webhook.url))


@transaction.atomic
def rotate_secret(*, webhook: Webhook) -> Webhook:
    """Make a new secret; for a day messages are signed with the previous one too."""
    row = Webhook.objects.select_for_update(of=("self",), no_key=True).get(id=webhook.id)
    row.sealed_previous_secret = row.sealed_secret
    row.previous_secret_until = timezone.now() + ROTATION
    row.sealed_secret = seal(_new_secret(), context=str(row.id))
    row.save()
    _emit("webhook.secret_rotated", row)
    return row


@transaction.atomic
def disable_webhook(*, webhook: Webhook, reason: str | None = None) -> None:
    """Stop telling it anything; what waits is given up, and can be sent again by hand.

    Calls after the first change nothing. A caller that holds rows of the webhook's has called
    ``take_turns`` before.
    """
    take_turns()
    changed = Webhook.objects.filter(id=webhook.id, enabled=True).update(
        enabled=False, disabled_reason=reason, updated_at=timezone.now()
    )
    if changed:
        waiting = WebhookDelivery.objects.pending().filter(webhook=webhook)
        waiting.update(status=DeliveryStatus.DEAD, next_attempt_at=None)
        _resubscribe()
        _emit("webhook.disabled", webhook, reason=reason)


@transaction.atomic
def resend(*, delivery: WebhookDelivery) -> WebhookDelivery:
    """Send a message again, under its id; it has all its attempts before it.

    Raises ``ConflictError`` while the webhook is disabled.
    """
    take_turns()
    if not Webhook.objects.enabled().filter(id=delivery.webhook_id).exists():
        raise ConflictError(_("The webhook is disabled: enable it to send messages again."))
    WebhookDelivery.objects.filter(id=delivery.id).update(
        status=DeliveryStatus.PENDING, failures=0, next_attempt_at=timezone.now()
    )
    ring_on_commit({delivery.webhook_id})
    again = {"delivery": str(delivery.id), "changes": {"status": [delivery.status, "pending"]}}
    emit("webhook.delivery_resent", object_id=delivery.webhook_id, payload=again)
    return WebhookDelivery.objects.get(id=delivery.id)


def take_turns() -> None:
    """One at a time changes an organization's webhooks: what is subscribed follows from all."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"webhooks {current()}"]
        )


def describe(type: WebhookEvent, ids: Sequence[UUID]) -> Mapping[UUID, bytes]:
    """Documents of what is about to be deleted, for ``announce``.

    Empty unless a webhook wants to be told: one query then.
    """
    if not Webhook.objects.wanting(type).exists():
        return {}
    return build(resource_of(type), ids)


def announce(type: WebhookEvent, documents: Sequence[bytes]) -> None:
    """Write down messages of the caller's transaction. Two statements, none for no documents."""
    if not documents:
        return
    now = timezone.now()
    webhooks = list(Webhook.objects.wanting(type))
    bodies = [compose(type, now, document) for document in documents]
    write_deliveries(
        [
            WebhookDelivery(webhook=webhook, type=type, body=body, next_attempt_at=now)
            for body in bodies
            for webhook in webhooks
        ]
    )


def write_deliveries(deliveries: Sequence[WebhookDelivery]) -> None:
    """Store them; they are sent once the transaction has committed."""
    WebhookDelivery.objects.bulk_create(deliveries, batch_size=500)
    ring_on_commit({delivery.webhook_id for delivery in deliveries})


def ring_on_commit(webhook_ids: set[UUID]) -> None:
    """Call the workers for the webhooks."""
    for webhook_id in sorted(webhook_ids):
        transaction.on_commit(partial(doorbell.ring, current(), webhook_id), robust=True)


def _resubscribe() -> None:
    """Bring the subscriptions of the event log in line with what the enabled webhooks want."""
    wanted: QuerySet[Webhook, list[str]] = Webhook.objects.enabled().values_list(
        "events", flat=True
    )
    kinds = kinds_behind(type for events in wanted for type in events)
    EventSubscription.objects.exclude(kind__in=kinds).delete()
    EventSubscription.objects.bulk_create(
        [EventSubscription(kind=kind) for kind in sorted(kinds)], ignore_conflicts=True
    )


def _new_secret() -> str:
    return b64encode(secrets.token_bytes(64)).decode()


def _described(webhook: Webhook) -> dict[str, object]:
    """For the event log: of the address no more than the host, and never a secret."""
    return {
        "url": host_of(webhook.url),
        "events": webhook.events,
        "description": webhook.description,
        "enabled": webhook.enabled,
    }


def _emit(kind: str, webhook: Webhook, **details: object) -> None:
    emit(kind, object_id=webhook.id, payload=details)
