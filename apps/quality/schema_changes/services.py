"""Preview an edit of the questions, make it, take it back."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps.annotation.models import ChangeState, Response, SchemaChange
from apps.core.errors import ConflictError, InvalidError
from apps.core.ids import uuid7
from apps.datasets.edits import AnyEdit, Shape, Shapes, shape_of
from apps.datasets.edits.questions import AddQuestion
from apps.datasets.models import Dataset, DatasetStatus, Question
from apps.datasets.schema import QuestionRule, load_schema
from apps.datasets.services import lock_dataset
from apps.datasets.values import clean_value
from apps.events.log import emit
from apps.jobs.models import Job, JobState
from apps.jobs.services import enqueue
from apps.organizations.models import Membership
from apps.quality.causes import forget_questions
from apps.quality.review import refresh_soon
from apps.quality.schema_changes.plans import (
    by_name,
    check_queries,
    concerned_by,
    parts_of,
    plan_for,
    plan_of,
    where_of,
)
from apps.quality.schema_changes.reach import FIRST, count, records_after, rewritten_by
from apps.quality.schema_changes.rewriting import DRAFT, SUBMITTED, rewrite_page

KIND: Final = "edit_questions"
AT_ONCE: Final = 1_000  # answers, suggestions and decisions rewritten while somebody waits
SAMPLE: Final = 2_000  # records that a preview goes through
EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Example:
    """One answer before and after; ``returns``: it goes back to who gave it."""

    response: Response
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    returns: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What an edit would do; ``requeued`` counts a sample only where ``is_sample``."""

    counts: Mapping[str, int]
    requeued: int
    is_sample: bool
    examples: Sequence[Example] = ()
    shapes: Shapes = field(default_factory=dict)
    reshaped: Shapes = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def needs_job(self) -> bool:
        return self.total > AT_ONCE


def shapes_of(dataset: Dataset) -> Shapes:
    """The questions by name, in order."""
    rows = Question.objects.filter(dataset=dataset).in_order()
    return {question.name: shape_of(question) for question in rows}


def preview(*, dataset: Dataset, edit: AnyEdit) -> Preview:
    """What the edit would do to every answer, without doing it. Raises ``InvalidError``."""
    shapes = shapes_of(dataset)
    reshaped = _reshaped(dataset, edit, shapes)
    concerned = where_of(edit, shapes)
    ids = records_after(dataset.id, concerned, after=FIRST, limit=SAMPLE + 1)
    sample = ids[:SAMPLE]
    plan = plan_of(edit, shapes, parts_of(edit, load_schema(dataset), sample))
    requeued = 0
    examples: list[Example] = []
    rows = Response.objects.filter(record__in=sample).select_related("record", "user__user")
    for row in rows.order_by("record_id", "id"):
        made, status = plan.answer((row.record_id, "response", row.user_id), row.values, row.status)
        returns = status == DRAFT and row.status == SUBMITTED
        requeued += returns
        if len(examples) < EXAMPLES and (made.values != row.values or returns):
            examples.append(Example(row, row.values, made.values, returns))
    return Preview(
        count(dataset.id, concerned), requeued, len(ids) > SAMPLE, examples, shapes, reshaped
    )


@transaction.atomic
def apply_edit(
    *, dataset: Dataset, edit: AnyEdit, created_by: Membership | None = None
) -> SchemaChange:
    """Change the questions now, and the answers now or by a job.

    Raises ``InvalidError`` for an edit that makes no sense here, ``ConflictError`` while an
    earlier one still rewrites answers.
    """
    dataset = _lock(dataset)
    shapes = shapes_of(dataset)
    reshaped = _reshaped(dataset, edit, shapes)
    before, after = _differences(shapes, reshaped)
    change = SchemaChange.objects.create(
        dataset=dataset,
        edit=edit.model_dump(mode="json"),
        before=before,
        after=after,
        created_by=created_by,
    )
    touched = sum(count(dataset.id, where_of(edit, shapes)).values())
    return _carry_out(change, touched)


@transaction.atomic
def undo_change(*, change: SchemaChange, created_by: Membership | None = None) -> SchemaChange:
    """Bring the questions back, and every answer that nobody touched since.

    Answers given since are kept, in the words of the old questions; what these cannot say goes
    back to who said it. Raises ``ConflictError`` when it is undone already, or when a later edit
    of the same questions stands.
    """
    dataset = _lock(change.dataset)
    change = SchemaChange.objects.get(id=change.id)
    if change.undone_at or change.undoes:
        raise ConflictError(gettext("This change is undone already."))
    newest = SchemaChange.objects.of(dataset).filter(id__gte=change.id).order_by("-id")
    if change.id in covered(newest):
        raise ConflictError(gettext("A later change of the same questions must be undone first."))
    now = {one["id"]: one for one in shapes_of(dataset).values()}
    undo = SchemaChange.objects.create(
        dataset=dataset,
        edit=change.edit,
        before={id: now[id] for id in change.after if id in now},
        after={id: _as_before(change, id, now) for id in change.before},
        undoes=change.id,
        created_by=created_by,
    )
    SchemaChange.objects.filter(id=change.id).update(undone_at=timezone.now())
    return _carry_out(undo, sum(rewritten_by(change).values()))


def covered(changes: Iterable[SchemaChange]) -> set[UUID]:
    """Of a dataset's newest changes, newest first: those of whose questions a later one stands.

    One that was undone does not stand, nor does one that undid another.
    """
    found: set[UUID] = set()
    changed: set[str] = set()
    for change in changes:
        mine = {*change.before, *change.after}
        if mine & changed:
            found.add(change.id)
        if not (change.undoes or change.undone_at):
            changed |= mine
    return found


