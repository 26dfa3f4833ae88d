"""What was used by month and workspace: counted, kept by a nightly snapshot, and read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from apps.billing.models import NO_WORKSPACE, UsageMonth
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current

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
    SELECT id, name FROM workspace WHERE organization_id = %(o)s
    UNION ALL SELECT p.workspace_id, '' FROM paid p WHERE p.usd > 0 AND NOT EXISTS (
        SELECT FROM workspace w WHERE w.organization_id = %(o)s AND w.id = p.workspace_id)
)
SELECT place.id AS workspace_id, place.name AS workspace_name,
    coalesce(held.n, 0)::bigint AS records, coalesce(answered.n, 0)::bigint AS answers,
    coalesce(paid.usd, 0) AS usd
FROM place LEFT JOIN held ON held.workspace_id = place.id
LEFT JOIN answered ON answered.workspace_id = place.id
LEFT JOIN paid ON paid.workspace_id = place.id
"""
_KEEP: Final = f"""
INSERT INTO usage_month
    (organization_id, month, workspace_id, workspace_name, records, answers, model_usd)
SELECT %(o)s, %(month)s, now.* FROM ({_COUNT}) AS now
ON CONFLICT (organization_id, month, workspace_id) DO UPDATE SET
    records = CASE WHEN %(is_over)s THEN usage_month.records ELSE excluded.records END,
    answers = excluded.answers, model_usd = excluded.model_usd,
    workspace_name = coalesce(nullif(excluded.workspace_name, ''), usage_month.workspace_name)
"""  # noqa: S608  (constant text)


@dataclass(frozen=True, slots=True)
class Used:
    """By a workspace, or by all of them, in a month; ``records`` are those held at its end."""

    month: date
    workspace_id: UUID
    name: str
    records: int
    answers: int
    usd: Decimal


def month_of(day: date) -> date:
    return day.replace(day=1)


def month_after(month: date, count: int = 1) -> date:
    """The first day of the ``count``-th month after, or before where it is negative."""
    years, place = divmod(month.year * 12 + month.month - 1 + count, 12)
    return date(years, place + 1, 1)


def snapshot(month: date, *, is_over: bool = False) -> None:
    """Keep what the month came to so far. One statement.

    Of a month that ``is_over`` answers and USD can still be counted, records no longer: what was
    kept stays.
    """
    raw_cursor().execute(_KEEP, {**_facts(month), "month": month, "is_over": is_over})


def count_now(month: date) -> list[Used]:
    """The month as it is, by workspace, the largest first. One statement.

    Its cost grows with the answers of the month.
    """
    rows = raw_cursor().execute(f"{_COUNT} ORDER BY records DESC, workspace_name", _facts(month))
    return [Used(month, *row) for row in rows]


def _facts(month: date) -> dict[str, Any]:
    first, following = (
        datetime(day.year, day.month, 1, tzinfo=UTC) for day in (month, month_after(month))
    )
    return {
        "o": current(),
        "first": first,
        "next": following,
        "first_id": _lowest_id(first),
        "next_id": _lowest_id(following),
        "none": NO_WORKSPACE,
    }


def _lowest_id(moment: datetime) -> UUID:
    """No id (UUID version 7) made at or after the moment is lower."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def kept_since(month: date, before: date) -> list[Used]:
    """What was kept of the months from ``month`` until before ``before``. One query."""
    rows = UsageMonth.objects.since(month).filter(month__lt=before)
    return [
        Used(
            row.month, row.workspace_id, row.workspace_name, row.records, row.answers, row.model_usd
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
