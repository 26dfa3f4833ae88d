"""Storing a model's proposals as suggestions."""

import json
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from django.utils import timezone

from apps.core.ids import uuid7s
from apps.core.prepared import as_rows, raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Question
from apps.datasets.schema import QuestionRule
from apps.datasets.values import value_key
from apps.jobs.errors import RetryLaterError
from apps.quality.head import Proposal
from apps.records.models import RecordStatus, SuggestionType

AGENT: Final = "few-shot-head"
BUSY_SECONDS: Final = 0.5

# Records somebody is just writing are skipped: waiting for them in our order could end in a
# deadlock with a bulk upsert, which has its own.
_LOCK = """
SELECT id FROM record
WHERE organization_id = %(o)s AND id = ANY(%(ids)s) AND status = ANY(%(statuses)s)
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
_COUNT = """
SELECT count(*) FROM record
WHERE organization_id = %(o)s AND id = ANY(%(ids)s) AND status = ANY(%(statuses)s)
"""
_UPSERT = """
INSERT INTO suggestion AS old (organization_id, id, record_id, question_id, dataset_id, value,
    value_key, score, certainty, agent, type, inserted_at, updated_at)
SELECT %(o)s, new.id, new.record_id, %(q)s, %(d)s, new.value::jsonb, new.value_key,
    new.score::jsonb, new.certainty, %(agent)s, %(type)s, %(now)s, %(now)s
FROM json_to_recordset(%(rows)s::json) AS new (id uuid, record_id uuid, value text,
    value_key text, score text, certainty float8)
ON CONFLICT (organization_id, record_id, question_id) DO UPDATE SET
    value = excluded.value, value_key = excluded.value_key, score = excluded.score,
    certainty = excluded.certainty, agent = excluded.agent, type = excluded.type,
    updated_at = excluded.updated_at
WHERE (old.agent = %(agent)s AND (old.value, old.score) IS DISTINCT FROM
        (excluded.value, excluded.score))
    OR (%(overwrite)s AND old.agent IS DISTINCT FROM %(agent)s)
"""
_CERTAINTY = """
WITH lowest AS (
    SELECT s.record_id, coalesce(min(s.certainty), 0) AS certainty FROM suggestion s
    WHERE s.organization_id = %(o)s AND s.record_id = ANY(%(ids)s) GROUP BY s.record_id
)
UPDATE record_task k SET certainty = lowest.certainty FROM lowest
WHERE k.organization_id = %(o)s AND k.record_id = lowest.record_id
    AND k.certainty <> lowest.certainty
"""


def write_suggestions(
    *,
    question: Question,
    record_ids: Sequence[UUID],
    proposals: Sequence[Proposal],
    overwrite: bool,
    agent: str = AGENT,
    pending_only: bool = True,
) -> None:
    """Upsert one suggestion a record and note how certain the records are now.

    Records that are completed are passed over if ``pending_only``. Suggestions of other agents,
    people's among them, stay unless ``overwrite``. Doing it again changes nothing. Raises
    ``RetryLaterError`` while somebody else is writing one of the records.
    """
    by_record = dict(zip(record_ids, proposals, strict=True))
    ids = lock_records(record_ids, pending_only=pending_only)
    chosen = {id: by_record[id] for id in ids}
    store_suggestions(question=question, proposals=chosen, overwrite=overwrite, agent=agent)


def store_suggestions(
    *, question: Question, proposals: Mapping[UUID, Proposal], overwrite: bool, agent: str
) -> None:
    """As ``write_suggestions``, by record; the caller has locked the records."""
    if not proposals:
        return
    rule, ids = QuestionRule(question), uuid7s(len(proposals))
    facts = {
        "o": current(),
        "q": question.id,
        "d": question.dataset_id,
        "agent": agent,
        "type": SuggestionType.MODEL.value,
        "now": timezone.now(),
        "overwrite": overwrite,
        "ids": list(proposals),
        "rows": as_rows(
            {
                "id": id,
                "record_id": record_id,
                "value": json.dumps(one.value, ensure_ascii=False),
                "value_key": value_key(rule, one.value),
                "score": None if one.score is None else json.dumps(one.score),
                "certainty": one.certainty,
            }
            for id, (record_id, one) in zip(ids, proposals.items(), strict=True)
        ),
    }
    raw_cursor().execute(_UPSERT, facts)
    # Last: the queue skips tasks that are locked.
    raw_cursor().execute(_CERTAINTY, facts)


def lock_records(record_ids: Sequence[UUID], *, pending_only: bool = False) -> list[UUID]:
    """Lock the records that are there, or still pending, in id order; returns their ids.

    Raises ``RetryLaterError`` while somebody else is writing one of them.
    """
    statuses = [RecordStatus.PENDING.value] if pending_only else RecordStatus.values
    facts = {"o": current(), "ids": list(record_ids), "statuses": statuses}
    locked = [row[0] for row in raw_cursor().execute(_LOCK, facts)]
    there = raw_cursor().execute(_COUNT, facts).fetchone()
    if there and there[0] > len(locked):
        raise RetryLaterError("Somebody is writing these records.", seconds=BUSY_SECONDS)
    return locked
