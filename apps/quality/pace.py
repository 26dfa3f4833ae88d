"""How fast a dataset gets done, and what each person has done: counted in the database.

Each function is one statement over the dataset's answers: about a second for a million. A day is
one of UTC.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import Any, Final
from uuid import UUID

import numpy as np

from apps.annotation.quotas import FEWEST, LONGEST_GAP
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.quality.measures.intervals import bootstrap_mean
from apps.records.models import DatasetCounter

PACE_DAYS: Final = 14  # from which the pace is told
FARTHEST: Final = 3_650  # days; what lies behind is not told

_OF: Final = "x.organization_id = %(o)s AND x.dataset_id = %(d)s"
_COMPLETED: Final = f"""
SELECT (at AT TIME ZONE 'UTC')::date, count(*) FROM (
    SELECT x.inserted_at AS at,
        row_number() OVER (PARTITION BY x.record_id ORDER BY x.inserted_at) AS place
    FROM response x WHERE {_OF} AND x.status = 'submitted'
) AS answers WHERE place = %(needed)s GROUP BY 1 ORDER BY 1
"""  # noqa: S608  (constant text)
_DAYS: Final = f"""
SELECT (x.inserted_at AT TIME ZONE 'UTC')::date, count(*) FILTER (WHERE x.status = 'submitted'),
    count(*) FILTER (WHERE x.status = 'discarded')
FROM response x WHERE {_OF} AND x.status <> 'draft'
    AND (%(since)s::timestamptz IS NULL OR x.inserted_at >= %(since)s)
GROUP BY 1 ORDER BY 1
"""  # noqa: S608
_REDUNDANCY: Final = f"""
SELECT least(n, %(most)s), count(*) FROM (
    SELECT count(*) AS n FROM response x WHERE {_OF} AND x.status = 'submitted'
    GROUP BY x.record_id
) AS records GROUP BY 1
"""  # noqa: S608
_QUEUE: Final = """
SELECT min(inserted_at), percentile_disc(0.5) WITHIN GROUP (ORDER BY inserted_at), count(*)
FROM record WHERE organization_id = %(o)s AND dataset_id = %(d)s AND status = 'pending'
"""
_PEOPLE: Final = f"""
SELECT user_id, count(*) FILTER (WHERE status = 'submitted') AS done,
    count(*) FILTER (WHERE status = 'discarded') AS discarded,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY gap) FILTER (WHERE gap > 0 AND gap <= %(gap)s),
    count(*) FILTER (WHERE gap > 0 AND gap <= %(gap)s)
FROM (
    SELECT x.user_id, x.status, extract(epoch FROM x.inserted_at
        - lag(x.inserted_at) OVER (PARTITION BY x.user_id ORDER BY x.inserted_at))::float8 AS gap
    FROM response x WHERE {_OF} AND x.status <> 'draft'
        AND (%(since)s::timestamptz IS NULL OR x.inserted_at >= %(since)s)
        AND (%(person)s::uuid IS NULL OR x.user_id = %(person)s)
) AS answers GROUP BY 1
"""  # noqa: S608
_BY_PERSON: Final = f"""
SELECT x.user_id, (x.inserted_at AT TIME ZONE 'UTC')::date, count(*) FROM response x
WHERE {_OF} AND x.status = 'submitted' AND x.inserted_at >= %(since)s
    AND (%(person)s::uuid IS NULL OR x.user_id = %(person)s)
