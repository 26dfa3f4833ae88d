"""Items in the hands of a run: taking some, and how they come back. Several at a time, or one.

Three prepared statements, whatever the number of items: take, lock, settle. The functions that
end in ``_many`` belong in a transaction of the caller, inside the organization.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current, enter
from apps.jobs import fates
from apps.jobs.errors import LostError
from apps.jobs.fates import Fate
from apps.jobs.kinds import FREE, Kind, Work
from apps.jobs.models import ItemState, Job, JobState
from apps.jobs.runs import Run

MAX_LOSSES: Final = 10  # workers that may die with one item in hand before it is the cause
MAX_ERRORS_KEPT: Final = 5

# Items are found by ``seq = ANY``, whatever the planner knows of the table yet: a join might go
# through all items of the job for each of the page.

# Rows that another thread is just taking are skipped, not waited for. A suspended organization's
# job begins no further item.
_TAKE = """
UPDATE job_item SET state = 'leased', run = %(run)s, attempts = attempts + 1,
    losses = losses + (state = 'leased')::int, available_at = NULL
WHERE organization_id = %(o)s AND job_id = %(job)s AND seq = ANY(ARRAY(
    SELECT seq FROM job_item
    WHERE organization_id = %(o)s AND job_id = %(job)s AND state IN ('pending', 'leased')
      AND CASE state WHEN 'leased' THEN run < %(run)s
          ELSE available_at IS NULL OR available_at <= statement_timestamp() END
      AND EXISTS (SELECT FROM job WHERE organization_id = %(o)s AND id = %(job)s
          AND run = %(run)s AND state = 'running')
      AND NOT EXISTS (SELECT FROM organization WHERE id = %(o)s AND suspended_at IS NOT NULL)
    ORDER BY seq LIMIT %(limit)s FOR UPDATE SKIP LOCKED
))
RETURNING seq, payload, size, attempts, failures, waits, losses
"""

_HELD = """
SELECT i.seq FROM job_item i
JOIN unnest(%(seqs)s::int[], %(attempts)s::int[]) AS taken (seq, attempt) USING (seq)
WHERE i.organization_id = %(o)s AND i.job_id = %(job)s AND i.seq = ANY(%(seqs)s::int[])
  AND i.state = 'leased' AND i.attempts = taken.attempt
ORDER BY i.seq FOR UPDATE OF i
"""

_SETTLE = """
UPDATE job_item i SET state = fate.state, run = NULL, failures = i.failures + fate.failures,
    waits = i.waits + fate.waits,
    error = CASE fate.state WHEN 'pending' THEN coalesce(fate.error, i.error) ELSE fate.error END,
    available_at = CASE fate.state WHEN 'pending'
        THEN statement_timestamp() + make_interval(secs => fate.delay) END
FROM unnest(%(seqs)s::int[], %(attempts)s::int[], %(states)s::text[], %(errors)s::text[],
    %(failures)s::int[], %(waits)s::int[], %(delays)s::float8[])
    AS fate (seq, attempt, state, error, failures, waits, delay)
WHERE i.organization_id = %(o)s AND i.job_id = %(job)s AND i.seq = ANY(%(seqs)s::int[])
  AND i.seq = fate.seq AND i.state = 'leased' AND i.attempts = fate.attempt
RETURNING i.seq
"""

# Last in a transaction, since it makes all who work on the job take turns.
_COUNT = """
UPDATE job SET done = done + %(done)s, failed = failed + %(failed)s, cost = cost + %(cost)s,
    updated_at = statement_timestamp(),
    error_sample = CASE WHEN jsonb_array_length(error_sample) >= %(kept)s THEN error_sample
        ELSE jsonb_path_query_array(error_sample || %(errors)s::jsonb, %(slice)s::jsonpath) END
