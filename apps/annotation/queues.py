"""The statements by which records are handed out and kept in hand.

Their placeholders are ``o``, ``d`` and ``u`` for whom and where, ``now`` and ``expires``, ``n`` for
how many, and those of a part.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from apps.core.prepared import columns
from apps.records.models import Record

# OFFSET 0 keeps PostgreSQL from hashing all of the annotator's answers (measured).
_NOT_MINE = """
    AND NOT EXISTS (SELECT 1 FROM response x WHERE x.organization_id = k.organization_id
        AND x.record_id = k.record_id AND x.user_id = %(u)s OFFSET 0)
    AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.organization_id = k.organization_id
        AND l.record_id = k.record_id AND l.user_id = %(u)s OFFSET 0)
"""
# The lease's foreign key wants the record too. Taking it here, unless somebody is deleting it,
# keeps the claim from waiting for anyone; the subquery keeps it one index probe a row.
_PICK = """
    SELECT k.record_id FROM record_task k, LATERAL (SELECT FROM record r
        WHERE r.organization_id = k.organization_id AND r.id = k.record_id
        FOR KEY SHARE SKIP LOCKED) AS there
    WHERE k.organization_id = %(o)s AND k.dataset_id = %(d)s AND k.open_slots > 0
"""
_HAND_OUT = """
WITH {held} pick AS ({pick} FOR UPDATE OF k SKIP LOCKED{also}),
taken AS (
    UPDATE record_task k SET open_slots = k.open_slots - 1 FROM pick
    WHERE k.organization_id = %(o)s AND k.record_id = pick.record_id
    RETURNING k.record_id, k.certainty
), given AS (
    INSERT INTO lease (organization_id, dataset_id, record_id, user_id, expires_at)
    SELECT %(o)s, %(d)s, record_id, %(u)s, %(expires)s FROM taken
{moved})
SELECT {record} FROM {handed} k
JOIN record r ON r.organization_id = %(o)s AND r.id = k.record_id {order}
"""
_MOVED = """), moved AS (
    UPDATE annotator a SET cursor_id = last.record_id, exhausted_at = NULL
    FROM (SELECT record_id FROM taken ORDER BY record_id DESC LIMIT 1) AS last
    WHERE a.organization_id = %(o)s AND a.dataset_id = %(d)s AND a.user_id = %(u)s
"""
_PICK_PART = """
    SELECT k.record_id FROM record_task k JOIN record r
        ON r.organization_id = k.organization_id AND r.id = k.record_id
    WHERE k.organization_id = %(o)s AND k.dataset_id = %(d)s AND k.open_slots > 0
        AND r.organization_id = %(o)s AND r.dataset_id = %(d)s AND ({matching})
"""
# What the annotator has in hand. The CTE runs once; a subquery may run for each lease, and pass
# over what it has just renewed. A lease that is going with its record just now is passed over:
# waiting for it could be mutual.
_RENEW = """
held AS MATERIALIZED (
    SELECT l.record_id FROM lease l WHERE l.organization_id = %(o)s AND l.dataset_id = %(d)s
    AND l.user_id = %(u)s AND l.expires_at > %(now)s {of_part}
    ORDER BY l.record_id LIMIT {limit} FOR UPDATE SKIP LOCKED
), renewed AS (
    UPDATE lease l SET expires_at = %(expires)s FROM held
    WHERE l.organization_id = %(o)s AND l.user_id = %(u)s AND l.record_id = held.record_id
)
"""
_OF_PART = (
    "AND EXISTS (SELECT FROM record r WHERE r.organization_id = %(o)s AND r.dataset_id = %(d)s"
    " AND r.id = l.record_id AND ({matching}))"
)


def _claim(condition: str, order: str) -> str:
    return _HAND_OUT.format(
        held="",
        pick=f"{_PICK} {condition} {_NOT_MINE} {order} LIMIT %(n)s",
        moved=_MOVED,
        also="",
        record=columns(Record, "r"),
        handed="taken",
        order=order,
    )


def _claim_one(condition: str, order: str) -> str:
    """What is in hand, else the next. PostgreSQL keeps the plan of a limit that the text names."""
    return _HAND_OUT.format(
        held=_RENEW.format(of_part="", limit=1) + ",",
        pick=f"{_PICK} AND NOT EXISTS (SELECT FROM held) {condition} {_NOT_MINE} {order} LIMIT 1",
        moved=_MOVED,
        also="",
        record=columns(Record, "r"),
        handed="(SELECT record_id FROM held UNION ALL SELECT record_id FROM taken)",
        order="",
    )


# Where to look, and in which order.
_QUEUES = {
    "after_cursor": ("AND k.record_id > %(cursor)s", "ORDER BY k.record_id"),
    "from_start": ("", "ORDER BY k.record_id"),
    "least_certain": ("", "ORDER BY k.certainty, k.record_id"),
    "more_certain": (
        "AND (k.certainty, k.record_id) > (SELECT s.certainty, s.record_id FROM record_task s"
        " WHERE s.organization_id = %(o)s AND s.record_id = %(beyond)s)",
        "ORDER BY k.certainty, k.record_id",
    ),
}
CLAIMS = {name: _claim(*queue) for name, queue in _QUEUES.items()}
CLAIMS_OF_ONE = {name: _claim_one(*queue) for name, queue in _QUEUES.items()}


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a queue's records, in an order of its own.

    ``matching`` is SQL that is true of the wanted records ``r``, ``order`` an ``ORDER BY`` over
    ``r``; ``params`` are their placeholders. ``passed`` are records that come only when no others
    are left.
    """

    matching: str
    order: str
    params: dict[str, Any] = field(default_factory=dict)
    passed: Collection[UUID] = ()

    def claims(self) -> list[str]:
        """The statements that hand out, in turn."""
        whole = self._claim("")
        return (
            [self._claim("AND k.record_id <> ALL(%(passed)s)"), whole] if self.passed else [whole]
        )

    def _claim(self, condition: str) -> str:
        pick = f"{_PICK_PART.format(matching=self.matching)} {condition} {_NOT_MINE} {self.order}"
        return _HAND_OUT.format(
            held="",
            pick=f"{pick} LIMIT %(n)s",
            moved="",
            also=" FOR KEY SHARE OF r SKIP LOCKED",
            record=columns(Record, "r"),
            handed="taken",
            order=self.order,
        )


def renewal(part: Part | None) -> str:
    """The statement that renews what is in hand, of the part or at all; gives the records' ids."""
    of_part = _OF_PART.format(matching=part.matching) if part else ""
    return f"WITH {_RENEW.format(of_part=of_part, limit='%(n)s')} SELECT record_id FROM held"
