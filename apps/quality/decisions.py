"""A reviewer's decision on a record, and what it means to those who answered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps.annotation import slots
from apps.annotation.models import Response, ResponseStatus
from apps.annotation.services import recount, save_response
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.ids import read_id
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import hold_schema
from apps.datasets.values import clean_value, says_same
from apps.events.log import Happening, emit, emit_all
from apps.organizations.models import Membership
from apps.quality.causes import leave_queue, take_turns
from apps.quality.models import (
    Adjudication,
    Feedback,
    FeedbackKind,
    Flag,
    ReviewItem,
)
from apps.quality.settling import is_complete, note_settled
from apps.records.models import Record

DECIDED = "decision"  # the key under which ``Seen`` names an earlier decision
Seen = Mapping[str, str]


class ChangedMeanwhileError(ConflictError):
    """What the reviewer saw is no longer so.

    ``people`` are those whose answer was given, changed or taken back since; ``decided_by`` is
    whoever decided since.
    """

    def __init__(self, people: Sequence[Membership], decided_by: Membership | None) -> None:
        self.people = people
        self.decided_by = decided_by
        names = ", ".join(person.username for person in people)
        parts = [f"answers changed meanwhile: {names}"] if people else []
        parts += [f"{decided_by.username} decided meanwhile"] if decided_by else []
        super().__init__("; ".join(parts) or "the decision was changed meanwhile")


def what_is_seen(responses: Iterable[Response], adjudication: Adjudication | None) -> Seen:
    """The answers by id with their times, and an earlier decision: what a decision rests on."""
    seen = {str(one.id): one.updated_at.isoformat() for one in responses}
    if adjudication is not None:
        seen[DECIDED] = adjudication.decided_at.isoformat()
    return seen


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is decided: ``{question: {"value": …}}``, what cannot be, and why."""

    values: Mapping[str, Any]
    ambiguous: Sequence[str] = ()
    note: str = ""


@transaction.atomic
def decide(
    *, record: Record, reviewer: Membership, ruling: Ruling, seen: Seen | None = None
) -> Adjudication:
    """Make the ruling the record's adjudicated answer, in place of an earlier one.

    A model's answers that were accepted for questions it does not name stay beside it.
    Everybody who answered gets feedback; the record leaves the queue, and its flags are settled.
    With ``seen`` it is refused when something is different by now. Raises ``InvalidError`` for a
    wrong value, ``ChangedMeanwhileError``, ``ConflictError`` while somebody else holds the
    record, ``NotFoundError`` when it is gone.
    """
    schema = hold_schema(record.dataset)
    ruling = clean_ruling(schema, ruling, record.fields)
    if not slots.lock([record.id]):
        raise NotFoundError(f"Record with id `{record.id}` not found")
    take_turns(record.dataset_id)
    refuse_held(record, reviewer)
    responses = list(Response.objects.submitted().filter(record=record).order_by("id"))
    rows = Adjudication.objects.filter(record=record)
    earlier = rows.select_related("reviewer").first()
    _check_seen(record, responses, earlier, seen)
    accepted = _still_accepted(earlier, ruling)
    decided, _ = Adjudication.objects.update_or_create(
        record=record,
        defaults={
            "dataset_id": record.dataset_id,
            "reviewer": reviewer,
            "values": {**_values_of(earlier, accepted), **ruling.values},
            "ambiguous": list(ruling.ambiguous),
            "note": ruling.note,
            "accepted": accepted,
            "decided_at": timezone.now(),
        },
    )
    _tell(record, reviewer, ruling, responses)
    Flag.objects.filter(record=record).delete()
    leave_queue([record.id])
    emit_all([_happening("adjudication.updated" if earlier else "adjudication.created", decided)])
    return decided


def _happening(kind: str, decided: Adjudication) -> Happening:
    return Happening(
        kind,
        dataset_id=decided.dataset_id,
        object_id=decided.record_id,
        payload={"record": str(decided.record_id), "ambiguous": decided.ambiguous},
    )


