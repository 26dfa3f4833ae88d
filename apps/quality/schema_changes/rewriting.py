"""What a page of records becomes: answers, suggestions and decisions, each kept as it was."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from uuid import UUID

from django.utils import timezone

from apps.annotation import slots
from apps.annotation.models import (
    AnswerPart,
    Response,
    ResponseStatus,
    RewrittenAnswer,
    SchemaChange,
)
from apps.annotation.services import recount
from apps.core.documents import encode
from apps.core.prepared import fetch, raw_cursor
from apps.core.tenancy import current
from apps.datasets.edits import Answers, Rewritten
from apps.datasets.schema import load_schema
from apps.datasets.values import certainty, value_key
from apps.events.log import Happening, emit_all
from apps.quality.causes import take_turns
from apps.quality.models import Acceptance, Adjudication, Feedback, FeedbackKind
from apps.quality.settling import is_complete, note_settled, settled_among
from apps.records.models import Suggestion
from apps.records.side_rows import SideRows

Key: TypeAlias = tuple[UUID, str, UUID | None]  # record, part, user
DECISION: Final = "*"  # beside the questions: who decided, when and why
DRAFT: Final = ResponseStatus.DRAFT.value
SUBMITTED: Final = ResponseStatus.SUBMITTED.value
SETTLED: Final = "settled"  # a decision's status: nobody is asked about its record


@dataclass(frozen=True)
class Plan:
    """How answers become what they shall be.

    ``rewrite`` takes values and the record; ``earlier`` is what the change that is taken back had
    made of each. ``spares`` leaves alone what was answered after the change.
    """

    rewrite: Callable[[Answers, UUID], Rewritten]
    earlier: Mapping[Key, RewrittenAnswer] = field(default_factory=dict)
    spares: bool = False
    keeps_suggestions: bool = False
    only_submitted: bool = False
    note: str = ""

    def answer(self, key: Key, values: Answers, status: str) -> tuple[Rewritten, str]:
        """The values and the status afterwards; a decision's is for the caller to judge."""
        was = self.earlier.get(key)
        if was is not None and _stands(was, values):
            back = status == was.status_after != was.status_before
            status = was.status_before if back else status
            if not was.before and not was.after:  # it was asked for again, and answered since
                return Rewritten(self.rewrite(values, key[0]).values), status
            return Rewritten(_restored(was, values)), status
        made = self.rewrite(values, key[0])
        if self.only_submitted and status != SUBMITTED:
            return Rewritten(dict(values), made.unclear), status
        if status == SUBMITTED and (made.unclear or not made.values):
            return made, DRAFT
        return made, status


def _stands(was: RewrittenAnswer, values: Answers) -> bool:
    """Whether the answer is still what the change had made of it."""
    names = {*was.before, *was.after}
    return all(values.get(name) == was.after.get(name) for name in names)


def _restored(was: RewrittenAnswer, values: Answers) -> dict[str, Any]:
    kept = {name: one for name, one in values.items() if name not in was.after}
    return kept | {name: one for name, one in was.before.items() if name != DECISION}


def rewrite_page(change: SchemaChange, plan: Plan, record_ids: Sequence[UUID]) -> None:
    """Rewrite the records, once each: a page that comes again changes nothing.

    The dataset's counter, which everyone shares, comes last.
    """
    ids = slots.lock(record_ids)
    take_turns(change.dataset_id)
    page = _Page(change, plan, ids)
    page.rewrite_adjudications()
    if not plan.keeps_suggestions:
        page.rewrite_suggestions()
    page.rewrite_responses()
    page.store()


