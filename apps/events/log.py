"""Writing to the event log."""

from collections.abc import Mapping
from contextvars import ContextVar
from uuid import UUID

from apps.events.models import Event

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
    """Record that something happened, in the caller's transaction."""
    Event.objects.create(
        kind=kind,
        actor_id=_actor.get(),
        dataset_id=dataset_id,
        object_id=object_id,
        payload=dict(payload or {}),
    )
