"""The one statement that stores an answer.

With it what the answer replaces is kept, its lease ends, it counts against today's quota, its
record is recounted, and all of that is told in the event log. The locks are taken before
(``slots.lock_answer``), so that what the statement counts is what there is.
"""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from django.utils import timezone

from apps.annotation import slots, versions
from apps.annotation.models import Response
from apps.annotation.turns import Turn
from apps.core.documents import encode
from apps.core.ids import uuid7s
from apps.core.prepared import execute
from apps.core.tenancy import current
from apps.datasets.schema import DatasetSchema
from apps.events.log import origin_facts, payload_json, recorded, ring_later

# Registers people who have answered, without counting anything against their quotas.
NOTE_USERS = """
INSERT INTO annotator AS a
    (organization_id, dataset_id, user_id, first_response_at, day, submitted_today)
SELECT %(o)s, %(d)s, user_id, %(now)s, %(day)s, 0 FROM unnest(%(users)s::uuid[]) AS g (user_id)
ORDER BY user_id
ON CONFLICT (organization_id, dataset_id, user_id) DO UPDATE SET
    first_response_at = coalesce(a.first_response_at, excluded.first_response_at),
    submitted_today = CASE WHEN a.day = excluded.day THEN a.submitted_today ELSE 0 END,
    day = excluded.day
"""
# In the RETURNING of what stores an answer: by how much today's count changes with it. What was
# submitted today and no longer is counts no more, so that one record never counts twice; an answer
# that came with a record and never counted is not told from others.
NEWLY_SUBMITTED: Final = """CASE
            WHEN new.status = 'submitted' THEN (old.status IS DISTINCT FROM 'submitted')::int
            WHEN old.status = 'submitted' AND old.updated_at >= %(day)s THEN -1
            ELSE 0 END AS newly_submitted"""
# Counts what the source ``g`` says; the person's place is there, and locked.
COUNT_TODAY: Final = """
UPDATE annotator a SET first_response_at = coalesce(a.first_response_at, %(now)s), day = %(day)s,
    submitted_today = greatest(
        g.newly_submitted + CASE WHEN a.day = %(day)s THEN a.submitted_today ELSE 0 END, 0)
"""
_STORE = f"""
WITH stored AS (
    INSERT INTO response AS x (organization_id, id, record_id, user_id, dataset_id, status, values,
        request_key, inserted_at, updated_at)
    SELECT %(o)s, %(id)s, %(record)s, %(user)s, %(d)s, %(status)s, %(values)s::jsonb,
        %(key)s::uuid, %(now)s, %(now)s
    WHERE EXISTS (SELECT FROM dataset q WHERE q.organization_id = %(o)s AND q.id = %(d)s
        AND q.schema_version = %(version)s AND q.archived_at IS NULL AND q.trashed_at IS NULL)
    ON CONFLICT (organization_id, record_id, user_id) DO UPDATE SET status = excluded.status,
        values = excluded.values, request_key = excluded.request_key,
        updated_at = excluded.updated_at
    WHERE NOT %(must_be_new)s
        AND (excluded.request_key IS NULL OR x.request_key IS DISTINCT FROM excluded.request_key)
    RETURNING new.id, new.user_id, new.record_id, new.status, new.inserted_at,
        old.id IS NULL AS is_new, {versions.OLD},
        {NEWLY_SUBMITTED}
), kept AS ({versions.keep("stored")}), ended AS (
    DELETE FROM lease l USING stored
    WHERE l.organization_id = %(o)s AND l.record_id = %(record)s AND l.user_id = %(user)s
), noted AS (
    {COUNT_TODAY} FROM stored g
    WHERE a.organization_id = %(o)s AND a.dataset_id = %(d)s AND a.user_id = g.user_id
    RETURNING {Turn.COLUMNS}
), {slots.COUNTED_WITH_STORED}, happening AS (
    SELECT %(event)s::uuid AS id, 'response.' || CASE WHEN is_new THEN 'created' ELSE 'updated' END
        AS kind, %(d)s::uuid AS dataset_id, id AS object_id, %(payload)s::text AS payload
    FROM stored UNION ALL
    SELECT %(completion)s, 'record.completed', dataset_id, id, %(told)s
    FROM flipped WHERE status = 'completed'
), {recorded("happening")}
SELECT id, inserted_at, is_new, old_updated_at, (SELECT r.status = 'completed' FROM record r
    WHERE r.organization_id = %(o)s AND r.id = %(record)s), summed.completed, summed.reopened,
    (SELECT count(*) FROM waiting), noted.*
FROM stored, summed, noted
"""


class Stored(NamedTuple):
    """What storing an answer did; ``completed`` is by how much the dataset's count changes.

    ``turn`` is the annotator's, which the answer needed.
    """

    id: UUID
    inserted_at: datetime
    is_new: bool
    replaced_at: datetime | None
    was_complete: bool
    completed: int
    reopened: bool
    turn: Turn


def store(
    response: Response, schema: DatasetSchema, *, must_be_new: bool, tell: bool
) -> Stored | None:
    """Store the answer; None when an earlier one stays, or when the questions have changed.

    Without ``tell`` the dataset's counter is left to the caller.
    """
    event, completion = uuid7s(2)
    facts = {
        "o": current(),
        "id": response.id,
        "record": response.record_id,
        "user": response.user_id,
        "d": response.dataset_id,
        "status": response.status,
        "values": encode(response.values).decode(),
        "key": response.request_key,
        "now": response.updated_at,
        "day": response.updated_at.date(),
        "must_be_new": must_be_new,
        "version": schema.dataset.schema_version,
        "tell": tell,
        "event": event,
        "payload": payload_json({"record": response.record_id, "status": response.status}),
        "completion": completion,
        "told": payload_json(),
    }
    row = execute(_STORE, facts | origin_facts()).fetchone()
    if row is None:
        return None
    id, inserted_at, is_new, replaced_at, was_complete, completed, reopened, waiting, *place = row
    if waiting:
        ring_later()
    turn = Turn.of(schema.dataset, response.user, place)
    return Stored(id, inserted_at, is_new, replaced_at, was_complete, completed, reopened, turn)


_REVISE = """
UPDATE annotator SET exhausted_at = NULL, submitted_today = CASE WHEN day = %(day)s
    THEN greatest(submitted_today + %(n)s, 0) ELSE submitted_today END
WHERE organization_id = %(o)s AND dataset_id = %(d)s AND user_id = %(u)s
"""


def revise_today(dataset_id: UUID, user_id: UUID, by: int) -> None:
    """Today's count changes by so many, and the queue is looked through again. One statement."""
    facts = {"o": current(), "d": dataset_id, "u": user_id}
    execute(_REVISE, {**facts, "day": timezone.now().date(), "n": by})
