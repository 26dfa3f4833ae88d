"""The upkeep of ``record_task``: open slots, submitted answers, completion.

``recount`` derives both counters from the rows themselves instead of adding and subtracting, so
they cannot drift; a record has a handful of responses and leases, found through their keys.
Lock first (``lock``): the counts must be read after the last claim has ended.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from apps.core.prepared import execute
from apps.core.tenancy import current


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
    rows = execute(
        "SELECT r.id FROM record r JOIN record_task k"
        " ON k.organization_id = r.organization_id AND k.record_id = r.id"
        " WHERE r.organization_id = %(o)s AND r.id = ANY(%(ids)s)"
        " ORDER BY r.id FOR NO KEY UPDATE OF r, k" + (" SKIP LOCKED" if skip_busy else ""),
        {"o": current(), "ids": list(record_ids)},
    )
    return [row[0] for row in rows]


_LOCK_ANSWER = """
SELECT {columns} FROM record_task k
JOIN dataset d ON d.organization_id = k.organization_id AND d.id = k.dataset_id
JOIN record r ON r.organization_id = k.organization_id AND r.id = k.record_id
JOIN annotator a ON a.organization_id = k.organization_id AND a.dataset_id = k.dataset_id
    AND a.user_id = %(u)s {also}
WHERE k.organization_id = %(o)s AND k.record_id = %(r)s
FOR SHARE OF d FOR NO KEY UPDATE OF a FOR NO KEY UPDATE OF r FOR NO KEY UPDATE OF k
"""
_MAKE_PLACE = """
INSERT INTO annotator (organization_id, dataset_id, user_id, submitted_today)
SELECT k.organization_id, k.dataset_id, %(u)s, 0 FROM record_task k
WHERE k.organization_id = %(o)s AND k.record_id = %(r)s ON CONFLICT DO NOTHING
"""


def locking_answer(columns: str, also: str = "") -> str:
    """The statement that takes what ``lock_answer`` takes and gives columns of it.

    The record is ``r``, its task ``k``, its dataset ``d``, the person's place ``a``; ``also`` joins
    more. The placeholders are ``o``, ``r`` (record) and ``u`` (membership). It gives no row when
    the record is gone, nor when the person has no place in the dataset yet.
    """
    return _LOCK_ANSWER.format(columns=columns, also=also)


_LOCK_ANSWER_ONLY = locking_answer("r.id")


def lock_answer(record_id: UUID, user_id: UUID) -> bool:
    """Take one person's place in the dataset, then the record and its task; False if it is gone.

    Before all of them the questions are held, as by ``datasets.services.hold_schema``. The place
    comes first, as in a claim: it makes all that one person does there take turns.
    """
    facts = {"o": current(), "r": record_id, "u": user_id}
    if execute(_LOCK_ANSWER_ONLY, facts).fetchone():
        return True
    execute(_MAKE_PLACE, facts)
    return execute(_LOCK_ANSWER_ONLY, facts).fetchone() is not None


def lock_places(dataset_id: UUID, user_ids: Iterable[UUID]) -> None:
    """Hold the questions and take the places of several people; before any of the records."""
    facts = {"o": current(), "d": dataset_id, "users": sorted(set(user_ids))}
    execute(
        "INSERT INTO annotator (organization_id, dataset_id, user_id, submitted_today)"
        " SELECT %(o)s, %(d)s, user_id, 0 FROM unnest(%(users)s::uuid[]) AS user_id"
        " ORDER BY user_id ON CONFLICT DO NOTHING",
        facts,
    )
    execute(
        "SELECT a.user_id FROM annotator a JOIN dataset d"
        " ON d.organization_id = a.organization_id AND d.id = a.dataset_id"
        " WHERE a.organization_id = %(o)s AND a.dataset_id = %(d)s AND a.user_id = ANY(%(users)s)"
        " ORDER BY a.user_id FOR SHARE OF d FOR NO KEY UPDATE OF a",
        facts,
    )


# CTEs that bring tasks up to date: ``counted`` are the tasks, ``flipped`` the records whose status
# changed with them, ``told`` is the dataset's counter.
_COUNTED = """
wanted AS (
    SELECT k.record_id, k.dataset_id, k.open_slots AS before,
        CASE WHEN k.settled THEN 0 ELSE d.min_submitted END AS min_submitted,
        (SELECT count(*) FROM response x WHERE x.organization_id = %(o)s
            AND x.record_id = k.record_id AND x.status = 'submitted' {of_others_x})::int
            {and_new} AS submitted,
        (SELECT count(*) FROM lease l WHERE l.organization_id = %(o)s
            AND l.record_id = k.record_id AND l.expires_at > %(now)s {of_others_l})::int AS leased
    FROM record_task k
    JOIN dataset d ON d.organization_id = k.organization_id AND d.id = k.dataset_id {source}
    WHERE k.organization_id = %(o)s AND k.record_id = {records}
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
), summed AS (
    SELECT c.dataset_id, bool_or(c.reopened) AS reopened,
        (count(*) FILTER (WHERE f.status = 'completed')
            - count(*) FILTER (WHERE f.status = 'pending'))::int AS completed
    FROM counted c LEFT JOIN flipped f ON f.id = c.record_id GROUP BY c.dataset_id
), told AS ({told} {if_wanted})
"""
_TELL = """
UPDATE dataset_counter t SET completed = t.completed + {completed}, last_activity_at = {last},
    reopened_at = CASE WHEN {reopened} THEN %(now)s ELSE t.reopened_at END {source}
