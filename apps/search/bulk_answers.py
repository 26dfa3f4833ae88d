"""One answer to all that a search matches: counted before, done by a job, undone within a day.

What is answered is settled when the job begins: a search that asks for pending records would
otherwise run away from itself. Records that came after the person looked are left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.annotation import history
from apps.annotation.bulk import BulkAnswer, Outcome, answer_records
from apps.annotation.models import ResponseStatus
from apps.core.errors import ConflictError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule, load_schema
from apps.datasets.services import refuse_archived
from apps.jobs import chain
from apps.jobs.errors import AbandonJobError
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.jobs.services import enqueue
from apps.organizations.models import Membership
from apps.search.asked import Asked, read_text
from apps.search.matching import FIRST, Matcher
from apps.search.query import EVERYBODY, Viewpoint
from apps.search.searching import matcher_for
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

KIND: Final = "bulk_answer"
PAGE: Final = 200  # records a transaction, which people who answer them wait for
MAX_PICKED: Final = 10_000  # records named one by one


@dataclass(frozen=True)
class Selection:
    """Records picked by id, or all that a search matches, up to the last one there was.

    ``phrase`` is the vector of the phrase searched for, made when it was asked.
    """

    asked: Asked
    picked: Sequence[UUID] | None = None
    upto: UUID | None = None
    phrase: Sequence[float] | None = None

    def matcher(self, schema: DatasetSchema, member: Membership, viewpoint: Viewpoint) -> Matcher:
        if self.picked is not None:
            return Matcher(schema, only=self.picked)
        return matcher_for(
            schema, self.asked, member.id, viewpoint, phrase=self.phrase, upto=self.upto
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "query": self.asked.text,
            "picked": None if self.picked is None else [str(id) for id in self.picked],
            "upto": str(self.upto) if self.upto else None,
            "phrase": None if self.phrase is None else [float(number) for number in self.phrase],
        }

    @classmethod
    def from_json(
        cls, given: Mapping[str, Any], schema: DatasetSchema, viewpoint: Viewpoint
    ) -> "Selection":
        """Raises ``AbandonJobError`` where a filter makes no sense any more: fewer filters would
        answer more records."""
        asked, problems = read_text(schema, given["query"], viewpoint)
        if problems and given["picked"] is None:
            raise AbandonJobError(problems[0])
        picked = given["picked"]
        return cls(
            asked,
            None if picked is None else [UUID(id) for id in picked],
            UUID(given["upto"]) if given["upto"] else None,
            given["phrase"],
        )


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would happen: ``new`` and ``overwritten`` answers; own ones ``kept``; ``incomplete``
    records, for which a required answer or suggestion is missing. Of those answered, so many
    are ``completed`` already by others, and so many would reach the number that completes them.
    """

    matched: int
    new: int
    overwritten: int
    kept: int
    incomplete: int
    completed: int
    completing: int

    @property
    def answered(self) -> int:
        return self.new + self.overwritten


_DRY_RUN: Final = """
WITH hits AS MATERIALIZED (SELECT r.id, r.status FROM record r WHERE {{matching}}),
judged AS (
    SELECT hits.status, x.status AS mine, k.submitted,
        x.id IS NOT NULL AND %(dry_keeps)s AS kept, NOT ({possible}) AS incomplete
    FROM hits
    LEFT JOIN response x ON x.organization_id = %(organization)s AND x.record_id = hits.id
        AND x.user_id = %(dry_me)s
    LEFT JOIN record_task k ON k.organization_id = %(organization)s AND k.record_id = hits.id
), told AS (
    SELECT *, NOT kept AND NOT incomplete AS answered FROM judged
)
SELECT count(*), count(*) FILTER (WHERE answered AND mine IS NULL),
    count(*) FILTER (WHERE answered AND mine IS NOT NULL), count(*) FILTER (WHERE kept),
    count(*) FILTER (WHERE NOT kept AND incomplete),
    count(*) FILTER (WHERE answered AND status = 'completed' AND mine IS NULL),
    count(*) FILTER (WHERE answered AND %(dry_submits)s AND status = 'pending'
        AND mine IS DISTINCT FROM 'submitted' AND submitted + 1 >= %(dry_wanted)s)
FROM told
"""
_SUGGESTED: Final = (
    "EXISTS (SELECT FROM suggestion s WHERE s.organization_id = %(organization)s"
    " AND s.record_id = hits.id AND s.question_id = %({id})s {valid})"
)
_SAID: Final = "coalesce(x.values ? %({name})s::text, false)"


def dry_run(matcher: Matcher, member: Membership, answer: BulkAnswer) -> DryRun:
    """Count what the answer would do; nothing is stored. One statement.

    A suggestion with a label that is no longer offered counts here for lists of labels and spans
    alone; the job leaves its record out, and says so.
    """
    possible, facts = _possible(matcher.schema, answer)
    rows = matcher.select(
        _DRY_RUN.format(possible=possible),
        dry_keeps=answer.keeps_mine,
        dry_me=member.id,
        dry_submits=answer.status == ResponseStatus.SUBMITTED,
        dry_wanted=matcher.schema.dataset.min_submitted,
        **facts,
    )
    return DryRun(*rows[0])


def _possible(schema: DatasetSchema, answer: BulkAnswer) -> tuple[str, dict[str, Any]]:
    """SQL that is true where the answer would be complete, with its placeholders."""
    if answer.status != ResponseStatus.SUBMITTED:
        return "true", {}
    facts: dict[str, Any] = {}
    said = {name: _said(schema.questions[name], answer, facts) for name in schema.questions}
    required = [said[name] for name in schema.required_questions if name not in answer.values]
    if not answer.values and not required:  # anything at all will do
        required = [" OR ".join(said.values())]
    return " AND ".join(f"({one})" for one in required) or "true", facts


