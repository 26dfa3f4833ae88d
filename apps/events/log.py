"""Writing to the event log."""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from uuid import UUID

from django.db import connection
from django.utils import timezone

from apps.core.ids import uuid7
from apps.core.tenancy import current

# Who acts in this request or job; set once by the interface, read by every event.
_actor: ContextVar[UUID | None] = ContextVar("actor", default=None)


def act_as(membership_id: UUID | None) -> None:
    """Name the membership that later events of this context belong to."""
    _actor.set(membership_id)


def emit(
    kind: str,
    *,
    dataset_id: UUID | None = None,
    object_id: UUID | None = None,
    payload: Mapping[str, object] | None = None,
) -> None:
    """Record that something happened, in the caller's transaction. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO event"
            " (organization_id, id, inserted_at, kind, actor_id, dataset_id, object_id, payload)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                current(),
                uuid7(),
                timezone.now(),
                kind,
                _actor.get(),
                dataset_id,
                object_id,
                json.dumps(payload or {}),
            ],
        )
