"""A model at work over time: how much it predicts, how often people agree, how far it drifts."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from django.db.models import Min, Q, Sum
from django.utils import timezone

from apps.annotation.models import Response
from apps.datasets.edits.base import WITH_LABELS
from apps.datasets.schema import QuestionRule, load_schema
from apps.monitoring.models import Monitor, Prediction, PredictionCount, Routed
from apps.monitoring.predictions import EACH, NO_SCORE, as_value, labels_of
from apps.quality.causes import is_possible
from apps.quality.consensus import consensus
from apps.quality.measures.drift import aligned, jensen_shannon, psi
from apps.quality.measures.intervals import Estimate, wilson
from apps.quality.measures.report import is_right, score
from apps.quality.models import Adjudication
from apps.quality.schema_changes.since import Since

REFERENCE: Final = 7  # the first days of a monitor, with which the later ones are compared
MOST_ROUTED: Final = 20_000  # routed predictions that are looked at, the newest
MAX_DAYS: Final = 731
By = Literal["day", "week"]


@dataclass
class Period:
    """A day or a week from ``start`` on; counts by label and by tenth of the score."""

    start: date
    n: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    bins: Counter[int] = field(default_factory=Counter)
    routed: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)

    @property
    def acceptance(self) -> Estimate | None:
        """How many of the routed predictions people left as they are."""
        return wilson(self.right.total(), self.answered.total())

    @property
    def precision(self) -> Estimate | None:
        """The same of those that chance picked: how often the model is right at all."""
        return wilson(self.right[Routed.RANDOM], self.answered[Routed.RANDOM])


def series(monitor: Monitor, *, days: int = 30, by: By = "day") -> dict[str, Any]:
    """The last ``days`` as JSON, a point a day or week (from Monday on); eight statements.

    Labels that were renamed or merged since count as what they are now.

    ``label_drift`` and ``score_drift`` are ``{"psi", "js"}`` against the monitor's first week,
    null where either has nothing.
    """
    today = timezone.now().date()
    first = _floor(today - timedelta(days=min(max(days, 1), MAX_DAYS) - 1), by)
    periods = {start: Period(start) for start in _starts(first, today, by)}
    since = Since(monitor.dataset_id)
    reference = _count(monitor, since, periods, first, by)
    _judge(monitor, since, periods, first, by)
    return {
        "by": by,
        "reference": {"n": reference.n, "start": reference.start.isoformat(), "days": REFERENCE},
        "total": _total(periods.values()),
        "points": [_point(period, reference) for period in periods.values()],
    }


def _starts(first: date, last: date, by: By) -> list[date]:
    step = 1 if by == "day" else 7
    return [first + timedelta(days=n) for n in range(0, (last - first).days + 1, step)]


def _floor(day: date, by: By) -> date:
    return day if by == "day" else day - timedelta(days=day.weekday())


def _count(
    monitor: Monitor, since: Since, periods: Mapping[date, Period], first: date, by: By
) -> Period:
    """Fill in what was predicted; returns the monitor's first week."""
    rule = load_schema(monitor.dataset).questions_by_id[monitor.question_id]
    counts = PredictionCount.objects.filter(monitor=monitor)
    begin = counts.aggregate(begin=Min("day"))["begin"] or first
    reference, end = Period(begin), begin + timedelta(days=REFERENCE)
    wanted = counts.filter(Q(day__gte=first) | Q(day__lt=end))
    labels = wanted.exclude(bin=EACH).values_list("day", "label").annotate(n=Sum("n"))
    bins = wanted.values_list("day", "bin").annotate(n=Sum("n"))
    for day, label, n in labels:
        now = _label_now(rule, since, label, day)
        for period in _periods(day, reference, end, periods, by):
            period.labels[now] += n
    for day, bin, n in bins:
        for period in _periods(day, reference, end, periods, by):
            if bin == EACH:
                period.n += n
            elif bin != NO_SCORE:
                period.bins[bin] += n
    return reference


