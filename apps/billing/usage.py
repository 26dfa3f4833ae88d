"""What was used by month and workspace: counted, kept by a nightly snapshot, and read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from apps.billing.models import NO_WORKSPACE, UsageMonth
from apps.core import tallies
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.organizations.calls import tally_of

MONTHS: Final = 12

# Ids ascend with time, so the answers of a month lie together in the primary key.
_COUNT: Final = """
WITH held AS (
    SELECT d.workspace_id, sum(c.records) AS n FROM dataset_counter c
    JOIN dataset d ON d.organization_id = c.organization_id AND d.id = c.dataset_id
    WHERE c.organization_id = %(o)s GROUP BY 1
), answered AS (
    SELECT d.workspace_id, sum(r.n) AS n FROM (
        SELECT dataset_id, count(*) AS n FROM response WHERE organization_id = %(o)s
        AND id >= %(first_id)s AND id < %(next_id)s AND status = 'submitted' GROUP BY 1
    ) r JOIN dataset d ON d.organization_id = %(o)s AND d.id = r.dataset_id GROUP BY 1
), paid AS (
    SELECT coalesce(l.workspace_id, %(none)s) AS workspace_id, sum(l.usd) AS usd FROM llm_ledger l
    WHERE l.organization_id = %(o)s AND l.inserted_at >= %(first)s AND l.inserted_at < %(next)s
    GROUP BY 1
), place AS (
    SELECT id, name FROM workspace WHERE organization_id = %(o)s AND inserted_at < %(next)s
    UNION ALL SELECT %(none)s, '' FROM organization WHERE id = %(o)s AND inserted_at < %(next)s
    UNION ALL SELECT p.workspace_id, '' FROM paid p
    WHERE p.usd > 0 AND p.workspace_id <> %(none)s AND NOT EXISTS (
        SELECT FROM workspace w WHERE w.organization_id = %(o)s AND w.id = p.workspace_id)
)
SELECT place.id AS workspace_id, place.name AS workspace_name,
    coalesce(held.n, 0)::bigint AS records, coalesce(answered.n, 0)::bigint AS answers,
    coalesce(paid.usd, 0) AS usd,
    coalesce((SELECT m.bytes FROM usage_month m WHERE m.organization_id = %(o)s
        AND m.month <= %(month)s AND m.workspace_id = place.id
        ORDER BY m.month DESC LIMIT 1), 0) AS bytes,
    CASE WHEN place.id = %(none)s THEN (SELECT count(*) FROM membership m
        WHERE m.organization_id = %(o)s AND m.is_active AND m.inserted_at < %(next)s)
        ELSE 0 END AS seats,
    coalesce((SELECT m.api_calls FROM usage_month m WHERE m.organization_id = %(o)s
        AND m.month = %(month)s AND m.workspace_id = place.id), 0) AS api_calls
FROM place LEFT JOIN held ON held.workspace_id = place.id
LEFT JOIN answered ON answered.workspace_id = place.id
LEFT JOIN paid ON paid.workspace_id = place.id
"""
_KEEP: Final = f"""
INSERT INTO usage_month (organization_id, month, workspace_id, workspace_name, records, answers,
    model_usd, bytes, seats, api_calls)
SELECT %(o)s, %(month)s, now.* FROM ({_COUNT}) AS now
ON CONFLICT (organization_id, month, workspace_id) DO UPDATE SET
    records = CASE WHEN %(is_over)s THEN usage_month.records ELSE excluded.records END,
    seats = CASE WHEN %(is_over)s THEN usage_month.seats ELSE excluded.seats END,
    answers = CASE WHEN %(is_over)s THEN greatest(usage_month.answers, excluded.answers)
        ELSE excluded.answers END, model_usd = excluded.model_usd,
    workspace_name = coalesce(nullif(excluded.workspace_name, ''), usage_month.workspace_name)
