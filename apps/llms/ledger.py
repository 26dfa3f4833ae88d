"""The tables of calls, written and read in bulk by prepared statements.

An attempt row exists while its call is open. Who deletes it writes the ledger's entry with its
id: so each call is booked exactly once, by whoever asked or by whoever found it abandoned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from apps.core.metrics import LLM_CALLS
from apps.core.prepared import as_rows, raw_cursor
from apps.core.rounds import find
from apps.core.tenancy import current
from apps.llms.budgets import Amount, Payer
from apps.llms.models import EntryKind
from apps.llms.wire import Reply


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call about to be made; ``worst`` is the most it may cost."""

    id: UUID
    key: bytes
    payer: Payer
    seq: int | None
    attempt: int
    provider_id: UUID
    model: str
    worst: Amount
    is_metered: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the ledger; an ``attempt`` of a hit was never written."""

    kind: EntryKind
    attempt: Attempt
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer in the cache, and what it cost."""

    reply: Reply
    usd: Decimal


_FIND = """
SELECT key, text, finish_reason, prompt_tokens, completion_tokens, cached_tokens, latency_ms, usd
FROM llm_response WHERE organization_id = %(o)s AND key = ANY(%(keys)s::bytea[])
"""


def find_responses(keys: Sequence[bytes]) -> dict[bytes, Kept]:
    """The answers that the organization has already, by key. One statement."""
    rows = raw_cursor().execute(_FIND, {"o": current(), "keys": list(set(keys))})
    return {bytes(row[0]): _kept(row) for row in rows}


def _kept(row: Sequence[Any]) -> Kept:
    _, text, reason, prompt, completion, cached, latency, usd = row
    return Kept(Reply(text, reason, prompt, completion, cached, latency, raw={}), usd)


_KEEP = """
INSERT INTO llm_response (organization_id, inserted_at, key, model, text, raw, finish_reason,
    prompt_tokens, completion_tokens, cached_tokens, usd, latency_ms)
SELECT %(o)s, statement_timestamp(), given.*
FROM json_to_recordset(%(rows)s::json) AS given (key bytea, model text, text text, raw jsonb,
    finish_reason text, prompt_tokens int, completion_tokens int, cached_tokens int, usd numeric,
    latency_ms int)
ORDER BY key
ON CONFLICT DO NOTHING
"""


def keep_responses(kept: Sequence[tuple[bytes, str, Kept]]) -> None:
    """Put answers into the cache: ``(key, model, answer)``; the first one stays. One statement."""
    rows = [
        {
            "key": key,
            "model": model,
            "text": one.reply.text.replace("\0", ""),
            "raw": one.reply.raw,
            "finish_reason": one.reply.finish_reason,
            "prompt_tokens": one.reply.prompt_tokens,
            "completion_tokens": one.reply.completion_tokens,
            "cached_tokens": one.reply.cached_tokens,
            "usd": one.usd,
            "latency_ms": one.reply.latency_ms,
        }
        for key, model, one in kept
    ]
    raw_cursor().execute(_KEEP, {"o": current(), "rows": as_rows(rows)})


_OPEN = """
INSERT INTO llm_attempt (organization_id, inserted_at, id, key, job_id, workspace_id, seq, attempt,
    provider_id, model, usd, tokens, is_metered)
SELECT %(o)s, statement_timestamp(), given.*
FROM json_to_recordset(%(rows)s::json) AS given (id uuid, key bytea, job_id uuid,
    workspace_id uuid, seq int, attempt int, provider_id uuid, model text, usd numeric, tokens int,
    is_metered bool)
ORDER BY key
ON CONFLICT (organization_id, key) DO NOTHING RETURNING id
"""


def open_attempts(attempts: Sequence[Attempt]) -> set[UUID]:
    """Note the calls before they are made; returns which may be: nobody else is making them.

    One statement, which waits for others that open the same keys to commit.
    """
    rows = [
        {
            **_row(one),
            "attempt": one.attempt,
            "usd": one.worst.usd,
            "tokens": one.worst.tokens,
            "is_metered": one.is_metered,
        }
        for one in attempts
    ]
    values = {"o": current(), "rows": as_rows(rows)}
    return {id for (id,) in raw_cursor().execute(_OPEN, values)}


_METER = """
UPDATE llm_attempt SET is_metered = true
WHERE organization_id = %(o)s AND id = ANY(%(ids)s::uuid[])
"""


def meter(ids: Sequence[UUID]) -> None:
    """Note that the open attempts are reserved in budgets."""
    raw_cursor().execute(_METER, {"o": current(), "ids": list(ids)})


