"""Relay, send, and the sweep that finds what nobody was called for."""

from typing import Final
from uuid import UUID

from celery import shared_task
from celery.signals import worker_shutting_down
from django.db import connections

from apps.events.log import RELAY
from apps.webhooks import doorbell, sending
from apps.webhooks import relay as relaying

KEPT_DAYS: Final = {"delivered": 7, "dead": 30}


@shared_task(name=RELAY)
def relay(organization_id: str) -> None:
    """Turn what waits in the outbox into deliveries."""
    relaying.relay(UUID(organization_id))


@shared_task(name=doorbell.SEND)
def send(organization_id: str, webhook_id: str) -> None:
    """Send what is due, then queue up again behind the others if there is more."""
    organization, webhook = UUID(organization_id), UUID(webhook_id)
    if sending.run_slice(organization_id=organization, webhook_id=webhook):
        doorbell.ring(organization, webhook)


@shared_task(name="webhooks.ring_waiting")
def ring_waiting() -> None:
    """Ring for what waits: Redis was emptied, a worker died, a retry is due."""
    doorbell.ring_waiting()


# Written by a relay that began before the webhook was disabled.
_GIVE_UP_LATE = """
UPDATE webhook_delivery d SET status = 'dead', next_attempt_at = NULL, updated_at = now()
FROM webhook w
WHERE w.organization_id = d.organization_id AND w.id = d.webhook_id
    AND NOT w.enabled AND d.status = 'pending'
"""


@shared_task(name="webhooks.prune")
def prune() -> None:
    """Give up what waits for disabled webhooks; forget what ended some time ago.

    What is forgotten says much of records.
    """
    with connections["operator"].cursor() as cursor:
        cursor.execute(_GIVE_UP_LATE)
        for status, days in KEPT_DAYS.items():
            cursor.execute(
                "DELETE FROM webhook_delivery WHERE status = %s"
                " AND updated_at < now() - make_interval(days => %s)",
                [status, days],
            )


@worker_shutting_down.connect
def _close(**_: object) -> None:
    """A worker told to stop must not sit out its slices."""
    sending.close()