def _label_now(rule: QuestionRule, since: Since, label: str, day: date) -> str:
    """What a day's label is called now; itself where it is gone."""
    if not label or rule.type not in WITH_LABELS:
        return label
    value = since.value(rule, as_value(rule, label), datetime.combine(day, time.min, UTC))
    return labels_of(rule, value)[0] if value else label


def _periods(
    day: date, reference: Period, end: date, periods: Mapping[date, Period], by: By
) -> list[Period]:
    """Where a day counts: in its point, and in the first week."""
    own = periods.get(_floor(day, by))
    return [*([reference] if day < end else []), *([own] if own else [])]


def _judge(
    monitor: Monitor, since: Since, periods: Mapping[date, Period], first: date, by: By
) -> None:
    """Fill in what people were asked, and what they said.

    What a prediction said that cannot be said any more is neither right nor wrong.
    """
    begin = datetime.combine(first, time.min, UTC)
    rows = Prediction.objects.routed().filter(monitor=monitor, predicted_at__gte=begin)
    parts = ("predicted_at", "routed", "value", "record_id", "inserted_at")
    found = list(rows.newest_first().values_list(*parts)[:MOST_ROUTED])
    rule = load_schema(monitor.dataset).questions_by_id[monitor.question_id]
    said = _answers(rule, {row[3] for row in found if row[3] is not None})
    for at, reason, given, record_id, inserted_at in found:
        period = periods.get(_floor(at.date(), by))
        if period is None:
            continue
        period.routed[reason] += 1
        value = since.value(rule, given, inserted_at)
        if record_id in said and value is not None and is_possible(rule, value):
            period.answered[reason] += 1
            period.right[reason] += is_right(rule, score(rule, said[record_id], value))


def _answers(rule: QuestionRule, record_ids: Iterable[UUID]) -> dict[UUID, Any]:
    """What reviewers or else people came to; nothing where they are split."""
    ids = list(record_ids)
    given: dict[UUID, list[Any]] = defaultdict(list)
    rows = Response.objects.submitted().filter(record__in=ids).order_by("id")
    for id, values in rows.values_list("record_id", "values"):
        if rule.name in values:
            given[id].append(values[rule.name]["value"])
    agreed = {id: consensus(rule, answers) for id, answers in given.items()}
    decided = Adjudication.objects.by_people(rule.name).filter(record__in=ids)
    for id, values in decided.values_list("record_id", "values"):
        if rule.name in values:
            agreed[id] = values[rule.name]["value"]
    return {id: value for id, value in agreed.items() if value is not None}


# --- As JSON -------------------------------------------------------------------------------------
def _point(period: Period, reference: Period) -> dict[str, Any]:
    return {
        "start": period.start.isoformat(),
        "n": period.n,
        "labels": dict(sorted(period.labels.items())) if any(period.labels) else {},
        "scores": [period.bins[bin] for bin in range(10)],
        "routed": dict(period.routed),
        "answered": period.answered.total(),
        "acceptance": _json(period.acceptance),
        "precision": _json(period.precision),
        "label_drift": _drift(reference.labels, period.labels),
        "score_drift": _drift(reference.bins, period.bins),
    }


def _total(periods: Iterable[Period]) -> dict[str, Any]:
    whole = Period(date.min)
    for period in periods:
        whole.n += period.n
        whole.routed += period.routed
        whole.answered += period.answered
        whole.right += period.right
    return {
        "n": whole.n,
        "routed": dict(whole.routed),
        "answered": whole.answered.total(),
        "acceptance": _json(whole.acceptance),
        "precision": _json(whole.precision),
    }


def _drift(before: Mapping[Any, int], after: Mapping[Any, int]) -> dict[str, float] | None:
    one, other = aligned(before, after)
    index, divergence = psi(one, other), jensen_shannon(one, other)
    return None if index is None or divergence is None else {"psi": index, "js": divergence}


def _json(estimate: Estimate | None) -> dict[str, float | None] | None:
    return None if estimate is None else estimate.as_json()
