"""The gate: accepting and discarding drafts, taking it back, and what filters say of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.annotation.ingest import log_records
from apps.annotation.models import Response
from apps.core.ids import uuid7
from apps.datasets import content
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.drafts.content import same
from apps.drafts.inputs import Verdict
from apps.drafts.models import Draft, DraftQuerySet, DraftState
from apps.drafts.provenance import edits, facts, provenance
from apps.events.log import emit
from apps.organizations.models import Membership
from apps.quality.models import Adjudication, Comment, Flag
from apps.quality.schema_changes.since import Since
from apps.records.bulk import record_errors
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record, SuggestionType
from apps.records.services import delete_records

AT_ONCE: Final = 5_000  # drafts decided in one transaction
_HUMAN, _MODEL = SuggestionType.HUMAN.value, SuggestionType.MODEL.value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision: its id, how many drafts it took, and reasons for those that could
    not be taken. ``left`` come after the ``last`` it looked at, for another call ``after`` that."""

    decision: UUID
    taken: int
    left: int
    last: UUID | None
    refused: dict[UUID, str] = field(default_factory=dict)


@transaction.atomic
def accept_drafts(
    *, dataset: Dataset, drafts: DraftQuerySet, member: Membership, after: UUID | None = None
) -> Outcome:
    """Make records of the waiting ones among ``drafts``, oldest first, up to ``AT_ONCE``.

    A draft that the dataset would not take as a record stays, with the reason. Raises
    ``LimitReachedError``, and accepts none, where the plan has no room for them all.
    """
    rows = _lock(dataset, drafts.waiting(), after)
    schema = load_schema(dataset)
    since = Since(dataset.id)
    items = [_as_record(schema, since, row) for row in rows]
    errors = dict(record_errors(schema, items))
    refused = {rows[n].id: reason for n, reason in errors.items()}
    taken = [n for n in range(len(rows)) if n not in errors]
    logged = log_records(dataset=dataset, items=[items[n] for n in taken], schema=schema)
    decision = uuid7()
    for n, record in zip(taken, logged, strict=True):
        rows[n].record_id = record.id
    accepted = [rows[n] for n in taken]
    _decide(dataset, accepted, DraftState.ACCEPTED, decision, member)
    last = _last(rows, after)
    return Outcome(decision, len(accepted), _left(dataset, drafts.waiting(), last), last, refused)


@transaction.atomic
def discard_drafts(
    *, dataset: Dataset, drafts: DraftQuerySet, member: Membership, after: UUID | None = None
) -> Outcome:
    """Set aside the waiting ones among ``drafts``, oldest first, up to ``AT_ONCE``."""
    rows = _lock(dataset, drafts.waiting(), after)
    decision = uuid7()
    _decide(dataset, rows, DraftState.DISCARDED, decision, member)
    last = _last(rows, after)
    return Outcome(decision, len(rows), _left(dataset, drafts.waiting(), last), last)


@transaction.atomic
def restore_drafts(
    *, dataset: Dataset, drafts: DraftQuerySet, after: UUID | None = None
) -> Outcome:
    """Let decided drafts wait again, up to ``AT_ONCE``; the records of accepted ones are deleted.

    Records that people have worked on stay, and are named among the refused. To take a decision
    back, pass the drafts that bear its id.
    """
    decided = drafts.exclude(state=DraftState.WAITING)
    rows = _lock(dataset, decided, after)
    records = {row.record_id: row for row in rows if row.record_id}
    _hold_records(records)
    kept = _worked_on(records) | _edited(records)
    refused = {records[id].id: "people have worked on the record" for id in kept}
    restored = [row for row in rows if row.id not in refused]
    for row in restored:
        row.state, row.record_id = DraftState.WAITING, None
        row.decision = row.decided_at = row.decided_by_id = None
    _save_state(restored)
    delete_records(dataset=dataset, ids=set(records) - kept)
    if restored:
        emit("draft.restored", dataset_id=dataset.id, payload={"drafts": len(restored)})
    last = _last(rows, after)
    return Outcome(uuid7(), len(restored), _left(dataset, decided, last), last, refused)


@transaction.atomic
def judge_drafts(*, filter: str, verdicts: Iterable[Verdict]) -> int:
    """Note what a filter says of drafts; its earlier verdict on each is replaced. Returns how many.

    A draft is to be kept when every filter says so; its score is the lowest that one gave. What
    is said of another version of a draft is passed over.
    """
    said = {verdict.draft_id: verdict for verdict in verdicts}
    found = Draft.objects.select_for_update(of=("self",)).filter(id__in=said).in_order()
    rows = [row for row in found if said[row.id].version in (None, row.version)]
    for row in rows:
        verdict = said[row.id]
        others = [reason for reason in row.reasons if reason["filter"] != filter]
        row.reasons = [*others, _reason(filter, verdict)]
        row.keep = all(reason["keep"] for reason in row.reasons)
        scores = [reason["score"] for reason in row.reasons if reason["score"] is not None]
        row.score = min(scores, default=None)
        row.metadata = {**row.metadata, **verdict.metadata}
        if row.written is not None:  # what a filter notes is no edit of a person
            noted = {**row.written["metadata"], **verdict.metadata}
            row.written = {**row.written, "metadata": noted}
        row.updated_at = timezone.now()
    Draft.objects.bulk_update(
        rows, ["reasons", "keep", "score", "metadata", "written", "updated_at"], batch_size=500
    )
    return len(rows)