class _Page:
    def __init__(self, change: SchemaChange, plan: Plan, ids: Sequence[UUID]) -> None:
        self.change = change
        self.plan = plan
        self.ids = list(ids)
        self.kept: list[RewrittenAnswer] = []
        self.told: list[Feedback] = []
        self.happened: list[Happening] = []
        self.reopened: set[UUID] = set()
        self.settled: dict[UUID, bool] = {}
        self.schema = load_schema(change.dataset)
        undone = Acceptance.objects.filter(dataset=change.dataset_id, undone_at__isnull=False)
        self.undone = {str(id) for id in undone.values_list("id", flat=True)}
        done = RewrittenAnswer.objects.filter(change=change, record__in=self.ids)
        self.done = set(done.values_list("record_id", "part", "user_id"))

    def _keep(
        self, key: Key, before: Answers, after: Answers, statuses: tuple[str, str] = ("", "")
    ) -> bool:
        """Whether anything changed, which is kept then; what was done already is passed over."""
        names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
        if key in self.done or (not names and statuses[0] == statuses[1]):
            return False
        record_id, part, user_id = key
        self.kept.append(
            RewrittenAnswer(
                change=self.change,
                record_id=record_id,
                part=part,
                user_id=user_id,
                before={name: before[name] for name in names if name in before},
                after={name: after[name] for name in names if name in after},
                status_before=statuses[0],
                status_after=statuses[1],
            )
        )
        return True

    # --- Answers ------------------------------------------------------------------------------
    def rewrite_responses(self) -> None:
        rows = fetch(Response, "record_id = ANY(%(ids)s) ORDER BY record_id", ids=self.ids)
        changed = []
        for row in rows:
            if self.plan.spares and row.updated_at >= self.change.inserted_at:
                continue
            key = (row.record_id, AnswerPart.RESPONSE.value, row.user_id)
            made, status = self.plan.answer(key, row.values, row.status)
            if self._keep(key, row.values, made.values, (row.status, status)):
                changed.append((row, made, status))
        _update_responses([(row.id, made.values, status) for row, made, status in changed])
        for row, made, status in changed:
            if status != row.status:
                self.reopened.add(row.record_id)
                if status == DRAFT:
                    self._give_back(row, made)

    def _give_back(self, row: Response, made: Rewritten) -> None:
        told = {name: one for name, one in row.values.items() if made.values.get(name) != one}
        self.told.append(
            Feedback(
                record_id=row.record_id,
                dataset_id=row.dataset_id,
                user_id=row.user_id,
                reviewer_id=self.change.created_by_id,
                kind=FeedbackKind.RETURNED,
                before=told or row.values,
                note=self.plan.note,
            )
        )
        self.happened.append(
            Happening(
                "response.returned",
                dataset_id=row.dataset_id,
                object_id=row.id,
                payload={"record": str(row.record_id), "user": str(row.user_id)},
            )
        )

    # --- Decisions ----------------------------------------------------------------------------
    def rewrite_adjudications(self) -> None:
        """One of which nothing is left is deleted: the record may be reviewed again."""
        known = {row.record_id: row for row in Adjudication.objects.filter(record__in=self.ids)}
        part = AnswerPart.ADJUDICATION.value
        gone = {key[0] for key in self.plan.earlier if key[1] == part} - set(known)
        settled = settled_among(known)
        for record_id, row in known.items():
            key = (record_id, part, None)
            before = _decision(row)
            was = SETTLED if record_id in settled else ""
            made, status = self.plan.answer(key, before, was)
            self._drop_undone(made.values)
            if made.unclear or status != was:
                status = self._judged(status, made.values)
            if not self._keep(key, before, made.values, (was, status)):
                continue
            if made.values:
                _set_decision(row, made.values)
                row.save(update_fields=["values", "ambiguous", "accepted"])
            else:
                self.kept[-1].before[DECISION] = _decision_document(row)
                row.delete()
            if status != was:
                self.settled[record_id] = status == SETTLED
        for record_id in gone:
            self._bring_back(record_id)

    def _judged(self, status: str, values: Answers) -> str:
        """A record is settled no more where something required is decided no more."""
        decided = [name for name, one in values.items() if "ambiguous" not in one]
        return status if is_complete(self.schema, decided) else ""

    def _drop_undone(self, values: dict[str, Any]) -> None:
        """What was accepted through an acceptance that was itself taken back since, is no more."""
        for name in [name for name, one in values.items() if one.get("accepted") in self.undone]:
            del values[name]

    def _bring_back(self, record_id: UUID) -> None:
        """A decision that the change had deleted, unless somebody decided since."""
        key = (record_id, AnswerPart.ADJUDICATION.value, None)
        was = self.plan.earlier[key]
        if record_id not in self.ids or DECISION not in was.before:
            return
        values = {name: one for name, one in was.before.items() if name != DECISION}
        self._drop_undone(values)
        status = self._judged(was.status_before, values)
        if values and self._keep(key, {}, values, ("", status)):
            row = Adjudication(
                record_id=record_id, dataset_id=self.change.dataset_id, **was.before[DECISION]
            )
            _set_decision(row, values)
            row.save(force_insert=True)
            if status == SETTLED:
                self.settled[record_id] = True

    # --- Suggestions --------------------------------------------------------------------------
    def rewrite_suggestions(self) -> None:
        self.rules = self.schema.questions
        names = self._names()
        stored: dict[UUID, dict[str, Suggestion]] = {id: {} for id in self.ids}
        for row in fetch(Suggestion, "record_id = ANY(%(ids)s)", ids=self.ids):
            stored[row.record_id][names[str(row.question_id)]] = row
        part = AnswerPart.SUGGESTION.value
        changed = set()
        for record_id, rows in stored.items():
            key = (record_id, part, None)
            before = {name: _suggestion_document(row) for name, row in rows.items()}
            if not before and key not in self.plan.earlier:
                continue
            made, _status = self.plan.answer(key, before, "")
            if self._keep(key, before, made.values):
                self._store_suggestions(record_id, rows, before, made.values)
                changed.add(record_id)
        if changed:
            side = SideRows(raw_cursor(), self.change.dataset, self.schema, timezone.now())
            side.refresh_certainty(sorted(changed))

    def _names(self) -> dict[str, str]:
        """The questions before the change by their ids, and those that are new since."""
        shapes = {**self.change.after, **self.change.before}
        names = {str(rule.id): name for name, rule in self.rules.items()}
        return names | {id: shape["name"] for id, shape in shapes.items()}

    def _store_suggestions(
        self, record_id: UUID, rows: Mapping[str, Suggestion], before: Answers, after: Answers
    ) -> None:
        for name, row in rows.items():
            if before[name] != after.get(name):
                row.delete()
        made = [
            _suggestion(self.rules[name], record_id, self.change.dataset_id, document)
            for name, document in after.items()
            if before.get(name) != document and name in self.rules
        ]
        Suggestion.objects.bulk_create(made)

    # --- All of it ----------------------------------------------------------------------------
    def store(self) -> None:
        RewrittenAnswer.objects.bulk_create(self.kept)
        Feedback.objects.bulk_create(self.told)
        emit_all(self.happened)
        settled = [id for id, is_settled in self.settled.items() if is_settled]
        note_settled(settled=settled, reopened=self.settled.keys() - settled)
        if counted := self.reopened | self.settled.keys():
            recount(sorted(counted))


