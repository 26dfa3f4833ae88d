"""The review queue: what waits, who holds it, and how it is kept current.

A sweep notices datasets with new answers and starts ``refresh_review``, which goes through what is
completed or flagged, page by page, and then question by question. How soon it may start again grows
with the number of answers, so that the work is a bounded share of a worker.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext

from apps.annotation.models import Response
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.events.log import changes, emit
from apps.jobs.kinds import FREE, Kind, Planned, Work
from apps.jobs.models import Job
from apps.jobs.services import enqueue
from apps.organizations.models import Membership
from apps.quality.answers import submitted_count
from apps.quality.causes import (
    Cause,
    find_causes,
    find_uncertain,
    is_classed,
    load_crowd,
    replace_causes,
    reviewable,
)
from apps.quality.models import DatasetReview, Flag, ReviewCause, ReviewItem, ReviewReason
from apps.records.models import Record, RecordStatus

KIND: Final = "refresh_review"
PAGE: Final = 2_000  # records an item
HOLD: Final = timedelta(minutes=10)
REST: Final = timedelta(seconds=10)  # between two refreshes, and a millisecond more an answer
# Found on the record itself, page by page; the others are found elsewhere, and stay.
OWN_KINDS: Final = tuple(
    reason
    for reason in ReviewReason
    if reason not in {ReviewReason.UNCERTAIN, ReviewReason.EVALUATION}
)
_START: Final = UUID(int=0)


def review_settings(dataset_id: UUID) -> DatasetReview:
    """The dataset's, or the defaults, unsaved."""
    found = DatasetReview.objects.filter(dataset=dataset_id).first()
    return found or DatasetReview(dataset_id=dataset_id)


@transaction.atomic
def configure_review(
    *, dataset: Dataset, random_percent: float, least_certain: float, blind: bool
) -> DatasetReview:
    """How the dataset is reviewed; the queue follows. Raises ``InvalidError``."""
    if not 0 <= random_percent <= 100:
        raise InvalidError(gettext("The share of random checks lies between 0 and 100 %."))
    if not 0 <= least_certain <= 1:
        raise InvalidError(gettext("A probability lies between 0 and 100 %."))
    wanted = {"random_percent": random_percent, "least_certain": least_certain, "blind": blind}
    known = review_settings(dataset.id)
    told = changes({name: getattr(known, name) for name in wanted}, wanted)
    settings, _ = DatasetReview.objects.update_or_create(dataset=dataset, defaults=wanted)
    emit("review.configured", dataset_id=dataset.id, object_id=dataset.id, payload=told)
    start_refresh(dataset=dataset)
    return settings


# --- Keeping it current --------------------------------------------------------------------------
@transaction.atomic
def start_refresh(*, dataset: Dataset, created_by: Membership | None = None) -> Job | None:
    """Bring the dataset's queue up to date, as a job; None while one runs."""
    now = timezone.now()
    known = {"refreshed_at": now, "answers": submitted_count(dataset.id)}
    try:
        job = enqueue(
            kind=KIND,
            workspace=dataset.workspace,
            dataset_id=dataset.id,
            subject=str(dataset.id),
            created_by=created_by,
        )
    except ConflictError:
        return None
    DatasetReview.objects.update_or_create(dataset=dataset, defaults=known)
    return job


def refresh_soon(dataset_id: UUID) -> None:
    """Have the next sweep start a refresh, or the first after one that runs, for other reasons
    than new answers."""
    DatasetReview.objects.filter(dataset=dataset_id).update(refreshed_at=None)


@transaction.atomic
def refresh_records(*, dataset: Dataset, record_ids: Sequence[UUID]) -> None:
    """Bring a few records up to date at once, except for what only the crowd can tell."""
    schema = load_schema(dataset)
    causes = find_causes(schema, record_ids, review_settings(dataset.id))
    replace_causes(dataset.id, causes, kinds=OWN_KINDS, scope=record_ids)


