"""What the operator sees of all organizations: prepared statements on the connection ``operator``.

Every function returns rows as dicts, and reads no record, answer or secret.
"""

from datetime import date
from typing import Any, Final
from uuid import UUID

from django.db import connections
from django.utils import timezone

Row = dict[str, Any]
SHOWN: Final = 100  # rows of a list
ORDERS: Final = {
    "recent": "active_at DESC NULLS LAST, o.slug",
    "records": "v.records DESC, o.slug",
    "name": "o.slug",
    "new": "o.inserted_at DESC",
}


def _ask(statement: str, **values: Any) -> list[Row]:
    with connections["operator"].cursor() as cursor:
        cursor.execute(statement, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def queues() -> list[Row]:
    """Of each queue: jobs waiting, running and paused, and since when the oldest waits.

    Those of suspended organizations count as paused, whatever their state.
    """
    return _ask(
        "SELECT q.queue, count(j.id) FILTER (WHERE j.state = 'queued') AS waiting,"
        " count(j.id) FILTER (WHERE j.state IN ('running', 'cancelling')) AS running,"
        " count(j.id) FILTER (WHERE j.state = 'paused') AS paused,"
        " min(j.inserted_at) FILTER (WHERE j.state = 'queued') AS oldest"
        " FROM unnest(ARRAY['interactive', 'bulk']) AS q (queue)"
        " LEFT JOIN (SELECT j.id, j.queue, j.inserted_at,"
        "   CASE WHEN o.suspended_at IS NULL THEN j.state ELSE 'paused' END AS state"
        "   FROM job j JOIN organization o ON o.id = j.organization_id"
        "   WHERE j.state IN ('queued', 'running', 'cancelling', 'paused')) j ON j.queue = q.queue"
        " GROUP BY q.queue ORDER BY q.queue DESC"
    )


def totals() -> Row:
    """Counts over the instance: organizations, accounts, records, and the dead letters."""
    return _ask(
        "SELECT (SELECT count(*) FROM organization) AS organizations,"
        " (SELECT count(*) FROM organization WHERE suspended_at IS NOT NULL) AS suspended,"
        " (SELECT count(*) FROM user_account) AS accounts,"
        " (SELECT coalesce(sum(records), 0)::bigint FROM record_volume) AS records,"
        " (SELECT count(*) FROM job WHERE state = 'failed'"
        "   AND finished_at > now() - interval '7 days') AS failed_jobs,"
        " (SELECT count(*) FROM webhook_delivery WHERE status = 'pending') AS waiting_deliveries,"
        " (SELECT count(*) FROM webhook_delivery WHERE status = 'dead') AS dead_deliveries"
    )[0]


_ORGANIZATIONS: Final = """
SELECT o.id, o.slug, o.name, o.plan, o.inserted_at, o.suspended_at, o.suspended_reason,
    v.records, v.record_limit,
    (SELECT count(*) FROM membership m WHERE m.organization_id = o.id AND m.is_active) AS members,
    (SELECT e.inserted_at FROM event e WHERE e.organization_id = o.id
        ORDER BY e.id DESC LIMIT 1) AS active_at
FROM organization o LEFT JOIN record_volume v ON v.organization_id = o.id
"""


def organizations(*, text: str = "", order: str = "recent", suspended: bool = False) -> list[Row]:
    """Those whose name, slug or member's e-mail has the text; with plan, usage and activity."""
    rows = _ask(
        _ORGANIZATIONS + " WHERE (%(text)s = '' OR o.name ILIKE %(like)s OR o.slug ILIKE %(like)s"
        " OR o.id::text = %(text)s OR EXISTS (SELECT FROM membership m JOIN user_account u"
        " ON u.id = m.user_id WHERE m.organization_id = o.id AND u.email ILIKE %(like)s))"
        " AND (NOT %(suspended)s OR o.suspended_at IS NOT NULL)"
        f" ORDER BY {ORDERS[order]} LIMIT {SHOWN + 1}",
        text=text,
        like=_like(text),
        suspended=suspended,
    )
    return [_with_share(row) for row in rows]


def organization(id: UUID) -> Row | None:
    """One of them."""
    rows = _ask(_ORGANIZATIONS + " WHERE o.id = %(id)s", id=id)
    return _with_share(rows[0]) if rows else None


def _with_share(row: Row) -> Row:
    limit = row["record_limit"]
    return row | {"share": min(row["records"] * 100 // limit, 100) if limit else None}


def members(organization_id: UUID) -> list[Row]:
    """Who is in it, the mightiest first."""
    return _ask(
        "SELECT m.id, m.username, m.first_name, m.last_name, m.role, m.is_active, m.user_id,"
        " u.email FROM membership m LEFT JOIN user_account u ON u.id = m.user_id"
        " WHERE m.organization_id = %(id)s ORDER BY NOT m.is_active,"
        " array_position(ARRAY['owner', 'admin', 'reviewer', 'annotator'], m.role::text),"
        f" m.username LIMIT {SHOWN}",
        id=organization_id,
    )


def support_accesses(organization_id: UUID) -> list[Row]:
    """Who looked at it for support, the newest first."""
    return _ask(
        "SELECT operator, reason, inserted_at, least(ended_at, ends_at) AS until"
        " FROM support_access WHERE organization_id = %(id)s ORDER BY id DESC LIMIT 20",
        id=organization_id,
    )


_STATES: Final = {
    "waiting": "j.state IN ('queued', 'running', 'cancelling', 'paused')",
    "dead": "j.state = 'failed' OR (j.state = 'done' AND j.failed > 0)",
    "all": "true",
}


def jobs(*, state: str, organization_id: UUID | None = None) -> list[Row]:
    """Jobs of all organizations, or of one, the newest first; ``state`` waiting, dead or all."""
    return _ask(
        "SELECT j.id, j.organization_id, o.slug, j.kind, j.queue, j.state, j.total, j.done,"
        " j.failed, j.inserted_at, j.finished_at, j.run_until, j.cost,"
        " o.suspended_at IS NOT NULL AND j.finished_at IS NULL AS rests,"
        " j.error_sample #>> '{0,error}' AS error"
        " FROM job j JOIN organization o ON o.id = j.organization_id"
        f" WHERE ({_STATES[state]}) AND (%(id)s::uuid IS NULL OR j.organization_id = %(id)s)"
        f" ORDER BY j.id DESC LIMIT {SHOWN + 1}",
        id=organization_id,
    )


def dead_deliveries() -> list[Row]:
    """Webhook deliveries that were given up, the newest first."""
    return _ask(
        "SELECT d.id, d.organization_id, o.slug, d.type, d.attempts, d.status_code, d.error,"
        " d.updated_at, w.url, w.enabled FROM webhook_delivery d"
        " JOIN webhook w ON w.organization_id = d.organization_id AND w.id = d.webhook_id"
        " JOIN organization o ON o.id = d.organization_id"
        f" WHERE d.status = 'dead' ORDER BY d.id DESC LIMIT {SHOWN + 1}"
    )


def invoices(state: str) -> list[Row]:
    """Invoices of all organizations, the newest first; ``state`` open or all."""
    return _ask(
        "SELECT i.id, i.organization_id, o.slug, i.number, i.state, i.total_cents, i.issued_on,"
        " i.due_on, i.failed_on, i.reference,"
        " i.state = 'open' AND i.due_on < current_date AS is_overdue"
        " FROM invoice i JOIN organization o ON o.id = i.organization_id"
        " WHERE %(state)s = 'all' OR i.state = %(state)s"
        f" ORDER BY i.number DESC LIMIT {SHOWN + 1}",
        state=state,
    )


def spend(month: date) -> list[Row]:
    """What each organization's calls to models cost in the month, the dearest first."""
    return _ask(
        "SELECT o.id, o.slug, sum(l.usd) AS usd, sum(l.saved_usd) AS saved,"
        " count(*) FILTER (WHERE l.kind = 'call') AS calls,"
        " count(*) FILTER (WHERE l.kind = 'hit') AS hits,"
        " count(*) FILTER (WHERE l.kind NOT IN ('call', 'hit')) AS failed"
        " FROM llm_ledger l JOIN organization o ON o.id = l.organization_id"
        " WHERE l.inserted_at >= %(month)s AND l.inserted_at < %(month)s + interval '1 month'"
        f" GROUP BY o.id, o.slug ORDER BY usd DESC, o.slug LIMIT {SHOWN}",
        month=_begin(month),
    )


def provider_errors() -> list[Row]:
    """What providers answered wrongly in the last week, by organization, provider and model."""
    return _ask(
        "SELECT o.id, o.slug, p.name AS provider, l.model, count(*) AS times,"
        " max(l.inserted_at) AS last_at, (array_agg(l.error ORDER BY l.id DESC))[1] AS error"
        " FROM llm_ledger l JOIN organization o ON o.id = l.organization_id"
        " LEFT JOIN llm_provider p ON p.organization_id = l.organization_id"
        " AND p.id = l.provider_id"
        " WHERE l.kind NOT IN ('call', 'hit') AND l.inserted_at > now() - interval '7 days'"
        f" GROUP BY o.id, o.slug, p.name, l.model ORDER BY last_at DESC LIMIT {SHOWN}"
    )


def users(text: str) -> list[Row]:
    """Accounts whose e-mail has the text, or the newest; with their organizations and factors."""
    return _ask(
        "SELECT u.id, u.email, u.is_active, u.is_staff, u.last_login, u.date_joined,"
        " (SELECT string_agg(o.slug, ', ' ORDER BY o.slug) FROM membership m"
        "   JOIN organization o ON o.id = m.organization_id WHERE m.user_id = u.id) AS places,"
        " (SELECT string_agg(DISTINCT m.username, ', ') FROM membership m"
        "   WHERE m.user_id = u.id) AS names,"
        " (SELECT count(*) FROM mfa_authenticator a WHERE a.user_id = u.id) AS factors"
        " FROM user_account u WHERE %(text)s = '' OR u.email ILIKE %(like)s"
        " OR u.id::text = %(text)s OR EXISTS (SELECT FROM membership m"
        "   WHERE m.user_id = u.id AND m.username ILIKE %(like)s)"
        f" ORDER BY u.id DESC LIMIT {SHOWN + 1}",
        text=text,
        like=_like(text),
    )


def announcements() -> list[Row]:
    """Those that have not ended, in the order of their beginning."""
    return _ask(
        "SELECT a.id, a.level, a.text, a.starts_at, a.ends_at, o.slug,"
        " a.starts_at <= now() AS is_on FROM announcement a"
        " LEFT JOIN organization o ON o.id = a.audience_id"
        " WHERE a.ends_at > now() ORDER BY a.starts_at, a.id"
    )


def slugs() -> list[Row]:
    """Names of organizations to choose from."""
    return _ask("SELECT id, slug FROM organization ORDER BY slug LIMIT 1000")


def _like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _begin(month: date) -> Any:
    now = timezone.now()
    return now.replace(
        year=month.year, month=month.month, day=1, hour=0, minute=0, second=0, microsecond=0
    )
