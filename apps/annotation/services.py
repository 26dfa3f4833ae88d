"""Writes of answers: save, delete, bring along with records, recompute after a rule change."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.annotation import slots, versions
from apps.annotation.distribution import claim
from apps.annotation.models import Lease, Response
from apps.annotation.storing import NOTE_USERS, Stored, revise_today, store
from apps.core.documents import encode
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.ids import uuid7
from apps.core.prepared import fetch_one, raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import refuse_archived
from apps.datasets.values import clean_response
from apps.events.log import Happening, emit_all
from apps.organizations.models import Membership
from apps.records.inputs import ResponseInput
from apps.records.models import Record, RecordStatus
from apps.webhooks.models import WebhookEvent
from apps.webhooks.services import announce, describe


@dataclass(frozen=True, slots=True)
class SavedResponse:
    """A stored answer; ``completed`` is True for the one answer that completed the record.

    ``extra`` is one that the record, complete already, did not need. ``replaced_at`` is the time
    of the answer that it replaced. ``claimed`` are the leases on what comes next, if asked for.
    """

    response: Response
    created: bool
    completed: bool
    extra: bool = False
    replaced_at: datetime | None = None
    claimed: Sequence[Lease] = ()


def save_response(
    *,
    record: Record,
    annotator: Membership,
    status: str,
    values: Mapping[str, Any] | None,
    request_key: UUID | None = None,
    must_be_new: bool = False,
    claim_next: int = 0,
    schema: DatasetSchema | None = None,
    is_locked: bool = False,
) -> SavedResponse:
    """Store the annotator's answer to the record, replacing an earlier one.

    ``values`` maps question name to ``{"value": …}``. The annotator's lease ends. An answer
    without a lease, or to a completed record, is kept as an extra one. The same ``request_key``
    again changes nothing, so a retried request is safe. ``claim_next`` records are claimed.
    ``is_locked`` says that the caller has taken the locks (``slots.locking_answer``).

    Raises ``InvalidError`` when a value is wrong or a required one is missing, ``NotFoundError``
    when the record is gone, ``ConflictError`` when ``must_be_new`` and there is an earlier answer,
    or when the dataset is archived.
    Cost: 2 statements; with a claim 3, and those of a claim whose turn is taken.
    """
    schema = schema or load_schema(record.dataset)
    while True:
        cleaned = clean_response(schema, values, status, record.fields)
        if not is_locked and not slots.lock_answer(record.id, annotator.id):
            raise NotFoundError(f"Record with id `{record.id}` not found")
        response = _response(record, annotator, status, cleaned, request_key)
        with transaction.atomic(savepoint=False):
            stored = store(response, schema, must_be_new=must_be_new, tell=not claim_next)
            if stored is not None:
                claimed = _claim_next(response, stored, claim_next) if claim_next else []
                return _saved(response, stored, claimed)
        newer = _newer(schema)
        if newer is None:
            return _as_before(response)
        schema = newer


def _claim_next(response: Response, stored: Stored, limit: int) -> list[Lease]:
    """Claim before the counter, which everyone shares, is locked."""
    dataset, turn = response.record.dataset, stored.turn
    claimed = claim(dataset=dataset, annotator=response.user, limit=limit, turn=turn)
    slots.tell(
        response.dataset_id,
        completed=stored.completed,
        reopened=stored.reopened,
        now=response.updated_at,
    )
    return claimed


def _saved(response: Response, stored: Stored, claimed: Sequence[Lease]) -> SavedResponse:
    response.id, response.inserted_at = stored.id, stored.inserted_at
    return SavedResponse(
        response=response,
        created=stored.is_new,
        completed=stored.completed > 0,
        extra=stored.is_new and stored.was_complete,
        replaced_at=stored.replaced_at,
        claimed=claimed,
    )


def _newer(schema: DatasetSchema) -> DatasetSchema | None:
    """The questions as they are, where they have changed since the answer was checked."""
    now = fetch_one(Dataset, "id = %(d)s", d=schema.dataset.id)
    if now is None:
        return None
    refuse_archived(now)
    if now.schema_version == schema.dataset.schema_version:
        return None
    return load_schema(now)


def _as_before(response: Response) -> SavedResponse:
    """The earlier answer that was to stay: to the same request, or in the way of a new one."""
    keys = {"r": response.record_id, "u": response.user_id}
    before = fetch_one(Response, "record_id = %(r)s AND user_id = %(u)s", **keys)
    if before is None or before.request_key != response.request_key or not before.request_key:
        raise ConflictError(
            f"Response already exists for record with id `{response.record_id}`"
            f" and by user with id `{response.user_id}`"
        )
    return SavedResponse(response=before, created=False, completed=False)


def _happening(kind: str, response: Response) -> Happening:
    return Happening(
        kind,
        dataset_id=response.dataset_id,
        object_id=response.id,
        payload={"record": str(response.record_id), "status": response.status},
    )


def _response(
    record: Record,
    annotator: Membership,
    status: str,
    values: dict[str, Any],
    request_key: UUID | None,
) -> Response:
    now = timezone.now()
    return Response(
        id=uuid7(),
        inserted_at=now,
        updated_at=now,
        record=record,
        user=annotator,
        dataset_id=record.dataset_id,
        status=status,
        values=values,
        request_key=request_key,
    )


_DELETE = f"""
WITH gone AS (
    DELETE FROM response WHERE organization_id = %(o)s AND id = %(id)s
    RETURNING old.record_id, old.user_id, false AS is_new, {versions.OLD}
), kept AS ({versions.keep("gone")})
SELECT old_status = 'submitted' AND old_updated_at >= %(day)s FROM gone
"""


@transaction.atomic
def delete_response(*, response: Response, request_key: UUID | None = None) -> None:
    """Delete an answer; its record may go back to pending and be handed out again.

    ``request_key`` names the act, which can then be undone.
    """
    refuse_archived(response.record.dataset)
    slots.lock_answer(response.record_id, response.user_id)
    described = describe(WebhookEvent.RESPONSE_DELETED, [response.id])
    facts: dict[str, Any] = {"o": current(), "id": response.id, "d": response.dataset_id}
    now = timezone.now()
    facts |= {"key": request_key, "now": now, "day": now.date()}
    if deleted := raw_cursor().execute(_DELETE, facts).fetchone():
        # The record is theirs to be had again, even if no slot became free for others.
        revise_today(response.dataset_id, response.user_id, -1 if deleted[0] else 0)
        emit_all([_happening("response.deleted", response)])
        announce(WebhookEvent.RESPONSE_DELETED, list(described.values()))
        recount([response.record_id])


def recount(record_ids: Iterable[UUID]) -> list[slots.StatusChange]:
    """Bring a dataset up to date after answers changed; announces completed records.

    The records must be locked (``slots``). Writes the shared counter, so it comes last.
    """
    changes = slots.recount(record_ids)
    emit_all(_completions(changes))
    return changes


def _completions(changes: Iterable[slots.StatusChange]) -> list[Happening]:
    return [
        Happening("record.completed", dataset_id=change.dataset_id, object_id=change.record_id)
        for change in changes
        if change.status == RecordStatus.COMPLETED
    ]


def clean_responses(
    *,
    schema: DatasetSchema,
    responses: Sequence[ResponseInput],
    fields: Mapping[str, Any],
    known_users: Container[UUID],
) -> list[ResponseInput]:
    """Responses that came along with a record, in stored form. Raises ``InvalidError``."""
    cleaned = []
    for given in responses:
        if given.user_id not in known_users:
            raise InvalidError(f"user_id={given.user_id} does not exist")
        values = clean_response(schema, given.values, given.status, fields)
        cleaned.append(replace(given, values=values))
    return cleaned


_IMPORT = f"""
WITH stored AS (
    INSERT INTO response AS x (organization_id, id, record_id, user_id, dataset_id, status, values,
        inserted_at, updated_at)
    SELECT %(o)s, uuidv7(), record_id, user_id, %(d)s, status, values::jsonb,
        coalesce(inserted_at, %(now)s), %(now)s
    FROM unnest(%(records)s::uuid[], %(users)s::uuid[], %(statuses)s::text[], %(values)s::text[],
        %(times)s::timestamptz[]) AS given (record_id, user_id, status, values, inserted_at)
    ON CONFLICT (organization_id, record_id, user_id) DO UPDATE SET status = excluded.status,
        values = excluded.values, request_key = excluded.request_key,
        updated_at = excluded.updated_at
    RETURNING new.record_id, new.user_id, old.id IS NULL AS is_new, {versions.OLD}
), kept AS ({versions.keep("stored")})
SELECT count(*) FROM stored
"""


@transaction.atomic
def import_responses(*, dataset: Dataset, responses: Sequence[tuple[UUID, ResponseInput]]) -> None:
    """Upsert ``(record id, cleaned response)`` pairs by (record, user).

    They register their authors in the dataset, count against no quota, and end no lease. An answer
    that was there keeps the time at which it was first given, and goes to the history.
    """
    if not responses:
        return
    record_ids = sorted({record_id for record_id, _ in responses})
    slots.lock_places(dataset.id, {given.user_id for _, given in responses})
    slots.lock(record_ids)
    now = timezone.now()
    facts: dict[str, Any] = {"o": current(), "d": dataset.id, "now": now}
    rows = {
        "key": None,
        "records": [record_id for record_id, _ in responses],
        "users": [given.user_id for _, given in responses],
        "statuses": [given.status for _, given in responses],
        "values": [encode(given.values or {}).decode() for _, given in responses],
        "times": [given.inserted_at for _, given in responses],
    }
    raw_cursor().execute(_IMPORT, facts | rows)
    users = sorted({given.user_id for _, given in responses})
    raw_cursor().execute(NOTE_USERS, facts | {"users": users, "day": now.date()})
    recount(record_ids)


def hold_answers(*, annotator: Membership, record_ids: Iterable[UUID]) -> None:
    """Take the locks of several answers of one person.

    Records that they may not see, or that nobody knows, are passed over.

    Whoever saves more than one answer in a transaction calls it first: after the first answer the
    dataset's counter is taken, and nobody waits for a record then.
    """
    records = Record.objects.visible_to(annotator).filter(id__in=list(record_ids))
    pairs = sorted(records.values_list("dataset_id", "id"))
    for dataset_id in dict.fromkeys(dataset_id for dataset_id, _ in pairs):
        slots.lock_places(dataset_id, [annotator.id])
    slots.lock([record_id for _, record_id in pairs])
