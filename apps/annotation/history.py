"""Undo and redo of what a person answered in a dataset.

An act is what was stored, replaced or deleted under one request key: an answer of a page, or all
of a job's. Undoing it swaps each answer with its version before (``ResponseVersion``), redoing it
swaps them back. What somebody changed since stays as it is. Acts are remembered for ``KEPT``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.annotation import slots
from apps.annotation.distribution import lease_time
from apps.annotation.models import ResponseVersion
from apps.annotation.services import recount
from apps.annotation.storing import revise_today
from apps.core.prepared import execute, raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.datasets.services import hold_schema
from apps.events.log import Happening, emit_all
from apps.organizations.models import Membership
from apps.webhooks.models import WebhookEvent
from apps.webhooks.services import announce, describe

KEPT: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Act:
    """Something that can be undone, or redone; ``record_id`` is one of its records."""

    request_key: UUID
    record_id: UUID


@dataclass(frozen=True, slots=True)
class Swapped:
    """The records whose answers went back or forth; empty when nothing was to be had."""

    record_ids: list[UUID] = field(default_factory=list)


def undo(
    *,
    dataset: Dataset,
    annotator: Membership,
    request_key: UUID,
    limit: int | None = None,
    hold: bool = False,
) -> Swapped:
    """Take an act back: its answers go to the version before, or are deleted if there was none.

    Record status, counters, queue, today's quota and events follow. An answer that was changed
    since stays. Again, it does nothing. ``limit`` takes so many records, for jobs that go through
    a large act by pages until a page comes back empty; ``hold`` leases the records to the person.
    """
    return _swap(dataset, annotator, request_key, limit, redo=False, hold=hold)


def redo(
    *, dataset: Dataset, annotator: Membership, request_key: UUID, limit: int | None = None
) -> Swapped:
    """Do again what was undone, unless its answers were changed since."""
    return _swap(dataset, annotator, request_key, limit, redo=True, hold=False)


# What is there (x) beside what the act keeps of it (v). A new answer has no version, and is told
# from one whose version was forgotten by its times. What was deleted comes back unless something
# else happened to it since.
_FIND = """
SELECT coalesce(x.record_id, v.record_id)
FROM (SELECT * FROM response WHERE organization_id = %(o)s AND dataset_id = %(d)s
        AND user_id = %(u)s AND updated_at > %(since)s AND request_key = %(key)s) x
FULL JOIN (SELECT * FROM response_version WHERE organization_id = %(o)s AND dataset_id = %(d)s
        AND user_id = %(u)s AND replaced_at > %(since)s AND replaced_by = %(key)s
        AND undone_at IS NULL) v ON v.record_id = x.record_id
WHERE CASE WHEN x.id IS NULL
    THEN v.status IS NOT NULL AND NOT EXISTS (SELECT 1 FROM response y
            WHERE y.organization_id = %(o)s AND y.record_id = v.record_id AND y.user_id = %(u)s)
        AND NOT EXISTS (SELECT 1 FROM response_version w WHERE w.organization_id = %(o)s
            AND w.record_id = v.record_id AND w.user_id = %(u)s AND w.undone_at IS NULL
            AND w.replaced_at > v.replaced_at)
    ELSE v.id IS NOT NULL OR x.updated_at = x.inserted_at END
ORDER BY 1 LIMIT %(n)s
"""
_FIND_UNDONE = """
SELECT v.record_id FROM response_version v
LEFT JOIN response x ON x.organization_id = v.organization_id AND x.record_id = v.record_id
    AND x.user_id = v.user_id
WHERE v.organization_id = %(o)s AND v.dataset_id = %(d)s AND v.user_id = %(u)s
    AND v.replaced_at > %(since)s AND v.replaced_by = %(key)s AND v.undone_at IS NOT NULL
    AND (x.id IS NULL OR x.updated_at <= v.undone_at) AND (x.id IS NOT NULL OR v.status IS NOT NULL)
