"""Who gets which record next.

A slot is handed out by lease: the claim picks the next record with open slots after the
annotator's cursor, skips rows that others are just taking, and writes the lease, all in one
statement. A record is never leased to more people than answers are still needed, and never to
someone who has it or has answered it. Cost of a claim: 3 statements, whatever the dataset's size.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.annotation import slots
from apps.annotation.models import Annotator, Lease
from apps.core.prepared import fetch, raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset, QueueOrder
from apps.organizations.models import Membership
from apps.records.models import DatasetCounter, Record, RecordTask

_NOT_MINE = """
    AND NOT EXISTS (SELECT 1 FROM response x WHERE x.organization_id = k.organization_id
        AND x.record_id = k.record_id AND x.user_id = %(u)s OFFSET 0)
    AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.organization_id = k.organization_id
        AND l.record_id = k.record_id AND l.user_id = %(u)s OFFSET 0)
"""
_PICK = """
    SELECT k.record_id FROM record_task k
    WHERE k.organization_id = %(o)s AND k.dataset_id = %(d)s AND k.open_slots > 0
"""
_HAND_OUT = """
WITH pick AS ({pick} LIMIT %(n)s FOR UPDATE OF k SKIP LOCKED),
taken AS (
    UPDATE record_task k SET open_slots = k.open_slots - 1 FROM pick
    WHERE k.organization_id = %(o)s AND k.record_id = pick.record_id RETURNING k.record_id
)
INSERT INTO lease (organization_id, dataset_id, record_id, user_id, expires_at)
SELECT %(o)s, %(d)s, record_id, %(u)s, %(expires)s FROM taken
RETURNING record_id
"""
_CLAIMS = {
    # OFFSET 0 keeps PostgreSQL from hashing all of the annotator's answers (measured).
    "after_cursor": _HAND_OUT.format(
        pick=_PICK + "AND k.record_id > %(cursor)s" + _NOT_MINE + "ORDER BY k.record_id"
    ),
    "from_start": _HAND_OUT.format(pick=_PICK + _NOT_MINE + "ORDER BY k.record_id"),
    "least_certain": _HAND_OUT.format(pick=_PICK + _NOT_MINE + "ORDER BY k.certainty, k.record_id"),
}


@dataclass(frozen=True, slots=True)
class QueueState:
    """Why there is nothing to hand out: ``open`` records still need somebody else's answer."""

    open: int
    held_by_others: bool
    quota_reached: bool


def claim(*, dataset: Dataset, annotator: Membership, limit: int = 1) -> list[Lease]:
    """Up to ``limit`` leases for the annotator, each with its record, in queue order.

    Leases already held come first and are renewed, so that asking again is safe. Fewer come back
    when nothing more is open or the annotator's daily quota is reached.
    """
    now = timezone.now()
    expires = now + lease_time()
    with transaction.atomic(savepoint=False):
        place, held = _lock_place(dataset, annotator, now)
        held = held[:limit]
        if held:
            _prolong(annotator, held, expires)
        wanted = min(limit, remaining_today(dataset, place, now)) - len(held)
        taken: list[UUID] = []
        if wanted > 0 and not _is_exhausted(dataset, place, now):
            taken = _hand_out(dataset, place, wanted, expires)
            if not taken and return_expired(dataset=dataset):
                taken = _hand_out(dataset, place, wanted, expires)
            _move_cursor(place, taken, now)
    return _load(dataset, annotator, [*held, *taken], expires)


def lease_time() -> timedelta:
    """How long a lease lasts unless it is renewed."""
    return timedelta(minutes=settings.LEASE_MINUTES)


def remaining_today(dataset: Dataset, place: Annotator, now: datetime) -> int:
    """How many more answers the annotator's daily quota lets them be asked for."""
    quota = place.daily_quota or dataset.daily_quota
    if quota is None:
        return 1_000_000
    done = place.submitted_today if place.day == now.date() else 0
    return max(quota - done, 0)


_LOCK_PLACE = """
SELECT a.cursor_id, a.exhausted_at, a.day, a.submitted_today, a.daily_quota,
    (SELECT array_agg(l.record_id ORDER BY l.record_id) FROM lease l
        WHERE l.organization_id = %(o)s AND l.dataset_id = %(d)s AND l.user_id = %(u)s
        AND l.expires_at > %(now)s)
FROM annotator a WHERE a.organization_id = %(o)s AND a.dataset_id = %(d)s AND a.user_id = %(u)s
FOR NO KEY UPDATE OF a
"""


def _lock_place(
    dataset: Dataset, annotator: Membership, now: datetime
) -> tuple[Annotator, list[UUID]]:
    """The annotator's row, locked, with the records in their hands: one claim at a time."""
    facts = {"o": current(), "d": dataset.id, "u": annotator.id, "now": now}
    row = raw_cursor().execute(_LOCK_PLACE, facts).fetchone()
    if row is None:
        Annotator.objects.bulk_create(
            [Annotator(dataset=dataset, user=annotator)], ignore_conflicts=True
        )
        return _lock_place(dataset, annotator, now)
    cursor_id, exhausted_at, day, submitted_today, daily_quota, held = row
    place = Annotator(
        dataset=dataset,
        user=annotator,
        cursor_id=cursor_id,
        exhausted_at=exhausted_at,
        day=day,
        submitted_today=submitted_today,
        daily_quota=daily_quota,
    )
    return place, held or []