def clean_ruling(schema: DatasetSchema, ruling: Ruling, fields: Mapping[str, Any]) -> Ruling:
    """The ruling in stored form. Raises ``InvalidError`` with the reason."""
    values: dict[str, Any] = {}
    for name in [*ruling.values, *ruling.ambiguous]:
        if name not in schema.questions:
            raise InvalidError(f"found a decision for non configured question with name={name!r}")
    for name, answer in ruling.values.items():
        if not isinstance(answer, Mapping) or "value" not in answer:
            raise InvalidError('an answer has the form {"value": …}')
        rule = schema.questions[name]
        values[name] = {"value": clean_value(rule, answer["value"], fields, complete=True)}
    ambiguous = [name for name in dict.fromkeys(ruling.ambiguous) if name not in values]
    if not values and not ambiguous:
        raise InvalidError(gettext("A decision is about at least one question."))
    return Ruling(values, ambiguous, ruling.note.strip())


def refuse_held(record: Record, reviewer: Membership) -> None:
    """Raise ``ConflictError`` while the record is in another reviewer's hands."""
    item = ReviewItem.objects.filter(record=record).select_related("held_by").first()
    if item is None or item.held_by is None or item.held_by_id == reviewer.id:
        return
    if item.held_until is not None and item.held_until > timezone.now():
        raise ConflictError(gettext("%s is reviewing this record.") % item.held_by.display_name)


def _still_accepted(earlier: Adjudication | None, ruling: Ruling) -> dict[str, str]:
    """Through what the answers were accepted that the ruling says nothing about."""
    named = {*ruling.values, *ruling.ambiguous}
    if earlier is None:
        return {}
    left = earlier.values.keys() - named
    return {name: id for name, id in earlier.accepted.items() if name in left}


def _values_of(earlier: Adjudication | None, names: Iterable[str]) -> dict[str, Any]:
    return {name: earlier.values[name] for name in names} if earlier else {}


def _check_seen(
    record: Record,
    responses: Sequence[Response],
    earlier: Adjudication | None,
    seen: Seen | None,
) -> None:
    """Raises ``ChangedMeanwhileError`` where something is not as it was seen."""
    if seen is None:
        return
    now = what_is_seen(responses, earlier)
    changed = {key for key in {*now, *seen} if now.get(key) != seen.get(key)}
    if changed:
        decided_by = earlier.reviewer if earlier and DECIDED in changed else None
        raise ChangedMeanwhileError(_authors(record, changed - {DECIDED}), decided_by)


def _authors(record: Record, response_ids: Iterable[str]) -> list[Membership]:
    """Whose answers these are; those of a deleted answer cannot be told any more."""
    ids = [id for text in response_ids if (id := read_id(text))]
    rows = Response.objects.filter(record=record, id__in=ids).select_related("user")
    return [row.user for row in rows.order_by("id")]


def _tell(
    record: Record, reviewer: Membership, ruling: Ruling, responses: Sequence[Response]
) -> None:
    """Feedback on the questions decided; what an earlier decision said is replaced."""
    earlier = Feedback.objects.filter(record=record).exclude(kind=FeedbackKind.RETURNED)
    earlier.delete()
    rows = []
    for response in responses:
        if response.user_id == reviewer.id:
            continue
        names = [name for name in (*ruling.values, *ruling.ambiguous) if name in response.values]
        before = {name: response.values[name] for name in names}
        after = {name: ruling.values[name] for name in names if name in ruling.values}
        ambiguous = [name for name in ruling.ambiguous if name in names]
        same = (says_same(before[name]["value"], after[name]["value"]) for name in after)
        changed = ambiguous or not all(same)
        rows.append(
            Feedback(
                record=record,
                dataset_id=record.dataset_id,
                user_id=response.user_id,
                reviewer=reviewer,
                kind=FeedbackKind.CHANGED if changed else FeedbackKind.CONFIRMED,
                before=before,
                after=after,
                ambiguous=ambiguous,
                note=ruling.note,
            )
        )
    Feedback.objects.bulk_create(rows)