ORDER BY 1 LIMIT %(n)s
"""
_SWAP = """
WITH act AS MATERIALIZED (
    SELECT given.record_id, x.id, x.status, x.values, x.request_key, x.inserted_at, x.updated_at,
        v.id AS version_id, v.status AS other_status, v.values AS other_values,
        v.request_key AS other_key, v.inserted_at AS other_inserted_at,
        v.updated_at AS other_updated_at, coalesce(v.replaced_at, x.updated_at) AS replaced_at
    FROM unnest(%(ids)s::uuid[]) AS given (record_id)
    LEFT JOIN response x ON x.organization_id = %(o)s AND x.record_id = given.record_id
        AND x.user_id = %(u)s
    LEFT JOIN response_version v ON v.organization_id = %(o)s AND v.record_id = given.record_id
        AND v.user_id = %(u)s AND v.replaced_by = %(key)s
), gone AS (
    DELETE FROM response r USING act WHERE r.organization_id = %(o)s AND r.id = act.id
        AND act.other_status IS NULL
), changed AS (
    UPDATE response r SET status = act.other_status, values = act.other_values,
        request_key = act.other_key, inserted_at = act.other_inserted_at,
        updated_at = act.other_updated_at
    FROM act WHERE r.organization_id = %(o)s AND r.id = act.id AND act.other_status IS NOT NULL
), back AS (
    INSERT INTO response (organization_id, id, record_id, user_id, dataset_id, status, values,
        request_key, inserted_at, updated_at)
    SELECT %(o)s, uuidv7(), record_id, %(u)s, %(d)s, other_status, other_values, other_key,
        other_inserted_at, other_updated_at
    FROM act WHERE id IS NULL AND other_status IS NOT NULL
    RETURNING id, record_id
), kept AS (
    INSERT INTO response_version (organization_id, id, dataset_id, record_id, user_id, status,
        values, request_key, inserted_at, updated_at, replaced_by, replaced_at, undone_at)
    SELECT %(o)s, coalesce(version_id, uuidv7()), %(d)s, record_id, %(u)s, status,
        coalesce(values, '{}'), request_key, inserted_at, updated_at, %(key)s, replaced_at,
        %(undone_at)s::timestamptz
    FROM act
    ON CONFLICT (organization_id, record_id, user_id, replaced_by) DO UPDATE SET
        status = excluded.status, values = excluded.values, request_key = excluded.request_key,
        inserted_at = excluded.inserted_at, updated_at = excluded.updated_at,
        undone_at = excluded.undone_at
)
SELECT act.record_id, coalesce(act.id, back.id), act.status, act.other_status, act.replaced_at,
    CASE WHEN %(undone_at)s::timestamptz IS NULL THEN updated_at ELSE other_updated_at END
FROM act LEFT JOIN back USING (record_id)
"""


@dataclass(frozen=True, slots=True)
class _Change:
    """One answer: the response, its status before and after, the time of the act, and that of the
    answer that the act replaced, if any."""

    record_id: UUID
    response_id: UUID
    before: str | None
    after: str | None
    acted_at: datetime
    replaced: Any


def _swap(
    dataset: Dataset, annotator: Membership, key: UUID, limit: int | None, *, redo: bool, hold: bool
) -> Swapped:
    now = timezone.now()
    facts: dict[str, Any] = {"o": current(), "d": dataset.id, "u": annotator.id, "key": key}
    with transaction.atomic():
        since = _since(hold_schema(dataset).dataset)
        facts |= {"n": limit, "since": since, "undone_at": None if redo else now}
        slots.lock_places(dataset.id, [annotator.id])
        find = _FIND_UNDONE if redo else _FIND
        slots.lock(_ids(find, facts))
        record_ids = _ids(find, facts)  # what nobody was changing while we waited
        if not record_ids:
            return Swapped()
        described = describe(WebhookEvent.RESPONSE_DELETED, _leaving(record_ids, facts))
        rows = raw_cursor().execute(_SWAP, {**facts, "ids": record_ids}).fetchall()
        changes = [_Change(*row) for row in rows]
        _follow(dataset, annotator, changes, redo=redo)
        if hold:
            _hold(facts, record_ids)
        emit_all([_happening(dataset, change) for change in changes])
        gone = [change.response_id for change in changes if change.after is None]
        documents = [described[id] for id in gone if id in described]
        announce(WebhookEvent.RESPONSE_DELETED, documents)
        recount(record_ids)
    return Swapped(record_ids)


def _ids(statement: str, facts: dict[str, Any]) -> list[UUID]:
    return [row[0] for row in raw_cursor().execute(statement, facts)]


_LEAVING = """
SELECT x.id FROM response x LEFT JOIN response_version v ON v.organization_id = %(o)s
    AND v.record_id = x.record_id AND v.user_id = x.user_id AND v.replaced_by = %(key)s
WHERE x.organization_id = %(o)s AND x.record_id = ANY(%(ids)s) AND x.user_id = %(u)s
    AND v.status IS NULL
"""


def _leaving(record_ids: Sequence[UUID], facts: dict[str, Any]) -> list[UUID]:
    """The answers that will not be there any more."""
    return _ids(_LEAVING, {**facts, "ids": list(record_ids)})


def _follow(
    dataset: Dataset, annotator: Membership, changes: Iterable[_Change], *, redo: bool
) -> None:
    """Today's count and the person's place in the queue."""
    today = timezone.now().date()
    counted = sum(_counted(change, today, redo=redo) for change in changes)
    revise_today(dataset.id, annotator.id, counted if redo else -counted)


def _counted(change: _Change, today: date, *, redo: bool) -> int:
    """By how much the act changed today's count, as ``storing.NEWLY_SUBMITTED`` says."""
    if change.acted_at.date() != today:
        return 0
    act, other = (change.after, change.before) if redo else (change.before, change.after)
    if act == "submitted":
        return int(other != "submitted")
    return -int(other == "submitted" and change.replaced.date() == today)