WHERE t.organization_id = %(o)s AND t.dataset_id = {dataset}
"""
_SUMMED = {
    "completed": "s.completed",
    "reopened": "s.reopened",
    "source": "FROM summed s",
    "dataset": "s.dataset_id",
}
_TELL_SUMMED = _TELL.format(**_SUMMED, last="%(now)s")
_TELL_RECOUNTED = _TELL.format(
    **_SUMMED, last="CASE WHEN %(answered)s THEN %(now)s ELSE t.last_activity_at END"
)
_TELL_LATER = _TELL.format(
    completed="%(completed)s",
    reopened="%(reopened)s",
    last="%(now)s",
    source="",
    dataset="%(d)s",
)
_RECOUNT = f"""
WITH {
    _COUNTED.format(
        told=_TELL_RECOUNTED,
        records="ANY(%(ids)s)",
        source="",
        of_others_x="",
        of_others_l="",
        and_new="",
        if_wanted="",
    )
}
SELECT id, dataset_id, status FROM flipped
"""
# The same in the statement that stores an answer, whose CTE ``stored`` the tables do not show yet.
# The counter waits for another statement unless ``tell``.
COUNTED_WITH_STORED = _COUNTED.format(
    told=_TELL_SUMMED,
    records="s.record_id",
    source="CROSS JOIN stored s",
    of_others_x="AND x.user_id <> s.user_id",
    of_others_l="AND l.user_id <> s.user_id",
    and_new="+ (s.status = 'submitted')::int",
    if_wanted="AND %(tell)s",
)


def recount(record_ids: Iterable[UUID], *, answered: bool = True) -> list[StatusChange]:
    """Bring the tasks of one dataset up to date and flip its records' status where it follows.

    Returns the records whose status changed: the one moment at which a record completes. The
    dataset's counter, which everyone shares, is written last; where nobody has ``answered`` and
    only leases ended, the time of its last answer stays. One statement.
    """
    facts = {"o": current(), "ids": list(record_ids), "now": timezone.now(), "answered": answered}
    return [StatusChange(*row) for row in execute(_RECOUNT, facts)]


def tell(dataset_id: UUID, *, completed: int, reopened: bool, now: datetime) -> None:
    """Write the dataset's counter after ``COUNTED_WITH_STORED`` has left that. One statement."""
    facts = {"o": current(), "d": dataset_id, "now": now}
    execute(_TELL_LATER, {**facts, "completed": completed, "reopened": reopened})


_OPEN_FOR = """
SELECT EXISTS (SELECT 1 FROM record_task k WHERE k.organization_id = %(o)s
    AND k.dataset_id = %(d)s AND k.open_slots > 0
    AND NOT EXISTS (SELECT 1 FROM response x WHERE x.organization_id = %(o)s
        AND x.record_id = k.record_id AND x.user_id = %(u)s OFFSET 0)
    AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.organization_id = %(o)s
        AND l.record_id = k.record_id AND l.user_id = %(u)s OFFSET 0))
"""


def open_for(dataset_id: UUID, user_id: UUID) -> bool:
    """Whether a record is open that the person has neither answered nor in hand."""
    facts = {"o": current(), "d": dataset_id, "u": user_id}
    row = execute(_OPEN_FOR, facts).fetchone()
    return bool(row and row[0])
