"""Reading the event log: a page at a time, newest first, through the index of each kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from apps.core.prepared import build, columns, raw_cursor
from apps.core.tenancy import current, enter
from apps.events.models import Event

# What members do all day with records: shown when it is asked for.
DAILY: Final = ("record", "response", "suggestion", "draft", "comment", "adjudication")
EXPORTED: Final = 1_000  # events of an export in memory at once

# The kinds there are, each found by one step through the index.
_KINDS = """
WITH RECURSIVE known AS (
    (SELECT kind FROM event WHERE organization_id = %(o)s ORDER BY kind LIMIT 1)
    UNION ALL
    SELECT (SELECT e.kind FROM event e WHERE e.organization_id = %(o)s AND e.kind > known.kind
            ORDER BY e.kind LIMIT 1)
    FROM known WHERE known.kind IS NOT NULL
)
SELECT kind FROM known WHERE kind IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: of which kinds, by whom, about what, between when; empty for all.

    ``abouts`` are ids of which one is the event's object, dataset or actor. ``word`` is a whole
    request id or address. ``by`` is an actor's id, or "operator", "keys", "nobody".
    """

    kinds: Sequence[str] = ()
    by: str = ""
    abouts: Sequence[UUID] = ()
    word: str = ""
    since: datetime | None = None
    until: datetime | None = None


_BY: Final = {
    "operator": "t.support_id IS NOT NULL OR t.payload ? 'operator'",
    "keys": "t.key_id IS NOT NULL",
    "nobody": "t.actor_id IS NULL AND t.support_id IS NULL AND NOT t.payload ? 'operator'",
}


def kinds() -> list[str]:
    """The kinds of event that the entered organization has, by name. One statement."""
    return [row[0] for row in raw_cursor().execute(_KINDS, {"o": current()})]


def administrative(known: Sequence[str]) -> list[str]:
    """Those of the kinds that are not members' daily work."""
    return [kind for kind in known if kind.partition(".")[0] not in DAILY]


def page(
    wanted: Wanted, *, before: UUID | None = None, after: UUID | None = None, limit: int
) -> list[Event]:
    """Up to ``limit`` events, newest first, older than ``before`` or newer than ``after``.

    One statement; each kind is read from its end, so rare kinds cost as little as others.
    """
    rule, values = _rule(wanted, before, after)
    order = "ASC" if after else "DESC"
    statement = (
        f"SELECT {columns(Event, 'e')} FROM unnest(%(kinds)s::text[]) k (kind),"  # noqa: S608
        f" LATERAL (SELECT * FROM event t WHERE t.organization_id = %(o)s AND t.kind = k.kind"
        f"{rule} ORDER BY t.id {order} LIMIT %(limit)s) e ORDER BY e.id {order} LIMIT %(limit)s"
    )
    rows = raw_cursor().execute(statement, {**values, "o": current(), "limit": limit})
    found = [build(Event, row) for row in rows]
    return found[::-1] if after else found


def _rule(wanted: Wanted, before: UUID | None, after: UUID | None) -> tuple[str, dict[str, Any]]:
    """The conditions, constant texts, and what they compare with."""
    rules: list[str] = []
    values: dict[str, Any] = {"kinds": list(wanted.kinds)}
    given = {
        "t.id < %(before)s": ("before", before),
        "t.id > %(after)s": ("after", after),
        "t.inserted_at >= %(since)s": ("since", wanted.since),
        "t.inserted_at < %(until)s": ("until", wanted.until),
        "(t.request_id = %(word)s OR t.address = %(word)s)": ("word", wanted.word or None),
    }
    for rule, (name, value) in given.items():
        if value is not None:
            rules.append(rule)
            values[name] = value
    if wanted.abouts:
        rules.append(
            "(t.object_id = ANY(%(abouts)s) OR t.dataset_id = ANY(%(abouts)s)"
            " OR t.actor_id = ANY(%(abouts)s))"
        )
        values["abouts"] = list(wanted.abouts)
    if wanted.by:
        rules.append(f"({_BY[wanted.by]})" if wanted.by in _BY else "t.actor_id = %(by)s::uuid")
        values["by"] = wanted.by
    return "".join(f" AND {rule}" for rule in rules), values


def everything(organization_id: UUID, wanted: Wanted) -> Iterator[list[Event]]:
    """All of it in pages, for an export; between two of them no transaction is open."""
    before: UUID | None = None
    while True:
        with enter(organization_id):
            found = page(wanted, before=before, limit=EXPORTED)
        if found:
            yield found
        if len(found) < EXPORTED:
            return
        before = found[-1].id
