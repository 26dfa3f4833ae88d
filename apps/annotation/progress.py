"""How far a dataset is, and how far one person is in it; read from counters where they exist."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.utils import timezone

from apps.annotation.models import Annotator, Response
from apps.core.prepared import execute
from apps.core.tenancy import current
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
    """Both, for one dataset in a list.

    ``is_exhausted``: nothing was left for the person when they asked last, nothing has become free
    since, and they have nothing in hand.
    """

    dataset: Progress
    mine: MyProgress
    is_exhausted: bool = False

    @property
    def pending(self) -> int:
        """Records that the person may still be asked for, at most: completed ones need nobody."""
        return 0 if self.is_exhausted else min(self.mine.pending, self.dataset.pending)


def dataset_progress(*, dataset: Dataset) -> Progress:
    """Counted records. One query."""
    counter = DatasetCounter.objects.filter(dataset=dataset).first()
    return Progress(counter.records, counter.completed) if counter else Progress(0, 0)


def my_progress(*, dataset: Dataset, annotator: Membership) -> MyProgress:
    """One person's answers by status, and today's against the quota. One statement."""
    return overview(datasets=[dataset], annotator=annotator)[dataset.id].mine


# Lateral, so that a person's answers are counted off the index of each dataset.
_OVERVIEW = """
SELECT given.id, coalesce(c.records, 0), coalesce(c.completed, 0), c.last_activity_at,
    CASE WHEN a.day = %(today)s THEN a.submitted_today ELSE 0 END, a.daily_quota, a.total_quota,
    coalesce(a.exhausted_at = c.reopened_at, false) AND NOT EXISTS (SELECT FROM lease l
        WHERE l.organization_id = %(o)s AND l.dataset_id = given.id AND l.user_id = %(u)s
        AND l.expires_at > %(now)s),
    mine.submitted, mine.draft, mine.discarded
FROM unnest(%(ids)s::uuid[]) AS given (id)
LEFT JOIN dataset_counter c ON c.organization_id = %(o)s AND c.dataset_id = given.id
LEFT JOIN annotator a ON a.organization_id = %(o)s AND a.dataset_id = given.id
    AND a.user_id = %(u)s
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.status = 'submitted') AS submitted,
        count(*) FILTER (WHERE r.status = 'draft') AS draft,
        count(*) FILTER (WHERE r.status = 'discarded') AS discarded
    FROM response r WHERE r.organization_id = %(o)s AND r.dataset_id = given.id
        AND r.user_id = %(u)s
) mine
"""


def overview(*, datasets: Iterable[Dataset], annotator: Membership) -> dict[UUID, Overview]:
    """Progress of every dataset and of the person in each. One statement for any number."""
    by_id = {dataset.id: dataset for dataset in datasets}
    now = timezone.now()
    facts = {"o": current(), "u": annotator.id, "ids": list(by_id), "today": now.date(), "now": now}
    return {row[0]: _overview(by_id[row[0]], row) for row in execute(_OVERVIEW, facts)}


def _overview(dataset: Dataset, row: Sequence[Any]) -> Overview:
    _, total, completed, active_at, today, daily_quota, total_quota, *rest = row
    is_exhausted, submitted, draft, discarded = rest
    mine = MyProgress(
        total=total,
        submitted=submitted,
        draft=draft,
        discarded=discarded,
        submitted_today=today,
        daily_quota=_quota(dataset.daily_quota, daily_quota),
        total_quota=_quota(dataset.total_quota, total_quota),
    )
    return Overview(Progress(total, completed, active_at), mine, is_exhausted)


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