WHERE organization_id = %(o)s AND id = %(job)s
RETURNING run, state
"""


def take(run: Run, job: Job) -> Work | None:
    """Lease the next free item; None when there is none, or the job is no longer ours."""
    with enter(run.organization_id):
        works = take_many(run, job, limit=1)
    return works[0] if works else None


def take_many(run: Run, job: Job, *, limit: int) -> list[Work]:
    """Lease up to ``limit`` free items in their order; those that kill workers fail."""
    values = {"o": current(), "job": job.id, "run": run.number, "limit": limit}
    while rows := sorted(raw_cursor().execute(_TAKE, values).fetchall()):
        works = [_work(run, job, row) for row in rows]
        deadly = [work for work, row in zip(works, rows, strict=True) if row[6] >= MAX_LOSSES]
        if not deadly:
            return works
        fate = fates.failed("The worker died every time it ran this.")
        settle_many(job, [(work, fate) for work in deadly])
        if len(deadly) < len(works):
            return [work for work in works if work not in deadly]
    return []


def _work(run: Run, job: Job, row: Sequence[Any]) -> Work:
    seq, payload, *counts, _ = row
    return Work(run.organization_id, job, seq, json.loads(payload), *counts)


def hold_many(job: Job, works: Sequence[Work]) -> set[int]:
    """Lock the items that are still in the hands they were given to; returns their numbers."""
    rows = raw_cursor().execute(_HELD, {"o": current(), "job": job.id, **_named(works)})
    return {seq for (seq,) in rows}


def settle_many(job: Job, settled: Sequence[tuple[Work, Fate]]) -> bool:
    """Give the items back with their fates and count them; False when the job must stop.

    Items that another run has taken meanwhile are passed over.
    """
    ours = _settle(job, settled)
    return _count(job, [(work, fate) for work, fate in settled if work.seq in ours])


def complete(work: Work, kind: Kind[object, object], result: object) -> None:
    """Store the result and the item's completion in one transaction.

    Raises ``LostError``, and stores nothing, when the item has been taken by another run.
    """
    with enter(work.organization_id):
        if not _settle(work.job, [(work, fates.done(FREE))]):
            raise LostError
        cost = kind.write(work, result)
        _count(work.job, [(work, fates.done(cost))])


def settle(work: Work, fate: Fate) -> None:
    """Give one item back, in a transaction of its own."""
    with enter(work.organization_id):
        settle_many(work.job, [(work, fate)])


def fail(work: Work, *, error: str, for_good: bool) -> None:
    """Note an error; the item comes back after 1, 2, 4 … seconds unless it failed for good."""
    settle(work, fates.failed(error) if for_good else fates.tried_again(work, error))


def postpone(work: Work) -> None:
    """Put the item back without blaming it."""
    settle(work, fates.put_back())


def _named(works: Sequence[Work]) -> dict[str, list[int]]:
    return {"seqs": [work.seq for work in works], "attempts": [work.attempt for work in works]}


def _settle(job: Job, settled: Sequence[tuple[Work, Fate]]) -> set[int]:
    """Write the fates of the items that are still held; returns their numbers."""
    given = [fate for _, fate in settled]
    values = {
        "o": current(),
        "job": job.id,
        **_named([work for work, _ in settled]),
        "states": [fate.state.value for fate in given],
        "errors": [fate.error for fate in given],
        "failures": [int(fate.is_failure) for fate in given],
        "waits": [int(fate.is_wait) for fate in given],
        "delays": [fate.delay for fate in given],
    }
    return {seq for (seq,) in raw_cursor().execute(_SETTLE, values)}


def _count(job: Job, settled: Sequence[tuple[Work, Fate]]) -> bool:
    """Add up what changed; nothing is written for items that only come back."""
    cost = sum((fate.cost for _, fate in settled), Decimal(0))
    done = sum(work.size for work, fate in settled if fate.state == ItemState.DONE)
    failed = [(work, fate) for work, fate in settled if fate.is_for_good]
    if not (cost or done or failed):
        return True
    errors = [{"seq": work.seq, "error": fate.error} for work, fate in failed]
    values = {
        "o": current(),
        "job": job.id,
        "done": done,
        "failed": sum(work.size for work, _ in failed),
        "cost": cost,
        "errors": json.dumps(errors[:MAX_ERRORS_KEPT]),
        "kept": MAX_ERRORS_KEPT,
        "slice": f"$[0 to {MAX_ERRORS_KEPT - 1}]",
    }
    row = raw_cursor().execute(_COUNT, values).fetchone()
    return row is not None and row == (job.run, JobState.RUNNING)