def _update_responses(rows: Iterable[tuple[UUID, Mapping[str, Any], str]]) -> None:
    """The times stay: nobody answered."""
    given = list(rows)
    if given:
        raw_cursor().execute(
            "UPDATE response x SET values = g.values::jsonb, status = g.status FROM unnest("
            "%(ids)s::uuid[], %(values)s::text[], %(statuses)s::text[]) AS g (id, values, status)"
            " WHERE x.organization_id = %(o)s AND x.id = g.id",
            {
                "o": current(),
                "ids": [id for id, _values, _status in given],
                "values": [encode(values).decode() for _id, values, _status in given],
                "statuses": [status for _id, _values, status in given],
            },
        )


def _decision(row: Adjudication) -> dict[str, Any]:
    """What is decided, each with the acceptance it comes from: that moves along."""
    decided = {
        name: {**one, "accepted": row.accepted[name]} if name in row.accepted else one
        for name, one in row.values.items()
    }
    return {**decided, **{name: {"ambiguous": True} for name in row.ambiguous}}


def _set_decision(row: Adjudication, values: Answers) -> None:
    row.ambiguous = [name for name, one in values.items() if "ambiguous" in one]
    decided = {name: dict(one) for name, one in values.items() if "ambiguous" not in one}
    row.accepted = {n: one.pop("accepted") for n, one in decided.items() if "accepted" in one}
    row.values = decided


def _decision_document(row: Adjudication) -> dict[str, Any]:
    return {
        "reviewer_id": str(row.reviewer_id) if row.reviewer_id else None,
        "note": row.note,
        "decided_at": row.decided_at.isoformat(),
    }


def _suggestion_document(row: Suggestion) -> dict[str, Any]:
    document = {"value": row.value, "agent": row.agent, "type": row.type}
    return document if row.score is None else {**document, "score": row.score}


def _suggestion(rule: Any, record_id: UUID, dataset_id: UUID, document: Any) -> Suggestion:
    score = document.get("score")
    return Suggestion(
        record_id=record_id,
        question_id=rule.id,
        dataset_id=dataset_id,
        value=document["value"],
        value_key=value_key(rule, document["value"]),
        score=score,
        certainty=certainty(score),
        agent=document["agent"],
        type=document["type"],
        updated_at=timezone.now(),
    )
