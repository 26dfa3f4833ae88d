"""A member's work across datasets: queues, what was done, what comes next, what needs a manager."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.annotation import progress, quotas
from apps.annotation.models import Response
from apps.datasets.models import Dataset, DatasetStatus
from apps.jobs.models import Job, JobState
from apps.organizations.models import Membership
from apps.quality.models import ReviewItem
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

STALLED = timedelta(days=3)  # without an answer
RECENT = timedelta(days=7)  # of failed jobs
SHOWN = 4  # of each thing that needs a manager
WEEK = timedelta(days=7)
JOB_NAMES: dict[str, Any] = {
    "bulk_answer": _("answers to many records"),
    "dataset_copy": _("Copy of a dataset"),
    "file_import": _("Import of a file"),
    "bulk_undo": _("undo of answers to many records"),
    "hub_export": _("export to a hub"),
    "hub_import": _("import from a hub"),
    "organization_export": _("export of the whole organization"),
    "pick_records": _("choice of the records that come next"),
    "edit_questions": _("edit of the questions"),
    "recompute_dataset": _("new count of what is completed"),
    "refresh_review": _("search for records to review"),
    "suggest_few_shot": _("training of the suggestions"),
    "accept_suggestions": _("Accept suggestions"),
    "find_near_duplicates": _("Find near-duplicates"),
    "evaluate": _("Evaluate a prompt"),
    "compare_drafts": _("Compare drafts with records"),
    "suggest": _("Suggest answers"),
    "feedback": _("Rate responses"),
    "preference": _("Rank responses"),
    "like_this": _("Like this, but …"),
    "classification": _("Texts for labels"),
    "self_instruct": _("New instructions"),
    "evolve": _("Harder instructions"),
    "genstruct": _("Questions and answers from documents"),
    "responses": _("Responses"),
    "retrieval": _("Retrieval set"),
    "quality": _("Quality score"),
    "self_check": _("Check against a context"),
    "rules": _("Rules"),
    "embed": _("Vectors of texts"),
}


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset in a list, with its progress and the member's."""

    dataset: Dataset
    overview: progress.Overview

    @property
    def last_activity_at(self) -> datetime:
        """The last answer or change of the dataset."""
        changed = self.dataset.last_activity_at
        return max(self.overview.dataset.last_answer_at or changed, changed)

    @property
    def is_done(self) -> bool:
        return self.overview.dataset.total > 0 and self.overview.dataset.pending == 0

    @property
    def has_work(self) -> bool:
        """Something is left for the member."""
        return self.overview.pending > 0 and not self.overview.mine.quota_reached

    @property
    def is_begun(self) -> bool:
        return self.overview.mine.pending < self.overview.mine.total

    @property
    def to_go(self) -> int:
        """Records that the member may still be asked for today."""
        mine = self.overview.mine
        left = self.overview.pending if self.has_work else 0
        if mine.daily_quota is not None:
            left = min(left, mine.daily_quota - mine.submitted_today)
        if mine.total_quota is not None:
            left = min(left, mine.total_quota - mine.submitted)
        return max(left, 0)

    @property
    def goal(self) -> tuple[int, int]:
        """Done and wanted: of today's quota, the total one, or of all the records."""
        mine = self.overview.mine
        if mine.daily_quota:
            return mine.submitted_today, mine.daily_quota
        if mine.total_quota:
            return mine.submitted, mine.total_quota
        return mine.total - mine.pending, max(mine.total, 1)

    @property
    def shares(self) -> tuple[float, float, float]:
        """Completed records, and the member's submitted answers and drafts beyond, in percent."""
        total = max(self.overview.dataset.total, 1)
        completed = 100 * self.overview.dataset.completed / total
        mine = self.overview.mine
        submitted = min(100 * mine.submitted / total, 100) - completed
        drafts = min(100 * mine.draft / total, 100 - completed - max(submitted, 0))
        return round(completed, 1), round(max(submitted, 0), 1), round(drafts, 1)

    @property
    def draft_start(self) -> float:
        return self.shares[0] + self.shares[1]


def find_rows(member: Membership, search: str = "") -> list[DatasetRow]:
    """One query for the datasets, one for the progress of all of them."""
    visible = Dataset.objects.visible_to(member).select_related("workspace")
    found = list(visible.filter(name__icontains=search).order_by("-last_activity_at", "id"))
    overviews = progress.overview(datasets=found, annotator=member) if found else {}
    return [DatasetRow(dataset, overviews[dataset.id]) for dataset in found]


def find_queues(member: Membership) -> list[DatasetRow]:
    """The queues that are open: with work first, begun ones before others, then by activity."""
    rows = [
        row
        for row in find_rows(member)
        if row.dataset.status == DatasetStatus.READY and row.dataset.archived_at is None
    ]
    return sorted(rows, key=lambda row: (not row.has_work, not row.is_begun))