def _said(rule: QuestionRule, answer: BulkAnswer, facts: dict[str, Any]) -> str:
    number = len(facts)
    facts[f"dry_name_{number}"] = rule.name
    said = _SAID.format(name=f"dry_name_{number}")
    if rule.name not in answer.accepted:
        return said
    facts[f"dry_id_{number}"] = rule.id
    valid = ""
    if rule.type in {QuestionType.LABEL, QuestionType.RATING}:
        facts[f"dry_options_{number}"] = [str(option) for option in rule.options]
        valid = f"AND s.value_key = ANY (%(dry_options_{number})s)"
    elif rule.type == QuestionType.RANKING:
        valid = f"AND jsonb_array_length(s.value) = {len(rule.options)}"
    return f"{said} OR {_SUGGESTED.format(id=f'dry_id_{number}', valid=valid)}"


@transaction.atomic
def start(
    *, dataset: Dataset, member: Membership, selection: Selection, answer: BulkAnswer, expected: int
) -> Job:
    """Answer all of them in the background; ``expected`` is how many the person was told."""
    refuse_archived(dataset)
    return enqueue(
        kind=KIND,
        workspace=dataset.workspace,
        dataset_id=dataset.id,
        created_by=member,
        params={**selection.as_json(), "answer": answer.as_json(), "expected": expected},
    )


def viewpoint_of(schema: DatasetSchema, member: Membership) -> Viewpoint:
    """What the member may search by: an annotator their own answers and what is shown to them."""
    if permissions.may(member, Action.VIEW_ALL_RESPONSES, schema.dataset.workspace_id):
        return EVERYBODY
    hidden = {p.name for p in schema.properties.values() if not p.visible_for_annotators}
    return Viewpoint(member.id, frozenset(hidden))


class BulkAnswers(Kind[list[UUID], list[UUID]]):
    """A page of records an item. The job's id is the key of its answers, so an item that is
    repeated stores nothing twice. What was left out stands among the job's rejects."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        after = FIRST
        while True:
            with enter(organization_id):
                ids = self._matcher(job).ids_after(after, limit=PAGE)
            if not ids:
                return
            yield Planned({"ids": [str(id) for id in ids]}, size=len(ids))
            after = ids[-1]

    def _matcher(self, job: Job) -> Matcher:
        schema, member = _parties(job)
        viewpoint = viewpoint_of(schema, member)
        return Selection.from_json(job.params, schema, viewpoint).matcher(schema, member, viewpoint)

    def read(self, work: Work) -> list[UUID]:
        return [UUID(id) for id in work.payload["ids"]]

    def compute(self, work: Work, material: list[UUID]) -> list[UUID]:
        return material

    def write(self, work: Work, result: list[UUID]) -> Decimal:
        schema, member = _parties(work.job)
        outcome = answer_records(
            schema=schema,
            annotator=member,
            answer=BulkAnswer.from_json(work.job.params["answer"]),
            record_ids=result,
            request_key=work.job.id,
        )
        chain.reject(work, _numbered(work, result, outcome))
        return FREE


def _numbered(work: Work, ids: Sequence[UUID], outcome: Outcome) -> dict[int, str]:
    """Reasons by the record's number in the job."""
    first = work.seq * PAGE
    refused = outcome.refused
    return {first + n: f"{id}: {refused[id]}" for n, id in enumerate(ids) if id in refused}


def _parties(job: Job) -> tuple[DatasetSchema, Membership]:
    """The dataset and who answers. Raises ``AbandonJobError`` when they are gone or may not."""
    dataset = Dataset.objects.filter(id__in=[job.dataset_id]).first()
    if dataset is None:
        raise AbandonJobError("The dataset was deleted.")
    member = Membership.objects.active().filter(id__in=[job.created_by_id]).first()
    if member is None or not permissions.may(member, Action.ANSWER, dataset.workspace_id):
        raise AbandonJobError("Whoever answers here may no longer do so.")
    return load_schema(dataset), member


# --- Taking it back --------------------------------------------------------------------------
UNDO: Final = "bulk_undo"
UNDO_FOR: Final = timedelta(hours=24)


def may_undo(job: Job) -> bool:
    """Whether there is something to take back, and still time for it."""
    ended = job.finished_at
    return (
        job.has_ended and job.done > 0 and ended is not None and timezone.now() < ended + UNDO_FOR
    )


@transaction.atomic
def undo(*, job: Job, member: Membership) -> Job:
    """Take the answers of a job back, in the background. Raises ``ConflictError``: too late,
    still running, or being taken back already."""
    if not may_undo(job):
        raise ConflictError(_("This can no longer be taken back."))
    return enqueue(
        kind=UNDO,
        workspace=job.workspace,
        dataset_id=job.dataset_id,
        subject=str(job.id),
        created_by=member,
        params={"job": str(job.id)},
    )


class BulkUndo(Kind[None, None]):
    """A page an item, each leading to the next until nothing is left to be taken back."""

    is_chain = True

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        yield Planned({}, size=0)

    def read(self, work: Work) -> None:
        return None

    def compute(self, work: Work, material: None) -> None:
        return None

    def write(self, work: Work, result: None) -> Decimal:
        schema, member = _parties(work.job)
        key = UUID(work.job.params["job"])
        swapped = history.undo(
            dataset=schema.dataset, annotator=member, request_key=key, limit=PAGE
        )
        if swapped.record_ids:
            chain.append(work, {})
            chain.advance(work, done=len(swapped.record_ids))
        return FREE
