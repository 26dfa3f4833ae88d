"""Records with everything about them as JSON Lines, written by PostgreSQL page by page.

A page is one transaction inside the organization, which has ended when the page is handed out.
Records come in the order of their insertion, so the pages of a dataset that nobody changes are
always the same bytes. Memory holds one page: at most 2,000 records, and about 4 MB of fields and
vectors as they are stored.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

import psycopg
from django.db import connection

from apps.core.tenancy import current, enter

_Read = TypeVar("_Read")

PAGE: Final = 2_000  # records
FIRST: Final = UUID(int=0)  # before every record
PAGE_BYTES: Final = 4 * 1024 * 1024  # of fields, metadata and vectors, as they are stored

_NEXT_IDS: Final = """
SELECT id FROM (
    SELECT id, sum(size) OVER (ORDER BY id) - size AS before FROM (
        SELECT id, pg_column_size(fields) + coalesce(pg_column_size(metadata), 0)
            + (SELECT coalesce(sum(4 * dimensions), 0) FROM vector_settings
                WHERE organization_id = %(o)s AND dataset_id = %(d)s) AS size
        FROM record
        WHERE organization_id = %(o)s AND dataset_id = %(d)s AND id > %(last)s
            AND status = ANY(%(statuses)s)
        ORDER BY id LIMIT %(limit)s) AS next) AS sized
WHERE before < %(bytes)s ORDER BY id
"""
# Put together as text: the keys keep their order, and no document is parsed on the way.
_PAGE: Final = """
WITH suggested AS (
    SELECT s.record_id, string_agg('{"question": ' || to_json(q.name)
            || ', "value": ' || s.value || ', "score": ' || coalesce(s.score::text, 'null')
            || ', "agent": ' || coalesce(to_json(s.agent)::text, 'null')
            || ', "type": ' || coalesce(to_json(s.type)::text, 'null') || '}',
            ', ' ORDER BY q.inserted_at, q.id) AS list
    FROM suggestion s JOIN question q
        ON q.organization_id = s.organization_id AND q.id = s.question_id
    WHERE s.organization_id = %(o)s AND s.record_id = ANY(%(ids)s) GROUP BY s.record_id
), answered AS (
    SELECT a.record_id, string_agg('{"user": ' || to_json(m.username)
            || ', "status": ' || to_json(a.status) || ', "values": ' || a.values
            || ', "inserted_at": ' || to_json(a.inserted_at AT TIME ZONE 'UTC') || '}',
            ', ' ORDER BY a.id) AS list
    FROM response a JOIN membership m
        ON m.organization_id = a.organization_id AND m.id = a.user_id
    WHERE a.organization_id = %(o)s AND a.record_id = ANY(%(ids)s) GROUP BY a.record_id
), embedded AS (
    SELECT v.record_id, string_agg(to_json(t.name) || ': ' || v.embedding::text,
            ', ' ORDER BY t.inserted_at, t.id) AS list
    FROM record_vector v JOIN vector_settings t
        ON t.organization_id = v.organization_id AND t.id = v.settings_id
    WHERE v.organization_id = %(o)s AND v.record_id = ANY(%(ids)s) AND %(vectors)s
    GROUP BY v.record_id
), decided AS (
    SELECT j.record_id, ', "adjudication": {"reviewer": '
            || coalesce(to_json(m.username)::text, 'null') || ', "values": ' || j.values
            || ', "ambiguous": ' || j.ambiguous || ', "note": ' || to_json(j.note)
            || CASE WHEN j.accepted <> '{}' THEN ', "accepted": '::text || j.accepted ELSE '' END
            || ', "decided_at": ' || to_json(j.decided_at AT TIME ZONE 'UTC') || '}' AS object
    FROM adjudication j LEFT JOIN membership m
        ON m.organization_id = j.organization_id AND m.id = j.reviewer_id
    WHERE j.organization_id = %(o)s AND j.record_id = ANY(%(ids)s)
)
SELECT convert_to(string_agg('{"id": ' || to_json(r.external_id)
        || ', "fields": ' || r.fields || ', "metadata": ' || coalesce(r.metadata::text, 'null')
        || ', "status": ' || to_json(r.status)
        || ', "suggestions": [' || coalesce(suggested.list, '')
        || '], "responses": [' || coalesce(answered.list, '')
        || '], "vectors": {' || coalesce(embedded.list, '') || '}' || coalesce(decided.object, '')
        || E'}\n', '' ORDER BY r.id), 'UTF8')
FROM record r
LEFT JOIN suggested ON suggested.record_id = r.id
LEFT JOIN answered ON answered.record_id = r.id
LEFT JOIN embedded ON embedded.record_id = r.id
LEFT JOIN decided ON decided.record_id = r.id
WHERE r.organization_id = %(o)s AND r.id = ANY(%(ids)s)
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Records as JSON Lines: one line each, the last one ended as well."""

    records: int
    lines: bytes
    last: UUID = FIRST  # the last record's id


def export_page(
    dataset_id: UUID,
    statuses: Sequence[str],
    *,
    after: UUID,
    limit: int | None = None,
    with_vectors: bool = True,
) -> Page | None:
    """The page of records after this one, inside the organization; None when there is none.

    Two statements. ``limit`` is ``PAGE`` unless told otherwise.
    """
    ids = _next_ids(dataset_id, statuses, after, limit or PAGE)
    return _page(ids, with_vectors) if ids else None


def export_pages(
    *,
    organization_id: UUID,
    dataset_id: UUID,
    statuses: Sequence[str],
    with_vectors: bool = True,
) -> Iterator[Page]:
    """The dataset's records of these statuses, in insertion order.

    Cost: two statements a page. Records that are added meanwhile are included, changes of pages
    already handed out are not.
    """
    return walk_records(
        organization_id=organization_id,
        dataset_id=dataset_id,
        statuses=statuses,
        read=lambda ids: _page(ids, with_vectors),
    )


def walk_records(
    *,
    organization_id: UUID,
    dataset_id: UUID,
    statuses: Sequence[str],
    read: Callable[[list[UUID]], _Read],
) -> Iterator[_Read]:
    """What ``read`` makes of each page's ids, in the transaction in which they were found.

    Cost: one statement a page, and what ``read`` asks.
    """
    last = FIRST
    while True:
        with enter(organization_id):
            ids = _next_ids(dataset_id, statuses, last, PAGE)
            found = read(ids) if ids else None
        if found is None:
            return
        yield found
        last = ids[-1]


def _next_ids(dataset_id: UUID, statuses: Sequence[str], last: UUID, limit: int) -> list[UUID]:
    facts = {
        "o": current(),
        "d": dataset_id,
        "last": last,
        "statuses": list(statuses),
        "limit": limit,
        "bytes": PAGE_BYTES,
    }
    return [row[0] for row in _cursor().execute(_NEXT_IDS, facts)]


def _page(ids: list[UUID], with_vectors: bool) -> Page:
    facts = {"o": current(), "ids": ids, "vectors": with_vectors}
    row = _cursor().execute(_PAGE, facts, binary=True).fetchone()
    lines = row[0] if row and row[0] else b""  # None when they were all deleted just now
    return Page(records=lines.count(b"\n"), lines=lines, last=ids[-1])


def _cursor() -> psycopg.Cursor[Any]:
    """Django's own cursors know no binary answers."""
    return psycopg.Cursor(connection.connection)
