"""Sealing the event log, and looking whether the seals are whole.

A seal covers every event of the transactions after the seal before, up to one that no running
transaction precedes. So writers never wait for it, and what commits late is not passed over. The
order is (xact, id).
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from apps.core.prepared import raw_cursor
from apps.core.rounds import find, for_each
from apps.core.sealing import is_signed, sign
from apps.core.tenancy import current, enter, enter_snapshot
from apps.events.canonical import COLUMNS, FIRST, digest
from apps.events.models import EventCheck, EventRetention, EventSeal

SEAL_SIZE: Final = 5_000  # events, more only when one transaction wrote more
PAGE: Final = 1_000  # events in memory at once
PURPOSE: Final = "event seal"
PRUNED: Final = "audit.pruned"

logger = logging.getLogger(__name__)

_LAST = """
SELECT number, up_to, hash FROM event_seal
WHERE organization_id = %(o)s ORDER BY number DESC LIMIT 1
"""
_HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
# The last transaction of the next seal: where enough events are together, else the last there is.
_UP_TO = """
SELECT coalesce(
    (SELECT xact FROM event WHERE organization_id = %(o)s AND xact > %(after)s AND xact < %(end)s
     ORDER BY xact, id OFFSET %(size)s - 1 LIMIT 1),
    (SELECT max(xact) FROM event WHERE organization_id = %(o)s AND xact > %(after)s
     AND xact < %(end)s))
"""
_EVENTS = f"""
SELECT {", ".join(COLUMNS[:-1])}, payload::text FROM event
WHERE organization_id = %(o)s AND (xact, id) > (%(xact)s, %(id)s::uuid) AND xact <= %(up_to)s
ORDER BY xact, id LIMIT {PAGE}
"""  # noqa: S608  (constant text)
_UNSEALED = """
SELECT o.id AS organization_id FROM organization o WHERE EXISTS (
    SELECT FROM event e WHERE e.organization_id = o.id AND e.xact > coalesce(
        (SELECT max(s.up_to) FROM event_seal s WHERE s.organization_id = o.id), -1))
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: how many events there are, how many are sealed, and in how many seals.

    ``problem`` names the first bad seal, empty for none; ``head`` is the last hash, to be kept
    elsewhere: whoever can rewrite the database and the settings cannot rewrite that.
    """

    events: int
    sealed: int
    seals: int
    head: str
    problem: str = ""
    bad_seal: int | None = None

    @property
    def is_valid(self) -> bool:
        return not self.problem


def seal_all() -> int:
    """Seal what waits in every organization; returns how many seals that made."""
    return sum(for_each(find(_UNSEALED), seal))


def seal(*, organization_id: UUID) -> int:
    """Seal what waits in one organization, a transaction for each seal; returns how many."""
    made = 0
    while True:
        with enter(organization_id):
            if not _seal_next():
                return made
        made += 1


def _seal_next() -> bool:
    """Make one seal, unless nothing waits. The lock makes two who seal take turns."""
    cursor, o = raw_cursor(), current()
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))", [f"event seal {o}"])
    number, after, before = cursor.execute(_LAST, {"o": o}).fetchone() or (0, -1, FIRST)
    (end,) = cursor.execute(_HORIZON).fetchone() or (0,)
    bounds = {"o": o, "after": after, "end": end, "size": SEAL_SIZE}
    (up_to,) = cursor.execute(_UP_TO, bounds).fetchone() or (None,)
    if up_to is None:
        return False
    hash, count = digest(before, _events(after, up_to))
    signature = sign(_signed_text(o, number + 1, hash), purpose=PURPOSE)
    EventSeal.objects.create(
        number=number + 1,
        up_to=up_to,
        count=count,
        hash=hash,
        signature=signature,
        sealed_at=timezone.now(),
    )
    # Logs leave the database, so a chain that was cut off shows there.
    logger.info("Sealed events of %s: %s %s", o, number + 1, hash)
    return True


def _signed_text(organization_id: UUID, number: int, hash: str) -> str:
    return f"{organization_id} {number} {hash}"


def _events(after: int, up_to: int) -> Iterator[tuple[Any, ...]]:
    """The rows after the transaction ``after`` up to ``up_to``, a page at a time."""
    xact, id = after, "ffffffff-ffff-ffff-ffff-ffffffffffff"
    while True:
        place = {"o": current(), "xact": xact, "id": id, "up_to": up_to}
        page = raw_cursor().execute(_EVENTS, place).fetchall()
        yield from page
        if len(page) < PAGE:
            return
        xact, id = page[-1][2], page[-1][1]


def verify(*, organization_id: UUID) -> Verdict:
    """Recompute every seal of the organization, as of one moment and in constant memory.

    Events that the retention removed may be missing: as many seals from the first on as the log
    itself says. An event not yet sealed is counted and cannot be checked.
    """
    with enter_snapshot(organization_id):  # the retention may remove events meanwhile
        return _verify()


def _verify() -> Verdict:
    seals, before, after, number, sealed = 0, FIRST, -1, 0, 0
    pruned = _pruned_through()
    problem, bad = "", None
    for seal in EventSeal.objects.order_by("number").iterator(chunk_size=500):
        seals, number = seals + 1, number + 1
        found, there = digest(before, _events(after, seal.up_to))
        problem = _fault(seal, number, found, there, pruned)
        if problem:
            bad = seal.number
            break
        before, after, sealed = seal.hash, seal.up_to, sealed + there
    cursor = raw_cursor().execute(
        "SELECT count(*) FROM event WHERE organization_id = %s", [current()]
    )
    (events,) = cursor.fetchone() or (0,)
    return Verdict(events, sealed, seals, before, problem, bad)


def _fault(seal: EventSeal, number: int, found: str, there: int, pruned: int) -> str:
    """What is wrong with a seal whose events give the hash ``found``; empty for nothing."""
    if seal.number != number:
        return f"seal {number} is missing"
    text = _signed_text(current(), number, seal.hash)
    if not is_signed(text, seal.signature, purpose=PURPOSE):
        return f"seal {number} has no signature of ours"
    if there == 0 and number <= pruned:
        return ""
    if there != seal.count:
        return f"seal {number} covers {seal.count} events, and {there} are there"
    return "" if found == seal.hash else f"an event under seal {number} was changed"


def _pruned_through() -> int:
    """The last seal whose events the retention removed, as the log has it."""
    cursor = raw_cursor().execute(
        "SELECT max((payload->>'through')::bigint) FROM event"
        " WHERE organization_id = %s AND kind = %s",
        [current(), PRUNED],
    )
    (through,) = cursor.fetchone() or (None,)
    return through or 0


def check(*, organization_id: UUID) -> Verdict:
    """Verify, and remember how it went for the page."""
    verdict = verify(organization_id=organization_id)
    with enter(organization_id):
        EventCheck.objects.create(
            checked_at=timezone.now(), events=verdict.events, problem=verdict.problem[:300]
        )
        kept = EventCheck.objects.order_by("-checked_at").values_list("checked_at")[:100]
        oldest = list(kept)[-1][0]
        EventCheck.objects.filter(checked_at__lt=oldest).delete()
    if not verdict.is_valid:
        logger.error("The event log of %s: %s", organization_id, verdict.problem)
    return verdict


def retention() -> int | None:
    """For how many days the entered organization keeps its events; None for ever."""
    newest = EventRetention.objects.order_by("-set_at").first()
    return newest.days if newest else None