def _reason(filter: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "filter": filter,
        "keep": verdict.keep,
        "score": verdict.score,
        "reason": verdict.reason,
    }


def _lock(dataset: Dataset, drafts: DraftQuerySet, after: UUID | None) -> list[Draft]:
    """Locked in the order of their ids; who decides at the same time waits, and finds them so."""
    rows = drafts.of_dataset(dataset).beyond(after).in_order()
    return list(rows.select_for_update(of=("self",))[:AT_ONCE])


def _last(rows: Sequence[Draft], after: UUID | None) -> UUID | None:
    return rows[-1].id if rows else after


def _left(dataset: Dataset, drafts: DraftQuerySet, last: UUID | None) -> int:
    return drafts.of_dataset(dataset).beyond(last).count()


def _decide(
    dataset: Dataset,
    rows: Sequence[Draft],
    state: DraftState,
    decision: UUID,
    member: Membership,
) -> None:
    now = timezone.now()
    for row in rows:
        row.state, row.decision, row.decided_at = state, decision, now
        row.decided_by_id = member.id
    _save_state(rows)
    if rows:
        payload = {"drafts": len(rows)}
        emit(f"draft.{state}", dataset_id=dataset.id, object_id=decision, payload=payload)


def _save_state(rows: Sequence[Draft]) -> None:
    for row in rows:
        row.updated_at = timezone.now()
    changed = ["state", "record", "decision", "decided_at", "decided_by", "updated_at"]
    Draft.objects.bulk_update(rows, changed, batch_size=500)


def _as_record(schema: DatasetSchema, since: Since, draft: Draft) -> RecordInput:
    """The record of the draft's own name, so that accepting it twice cannot make two.

    What a person suggests in the model's place is theirs. Suggestions are in the words of the
    present questions, as far as these have any.
    """
    changed = edits(draft).get("suggestions", {})
    said_at = draft.edited_at if changed and draft.edited_at else draft.inserted_at
    metadata = {
        name: value
        for name, value in {**draft.metadata, **provenance(draft)}.items()
        if _may_hold(schema, name, value)
    }
    return RecordInput(
        fields=draft.fields,
        metadata=metadata,
        external_id=str(draft.id),
        suggestions=[
            SuggestionInput(
                question_id=schema.questions[name].id,
                value=now["value"],
                score=now.get("score"),
                agent=None if one["question"] in changed else draft.agent,
                type=_HUMAN if one["question"] in changed else _MODEL,
            )
            for one in draft.suggestions
            for name, now in since.rewrite({one["question"]: one}, said_at).values.items()
            if name in schema.questions
        ],
    )


def _may_hold(schema: DatasetSchema, name: str, value: Any) -> bool:
    """Whether a record of the dataset may have this metadata."""
    property = schema.properties.get(name)
    if property is None:
        return schema.dataset.allow_extra_metadata
    return content.suits(property, value)


def _hold_records(ids: Iterable[UUID]) -> None:
    """Nobody answers them until the transaction ends."""
    rows = Record.objects.select_for_update(of=("self",)).filter(id__in=list(ids))
    list(rows.in_order().values_list("id", flat=True))


def _worked_on(records: Iterable[UUID]) -> set[UUID]:
    """Those that somebody has answered, decided, flagged or talked about. Four statements."""
    ids = list(records)
    found: set[UUID] = set()
    for model in (Response, Adjudication, Flag, Comment):
        rows: Any = model._default_manager.filter(record_id__in=ids)
        found |= set(rows.values_list("record_id", flat=True))
    return found


def _edited(drafts: Mapping[UUID, Draft]) -> set[UUID]:
    """Of the drafts' records those whose texts or metadata are no longer as they came. One query.

    Not what tells of the origin: the draft's job may be gone since.
    """
    rows = Record.objects.filter(id__in=drafts).only("fields", "metadata")
    return {row.id for row in rows if _differs(row, drafts[row.id])}


def _differs(record: Record, draft: Draft) -> bool:
    known = facts(draft)
    return not same(record.fields, draft.fields) or any(
        not same(value, draft.metadata.get(name))
        for name, value in (record.metadata or {}).items()
        if name not in known
    )