def minutes_to_go(row: DatasetRow | None, member: Membership) -> int | None:
    """How long today's records of a queue take at the member's pace; None if not known."""
    if row is None or not row.to_go:
        return None
    seconds = quotas.median_seconds(dataset=row.dataset, annotator=member)
    return ceil(row.to_go * seconds / 60) if seconds is not None else None


@dataclass(frozen=True, slots=True)
class NextStep:
    """Where to go when a queue is finished: another one, or records to review here."""

    queue: DatasetRow | None
    reviews: int
    review_url: str


def find_next_step(dataset: Dataset, member: Membership) -> NextStep:
    """What else there is to do for the member. Three queries."""
    others = (row for row in find_queues(member) if row.dataset.id != dataset.id)
    waiting = 0
    if permissions.may(member, Action.REVIEW, dataset.workspace_id):
        waiting = ReviewItem.objects.filter(dataset=dataset).count()
    other = next((row for row in others if row.has_work), None)
    return NextStep(other, waiting, review_url(dataset.id) if waiting else "")


def review_url(dataset_id: UUID) -> str:
    """Where the dataset is reviewed."""
    return reverse("labeling:review", args=[dataset_id])


@dataclass(frozen=True, slots=True)
class Week:
    """Answers submitted in the last seven days, and in the seven before them."""

    submitted: int
    before: int

    @property
    def more(self) -> int:
        """May be negative."""
        return self.submitted - self.before

    @property
    def fewer(self) -> int:
        return -self.more


def find_week(member: Membership, rows: Sequence[DatasetRow]) -> Week:
    """What the member submitted lately in the datasets. One query."""
    now = timezone.now()
    mine = Response.objects.submitted().filter(
        dataset__in=[row.dataset.id for row in rows], user=member, updated_at__gt=now - 2 * WEEK
    )
    late = Count("record_id", filter=Q(updated_at__gt=now - WEEK))
    counts = mine.aggregate(late=late, all=Count("record_id"))
    return Week(counts["late"], counts["all"] - counts["late"])


@dataclass(frozen=True, slots=True)
class Attention:
    """What needs a manager: the same few queries however many datasets there are."""

    stalled: Sequence[DatasetRow]
    failed_jobs: Sequence[tuple[Job, Dataset, str]]
    reached: Sequence[tuple[Dataset, int]]
    reviews: Sequence[tuple[Dataset, int]]

    def __bool__(self) -> bool:
        return bool(self.stalled or self.failed_jobs or self.reached or self.reviews)


def find_attention(member: Membership, rows: Sequence[DatasetRow]) -> Attention | None:
    """For who manages one of the datasets; None for others. Four queries."""
    permissions.remember_roles(member)
    managed = _where(member, Action.MANAGE_DATASET, rows)
    if not managed:
        return None
    datasets = {row.dataset.id: row.dataset for row in managed}
    reached = quotas.quotas_reached(datasets=list(datasets.values()))
    reviews = _count_reviews(list(datasets))
    return Attention(
        stalled=[row for row in managed if _is_stalled(row)][:SHOWN],
        failed_jobs=_failed_jobs(datasets),
        reached=[(datasets[id], n) for id, n in reached.items()][:SHOWN],
        reviews=[(datasets[id], n) for id, n in reviews.items()][:SHOWN],
    )


def _where(member: Membership, action: Action, rows: Sequence[DatasetRow]) -> list[DatasetRow]:
    return [row for row in rows if permissions.may(member, action, row.dataset.workspace_id)]


def _is_stalled(row: DatasetRow) -> bool:
    """Records wait, and nobody has answered or changed anything for days."""
    idle = timezone.now() - row.last_activity_at
    return row.overview.dataset.pending > 0 and idle > STALLED


def _failed_jobs(datasets: dict[UUID, Dataset]) -> list[tuple[Job, Dataset, str]]:
    """With what each job does, in words."""
    recent = Job.objects.filter(dataset_id__in=datasets, inserted_at__gt=timezone.now() - RECENT)
    failed = recent.filter(Q(state=JobState.FAILED) | Q(failed__gt=0)).newest_first()[:SHOWN]
    return [
        (job, datasets[job.dataset_id], str(JOB_NAMES.get(job.kind, job.kind)))
        for job in failed
        if job.dataset_id
    ]


def _count_reviews(dataset_ids: list[UUID]) -> dict[UUID, int]:
    items = ReviewItem.objects.filter(dataset__in=dataset_ids).order_by()
    return dict(items.values_list("dataset_id").annotate(n=Count("record_id")))
