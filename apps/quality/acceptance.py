"""Taking a model's sure answers as decisions without a look; people answer the rest.

An accepted answer is an ``Adjudication`` without a reviewer, which names its ``Acceptance``: so
exports carry it as the record's answer, and tell that no person decided. Once all required
questions are decided the record is settled: it counts as completed and is handed to nobody.
Undoing an acceptance takes back what it decided and nobody has decided anew since.

``params`` of the job: ``{"acceptance_id": "…"}``.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from apps.annotation import slots
from apps.annotation.models import Lease, Response
from apps.annotation.services import recount
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current, enter
from apps.datasets.models import Dataset, Question, QueueOrder
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import hold_schema, lock_dataset
from apps.events.log import emit
from apps.jobs.errors import AbandonJobError
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.jobs.services import enqueue
from apps.organizations.models import Membership
from apps.quality.causes import leave_queue
from apps.quality.models import Acceptance, Adjudication, Flag
from apps.quality.settling import is_complete, note_settled
from apps.records.models import Record, RecordStatus, Suggestion
from apps.workspaces.models import Workspace

KIND: Final = "accept_suggestions"
PAGE: Final = 500  # records a transaction, which people who answer them wait for
_START: Final = UUID(int=0)


def acceptable(question: Question, agent: str, threshold: float) -> "QuerySet[Suggestion]":
    """The agent's sure suggestions for pending records that nobody began, decided or flagged."""
    pending = Record.objects.filter(id=OuterRef("record_id"), status=RecordStatus.PENDING)
    busy = (
        Response.objects.filter(record=OuterRef("record_id")),
        Lease.objects.filter(record=OuterRef("record_id"), expires_at__gt=timezone.now()),
        Flag.objects.filter(record=OuterRef("record_id")),
    )
    rows = Suggestion.objects.filter(
        Exists(pending),
        *(~Exists(other) for other in busy),
        dataset_id=question.dataset_id,
        question=question,
        agent=agent,
        certainty__gte=threshold,
    )
    decided = Adjudication.objects.filter(
        record=OuterRef("record_id"), values__has_key=question.name
    )
    return rows.filter(~Exists(decided))


@transaction.atomic
def accept_suggestions(
    *,
    question: Question,
    agent: str,
    threshold: float,
    basis: dict[str, Any] | None = None,
    least_certain_first: bool = True,
    created_by: Membership | None = None,
) -> tuple[Acceptance, Job]:
    """Take the agent's suggestions from ``threshold`` on as decisions, as a job.

    What remains is handed to people, with ``least_certain_first`` in that order. Raises
    ``InvalidError`` for a threshold that is no share, ``ConflictError`` while another such job
    works on the question.
    """
    if not 0 <= threshold <= 1:
        raise InvalidError(gettext("The threshold lies between 0 and 1."))
    dataset = lock_dataset(question.dataset)
    acceptance = Acceptance.objects.create(
        dataset=dataset,
        question=question,
        agent=agent,
        threshold=threshold,
        basis=dict(basis or {}),
        created_by=created_by,
    )
    if least_certain_first:
        type(dataset).objects.filter(id=dataset.id).update(
            queue_order=QueueOrder.LEAST_CERTAIN_FIRST
        )
    _emit("acceptance.created", acceptance)
    return acceptance, _start(acceptance, dataset.workspace)


def _start(acceptance: Acceptance, workspace: Workspace) -> Job:
    job = enqueue(
        kind=KIND,
        params={"acceptance_id": str(acceptance.id)},
        workspace=workspace,
        dataset_id=acceptance.dataset_id,
        subject=str(acceptance.question_id),
        created_by=acceptance.created_by,
    )
    Acceptance.objects.filter(id=acceptance.id).update(job_id=job.id)
    acceptance.job_id = job.id
    return job


