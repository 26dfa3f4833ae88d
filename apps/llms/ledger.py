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

import orjson
from django.db import connections

from apps.core.metrics import LLM_CALLS
from apps.core.prepared import raw_cursor
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
SELECT %(o)s, statement_timestamp(), key, model, text, raw::jsonb, finish_reason,
    prompt_tokens, completion_tokens, cached_tokens, usd, latency_ms
FROM unnest(%(keys)s::bytea[], %(models)s::text[], %(texts)s::text[], %(raws)s::text[],
    %(reasons)s::text[], %(prompts)s::int[], %(completions)s::int[], %(cached)s::int[],
    %(usd)s::numeric[], %(latencies)s::int[]) AS given (key, model, text, raw, finish_reason,
    prompt_tokens, completion_tokens, cached_tokens, usd, latency_ms)
ORDER BY key
ON CONFLICT DO NOTHING
"""


def keep_responses(kept: Sequence[tuple[bytes, str, Kept]]) -> None:
    """Put answers into the cache: ``(key, model, answer)``; the first one stays. One statement."""
    replies = [one.reply for _, _, one in kept]
    values = {
        "o": current(),
        "keys": [key for key, _, _ in kept],
        "models": [model for _, model, _ in kept],
        "texts": [reply.text.replace("\0", "") for reply in replies],
        "raws": [orjson.dumps(reply.raw).decode() for reply in replies],
        "reasons": [reply.finish_reason for reply in replies],
        "prompts": [reply.prompt_tokens for reply in replies],
        "completions": [reply.completion_tokens for reply in replies],
        "cached": [reply.cached_tokens for reply in replies],
        "usd": [one.usd for _, _, one in kept],
        "latencies": [reply.latency_ms for reply in replies],
    }
    raw_cursor().execute(_KEEP, values)


_OPEN = """
INSERT INTO llm_attempt (organization_id, inserted_at, id, key, job_id, workspace_id, seq, attempt,
    provider_id, model, usd, tokens, is_metered)
SELECT %(o)s, statement_timestamp(), given.*
FROM unnest(%(ids)s::uuid[], %(keys)s::bytea[], %(jobs)s::uuid[], %(workspaces)s::uuid[],
    %(seqs)s::int[], %(attempts)s::int[], %(providers)s::uuid[], %(models)s::text[],
    %(usd)s::numeric[], %(tokens)s::int[], %(metered)s::bool[])
    AS given (id, key, job_id, workspace_id, seq, attempt, provider_id, model, usd, tokens, metered)
ORDER BY key
ON CONFLICT (organization_id, key) DO NOTHING RETURNING id
"""


def open_attempts(attempts: Sequence[Attempt]) -> set[UUID]:
    """Note the calls before they are made; returns which may be: nobody else is making them.

    One statement, which waits for others that open the same keys to commit.
    """
    values = {
        **_columns(attempts),
        "attempts": [one.attempt for one in attempts],
        "usd": [one.worst.usd for one in attempts],
        "tokens": [one.worst.tokens for one in attempts],
        "metered": [one.is_metered for one in attempts],
    }
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
FROM unnest(%(ids)s::uuid[], %(keys)s::bytea[], %(jobs)s::uuid[], %(workspaces)s::uuid[],
    %(seqs)s::int[], %(providers)s::uuid[], %(models)s::text[], %(kinds)s::text[],
    %(prompts)s::int[], %(completions)s::int[], %(cached)s::int[], %(usd)s::numeric[],
    %(saved)s::numeric[], %(errors)s::text[])
    AS given (id, key, job_id, workspace_id, seq, provider_id, model, kind, prompt_tokens,
    completion_tokens, cached_tokens, usd, saved_usd, error)
"""


def enter_ledger(entries: Sequence[Entry]) -> None:
    """Book the entries. One statement."""
    values = {
        **_columns([entry.attempt for entry in entries]),
        "kinds": [entry.kind.value for entry in entries],
        "prompts": [entry.prompt_tokens for entry in entries],
        "completions": [entry.completion_tokens for entry in entries],
        "cached": [entry.cached_tokens for entry in entries],
        "usd": [entry.usd for entry in entries],
        "saved": [entry.saved_usd for entry in entries],
        "errors": [entry.error and entry.error[:500].replace("\0", "") for entry in entries],
    }
    raw_cursor().execute(_ENTER, values)
    for entry in entries:
        LLM_CALLS.labels(entry.kind.value).inc()


_TAKE_STALE = """
DELETE FROM llm_attempt a USING unnest(%(jobs)s::uuid[], %(seqs)s::int[], %(attempts)s::int[])
    AS taken (job_id, seq, attempt)
WHERE a.organization_id = %(o)s AND a.job_id = taken.job_id AND a.seq = taken.seq
  AND a.attempt < taken.attempt
RETURNING a.id, a.key, a.job_id, a.workspace_id, a.seq, a.attempt, a.provider_id, a.model,
    a.usd, a.tokens, a.is_metered
"""

_TAKE_OLD = """
DELETE FROM llm_attempt WHERE organization_id = %(o)s
  AND inserted_at < statement_timestamp() - %(age)s
RETURNING id, key, job_id, workspace_id, seq, attempt, provider_id, model, usd, tokens, is_metered
"""


def take_stale(items: Sequence[tuple[UUID, int, int]]) -> list[Attempt]:
    """Close the open attempts of earlier holders of items: ``(job, seq, attempt)``."""
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


def organizations_with_old(age: timedelta) -> list[UUID]:
    """The organizations that have attempts opened so long ago; as the operator."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(_WITH_OLD, [age.total_seconds()])
        return [id for (id,) in cursor.fetchall()]


def _columns(attempts: Sequence[Attempt]) -> dict[str, Any]:
    return {
        "o": current(),
        "ids": [one.id for one in attempts],
        "keys": [one.key for one in attempts],
        "jobs": [one.payer.job_id for one in attempts],
        "workspaces": [one.payer.workspace_id for one in attempts],
        "seqs": [one.seq for one in attempts],
        "providers": [one.provider_id for one in attempts],
        "models": [one.model for one in attempts],
    }


def _attempt(row: Sequence[Any]) -> Attempt:
    id, key, job, workspace, seq, attempt, provider, model, usd, tokens, is_metered = row
    payer, worst = Payer(job, workspace), Amount(usd, tokens)
    return Attempt(id, bytes(key), payer, seq, attempt, provider, model, worst, is_metered)
