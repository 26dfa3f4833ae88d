"""How far a dataset is, and how far one person is in it; read from counters where they exist."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count
from django.utils import timezone

from apps.annotation.models import Annotator, Response
from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.records.models import DatasetCounter


@dataclass(frozen=True, slots=True)
class Progress:
    """Records of a dataset."""

    total: int
    completed: int
    last_answer_at: datetime | None = None

    @property
    def pending(self) -> int:
        return self.total - self.completed


@dataclass(frozen=True, slots=True)
class MyProgress:
    """One person's answers in a dataset; ``pending`` are the records without one."""

    total: int
    submitted: int
    draft: int
    discarded: int
    submitted_today: int
    daily_quota: int | None
    total_quota: int | None = None

    @property
    def quota_reached(self) -> bool:
        """Nothing more is handed out, today or for good."""
        return self.today_reached or self.total_reached

    @property
    def today_reached(self) -> bool:
        return self.daily_quota is not None and self.submitted_today >= self.daily_quota

    @property
    def total_reached(self) -> bool:
        return self.total_quota is not None and self.submitted >= self.total_quota

    @property
    def pending(self) -> int:
        return self.total - self.submitted - self.draft - self.discarded


@dataclass(frozen=True, slots=True)
class Overview:
    """Both, for one dataset in a list."""

    dataset: Progress
    mine: MyProgress


def dataset_progress(*, dataset: Dataset) -> Progress:
    """Counted records. One query."""
    counter = DatasetCounter.objects.filter(dataset=dataset).first()
    return Progress(counter.records, counter.completed) if counter else Progress(0, 0)


def my_progress(*, dataset: Dataset, annotator: Membership) -> MyProgress:
    """One person's answers by status, and today's against the quota. Three queries."""
    return overview(datasets=[dataset], annotator=annotator)[dataset.id].mine


def overview(*, datasets: Iterable[Dataset], annotator: Membership) -> dict[UUID, Overview]:
    """Progress of every dataset and of the person in each. Three queries for any number."""
    datasets = list(datasets)
    counters = {row.dataset_id: row for row in DatasetCounter.objects.filter(dataset__in=datasets)}
    answers: dict[UUID, dict[str, int]] = {dataset.id: {} for dataset in datasets}
    counted = Response.objects.filter(dataset__in=datasets, user=annotator)
    for dataset_id, status, count in counted.values_list("dataset_id", "status").annotate(
        n=Count("id")
    ):
        answers[dataset_id][status] = count
    places = {
        row.dataset_id: row
        for row in Annotator.objects.filter(dataset__in=datasets, user=annotator)
    }
    today = timezone.now().date()
    result = {}
    for dataset in datasets:
        counter, place = counters.get(dataset.id), places.get(dataset.id)
        total = counter.records if counter else 0
        counts = answers[dataset.id]
        result[dataset.id] = Overview(
            dataset=Progress(
                total,
                counter.completed if counter else 0,
                counter.last_activity_at if counter else None,
            ),
            mine=MyProgress(
                total=total,
                submitted_today=place.submitted_today if place and place.day == today else 0,
                daily_quota=_quota(dataset.daily_quota, place.daily_quota if place else None),
                total_quota=_quota(dataset.total_quota, place.total_quota if place else None),
                submitted=counts.get("submitted", 0),
                draft=counts.get("draft", 0),
                discarded=counts.get("discarded", 0),
            ),
        )
    return result


def _quota(usual: int | None, own: int | None) -> int | None:
    return usual if own is None else own


def has_answers(*, dataset: Dataset) -> bool:
    """Whether anybody ever answered. One query."""
    return Annotator.objects.filter(dataset=dataset, first_response_at__isnull=False).exists()


def annotators(*, dataset: Dataset) -> list[str]:
    """Usernames of everybody who ever answered, by first answer. One query."""
    return _who_answered(dataset, "first_response_at")


def _who_answered(dataset: Dataset, order: str) -> list[str]:
    places = Annotator.objects.filter(dataset=dataset, first_response_at__isnull=False)
    return list(places.order_by(order, "user_id").values_list("user__username", flat=True))


def by_annotator(*, dataset: Dataset) -> dict[str, dict[str, dict[str, int]]]:
    """``{username: {record status: {response status: n}}}`` of everybody who ever answered, in
    the order in which they became members.

    Two queries; cost grows with the dataset's answers.
    """
    empty = {"submitted": 0, "discarded": 0, "draft": 0}
    result = {
        name: {"completed": dict(empty), "pending": dict(empty)}
        for name in _who_answered(dataset, "user__inserted_at")
    }
    rows = (
        Response.objects.filter(dataset=dataset)
        .values_list("user__username", "record__status", "status")
        .annotate(n=Count("id"))
    )
    for username, record_status, status, count in rows:
        result.setdefault(username, {"completed": dict(empty), "pending": dict(empty)})
        result[username][record_status][status] = count
    return result