class AcceptSuggestions(Kind[list[UUID], list[UUID]]):
    """Pages of records; each is judged anew at the moment it is written."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        last = _START
        while True:
            with enter(organization_id):
                found = _find(job)
                rows = acceptable(found.question, found.agent, found.threshold)
                later = rows.filter(record_id__gt=last).order_by("record_id")
                ids = list(later.values_list("record_id", flat=True)[:PAGE])
            if not ids:
                return
            yield Planned({"records": [str(id) for id in ids]}, size=len(ids))
            last = ids[-1]

    def read(self, work: Work) -> list[UUID]:
        return [UUID(id) for id in work.payload["records"]]

    def compute(self, work: Work, material: list[UUID]) -> list[UUID]:
        return material

    def write(self, work: Work, result: list[UUID]) -> Decimal:
        _accept(_find(work.job), result)
        return FREE


def _find(job: Job) -> Acceptance:
    rows = Acceptance.objects.select_related("question__dataset")
    found: Acceptance | None = rows.filter(id=job.params["acceptance_id"]).first()
    if found is None or found.undone_at is not None:
        raise AbandonJobError("The acceptance was taken back.")
    return found


def _accept(acceptance: Acceptance, record_ids: Sequence[UUID]) -> None:
    # The acceptance first: taking it back waits until this page is written.
    rows = Acceptance.objects.select_for_update(of=("self",)).filter(id=acceptance.id)
    if rows.filter(undone_at__isnull=True).first() is None:
        raise AbandonJobError("The acceptance was taken back.")
    schema = hold_schema(acceptance.dataset)
    rule = schema.questions_by_id.get(acceptance.question_id)
    if rule is None:
        raise AbandonJobError("The question is asked no more.")
    locked = slots.lock(record_ids)
    suggested = acceptable(rule.question, acceptance.agent, acceptance.threshold)
    values = dict(suggested.filter(record__in=locked).values_list("record_id", "value"))
    decided = {row.record_id: row for row in Adjudication.objects.filter(record__in=values)}
    made = [
        _decision(acceptance, rule.name, record_id, value, decided.get(record_id))
        for record_id, value in sorted(values.items())
        if record_id not in decided or not _has_ruling(decided[record_id])
    ]
    Adjudication.objects.filter(record__in=[row.record_id for row in made]).delete()
    Adjudication.objects.bulk_create(made)
    Acceptance.objects.filter(id=acceptance.id).update(count=F("count") + len(made))
    _settle(schema, made)


def _has_ruling(decided: Adjudication) -> bool:
    """Whether a person decided any of it: they have looked at the record."""
    return bool(decided.ambiguous or decided.values.keys() - decided.accepted.keys())


def _decision(
    acceptance: Acceptance, name: str, record_id: UUID, value: Any, before: Adjudication | None
) -> Adjudication:
    """The answer as a decision, beside those that were accepted for other questions."""
    return Adjudication(
        organization_id=current(),
        record_id=record_id,
        dataset_id=acceptance.dataset_id,
        values={**(before.values if before else {}), name: {"value": value}},
        accepted={**(before.accepted if before else {}), name: str(acceptance.id)},
        note=f"{acceptance.agent} ≥ {acceptance.threshold:g}",
        decided_at=timezone.now(),
    )


def _settle(schema: DatasetSchema, decisions: Sequence[Adjudication]) -> None:
    """Nobody is asked about a record once all its required questions are decided."""
    done = [row.record_id for row in decisions if is_complete(schema, row.values)]
    note_settled(settled=done, reopened=[])
    if done:
        recount(done)


# --- Taking it back ------------------------------------------------------------------------------
@transaction.atomic
def undo_acceptance(*, acceptance: Acceptance) -> int:
    """Take back what the acceptance decided. Returns how many records that were.

    People are asked about them, unless all required questions are decided still. What a reviewer
    has decided since stays. Raises ``ConflictError`` when it is taken back.
    """
    rows = Acceptance.objects.select_for_update(of=("self",)).filter(id=acceptance.id)
    if not rows.filter(undone_at__isnull=True).exists():
        raise ConflictError(gettext("This was taken back already."))
    mine = Adjudication.objects.accepted_by(acceptance)
    taken = slots.lock(mine.order_by("record").values_list("record_id", flat=True))
    decisions = list(mine.filter(record__in=taken))
    mine.filter(record__in=taken).delete()
    for row in decisions:
        for name in [name for name, id in row.accepted.items() if id == str(acceptance.id)]:
            del row.accepted[name]
            row.values.pop(name, None)
    kept = [row for row in decisions if row.values or row.ambiguous]
    Adjudication.objects.bulk_create(kept)
    schema = load_schema(Dataset.objects.get(id=acceptance.dataset_id))
    back = [row.record_id for row in decisions if not is_complete(schema, row.values)]
    note_settled(settled=[], reopened=back)
    rows.update(undone_at=timezone.now())
    acceptance.undone_at = timezone.now()
    _emit("acceptance.undone", acceptance)
    leave_queue(back)
    if back:
        recount(back)
    return len(decisions)


def _emit(kind: str, acceptance: Acceptance) -> None:
    emit(
        kind,
        dataset_id=acceptance.dataset_id,
        object_id=acceptance.id,
        payload={
            "question": acceptance.question.name,
            "agent": acceptance.agent,
            "threshold": acceptance.threshold,
        },
    )