def _prolong(annotator: Membership, record_ids: list[UUID], expires: datetime) -> None:
    Lease.objects.filter(user=annotator, record_id__in=record_ids).update(expires_at=expires)


def _is_exhausted(dataset: Dataset, place: Annotator, now: datetime) -> bool:
    """True while nothing has become free since the queue was last found empty.

    A lease that ran out counts as free before the sweep has taken it back.
    """
    if place.exhausted_at is None:
        return False
    counter = DatasetCounter.objects.only("reopened_at").get(dataset=dataset)
    if counter.reopened_at is not None and counter.reopened_at > place.exhausted_at:
        return False
    return not Lease.objects.filter(dataset=dataset, expires_at__lte=now).exists()


def _hand_out(dataset: Dataset, place: Annotator, wanted: int, expires: datetime) -> list[UUID]:
    facts = {
        "o": current(),
        "d": dataset.id,
        "u": place.user_id,
        "expires": expires,
        "cursor": place.cursor_id,
    }
    least_certain = dataset.queue_order == QueueOrder.LEAST_CERTAIN_FIRST
    attempts = ["least_certain"] if least_certain else ["from_start"]
    if place.cursor_id is not None and not least_certain:
        attempts.insert(0, "after_cursor")
    taken: list[UUID] = []
    for name in attempts:
        rows = raw_cursor().execute(_CLAIMS[name], {**facts, "n": wanted - len(taken)})
        taken += sorted(row[0] for row in rows)
        if len(taken) >= wanted:
            break
    return taken


def _move_cursor(place: Annotator, taken: list[UUID], now: datetime) -> None:
    """Remember where to go on; an empty hand means the queue may be exhausted.

    Rows that others held locked for a moment were skipped, so the queue counts as exhausted only
    when no open slot is left to look at.
    """
    if taken:
        place.cursor_id, place.exhausted_at = taken[-1], None
    elif not slots.open_for(place.dataset_id, place.user_id):
        place.exhausted_at = now
    raw_cursor().execute(
        "UPDATE annotator SET cursor_id = %(cursor)s, exhausted_at = %(exhausted)s"
        " WHERE organization_id = %(o)s AND dataset_id = %(d)s AND user_id = %(u)s",
        {
            "cursor": place.cursor_id,
            "exhausted": place.exhausted_at,
            "o": current(),
            "d": place.dataset_id,
            "u": place.user_id,
        },
    )


def _load(
    dataset: Dataset, annotator: Membership, record_ids: list[UUID], expires: datetime
) -> list[Lease]:
    if not record_ids:
        return []
    records = {record.id: record for record in fetch(Record, "id = ANY(%(ids)s)", ids=record_ids)}
    return [
        Lease(record=records[record_id], user=annotator, dataset=dataset, expires_at=expires)
        for record_id in record_ids
        if record_id in records
    ]


def renew(*, record_id: UUID, annotator: Membership) -> datetime | None:
    """Prolong a lease that has not expired; returns its new end, or None when it is lost."""
    now = timezone.now()
    expires = now + lease_time()
    mine = Lease.objects.filter(record_id=record_id, user=annotator, expires_at__gt=now)
    return expires if mine.update(expires_at=expires) else None


@transaction.atomic
def release(*, record_id: UUID, annotator: Membership) -> None:
    """Give a record back unanswered; without a lease nothing happens."""
    slots.lock([record_id])
    deleted, _ = Lease.objects.filter(record_id=record_id, user=annotator).delete()
    if deleted:
        slots.recount([record_id])


def queue_state(*, dataset: Dataset, annotator: Membership) -> QueueState:
    """Why a claim came back empty. Four queries."""
    now = timezone.now()
    place = Annotator.objects.filter(dataset=dataset, user=annotator).first()
    remaining = 1 if place is None else remaining_today(dataset, place, now)
    return QueueState(
        open=RecordTask.objects.filter(dataset=dataset, open_slots__gt=0).count(),
        held_by_others=Lease.objects.filter(dataset=dataset, expires_at__gt=now)
        .exclude(user=annotator)
        .exists(),
        quota_reached=remaining <= 0,
    )


def return_expired(*, dataset: Dataset | None = None) -> int:
    """Take back leases that ran out, in the entered organization. Returns how many.

    Runs every half minute and before a queue is called empty. Records that somebody is just
    answering are left for the next time, so it never waits.
    """
    with transaction.atomic():
        expired = Lease.objects.filter(expires_at__lte=timezone.now())
        if dataset is not None:
            expired = expired.filter(dataset=dataset)
        found = sorted(set(expired.values_list("record_id", flat=True)[:5000]))
        record_ids = slots.lock(found, skip_busy=True) if found else []
        if not record_ids:
            return 0
        count, _ = expired.filter(record_id__in=record_ids).delete()
        slots.recount(record_ids)
        return count