"""  # noqa: S608  (constant text)
# Sizes as they are stored; what lies beside its row is not read for it.
_MEASURE: Final = """
UPDATE usage_month u SET bytes = coalesce((SELECT sum(size.n) FROM (
    SELECT dataset_id, pg_column_size(fields) + coalesce(pg_column_size(metadata), 0) AS n
    FROM record WHERE organization_id = %(o)s
    UNION ALL SELECT dataset_id, pg_column_size("values") FROM response
    WHERE organization_id = %(o)s
    UNION ALL SELECT dataset_id, pg_column_size(value) FROM suggestion
    WHERE organization_id = %(o)s
    UNION ALL SELECT s.dataset_id, pg_column_size(v.embedding) FROM record_vector v
    JOIN vector_settings s ON s.organization_id = v.organization_id AND s.id = v.settings_id
    WHERE v.organization_id = %(o)s
) size JOIN dataset d ON d.organization_id = %(o)s AND d.id = size.dataset_id
WHERE d.workspace_id = u.workspace_id), 0)
WHERE u.organization_id = %(o)s AND u.month = %(month)s AND u.workspace_id <> %(none)s
"""
_ADD_CALLS: Final = """
UPDATE usage_month SET api_calls = api_calls + %(n)s
WHERE organization_id = %(o)s AND month = %(month)s AND workspace_id = %(none)s
"""


@dataclass(frozen=True, slots=True)
class Used:
    """By a workspace, or by all of them, in a month; ``records`` are those held at its end.

    Seats and calls of the API are the whole organization's.
    """

    month: date
    workspace_id: UUID
    name: str
    records: int
    answers: int
    usd: Decimal
    bytes: int = 0
    seats: int = 0
    api_calls: int = 0

    @property
    def is_of_a_place(self) -> bool:
        """Whether it says anything that can be told by workspace."""
        return self.workspace_id != NO_WORKSPACE or self.usd > 0


def month_of(day: date) -> date:
    return day.replace(day=1)


def month_after(month: date, count: int = 1) -> date:
    """The first day of the ``count``-th month after, or before where it is negative."""
    years, place = divmod(month.year * 12 + month.month - 1 + count, 12)
    return date(years, place + 1, 1)


def snapshot(month: date, *, is_over: bool = False) -> None:
    """Keep what the month came to so far. One statement.

    Of a month that ``is_over`` answers and USD can still be counted, records and seats no longer:
    what was kept stays, and no answer is taken back with a dataset that is deleted later. What
    did not exist yet at the month's end has used nothing in it, and has no row.
    """
    raw_cursor().execute(_KEEP, {**_facts(month), "is_over": is_over})


def measure(month: date) -> None:
    """Keep how many bytes there are, with a month of which there is a snapshot. One statement.

    It reads every record of the organization, so it is for the night.
    """
    raw_cursor().execute(_MEASURE, _facts(month))


def keep_calls(month: date) -> None:
    """Move the month's calls of the API from Redis to its snapshot."""
    name = tally_of(current(), month)
    n = tallies.take(name)
    if not n:
        return
    try:
        with transaction.atomic():
            raw_cursor().execute(_ADD_CALLS, {**_facts(month), "n": n})
    except Exception:
        tallies.put_back(name, n)
        raise


def count_now(month: date) -> list[Used]:
    """The month as it is, by workspace, the largest first. One statement, and a look at Redis.

    Its cost grows with the answers of the month. Bytes are as they were measured last.
    """
    rows = raw_cursor().execute(f"{_COUNT} ORDER BY records DESC, workspace_name", _facts(month))
    found = [Used(month, *row) for row in rows]
    waiting = tallies.read(tally_of(current(), month))
    return [_with_calls(row, waiting) for row in found]


def _with_calls(row: Used, waiting: int) -> Used:
    if row.workspace_id != NO_WORKSPACE or not waiting:
        return row
    return replace(row, api_calls=row.api_calls + waiting)


def _facts(month: date) -> dict[str, Any]:
    first, following = (
        datetime(day.year, day.month, 1, tzinfo=UTC) for day in (month, month_after(month))
    )
    return {
        "o": current(),
        "month": month,
        "first": first,
        "next": following,
        "first_id": _lowest_id(first),
        "next_id": _lowest_id(following),
        "none": NO_WORKSPACE,
    }


def _lowest_id(moment: datetime) -> UUID:
    """No id (UUID version 7) made at or after the moment is lower."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def bytes_kept(month: date) -> int:
    """The bytes as they were measured last, in this month or the one before. One query."""
    rows = UsageMonth.objects.filter(month__in=[month, month_after(month, -1)])
    sums = rows.values("month").annotate(n=Sum("bytes")).order_by("-month")
    return next((row["n"] for row in sums), 0)


def kept_since(month: date, before: date) -> list[Used]:
    """What was kept of the months from ``month`` until before ``before``. One query."""
    rows = UsageMonth.objects.since(month).filter(month__lt=before)
    return [
        Used(
            row.month,
            row.workspace_id,
            row.workspace_name,
            row.records,
            row.answers,
            row.model_usd,
            row.bytes,
            row.seats,
            row.api_calls,
        )
        for row in rows
    ]


def by_month(rows: Sequence[Used], last: date, count: int = MONTHS) -> list[Used]:
    """Twelve months up to ``last``, all workspaces together; a month without rows has nothing."""
    months = [month_after(last, place - count + 1) for place in range(count)]
    return [_total(month, [row for row in rows if row.month == month]) for month in months]


def _total(month: date, rows: Sequence[Used]) -> Used:
    return Used(
        month,
        NO_WORKSPACE,
        "",
        sum(row.records for row in rows),
        sum(row.answers for row in rows),
        sum((row.usd for row in rows), Decimal(0)),
        sum(row.bytes for row in rows),
        sum(row.seats for row in rows),
        sum(row.api_calls for row in rows),
    )


_HELD: Final = """
SELECT w.name, coalesce(sum(c.records), 0)::bigint AS records FROM workspace w
LEFT JOIN dataset d ON d.organization_id = w.organization_id AND d.workspace_id = w.id
LEFT JOIN dataset_counter c ON c.organization_id = d.organization_id AND c.dataset_id = d.id
WHERE w.organization_id = %(o)s GROUP BY 1 ORDER BY 2 DESC, 1
"""


def held_by_workspace() -> list[tuple[str, int]]:
    """``(name, records)``, the largest first. One statement, a row a dataset."""
    return list(raw_cursor().execute(_HELD, {"o": current()}).fetchall())
