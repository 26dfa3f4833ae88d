"""HNSW indexes over large vector settings, which come and go by themselves.

One partial index a setting, over the vectors that were there when it was built; the newer ones,
its tail, are searched exactly. So a growing dataset takes in vectors at the speed of a table
without such an index, and a new index takes over when the tail has grown large. The catalogue is
the only place that says which indexes there are: nothing can disagree with it.

The application's role reads the catalogue. Indexes are made by the owner, one at a time under an
advisory lock and CONCURRENTLY, so nobody waits for them; what a killed build leaves is dropped.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connections

from apps.core.prepared import raw_cursor

MANY: Final = 20_000  # vectors, beyond which an exact scan takes more than 15 ms
MAX_DIMENSIONS: Final = 4_000  # of an HNSW index over halfvec
PREFIX: Final = "record_vector_near_"
FROM_START: Final = UUID(int=0)

_LOCK: Final = 0x5EA4C8
# A graph that leaves memory is built several times slower; it takes about 1.2 kB a vector of 256.
_BUILD_SETTINGS: Final = (
    "SET maintenance_work_mem = '512MB'; SET max_parallel_maintenance_workers = 0"
)
# A planner that takes the setting for a small one would compare every vector.
_COUNT_ANEW: Final = "ANALYZE record_vector"
_INDEXES: Final = """
SELECT c.relname::text, i.indisvalid, c.reltuples, pg_get_expr(i.indpred, i.indrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = 'record_vector'::regclass AND starts_with(c.relname::text, %(prefix)s)
ORDER BY c.relname
"""
# No setting has more vectors than its dataset has records, so most datasets are not looked at.
_CANDIDATES: Final = """
SELECT s.organization_id, s.id, s.dimensions FROM vector_settings s
JOIN dataset_counter c ON c.organization_id = s.organization_id AND c.dataset_id = s.dataset_id
WHERE c.records > %(few)s AND s.dimensions <= %(dimensions)s ORDER BY s.id
"""
_COUNT: Final = """
SELECT count(*) FROM (
    SELECT FROM record_vector WHERE organization_id = %(o)s AND settings_id = %(s)s
    AND record_id > %(after)s LIMIT %(most)s) AS counted
"""
_LAST: Final = """
SELECT record_id FROM record_vector WHERE organization_id = %(o)s AND settings_id = %(s)s
ORDER BY record_id DESC LIMIT 1
"""
_UUID: Final = re.compile(r"'([0-9a-f-]{36})'")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """An index over the vectors of ``settings_id`` of records up to ``last``; ``size`` as built."""

    name: str
    is_valid: bool
    size: int
    settings_id: UUID
    last: UUID


@dataclass(frozen=True, slots=True)
class Candidate:
    """A vector setting that may be worth an index."""

    organization_id: UUID
    settings_id: UUID
    dimensions: int


def find_index(settings_id: UUID) -> VectorIndex | None:
    """The index that is ready to be searched, or None. One statement."""
    found = [index for index in _indexes(raw_cursor(), settings_id.hex) if index.is_valid]
    return found[-1] if found else None


def direction(dimensions: int, vector: str) -> str:
    """SQL of what is indexed: without its length, every vector fits into 16-bit numbers."""
    return f"l2_normalize({vector})::halfvec({dimensions})"


def tend(*, many: int = MANY) -> list[str]:
    """Bring the indexes in line with the vectors; returns what was done, in words.

    Returns at once when another process is at it. Takes as long as the builds: minutes for
    hundreds of thousands of vectors, on one core.
    """
    done: list[str] = []
    try:
        with connections["owner"].cursor() as owner, _only_one(owner) as first:
            if first:
                for statement in _changes(owner, many):
                    _logger.info("%s", statement)
                    owner.execute(statement)
                    done.append(statement)
    finally:
        connections["owner"].close()  # the settings of the builds, and the lock, end with it
    return done


def _changes(owner: Any, many: int) -> Iterator[str]:
    """The statements to run, each decided when the one before has been run."""
    owner.execute(_BUILD_SETTINGS)
    wanted = {candidate.settings_id: candidate for candidate in _candidates(many // 2)}
    for index in list(_indexes(owner)):
        if not index.is_valid or index.settings_id not in wanted:
            yield _drop(index)
    for candidate in wanted.values():
        yield from _changes_of(owner, candidate, many)


def _changes_of(owner: Any, candidate: Candidate, many: int) -> Iterator[str]:
    """Build what is missing or replace what has a long tail; drop what is hardly used."""
    there = list(_indexes(owner, candidate.settings_id.hex))
    yield from map(_drop, there[:-1])  # replaced, and then the process ended
    index = there[-1] if there else None
    if index is None:
        if _count(candidate, FROM_START, many + 1) > many:
            yield _create(candidate)
            yield _COUNT_ANEW
    elif _count(candidate, FROM_START, many // 2 + 1) <= many // 2:
        yield _drop(index)
    else:
        longest = max(many, index.size // 10)
        if _count(candidate, index.last, longest + 1) > longest:
            yield _create(candidate)
            yield _drop(index)
            yield _COUNT_ANEW


def _indexes(cursor: Any, settings: str = "") -> Iterable[VectorIndex]:
    """All indexes, or those of the setting with these hex digits, the oldest first."""
    cursor.execute(_INDEXES, {"prefix": PREFIX + settings})
    for name, is_valid, size, predicate in cursor.fetchall():
        settings_id, last = map(UUID, _UUID.findall(predicate))
        yield VectorIndex(name, is_valid, int(size), settings_id, last)


def _candidates(few: int) -> list[Candidate]:
    with connections["operator"].cursor() as cursor:
        cursor.execute(_CANDIDATES, {"few": few, "dimensions": MAX_DIMENSIONS})
        return [Candidate(*row) for row in cursor.fetchall()]


def _count(candidate: Candidate, after: UUID, most: int) -> int:
    """How many vectors belong to records after this one; counted up to ``most``."""
    return int(_ask(_COUNT, candidate, after=after, most=most))


def _ask(statement: str, candidate: Candidate, **facts: Any) -> Any:
    with connections["operator"].cursor() as cursor:
        given = {"o": candidate.organization_id, "s": candidate.settings_id, **facts}
        cursor.execute(statement, given)
        row = cursor.fetchone()
    return row[0] if row else None


def _create(candidate: Candidate) -> str:
    last: UUID = _ask(_LAST, candidate) or FROM_START
    # A name has 63 characters at most; the last id's begin with its time.
    name = f"{PREFIX}{candidate.settings_id.hex}_{last.hex[:11]}"
    return (
        f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON record_vector"
        f" USING hnsw (({direction(candidate.dimensions, 'embedding')}) halfvec_cosine_ops)"
        f" WHERE settings_id = '{candidate.settings_id}' AND record_id <= '{last}'"
    )


def _drop(index: VectorIndex) -> str:
    return f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}"


@contextmanager
def _only_one(owner: Any) -> Iterator[bool]:
    """Whether this is the only process at it, until the block ends."""
    owner.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
    (first,) = owner.fetchone()
    try:
        yield first
    finally:
        if first:
            owner.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
