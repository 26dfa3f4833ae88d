"""What pairwise preferences come to: how often each model wins, and how often nobody does."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Final

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.pipelines.recipes.preference import FIRST, INCONSISTENT, KEY, SECOND, TIE
from apps.quality.measures.intervals import wilson

_PAIRS: Final = f"""
SELECT pair ->> 'first', pair ->> 'second', pair ->> 'verdict', count(*)
FROM record r, jsonb_array_elements(CASE
    WHEN jsonb_typeof(r.metadata #> '{{{KEY},pairs}}') = 'array'
    THEN r.metadata #> '{{{KEY},pairs}}' ELSE '[]' END) AS pair
WHERE r.organization_id = %(o)s AND r.dataset_id = %(d)s
    AND (%(agent)s::text IS NULL OR r.metadata #>> '{{{KEY},agent}}' = %(agent)s)
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one model fares: ``win_rate`` counts a tie as half a win; ``low`` to ``high`` is its
    95 % interval (Wilson). ``inconsistent`` are the ties for want of a steady verdict."""

    model: str
    comparisons: int
    wins: int
    losses: int
    ties: int
    inconsistent: int
    win_rate: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class WinRates:
    """Models, best first, and each pair of them: ``{"first", "second", "wins", "losses", "ties"}``
    from the first one's side."""

    models: list[Standing]
    pairs: list[dict[str, Any]]


def win_rates(dataset: Dataset, *, agent: str | None = None) -> WinRates:
    """Over all records that a preference was noted on, by one judge or by any. One statement."""
    facts = {"o": current(), "d": dataset.id, "agent": agent}
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for first, second, verdict, count in raw_cursor().execute(_PAIRS, facts).fetchall():
        if first is None or second is None or first == second:
            continue
        if first > second:
            first, second = second, first
            verdict = {FIRST: SECOND, SECOND: FIRST}.get(verdict, verdict)
        counts[first, second][verdict] += count
    models = [_standing(name, counts) for name in sorted({n for pair in counts for n in pair})]
    pairs = [_pair(*pair, counts[pair]) for pair in sorted(counts)]
    return WinRates(sorted(models, key=lambda one: -one.win_rate), pairs)


def _standing(name: str, counts: dict[tuple[str, str], Counter[str]]) -> Standing:
    seen: Counter[str] = Counter()
    for (first, second), verdicts in counts.items():
        if name in (first, second):
            own, other = (FIRST, SECOND) if name == first else (SECOND, FIRST)
            seen["wins"] += verdicts[own]
            seen["losses"] += verdicts[other]
            seen["ties"] += verdicts[TIE] + verdicts[INCONSISTENT]
            seen["inconsistent"] += verdicts[INCONSISTENT]
    n = seen["wins"] + seen["losses"] + seen["ties"]
    rate = (seen["wins"] + seen["ties"] / 2) / n if n else 0.0
    interval = wilson(round(rate * n), n)
    return Standing(
        model=name,
        comparisons=n,
        wins=seen["wins"],
        losses=seen["losses"],
        ties=seen["ties"],
        inconsistent=seen["inconsistent"],
        win_rate=rate,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _pair(first: str, second: str, verdicts: Counter[str]) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "wins": verdicts[FIRST],
        "losses": verdicts[SECOND],
        "ties": verdicts[TIE] + verdicts[INCONSISTENT],
        "inconsistent": verdicts[INCONSISTENT],
    }