_CLOSE = """
DELETE FROM llm_attempt WHERE organization_id = %(o)s AND id = ANY(%(ids)s::uuid[]) RETURNING id
"""


def close_attempts(ids: Sequence[UUID]) -> set[UUID]:
    """Take the attempts away to book them; returns those that were still open."""
    return {id for (id,) in raw_cursor().execute(_CLOSE, {"o": current(), "ids": list(ids)})}


_ENTER = """
INSERT INTO llm_ledger (organization_id, inserted_at, id, key, job_id, workspace_id, seq,
    provider_id, model, kind, prompt_tokens, completion_tokens, cached_tokens, usd, saved_usd,
    error)
SELECT %(o)s, statement_timestamp(), given.*
FROM json_to_recordset(%(rows)s::json) AS given (id uuid, key bytea, job_id uuid,
    workspace_id uuid, seq int, provider_id uuid, model text, kind text, prompt_tokens int,
    completion_tokens int, cached_tokens int, usd numeric, saved_usd numeric, error text)
"""


def enter_ledger(entries: Sequence[Entry]) -> None:
    """Book the entries. One statement."""
    rows = [
        {
            **_row(entry.attempt),
            "kind": entry.kind.value,
            "prompt_tokens": entry.prompt_tokens,
            "completion_tokens": entry.completion_tokens,
            "cached_tokens": entry.cached_tokens,
            "usd": entry.usd,
            "saved_usd": entry.saved_usd,
            "error": entry.error and entry.error[:500].replace("\0", ""),
        }
        for entry in entries
    ]
    raw_cursor().execute(_ENTER, {"o": current(), "rows": as_rows(rows)})
    for entry in entries:
        LLM_CALLS.labels(entry.kind.value).inc()


_TAKE_STALE = """
DELETE FROM llm_attempt a USING unnest(%(jobs)s::uuid[], %(seqs)s::int[], %(attempts)s::int[])
    AS taken (job_id, seq, attempt)
WHERE a.organization_id = %(o)s AND a.job_id = taken.job_id AND a.seq = taken.seq
  AND a.attempt < taken.attempt AND a.inserted_at <= statement_timestamp()
RETURNING a.id, a.key, a.job_id, a.workspace_id, a.seq, a.attempt, a.provider_id, a.model,
    a.usd, a.tokens, a.is_metered
"""

_TAKE_OLD = """
DELETE FROM llm_attempt WHERE organization_id = %(o)s
  AND inserted_at < statement_timestamp() - %(age)s
RETURNING id, key, job_id, workspace_id, seq, attempt, provider_id, model, usd, tokens, is_metered
"""


def take_stale(items: Sequence[tuple[UUID, int, int]]) -> list[Attempt]:
    """Close the open attempts of earlier holders of items: ``(job, seq, attempt)``.

    Not those of batches, which are dated ahead: nobody holds them but their batch.
    """
    jobs, seqs, attempts = (list(column) for column in zip(*items, strict=True))
    values = {"o": current(), "jobs": jobs, "seqs": seqs, "attempts": attempts}
    return [_attempt(row) for row in raw_cursor().execute(_TAKE_STALE, values)]


def take_old(age: timedelta) -> list[Attempt]:
    """Close the attempts that were opened so long ago."""
    rows = raw_cursor().execute(_TAKE_OLD, {"o": current(), "age": age})
    return [_attempt(row) for row in rows]


_WITH_OLD: Final = """
SELECT DISTINCT organization_id FROM llm_attempt
WHERE inserted_at < statement_timestamp() - make_interval(secs => %s)
"""


def organizations_with_old(age: timedelta) -> list[dict[str, UUID]]:
    """The organizations that have attempts opened so long ago."""
    return find(_WITH_OLD, [age.total_seconds()])


def _row(attempt: Attempt) -> dict[str, Any]:
    """What the tables of open and of booked calls have in common."""
    return {
        "id": attempt.id,
        "key": attempt.key,
        "job_id": attempt.payer.job_id,
        "workspace_id": attempt.payer.workspace_id,
        "seq": attempt.seq,
        "provider_id": attempt.provider_id,
        "model": attempt.model,
    }


def _attempt(row: Sequence[Any]) -> Attempt:
    id, key, job, workspace, seq, attempt, provider, model, usd, tokens, is_metered = row
    payer, worst = Payer(job, workspace), Amount(usd, tokens)
    return Attempt(id, bytes(key), payer, seq, attempt, provider, model, worst, is_metered)
