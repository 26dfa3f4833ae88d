"""How far people agree: chance-corrected over a dataset, and plainly within one record.

Krippendorff's alpha, from counts of values by unit (K. Krippendorff, "Computing Krippendorff's
Alpha-Reliability", 2011). Within a record: the mean over pairs of answers, from 0 to 1.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule

Floats = NDArray[np.float64]


def alpha(counts: NDArray[Any], *, ordinal: bool = False) -> float | None:
    """Alpha of ``counts`` (units, values): how often each value was given to each unit.

    Values stand in their order if ``ordinal``. None where it cannot be estimated: no unit with
    two answers, or one value only.
    """
    table = np.asarray(counts, dtype=np.float64)
    table = table[table.sum(axis=1) >= 2]
    totals = table.sum(axis=0)
    n = totals.sum()
    if not len(table) or np.count_nonzero(totals) < 2:
        return None
    distance = _ordinal(totals) if ordinal else 1 - np.eye(len(totals))
    sizes = table.sum(axis=1, keepdims=True)
    observed = ((table / (sizes - 1)).T @ table - np.diag((table / (sizes - 1)).sum(axis=0))) / n
    expected = (np.outer(totals, totals) - np.diag(totals)) / (n * (n - 1))
    return float(1 - (observed * distance).sum() / (expected * distance).sum())


def _ordinal(totals: Floats) -> Floats:
    """Squared distance: the values between two, and half of each."""
    middle = np.cumsum(totals) - totals / 2
    return np.asarray((middle[:, None] - middle[None, :]) ** 2)


# --- Within one record ---------------------------------------------------------------------------
# What counts as disagreement: below this the record is worth a reviewer's look.
LEAST: Final[Mapping[str, float]] = {
    QuestionType.LABEL: 1.0,
    QuestionType.MULTI_LABEL: 0.75,
    QuestionType.RATING: 0.75,
    QuestionType.RANKING: 0.75,
    QuestionType.SPAN: 0.75,
}


def agreement(rule: QuestionRule, answers: Sequence[Any]) -> float | None:
    """The mean agreement of two answers, 0 to 1; None for texts, or fewer than two answers."""
    measure = _MEASURES.get(rule.type)
    if measure is None or len(answers) < 2:
        return None
    return float(np.mean([measure(rule, one, other) for one, other in combinations(answers, 2)]))


def disagrees(rule: QuestionRule, answers: Sequence[Any]) -> float | None:
    """The agreement, if it is so low that somebody should look; else None."""
    found = agreement(rule, answers)
    return found if found is not None and found < LEAST[rule.type] - 1e-9 else None


def _same(rule: QuestionRule, one: Any, other: Any) -> float:
    return float(one == other)


def _near(rule: QuestionRule, one: Any, other: Any) -> float:
    """1 for equal ratings, 0 for the two ends of the scale."""
    values = [value for value in rule.options if isinstance(value, int)]
    width = max(values, default=1) - min(values, default=0)
    return float(1 - abs(one - other) / max(width, 1))


def jaccard(rule: QuestionRule, one: Any, other: Any) -> float:
    """Shared labels of all that were given."""
    left, right = set(one), set(other)
    return len(left & right) / len(left | right) if left | right else 1.0


def tau(rule: QuestionRule, one: Any, other: Any) -> float:
    """Kendall's tau-b of two rankings, brought from [-1, 1] to [0, 1]; 1 when both only tie."""
    left, right = (_ranks(answer) for answer in (one, other))
    shared = sorted(left.keys() & right.keys())
    a = np.array([left[name] for name in shared], dtype=np.float64)
    b = np.array([right[name] for name in shared], dtype=np.float64)
    rows, columns = np.triu_indices(len(shared), 1)
    steps, others = np.sign(a[rows] - a[columns]), np.sign(b[rows] - b[columns])
    size = np.sqrt(np.abs(steps).sum() * np.abs(others).sum())
    if not size:
        return float(np.array_equal(steps, others))
    return float(((steps * others).sum() / size + 1) / 2)


def _ranks(answer: Any) -> dict[str, int]:
    return {item["value"]: item["rank"] for item in answer if item.get("rank") is not None}


def overlap(rule: QuestionRule, one: Any, other: Any) -> float:
    """F1 of the characters marked with the same label; 1 when neither marks anything."""
    left, right = covered(one), covered(other)
    if not left and not right:
        return 1.0
    return 2 * len(left & right) / (len(left) + len(right))


def covered(spans: Any) -> set[tuple[str, int]]:
    """Each marked character with its label."""
    return {(span["label"], at) for span in spans for at in range(span["start"], span["end"])}


_MEASURES: Final[Mapping[str, Callable[[QuestionRule, Any, Any], float]]] = {
    QuestionType.LABEL: _same,
    QuestionType.MULTI_LABEL: jaccard,
    QuestionType.RATING: _near,
    QuestionType.RANKING: tau,
    QuestionType.SPAN: overlap,
}