_DUE = """
SELECT c.organization_id, c.dataset_id FROM dataset_counter c
LEFT JOIN dataset_review r
    ON r.organization_id = c.organization_id AND r.dataset_id = c.dataset_id
WHERE c.last_activity_at IS NOT NULL AND (r.refreshed_at IS NULL
    OR (c.last_activity_at > r.refreshed_at
        AND r.refreshed_at + %s * interval '1 second' + r.answers * interval '1 millisecond' < %s))
"""


def refresh_due() -> int:
    """Start the refreshes that are due, of all organizations; returns how many."""
    return sum(for_each(find(_DUE, [REST.total_seconds(), timezone.now()]), _refresh))


def _refresh(organization_id: UUID, dataset_id: UUID) -> bool:
    with enter(organization_id):
        dataset = Dataset.objects.select_related("workspace").filter(id=dataset_id).first()
        return dataset is not None and start_refresh(dataset=dataset) is not None


@dataclass(frozen=True, slots=True)
class Found:
    """The causes of a page of records (``scope``), or of one question."""

    causes: list[Cause]
    scope: list[UUID] | None = None
    question_id: UUID | None = None
    alpha: float | None = None


class RefreshReview(Kind[Any, Found]):
    """Pages of records first, then each question whose answers are classes."""

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        after = _START
        while True:
            with enter(organization_id):
                ids = _worth_a_look(job.dataset_id or _START, after)[:PAGE]
            if not ids:
                break
            yield Planned({"after": str(after), "until": str(ids[-1])}, size=len(ids))
            after = ids[-1]
        with enter(organization_id):
            questions = [str(rule.id) for rule in _schema(job).questions.values()]
        for id in questions:
            yield Planned({"question": id}, size=0)

    def read(self, work: Work) -> Any:
        schema = _schema(work.job)
        settings = review_settings(schema.dataset.id)
        if "after" in work.payload:
            after, until = UUID(work.payload["after"]), UUID(work.payload["until"])
            ids = _worth_a_look(schema.dataset.id, after, until)
            return Found(find_causes(schema, ids, settings), scope=ids)
        rule = schema.questions_by_id.get(UUID(work.payload["question"]))
        if rule is None or not is_classed(rule):
            return Found([], question_id=UUID(work.payload["question"]))
        return load_crowd(schema, rule), rule, settings.least_certain

    def compute(self, work: Work, material: Any) -> Found:
        if isinstance(material, Found):
            return material
        crowd, rule, least = material
        if crowd is None:
            return Found([], question_id=rule.id)
        causes = find_uncertain(crowd, rule, least)
        return Found(causes, question_id=rule.id, alpha=crowd.alpha)

    def write(self, work: Work, result: Found) -> Decimal:
        dataset_id = work.job.dataset_id
        if dataset_id is None or not Dataset.objects.filter(id=dataset_id).exists():
            return FREE
        if result.question_id is None:
            replace_causes(dataset_id, result.causes, kinds=OWN_KINDS, scope=result.scope)
            return FREE
        ids = [cause.record_id for cause in result.causes]
        open_ids = set(reviewable(dataset_id).filter(id__in=ids).values_list("id", flat=True))
        replace_causes(
            dataset_id,
            [cause for cause in result.causes if cause.record_id in open_ids],
            kinds=[ReviewReason.UNCERTAIN],
            question_id=result.question_id,
        )
        _note_agreement(dataset_id, result)
        return FREE


def _worth_a_look(dataset_id: UUID, after: UUID, until: UUID | None = None) -> list[UUID]:
    """Records that may have causes, or have had some, in order; without ``until`` the first ones.

    These are completed, flagged, or in the queue: of a large dataset that is only begun, few.
    """
    completed = Record.objects.filter(dataset=dataset_id, status=RecordStatus.COMPLETED)
    flagged = Flag.objects.filter(record__dataset=dataset_id)
    waiting = ReviewItem.objects.filter(dataset=dataset_id)
    found: set[UUID] = set()
    for rows, name in ((completed, "id"), (flagged, "record_id"), (waiting, "record_id")):
        rows = rows.filter(**{f"{name}__gt": after}).order_by(name)
        rows = rows.filter(**{f"{name}__lte": until}) if until else rows
        found.update(rows.values_list(name, flat=True)[: None if until else PAGE])
    return sorted(found)


