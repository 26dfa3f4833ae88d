"""Which tables an organization has, parents first, and what of them never leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from apps.core.prepared import raw_cursor

# Not in a file: what would let somebody in, and what is worth nothing elsewhere.
LEFT_OUT: Final[Mapping[str, str]] = {
    "api_key": "keys are made anew",
    "idempotent_request": "sealed answers that are kept for a day",
    "invitation": "invitations are sent anew",
    "invited_place": "invitations are sent anew",
    "waiting_event": "events on their way to webhooks",
    "event_check": "checks are made anew",
    "llm_attempt": "calls in flight",
    "llm_batch": "calls in flight",
    "llm_batch_call": "calls in flight",
    "llm_response": "a cache",
}
# In a file, but never read back: it proves what was, where it was.
KEPT_AS_PROOF: Final = {"event_seal"}
# Columns that are blank in a file, with what stands there instead.
BLANKED: Final[Mapping[str, Mapping[str, object]]] = {
    "llm_provider": {"sealed_key": None, "key_hint": ""},
    "webhook": {
        "sealed_secret": "\\x",
        "sealed_previous_secret": None,
        "previous_secret_until": None,
    },
    "job": {"secret": None},
    "organization": {
        "domain": None,
        "domain_token": "",
        "domain_verified_at": None,
        "domain_missing_since": None,
    },
}

_TABLES = """
SELECT c.relname::text, c.oid::bigint FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'organization_id')
ORDER BY 1
"""
_PARENTS = """
SELECT DISTINCT c.conrelid::bigint, c.confrelid::bigint FROM pg_constraint c
WHERE c.contype = 'f' AND c.conrelid <> c.confrelid
"""
_COLUMNS = """
SELECT a.attname::text, a.atttypid = 'jsonb'::regtype AND a.attnotnull FROM pg_attribute a
WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attgenerated = '' ORDER BY a.attnum
"""
_KEY = """
SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k (number, n)
JOIN pg_attribute a ON a.attnum = k.number
WHERE i.indrelid = %(table)s::regclass AND i.indisprimary AND a.attrelid = i.indrelid ORDER BY k.n
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns, those of its key, and those that hold JSON and no NULL."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    documents: frozenset[str]

    @property
    def tenant_column(self) -> str:
        return "id" if self.name == "organization" else "organization_id"


@cache
def tables() -> tuple[Table, ...]:
    """All tables of an organization, its own first and each after those it refers to."""
    found = {oid: name for name, oid in raw_cursor().execute(_TABLES)}
    parents: dict[int, set[int]] = {oid: set() for oid in found}
    for child, parent in raw_cursor().execute(_PARENTS):
        if child in parents and parent in parents:
            parents[child].add(parent)
    ordered: list[int] = []
    while len(ordered) < len(found):
        ready = [o for o in found if o not in ordered and parents[o] <= set(ordered)]
        if not ready:
            raise RuntimeError("Tables refer to each other in a circle.")
        ordered += ready
    return tuple(_described(name) for name in ("organization", *(found[oid] for oid in ordered)))


def exported() -> list[Table]:
    """Those that are in a file."""
    return [table for table in tables() if table.name not in LEFT_OUT]


def _described(name: str) -> Table:
    columns = raw_cursor().execute(_COLUMNS, {"table": name}).fetchall()
    key = raw_cursor().execute(_KEY, {"table": name}).fetchall()
    return Table(
        name,
        tuple(column for column, _ in columns),
        tuple(column for (column,) in key),
        frozenset(column for column, is_document in columns if is_document),
    )