GROUP BY 1, 2
"""  # noqa: S608


def today() -> date:
    return datetime.now(UTC).date()


def since_days(days: int | None) -> datetime | None:
    """The beginning of the window of so many days, today among them; None is all."""
    return None if days is None else _first_moment(days)


def _first_moment(days: int) -> datetime:
    first = today() - timedelta(days=days - 1)
    return datetime(first.year, first.month, first.day, tzinfo=UTC)


def _facts(dataset: Dataset, **more: Any) -> dict[str, Any]:
    return {"o": current(), "d": dataset.id, **more}


# --- The dataset ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Eta:
    """The day on which all is done at the present pace; ``late`` None: nobody can tell."""

    day: date
    early: date
    late: date | None


@dataclass(frozen=True, slots=True)
class BurnUp:
    """Completed records, cumulated by day; ``undated`` of them by nobody's answer.

    ``a_day`` is the mean of the ``measured`` last days.
    """

    total: int
    completed: int
    undated: int
    days: list[tuple[date, int]]
    a_day: float
    measured: int
    eta: Eta | None

    def upto(self, since: datetime | None) -> list[tuple[date, int]]:
        """Every day from the first one, or of the window, on; what came before counts along."""
        if not self.days:
            return []
        first = max(self.days[0][0], since.date()) if since else self.days[0][0]
        known = dict(self.days)
        before = [n for day, n in self.days if day < first]
        reached = before[-1] if before else self.undated
        found = []
        for step in range((today() - first).days + 1):
            day = first + timedelta(days=step)
            reached = known.get(day, reached)
            found.append((day, reached))
        return found


def burn_up(dataset: Dataset) -> BurnUp:
    """A record is completed by the last answer it needs. Two queries."""
    counter = DatasetCounter.objects.filter(dataset=dataset).first()
    total, completed = (counter.records, counter.completed) if counter else (0, 0)
    facts = _facts(dataset, needed=dataset.min_submitted)
    daily = list(raw_cursor().execute(_COMPLETED, facts))
    undated = completed - sum(n for _, n in daily)  # settled without answers, or reopened since
    reached, days = undated, []
    for day, n in daily:
        reached += n
        days.append((day, max(reached, 0)))
    pace = _pace(dict(daily))
    a_day = float(pace.mean()) if len(pace) else 0.0
    eta = _eta(total - completed, pace)
    return BurnUp(total, completed, max(undated, 0), days, a_day, len(pace), eta)


def _pace(daily: dict[date, int]) -> Any:
    """Records completed on each of the last days, from the first one on; today is not over."""
    if not daily:
        return np.zeros(0)
    days = [today() - timedelta(days=step) for step in range(PACE_DAYS, 0, -1)]
    return np.array([float(daily.get(day, 0)) for day in days if day >= min(daily)])


def _eta(left: int, pace: Any) -> Eta | None:
    """At the mean of the last days, with the bootstrap interval of that mean."""
    if left <= 0 or len(pace) < FEWEST:
        return None
    mean = bootstrap_mean(pace)
    if mean is None or mean.value <= 0 or left / mean.value > FARTHEST:
        return None

    def after(rate: float | None) -> date | None:
        if not rate or left / rate > FARTHEST:
            return None
        return today() + timedelta(days=ceil(left / rate))

    day, early = after(mean.value), after(mean.high)
    return Eta(day, early or day, after(mean.low)) if day else None


def daily_answers(dataset: Dataset, since: datetime | None) -> list[tuple[date, int, int]]:
    """Submitted and discarded answers of each day from the first one on."""
    rows = raw_cursor().execute(_DAYS, _facts(dataset, since=since)).fetchall()
    if not rows:
        return []
    known = {day: (done, dropped) for day, done, dropped in rows}
    first = since.date() if since else rows[0][0]
    days = (first + timedelta(days=step) for step in range((today() - first).days + 1))
    return [(day, *known.get(day, (0, 0))) for day in days]


def redundancy(dataset: Dataset, total: int) -> list[tuple[int, int]]:
    """How many records have 0, 1, 2 … submitted answers; the last counts more than are needed."""
    most = dataset.min_submitted + 1
    found = dict(raw_cursor().execute(_REDUNDANCY, _facts(dataset, most=most)))
    found[0] = max(total - sum(found.values()), 0)
    return [(n, found.get(n, 0)) for n in range(most + 1)]


@dataclass(frozen=True, slots=True)
class QueueAge:
    """Since when the pending records are there."""

    oldest: datetime
    median: datetime
    n: int


def queue_age(dataset: Dataset) -> QueueAge | None:
    """None when nothing is pending."""
    row = raw_cursor().execute(_QUEUE, _facts(dataset)).fetchone()
    return QueueAge(*row) if row and row[2] else None


# --- People --------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Work:
    """What a person did in the window; ``seconds`` is the median between two answers."""

    done: int = 0
    discarded: int = 0
    seconds: float | None = None

    @property
    def discards(self) -> float | None:
        n = self.done + self.discarded
        return self.discarded / n if n else None


def work(
    dataset: Dataset, *, since: datetime | None = None, person: UUID | None = None
) -> dict[UUID, Work]:
    """By person, or of one alone."""
    facts = _facts(dataset, since=since, gap=LONGEST_GAP, person=person)
    return {
        id: Work(done, dropped, median if n >= FEWEST else None)
        for id, done, dropped, median, n in raw_cursor().execute(_PEOPLE, facts)
    }


def last_days(
    dataset: Dataset, *, days: int = 14, person: UUID | None = None
) -> dict[UUID, list[int]]:
    """Submitted answers of each person on each of the last days, oldest first."""
    since = _first_moment(days)
    found: dict[UUID, list[int]] = {}
    for id, day, n in raw_cursor().execute(_BY_PERSON, _facts(dataset, since=since, person=person)):
        found.setdefault(id, [0] * days)[(day - since.date()).days] = n
    return found