@transaction.atomic
def send_back(
    *, response: Response, reviewer: Membership, note: str, seen: Seen | None = None
) -> Feedback:
    """Ask the author to look at their answer again: it becomes a draft, which they find again.

    What they had submitted is kept in the feedback. The record leaves the queue until they
    submit. Raises ``InvalidError`` without a note, ``ConflictError`` when there is nothing
    submitted, and what ``decide`` raises.
    """
    if not note.strip():
        raise InvalidError(gettext("Say what to look at again."))
    if not slots.lock_answer(response.record_id, response.user_id):
        raise NotFoundError(f"Record with id `{response.record_id}` not found")
    take_turns(response.dataset_id)
    rows = Response.objects.select_related("record__dataset", "user")
    now = rows.filter(id=response.id).first()
    if now is None or now.status != ResponseStatus.SUBMITTED:
        raise ConflictError(gettext("This answer is not submitted any more."))
    refuse_held(now.record, reviewer)
    submitted = Response.objects.submitted().filter(record=now.record)
    decided = Adjudication.objects.filter(record=now.record).select_related("reviewer")
    _check_seen(now.record, list(submitted), decided.first(), seen)
    feedback = Feedback.objects.create(
        record=now.record,
        dataset_id=now.dataset_id,
        user=now.user,
        reviewer=reviewer,
        kind=FeedbackKind.RETURNED,
        before=now.values,
        note=note.strip(),
    )
    leave_queue([now.record_id])
    emit(
        "response.returned",
        dataset_id=now.dataset_id,
        object_id=now.id,
        payload={"record": str(now.record_id), "user": str(now.user_id)},
    )
    _make_draft(now)
    return feedback


def _make_draft(response: Response) -> None:
    """Last, since it takes the dataset's counter. Questions that are gone stay behind."""
    schema = load_schema(response.record.dataset)
    values = {name: value for name, value in response.values.items() if name in schema.questions}
    save_response(
        record=response.record,
        annotator=response.user,
        status=ResponseStatus.DRAFT,
        values=values,
        schema=schema,
    )


@dataclass(frozen=True, slots=True)
class GivenAdjudication:
    """A decision that comes along with a record from a file."""

    ruling: Ruling
    reviewer_id: UUID | None = None
    decided_at: datetime | None = None
    accepted: Mapping[str, str] = field(default_factory=dict)


@transaction.atomic
def import_adjudications(
    *, dataset: Dataset, given: Sequence[tuple[UUID, GivenAdjudication]]
) -> None:
    """Upsert ``(record id, decision)`` pairs; nobody gets feedback. Raises ``InvalidError``.

    Nobody is asked about records for which a model's answers were accepted elsewhere.
    """
    if not given:
        return
    schema = hold_schema(dataset)
    rows = Record.objects.filter(id__in=[id for id, _ in given]).values_list("id", "fields")
    fields = dict(rows)
    slots.lock([id for id, one in given if one.accepted])
    take_turns(dataset.id)
    decisions = []
    for record_id, one in given:
        ruling = clean_ruling(schema, one.ruling, fields[record_id])
        decisions.append(
            Adjudication(
                organization_id=current(),
                record_id=record_id,
                dataset=dataset,
                reviewer_id=one.reviewer_id,
                values=ruling.values,
                ambiguous=list(ruling.ambiguous),
                note=ruling.note,
                accepted=dict(one.accepted),
                decided_at=one.decided_at or timezone.now(),
            )
        )
    record_ids = [row.record_id for row in decisions]
    Adjudication.objects.filter(record__in=record_ids).delete()
    Adjudication.objects.bulk_create(decisions)
    leave_queue(record_ids)
    emit_all([_happening("adjudication.created", row) for row in decisions])
    _settle_accepted(schema, [row for row in decisions if row.accepted])


def _settle_accepted(schema: DatasetSchema, decisions: Sequence[Adjudication]) -> None:
    """Last, since it takes the dataset's counter."""
    ids = {row.record_id for row in decisions}
    complete = {row.record_id for row in decisions if is_complete(schema, row.values)}
    note_settled(settled=complete, reopened=ids - complete)
    if ids:
        recount(ids)