def _schema(job: Job) -> DatasetSchema:
    dataset = Dataset.objects.filter(id=job.dataset_id or _START).first()
    if dataset is None:
        raise NotFoundError("The dataset is gone.")
    return load_schema(dataset)


def _note_agreement(dataset_id: UUID, found: Found) -> None:
    rows = DatasetReview.objects.select_for_update(of=("self",)).filter(dataset=dataset_id)
    settings = rows.first()
    if settings is not None:
        agreement = {**settings.agreement, str(found.question_id): found.alpha}
        DatasetReview.objects.filter(dataset=dataset_id).update(agreement=agreement)


# --- Reading and holding -------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Filters:
    """What a reviewer looks at: a reason, a question and a person who answered, or any."""

    reason: str = ""
    question_id: UUID | None = None
    person_id: UUID | None = None

    def items(self, dataset: Dataset) -> Any:
        """The items of the queue, in its order: as the records were inserted."""
        items = ReviewItem.objects.filter(dataset=dataset)
        causes: dict[str, Any] = {}
        if self.reason:
            causes["reason"] = self.reason
        if self.question_id:
            causes["question"] = self.question_id
        if causes:
            found = ReviewCause.objects.filter(
                dataset=dataset, record=OuterRef("record_id"), **causes
            )
            items = items.filter(Exists(found))
        if self.person_id:
            theirs = Response.objects.submitted().filter(
                record=OuterRef("record_id"), user=self.person_id
            )
            items = items.filter(Exists(theirs))
        return items.order_by("record_id")


def count_reasons(dataset: Dataset) -> Mapping[str, int]:
    """How many records wait for each reason. One query."""
    causes = ReviewCause.objects.filter(dataset=dataset).order_by()
    rows = causes.values_list("reason").annotate(n=Count("record_id", distinct=True))
    return dict(rows)


@transaction.atomic
def take_next(
    *,
    dataset: Dataset,
    reviewer: Membership,
    filters: Filters,
    after: UUID | None = None,
    is_ahead: bool = False,
) -> ReviewItem | None:
    """The item in the reviewer's hands, else the next that is in nobody's; None for none.

    ``after`` passes over what comes before, and gives back what the reviewer held; when one looks
    ahead, that record stays in the reviewer's hands, for as long as the item, which is another one.
    """
    now = timezone.now()
    items = filters.items(dataset)
    mine = items.filter(held_by=reviewer, held_until__gt=now).first()
    if mine is not None and after is None:
        return hold(item=mine, reviewer=reviewer)
    is_free = Q(held_by__isnull=True) | Q(held_by=reviewer) | Q(held_until__lte=now)
    free = items.filter(is_free)
    kept = after if is_ahead else None
    if kept is not None:
        here = ReviewItem.objects.filter(is_free, dataset=dataset, record=kept)
        here.update(held_by=reviewer, held_until=now + HOLD)
        free = free.exclude(record_id=kept)
    later = free.filter(record_id__gt=after) if after else free
    for candidates in (later, free) if after else (free,):
        locked = candidates.select_for_update(of=("self",), skip_locked=True)
        found = locked.first()
        if found is not None:
            return hold(item=found, reviewer=reviewer, beside=kept)
    return None


@transaction.atomic
def hold(*, item: ReviewItem, reviewer: Membership, beside: UUID | None = None) -> ReviewItem:
    """Put the item into the reviewer's hands, unless it is in somebody else's.

    Frees the reviewer's others, but for the one of the record that it is held ``beside``.
    ``item.held_by_id`` tells whose it is then.
    """
    now = timezone.now()
    free = Q(held_by__isnull=True) | Q(held_by=reviewer) | Q(held_until__lte=now)
    rows = ReviewItem.objects.filter(free, record=item.record_id)
    if rows.update(held_by=reviewer, held_until=now + HOLD):
        others = ReviewItem.objects.filter(dataset=item.dataset_id, held_by=reviewer)
        others.exclude(record__in=[item.record_id, beside or item.record_id]).update(
            held_by=None, held_until=None
        )
        item.held_by, item.held_until = reviewer, now + HOLD
    return item
