"""Writing to the event log."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core import doorbell, tracing
from apps.core.ids import uuid7s
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current

RELAY: Final = "events.relay"  # the task that passes waiting events of an organization on
RUNG_SECONDS: Final = 30  # a call nobody answers is stale after this; a sweep will call again


@dataclass(frozen=True, slots=True)
class Origin:
    """Who acts, and from where: the membership, its API key, the address.

    ``support_id`` is the operator's support access, where the operator acts as the member;
    ``operator`` is the operator's name where they act by themselves, told in the payload.
    """

    actor_id: UUID | None = None
    key_id: UUID | None = None
    address: str | None = None
    support_id: UUID | None = None
    operator: str = ""


# Set once by the interface, or by the job that a member ordered; read by every event.
_NOBODY: Final = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=_NOBODY)


def act_as(origin: Origin) -> None:
    """Say where later events of this context come from."""
    _origin.set(origin)


@contextmanager
def acting_as(origin: Origin) -> Iterator[None]:
    """Say where the events within the block come from."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


def origin() -> Origin:
    """Where the events of this context come from."""
    return _origin.get()


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
_RECORDED: Final = """
happened AS (
    INSERT INTO event
        (organization_id, id, inserted_at, kind, actor_id, key_id, support_id, address, request_id,
        dataset_id, object_id, payload)
    SELECT %(o)s, id, %(now)s, kind, %(actor)s, %(actor_key)s, %(support)s, %(address)s,
        %(request)s, dataset_id, object_id, payload::jsonb FROM {source}
    RETURNING id, kind
), waiting AS (
    INSERT INTO waiting_event (organization_id, event_id)
    SELECT %(o)s, happened.id FROM happened
    JOIN event_subscription s ON s.organization_id = %(o)s AND s.kind = happened.kind
    RETURNING 1
)
"""
_GIVEN: Final = """
unnest(%(ids)s::uuid[], %(kinds)s::text[], %(datasets)s::uuid[], %(objects)s::uuid[],
    %(payloads)b::text[]) AS given (id, kind, dataset_id, object_id, payload)
"""


def recorded(source: str) -> str:
    """CTEs by which a statement records what it does itself.

    ``source`` gives ``id``, ``kind``, ``dataset_id``, ``object_id`` and ``payload``, as text. The
    placeholders are ``o``, ``now`` and those of ``origin_facts``. Where the CTE ``waiting`` has
    rows, ``ring_later`` is due.
    """
    return _RECORDED.format(source=source)


_EMIT: Final = f"WITH {recorded(_GIVEN)} SELECT count(*) FROM waiting"  # noqa: S608  (constant)


def origin_facts() -> dict[str, object]:
    """Where the events of this context come from, for the placeholders of ``recorded``."""
    here = _origin.get()
    return {
        "actor": here.actor_id,
        "actor_key": here.key_id,
        "support": here.support_id,
        "address": here.address or None,
        "request": tracing.request_id() or None,
    }


def payload_json(payload: Mapping[str, object] | None = None) -> str:
    """The payload as it is stored: the operator's name is told in it."""
    here = _origin.get()
    told = {"operator": here.operator} if here.operator else {}
    return json.dumps(told | dict(payload or {}), default=str)


def emit_all(happenings: Sequence[Happening]) -> None:
    """Record several events in their order. One statement, none for none.

    Those that somebody subscribed to are relayed once the transaction has committed.
    """
    if not happenings:
        return
    facts = {
        "o": current(),
        "now": timezone.now(),
        "ids": uuid7s(len(happenings)),
        "kinds": [one.kind for one in happenings],
        "datasets": [one.dataset_id for one in happenings],
        "objects": [one.object_id for one in happenings],
        "payloads": [payload_json(one.payload) for one in happenings],
    }
    (waiting,) = raw_cursor().execute(_EMIT, facts | origin_facts()).fetchone() or (0,)
    if waiting:
        ring_later()


@dataclass(frozen=True, slots=True)
class _Call:
    organization_id: UUID

    def __call__(self) -> None:
        ring(self.organization_id)


def ring_later() -> None:
    """Have what waits relayed once the transaction has committed, by one call for all of it."""
    call = _Call(current())
    # A call made before a savepoint that was rolled back is no longer among them.
    if all(func != call for _savepoints, func, *_ in transaction.get_connection().run_on_commit):
        transaction.on_commit(call, robust=True)


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    """The payload ``{"changes": {name: [before, after]}}`` of what ``after`` has otherwise."""
    pairs = {name: [before.get(name), value] for name, value in after.items()}
    return {"changes": {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}}


def host_of(url: str) -> str:
    """What of an address may be told: ``https://hooks.example.org/…``. The rest may be a secret."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}" + ("/…" if parts.path.strip("/") or parts.query else "")


def ring(organization_id: UUID) -> bool:
    """Ask a worker to relay what waits; False when Redis is away."""
    return doorbell.ring(RELAY, organization_id, expires=RUNG_SECONDS)
