"""Writes of answers: save, delete, bring along with records, recompute after a rule change."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.annotation import slots
from apps.annotation.models import Annotator, Response, ResponseStatus
from apps.core.documents import encode
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.ids import uuid7
from apps.core.prepared import fetch_one, raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.values import clean_response
from apps.events.log import Happening, emit_all
from apps.organizations.models import Membership
from apps.records.inputs import ResponseInput
from apps.records.models import Record, RecordStatus


@dataclass(frozen=True, slots=True)
class SavedResponse:
    """A stored answer; ``completed`` is True for the one answer that completed the record."""

    response: Response
    created: bool
    completed: bool


def save_response(
    *,
    record: Record,
    annotator: Membership,
    status: str,
    values: Mapping[str, Any] | None,
    request_key: UUID | None = None,
    must_be_new: bool = False,
    schema: DatasetSchema | None = None,
) -> SavedResponse:
    """Store the annotator's answer to the record, replacing an earlier one.

    ``values`` maps question name to ``{"value": …}``. The annotator's lease ends. An answer
    without a lease, or to a completed record, is kept as an extra one. The same ``request_key``
    again changes nothing, so a retried request is safe.

    Raises ``InvalidError`` when a value is wrong or a required one is missing, ``NotFoundError``
    when the record is gone, ``ConflictError`` when ``must_be_new`` and there is an earlier answer.
    Cost: 6 statements.
    """
    schema = schema or load_schema(record.dataset)
    cleaned = clean_response(schema, values, status, record.fields)
    if not slots.lock_answer(record.id, annotator.id):
        raise NotFoundError(f"Record with id `{record.id}` not found")
    before = fetch_one(
        Response, "record_id = %(r)s AND user_id = %(u)s", r=record.id, u=annotator.id
    )
    if before is not None and request_key and before.request_key == request_key:
        return SavedResponse(response=before, created=False, completed=False)
    if before is not None and must_be_new:
        raise _exists_already(before)
    with transaction.atomic(savepoint=False):
        response = _store(record, annotator, before, status, cleaned, request_key)
        changes, reopened = slots.refresh([record.id])
        kind = "response.created" if before is None else "response.updated"
        emit_all([_happening(kind, response), *_completions(changes)])
        slots.write_counters(changes, reopened)
    completed = any(change.status == RecordStatus.COMPLETED for change in changes)
    return SavedResponse(response=response, created=before is None, completed=completed)


def _exists_already(response: Response) -> ConflictError:
    return ConflictError(
        f"Response already exists for record with id `{response.record_id}`"
        f" and by user with id `{response.user_id}`"
    )


def _happening(kind: str, response: Response) -> Happening:
    return Happening(
        kind,
        dataset_id=response.dataset_id,
        object_id=response.id,
        payload={"record": str(response.record_id), "status": response.status},
    )


def _is_newly_submitted(before: Response | None, response: Response) -> bool:
    was = before.status if before is not None else None
    return response.status == ResponseStatus.SUBMITTED != was


_NOTE = """
INSERT INTO annotator AS a
    (organization_id, dataset_id, user_id, first_response_at, day, submitted_today)
SELECT %(o)s, %(d)s, user_id, %(now)s, %(day)s, %(n)s::int
FROM unnest(%(users)s::uuid[]) AS user_id ORDER BY user_id
ON CONFLICT (organization_id, dataset_id, user_id) DO UPDATE SET
    first_response_at = coalesce(a.first_response_at, excluded.first_response_at),
    submitted_today = excluded.submitted_today
        + CASE WHEN a.day = excluded.day THEN a.submitted_today ELSE 0 END,
    day = excluded.day
