"""How far people agree within one record: the mean over pairs of answers, from 0 to 1."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np

from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule

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
    """Kendall's tau-b of two rankings, brought from [-1, 1] to [0, 1].

    1 where both only tie; the middle where one does, or they have no two options in common.
    """
    left, right = (_ranks(answer) for answer in (one, other))
    shared = sorted(left.keys() & right.keys())
    a = np.array([left[name] for name in shared], dtype=np.float64)
    b = np.array([right[name] for name in shared], dtype=np.float64)
    rows, columns = np.triu_indices(len(shared), 1)
    steps, others = np.sign(a[rows] - a[columns]), np.sign(b[rows] - b[columns])
    size = np.sqrt(np.abs(steps).sum() * np.abs(others).sum())
    if not size:
        is_same = np.array_equal(steps, others) if len(steps) else left == right
        return 1.0 if is_same else 0.5
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
