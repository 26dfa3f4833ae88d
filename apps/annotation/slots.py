"""The upkeep of ``record_task``: open slots, submitted answers, completion.

``recount`` derives both counters from the rows themselves instead of adding and subtracting, so
they cannot drift; a record has a handful of responses and leases, found through their keys.
Lock first (``lock``): the counts must be read after the last claim has ended.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.records.models import RecordStatus


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A record that was completed, or went back to pending."""

    record_id: UUID
    dataset_id: UUID
    status: str


def lock(record_ids: Iterable[UUID], *, skip_busy: bool = False) -> list[UUID]:
    """Take the records and their tasks until the transaction ends; returns the ids taken.

    Everyone takes the record before its task, in id order, as the bulk upsert does. The claim
    takes tasks alone and never waits. ``skip_busy`` leaves out what somebody else holds.
    """
    rows = raw_cursor().execute(
        "SELECT r.id FROM record r JOIN record_task k"
        " ON k.organization_id = r.organization_id AND k.record_id = r.id"
        " WHERE r.organization_id = %(o)s AND r.id = ANY(%(ids)s)"
        " ORDER BY r.id FOR NO KEY UPDATE OF r, k" + (" SKIP LOCKED" if skip_busy else ""),
        {"o": current(), "ids": list(record_ids)},
    )
    return [row[0] for row in rows]


_RECOUNT = """
WITH wanted AS (
    SELECT k.record_id, k.dataset_id, d.min_submitted, k.open_slots AS before,
        (SELECT count(*) FROM response x WHERE x.organization_id = %(o)s
            AND x.record_id = k.record_id AND x.status = 'submitted')::int AS submitted,
        (SELECT count(*) FROM lease l WHERE l.organization_id = %(o)s
            AND l.record_id = k.record_id AND l.expires_at > %(now)s)::int AS leased
    FROM record_task k
    JOIN dataset d ON d.organization_id = k.organization_id AND d.id = k.dataset_id
    WHERE k.organization_id = %(o)s AND k.record_id = ANY(%(ids)s)
), counted AS (
    UPDATE record_task k SET submitted = w.submitted,
        open_slots = greatest(w.min_submitted - w.submitted - w.leased, 0)
    FROM wanted w WHERE k.organization_id = %(o)s AND k.record_id = w.record_id
    RETURNING k.record_id, k.dataset_id, k.open_slots > w.before AS reopened,
        CASE WHEN w.submitted >= w.min_submitted THEN 'completed' ELSE 'pending' END AS status
), flipped AS (
    UPDATE record r SET status = c.status, updated_at = %(now)s FROM counted c
    WHERE r.organization_id = %(o)s AND r.id = c.record_id AND r.status <> c.status
    RETURNING r.id, r.dataset_id, r.status
)
SELECT c.record_id, c.dataset_id, c.reopened, f.status
FROM counted c LEFT JOIN flipped f ON f.id = c.record_id
"""
_COUNT = """
UPDATE dataset_counter SET completed = completed + %(n)s::int, last_activity_at = %(now)s,
    reopened_at = CASE WHEN %(reopened)s::bool THEN %(now)s ELSE reopened_at END
WHERE organization_id = %(o)s AND dataset_id = %(d)s
"""


def recount(record_ids: Iterable[UUID]) -> list[StatusChange]:
    """Bring the tasks up to date and flip the records' status where it follows.

    Returns the records whose status changed: the one moment at which a record completes. The
    dataset's counter, which everyone shares, is written last.
    """
    now = timezone.now()
    facts = {"o": current(), "ids": list(record_ids), "now": now}
    rows = raw_cursor().execute(_RECOUNT, facts).fetchall()
    changes = [StatusChange(row[0], row[1], row[3]) for row in rows if row[3]]
    for dataset_id in sorted({row[1] for row in rows}):
        mine = [change for change in changes if change.dataset_id == dataset_id]
        raw_cursor().execute(
            _COUNT,
            {
                "n": sum(1 if c.status == RecordStatus.COMPLETED else -1 for c in mine),
                "reopened": any(row[2] for row in rows if row[1] == dataset_id),
                "now": now,
                "o": current(),
                "d": dataset_id,
            },
        )
    return changes


def open_for(dataset_id: UUID, user_id: UUID) -> bool:
    """Whether a record is open that the person has neither answered nor in hand."""
    row = (
        raw_cursor()
        .execute(
            "SELECT EXISTS (SELECT 1 FROM record_task k WHERE k.organization_id = %(o)s"
            " AND k.dataset_id = %(d)s AND k.open_slots > 0"
            " AND NOT EXISTS (SELECT 1 FROM response x WHERE x.organization_id = %(o)s"
            " AND x.record_id = k.record_id AND x.user_id = %(u)s OFFSET 0)"
            " AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.organization_id = %(o)s"
            " AND l.record_id = k.record_id AND l.user_id = %(u)s OFFSET 0))",
            {"o": current(), "d": dataset_id, "u": user_id},
        )
        .fetchone()
    )
    return bool(row and row[0])
