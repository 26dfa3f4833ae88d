"""Telling the workers what waits; the rows are what counts."""

from typing import Final
from uuid import UUID

from apps.core import doorbell
from apps.core.rounds import find
from apps.events import log

SEND: Final = "webhooks.send"

_UNRELAYED = "SELECT DISTINCT organization_id FROM waiting_event"
_UNSENT = """
SELECT w.organization_id, w.id AS webhook_id FROM webhook w
JOIN organization o ON o.id = w.organization_id AND o.suspended_at IS NULL
WHERE w.enabled AND (w.resting_until IS NULL OR w.resting_until <= now())
    AND EXISTS (SELECT FROM webhook_delivery d
        WHERE d.organization_id = w.organization_id AND d.webhook_id = w.id
            AND d.status = 'pending' AND d.next_attempt_at <= now())
"""


def ring(organization_id: UUID, webhook_id: UUID) -> bool:
    """Ask a worker to send what is due; False when Redis is away."""
    return doorbell.ring(SEND, organization_id, webhook_id, expires=log.RUNG_SECONDS)


def find_unsent() -> list[tuple[UUID, UUID]]:
    """``(organization id, webhook id)`` of webhooks with something due, of everybody.

    Not of suspended organizations, which are told nothing.
    """
    return [(place["organization_id"], place["webhook_id"]) for place in find(_UNSENT)]


def ring_waiting() -> None:
    """Ring for everything that waits, in all organizations. Stops when Redis is away."""
    unrelayed, unsent = find(_UNRELAYED), find_unsent()
    if all(log.ring(place["organization_id"]) for place in unrelayed):
        all(ring(organization_id, webhook_id) for organization_id, webhook_id in unsent)