"""
# One statement: the answer is stored, its lease ends, and it counts against today's quota.
_STORE = f"""
WITH stored AS (
    INSERT INTO response (organization_id, id, record_id, user_id, dataset_id, status, values,
        request_key, inserted_at, updated_at)
    VALUES (%(o)s, %(id)s, %(record)s, %(user)s, %(d)s, %(status)s, %(values)s::jsonb, %(key)s,
        %(now)s, %(now)s)
    ON CONFLICT (organization_id, record_id, user_id) DO UPDATE SET status = excluded.status,
        values = excluded.values, request_key = excluded.request_key,
        updated_at = excluded.updated_at
), ended AS (
    DELETE FROM lease
    WHERE organization_id = %(o)s AND record_id = %(record)s AND user_id = %(user)s
)
{_NOTE}
"""


def _store(
    record: Record,
    annotator: Membership,
    before: Response | None,
    status: str,
    values: dict[str, Any],
    request_key: UUID | None,
) -> Response:
    now = timezone.now()
    response = Response(
        id=before.id if before else uuid7(),
        inserted_at=before.inserted_at if before else now,
        updated_at=now,
        record=record,
        user=annotator,
        dataset_id=record.dataset_id,
        status=status,
        values=values,
        request_key=request_key,
    )
    note = _note(record.dataset_id, [annotator.id], submitted=_is_newly_submitted(before, response))
    raw_cursor().execute(
        _STORE,
        {
            **note,
            "record": record.id,
            "user": annotator.id,
            "id": response.id,
            "status": status,
            "values": encode(values).decode(),
            "key": request_key,
            "now": now,
        },
    )
    return response


def _note(dataset_id: UUID, user_ids: Iterable[UUID], *, submitted: bool) -> dict[str, Any]:
    """What ``_NOTE`` needs to register the annotators in the dataset."""
    now = timezone.now()
    return {
        "o": current(),
        "d": dataset_id,
        "now": now,
        "day": now.date(),
        "n": int(submitted),
        "users": sorted(set(user_ids)),
    }


@transaction.atomic
def delete_response(*, response: Response) -> None:
    """Delete an answer; its record may go back to pending and be handed out again."""
    slots.lock_answer(response.record_id, response.user_id)
    deleted, _ = Response.objects.filter(pk=response.pk).delete()
    if deleted:
        # The record is theirs to be had again, even if no slot became free for others.
        places = Annotator.objects.filter(dataset=response.dataset_id, user=response.user_id)
        places.update(exhausted_at=None)
        emit_all([_happening("response.deleted", response)])
        recount([response.record_id])


def recount(record_ids: Iterable[UUID]) -> list[slots.StatusChange]:
    """Bring tasks and statuses up to date after answers changed; announces completed records.

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
        cleaned.append(ResponseInput(given.user_id, given.status, values))
    return cleaned


@transaction.atomic
def import_responses(*, dataset: Dataset, responses: Sequence[tuple[UUID, ResponseInput]]) -> None:
    """Upsert ``(record id, cleaned response)`` pairs by (record, user).

    They register their authors in the dataset, count against no quota, and end no lease.
    """
    if not responses:
        return
    record_ids = sorted({record_id for record_id, _ in responses})
    slots.lock_places(dataset.id, {given.user_id for _, given in responses})
    slots.lock(record_ids)
    now = timezone.now()
    Response.objects.bulk_create(
        [
            Response(
                record_id=record_id,
                user_id=given.user_id,
                dataset=dataset,
                status=given.status,
                values=given.values or {},
                inserted_at=now,
                updated_at=now,
            )
            for record_id, given in responses
        ],
        update_conflicts=True,
        unique_fields=["organization", "record", "user"],
        update_fields=["status", "values", "updated_at"],
    )
    users = {given.user_id for _, given in responses}
    raw_cursor().execute(_NOTE, _note(dataset.id, users, submitted=False))
    recount(record_ids)


def hold_answers(*, annotator: Membership, record_ids: Iterable[UUID]) -> None:
    """Take the locks of several answers of one person; unknown records are passed over.

    Whoever saves more than one answer in a transaction calls it first: after the first answer the
    dataset's counter is taken, and nobody waits for a record then.
    """
    records = Record.objects.filter(id__in=list(record_ids))
    pairs = sorted(records.values_list("dataset_id", "id"))
    for dataset_id in dict.fromkeys(dataset_id for dataset_id, _ in pairs):
        slots.lock_places(dataset_id, [annotator.id])
    slots.lock([record_id for _, record_id in pairs])


@transaction.atomic
def recompute_dataset(*, dataset: Dataset) -> None:
    """Bring every record in line with a changed ``min_submitted``. Cost grows with the dataset.

    The counter comes after the last record: people who answer hold a record and wait for it.
    """
    last = UUID(int=0)
    changes: list[slots.StatusChange] = []
    is_reopened = False
    while record_ids := _task_ids(dataset, after=last):
        slots.lock(record_ids)
        changed, reopened = slots.refresh(record_ids)
        changes += changed
        is_reopened = is_reopened or any(reopened.values())
        last = record_ids[-1]
    slots.write_counters(changes, {dataset.id: is_reopened})
    emit_all(_completions(changes))


def _task_ids(dataset: Dataset, *, after: UUID) -> list[UUID]:
    rows = raw_cursor().execute(
        "SELECT record_id FROM record_task WHERE organization_id = %(o)s"
        " AND dataset_id = %(d)s AND record_id > %(after)s ORDER BY record_id LIMIT 5000",
        {"o": current(), "d": dataset.id, "after": after},
    )
    return [row[0] for row in rows]