_HOLD = """
INSERT INTO lease (organization_id, dataset_id, record_id, user_id, expires_at)
SELECT %(o)s, %(d)s, given.id, %(u)s, %(expires)s FROM unnest(%(ids)s::uuid[]) AS given (id)
WHERE NOT EXISTS (SELECT 1 FROM response x WHERE x.organization_id = %(o)s
    AND x.record_id = given.id AND x.user_id = %(u)s)
ON CONFLICT (organization_id, record_id, user_id) DO UPDATE SET expires_at = excluded.expires_at
"""


def _hold(facts: dict[str, Any], record_ids: list[UUID]) -> None:
    """The record is theirs again, as it was before they answered."""
    expires = timezone.now() + lease_time()
    raw_cursor().execute(_HOLD, {**facts, "ids": record_ids, "expires": expires})


def _happening(dataset: Dataset, change: _Change) -> Happening:
    kind = "deleted" if change.after is None else "updated" if change.before else "created"
    return Happening(
        f"response.{kind}",
        dataset_id=dataset.id,
        object_id=change.response_id,
        payload={"record": str(change.record_id), "status": change.after or change.before},
    )


# What a job did is taken back where it was started: it may be thousands of answers.
_NO_JOB: Final = """NOT IN (SELECT j.id FROM job j WHERE j.organization_id = %(o)s
            AND j.dataset_id = %(d)s)"""
_LAST = f"""
SELECT key, record_id FROM (
    (SELECT request_key AS key, record_id, updated_at AS at FROM response
        WHERE organization_id = %(o)s AND dataset_id = %(d)s AND user_id = %(u)s
        AND request_key IS NOT NULL AND request_key {_NO_JOB} AND updated_at > %(since)s
        ORDER BY updated_at DESC LIMIT 1)
    UNION ALL
    (SELECT v.replaced_by, v.record_id, v.replaced_at FROM response_version v
        WHERE v.organization_id = %(o)s AND v.dataset_id = %(d)s AND v.user_id = %(u)s
        AND v.replaced_at > %(since)s AND v.undone_at IS NULL AND v.replaced_by IS NOT NULL
        AND v.replaced_by {_NO_JOB} AND v.status IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM response x WHERE x.organization_id = %(o)s
            AND x.record_id = v.record_id AND x.user_id = %(u)s)
        ORDER BY v.replaced_at DESC LIMIT 1)
) acts ORDER BY at DESC LIMIT 1
"""
_LAST_UNDONE = f"""
SELECT v.replaced_by, v.record_id FROM response_version v
WHERE v.organization_id = %(o)s AND v.dataset_id = %(d)s AND v.user_id = %(u)s
    AND v.replaced_at > %(since)s AND v.undone_at IS NOT NULL
    AND v.replaced_by IS NOT NULL AND v.replaced_by {_NO_JOB}
    AND NOT EXISTS (SELECT 1 FROM response x WHERE x.organization_id = %(o)s
        AND x.dataset_id = %(d)s AND x.user_id = %(u)s AND x.updated_at > v.undone_at)
    AND NOT EXISTS (SELECT 1 FROM response_version w WHERE w.organization_id = %(o)s
        AND w.dataset_id = %(d)s AND w.user_id = %(u)s AND w.replaced_at > v.undone_at
        AND w.undone_at IS NULL)
ORDER BY v.undone_at DESC, v.replaced_at LIMIT 1
"""


def last_act(*, dataset: Dataset, annotator: Membership) -> Act | None:
    """What ``undo`` would take back: the person's last act here, no job's. One statement."""
    return _act(_LAST, dataset, annotator)


def last_undone(*, dataset: Dataset, annotator: Membership) -> Act | None:
    """What ``redo`` would do again: no job's, and nothing once something new was answered.

    One statement.
    """
    return _act(_LAST_UNDONE, dataset, annotator)


def _act(statement: str, dataset: Dataset, annotator: Membership) -> Act | None:
    facts = {"o": current(), "d": dataset.id, "u": annotator.id, "since": _since(dataset)}
    row = execute(statement, facts).fetchone()
    return Act(*row) if row else None


def _since(dataset: Dataset) -> datetime:
    """Acts before it are not gone back to: they are forgotten, or answered other questions."""
    kept = timezone.now() - KEPT
    return max(kept, dataset.answers_rewritten_at or kept)


def undone_values(
    *, annotator: Membership, record_id: UUID, request_key: UUID
) -> dict[str, Any] | None:
    """What an undone act had answered to a record, to begin again with. One query."""
    version = ResponseVersion.objects.filter(
        record=record_id, user=annotator, replaced_by=request_key, undone_at__isnull=False
    ).first()
    return version.values if version and version.status else None