def settle(dataset: Dataset) -> SchemaChange | None:
    """Note what the job of the last change has done; the change, if it is still at work."""
    running = SchemaChange.objects.of(dataset).filter(state=ChangeState.RUNNING).first()
    if running is None:
        return None
    job = Job.objects.filter(id__in=[running.job_id]).first()
    if job is not None and (job.state != JobState.DONE or job.failed):
        return running
    _finish(running)
    return None


# --- Shared -----------------------------------------------------------------------------------
def _lock(dataset: Dataset) -> Dataset:
    dataset = lock_dataset(dataset)
    if dataset.status != DatasetStatus.READY:
        raise InvalidError(gettext("The questions of a draft are changed directly."))
    if settle(dataset):
        raise ConflictError(gettext("An earlier change is still rewriting answers."))
    return dataset


def _reshaped(dataset: Dataset, edit: AnyEdit, shapes: Shapes) -> Shapes:
    """The questions afterwards, with ids and positions."""
    check_queries(edit, dataset)
    reshaped = edit.reshape(shapes)
    for shape in reshaped.values():
        shape.setdefault("id", None)
        shape["id"] = shape["id"] or str(uuid7())
        shape.setdefault("position", 0)
    if isinstance(edit, AddQuestion):
        _check_default(edit)
    known = [name for name in reshaped if name in shapes]
    was = [name for name in shapes if name in reshaped]
    if list(reshaped)[: len(known)] == was and not any(s["position"] for s in shapes.values()):
        return reshaped
    return {
        name: {**shape, "position": n} for n, (name, shape) in enumerate(reshaped.items(), start=1)
    }


def _check_default(edit: AddQuestion) -> None:
    if edit.default is not None:
        question = Question(name=edit.question, title=edit.title, settings=edit.settings)
        clean_value(QuestionRule(question), edit.default, {}, complete=True)


def _differences(shapes: Shapes, reshaped: Shapes) -> tuple[Shapes, Shapes]:
    """The questions that differ, by id, before and after."""
    old = {shape["id"]: shape for shape in shapes.values()}
    new = {shape["id"]: shape for shape in reshaped.values()}
    names = [id for id in {**old, **new} if old.get(id) != new.get(id)]
    return {i: old[i] for i in names if i in old}, {i: new[i] for i in names if i in new}


def _as_before(change: SchemaChange, id: str, now: Shapes) -> Shape:
    """The question as it was, with what else was changed of it since, e.g. its title."""
    was, then = change.before[id], change.after.get(id)
    if then is None or id not in now:
        return dict(was)
    shape = dict(now[id])
    for key in ("name", "title", "description", "required", "position"):
        if was[key] != then[key]:
            shape[key] = was[key]
    changed = [k for k in was["settings"] if was["settings"][k] != then["settings"].get(k)]
    shape["settings"] = shape["settings"] | {key: was["settings"][key] for key in changed}
    return shape


def _carry_out(change: SchemaChange, touched: int) -> SchemaChange:
    dataset = change.dataset
    _store_questions(dataset, change.before, change.after)
    dataset.schema_version = secrets.randbelow(2**31)
    dataset.answers_rewritten_at = timezone.now()
    dataset.last_activity_at = timezone.now()
    dataset.save(update_fields=["schema_version", "answers_rewritten_at", "last_activity_at"])
    emit(
        "dataset.questions_undone" if change.undoes else "dataset.questions_changed",
        dataset_id=dataset.id,
        object_id=change.id,
        payload={"edit": change.edit, "changes": {"questions": [change.before, change.after]}},
    )
    if touched > AT_ONCE:
        return _start_job(change)
    _rewrite_now(change)
    return change


def _store_questions(dataset: Dataset, before: Shapes, after: Shapes) -> None:
    """Retired ones first: their names may be taken by others."""
    gone = [id for id in before if id not in after]
    Question.objects.filter(dataset=dataset, id__in=gone).update(retired_at=timezone.now())
    forget_questions(dataset.id, [UUID(id) for id in gone])
    known = set(Question.every.filter(dataset=dataset, id__in=after).values_list("id", flat=True))
    for id, shape in after.items():
        values = {key: value for key, value in shape.items() if key != "id"}
        if UUID(id) in known:
            rows = Question.every.filter(id=UUID(id))
            rows.update(**values, retired_at=None, updated_at=timezone.now())
        else:
            Question.objects.create(dataset=dataset, id=UUID(id), **values)


def _start_job(change: SchemaChange) -> SchemaChange:
    job = enqueue(
        kind=KIND,
        params={"change_id": str(change.id)},
        workspace=change.dataset.workspace,
        dataset_id=change.dataset_id,
        subject=str(change.dataset_id),
        created_by=change.created_by,
    )
    change.job_id = job.id
    change.save(update_fields=["job_id"])
    return change


def _rewrite_now(change: SchemaChange) -> None:
    after = FIRST
    while ids := concerned_by(change, after=after, limit=AT_ONCE):
        rewrite_page(change, plan_for(change, ids), ids)
        after = ids[-1]
    _finish(change)


def _finish(change: SchemaChange) -> None:
    requeued = change.rewritten.filter(status_before=SUBMITTED, status_after=DRAFT).count()
    change.counts = {**rewritten_by(change), "requeued": requeued}
    change.state = ChangeState.DONE
    change.save(update_fields=["counts", "state"])
    if any(change.counts.values()):
        refresh_soon(change.dataset_id)


def names_of(change: SchemaChange) -> list[str]:
    """The questions that a change touched, as they were called."""
    return list({**by_name(change.before), **by_name(change.after)})
