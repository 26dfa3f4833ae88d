"""Writing to the event log."""

import json
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core import doorbell
from apps.core.ids import uuid7s
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current

RELAY: Final = "events.relay"  # the task that passes waiting events of an organization on
RUNG_SECONDS: Final = 30  # a call nobody answers is stale after this; a sweep will call again

# Who acts in this request or job; set once by the interface, read by every event.
_actor: ContextVar[UUID | None] = ContextVar("actor", default=None)


def act_as(membership_id: UUID | None) -> None:
    """Name the membership that later events of this context belong to."""
    _actor.set(membership_id)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event to be recorded: what, to which object of which dataset, and what else to know."""

    kind: str
    dataset_id: UUID | None = None
    object_id: UUID | None = None
    payload: Mapping[str, object] | None = None


def emit(
    kind: str,
    *,
    dataset_id: UUID | None = None,
    object_id: UUID | None = None,
    payload: Mapping[str, object] | None = None,
) -> None:
    """Record that something happened, in the caller's transaction. One statement."""
    emit_all([Happening(kind, dataset_id, object_id, payload)])


# What nobody subscribed to costs one look at an empty table.
_INSERT = """
WITH happened AS (
    INSERT INTO event
        (organization_id, id, inserted_at, kind, actor_id, dataset_id, object_id, payload)
    SELECT %(o)s, id, %(now)s, kind, %(actor)s, dataset_id, object_id, payload::jsonb
    FROM unnest(%(ids)s::uuid[], %(kinds)s::text[], %(datasets)s::uuid[], %(objects)s::uuid[],
        %(payloads)s::text[]) AS given (id, kind, dataset_id, object_id, payload)
    RETURNING id, kind
)
INSERT INTO waiting_event (organization_id, event_id)
SELECT %(o)s, happened.id FROM happened
JOIN event_subscription s ON s.organization_id = %(o)s AND s.kind = happened.kind
"""


def emit_all(happenings: Sequence[Happening]) -> None:
    """Record several events in their order. One statement, none for none.

    Those that somebody subscribed to are relayed once the transaction has committed.
    """
    if not happenings:
        return
    waiting = raw_cursor().execute(
        _INSERT,
        {
            "o": current(),
            "now": timezone.now(),
            "actor": _actor.get(),
            "ids": uuid7s(len(happenings)),
            "kinds": [one.kind for one in happenings],
            "datasets": [one.dataset_id for one in happenings],
            "objects": [one.object_id for one in happenings],
            "payloads": [json.dumps(one.payload or {}) for one in happenings],
        },
    )
    if waiting.rowcount:
        transaction.on_commit(partial(ring, current()), robust=True)


def ring(organization_id: UUID) -> bool:
    """Ask a worker to relay what waits; False when Redis is away."""
    return doorbell.ring(RELAY, organization_id, expires=RUNG_SECONDS)
