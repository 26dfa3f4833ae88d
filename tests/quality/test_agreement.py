"""Agreement against its definition by pairs, and what several answers come to."""

from itertools import permutations
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from apps.datasets.models import Question
from apps.datasets.schema import QuestionRule
from apps.quality.agreement import agreement, disagrees
from apps.quality.consensus import consensus
from apps.quality.measures import alpha
from tests.factories import QUESTIONS


def by_pairs(counts: Any, ordinal: bool) -> float:
    """Alpha as it is defined: disagreement observed within units over that between all."""
    totals = counts[counts.sum(axis=1) >= 2].sum(axis=0)

    def apart(a: int, b: int) -> float:
        if not ordinal:
            return float(a != b)
        low, high = min(a, b), max(a, b)
        return float((totals[low : high + 1].sum() - (totals[low] + totals[high]) / 2) ** 2)

    units = [np.repeat(range(len(row)), row).tolist() for row in counts if row.sum() >= 2]
    everything = [value for unit in units for value in unit]
    n = len(everything)
    within = sum(apart(a, b) / (len(u) - 1) for u in units for a, b in permutations(u, 2)) / n
    between = sum(apart(a, b) for a, b in permutations(everything, 2)) / (n * (n - 1))
    return 1 - within / between


@pytest.mark.parametrize("ordinal", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_alpha_is_what_its_definition_says(seed: int, ordinal: bool) -> None:
    counts = np.random.default_rng(seed).integers(0, 3, (12, 4))
    distance = alpha.ordinal(counts) if ordinal else alpha.nominal(4)
    assert alpha.value(counts, distance) == pytest.approx(by_pairs(counts, ordinal))


def test_krippendorffs_own_example() -> None:
    """Twelve units, four observers, five values: .743 nominal and .815 ordinal."""
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
    ]
    table = np.array(observers)
    counts = np.stack([(table == value).sum(axis=0) for value in range(1, 6)], axis=1)
    assert alpha.value(counts, alpha.nominal(5)) == pytest.approx(0.743, abs=5e-4)
    assert alpha.value(counts, alpha.ordinal(counts)) == pytest.approx(0.815, abs=5e-4)


def test_alpha_of_one_value_or_of_single_answers_cannot_be_told() -> None:
    assert alpha.value(np.array([[2, 0], [3, 0]]), alpha.nominal(2)) is None
    assert alpha.value(np.array([[1, 0], [0, 1]]), alpha.nominal(2)) is None


def rule(name: str) -> QuestionRule:
    question = Question(organization_id=uuid4(), name=name, settings=dict(QUESTIONS[name]))
    return QuestionRule(question)


def ranks(*names: str) -> list[dict[str, Any]]:
    """``"b=a"`` ties the two."""
    return [
        {"value": name, "rank": place}
        for place, tied in enumerate(names, 1)
        for name in tied.split("=")
    ]


def span(start: int, end: int, label: str = "person") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


@pytest.mark.parametrize(
    ("name", "answers", "agreed", "value"),
    [
        ("sentiment", ["mixed", "mixed", "positive"], 1 / 3, "mixed"),
        ("sentiment", ["mixed", "positive"], 0, None),
        ("sentiment", ["mixed", "mixed"], 1, "mixed"),
        ("sentiment", ["mixed"], None, "mixed"),
        ("genre", [["comedy", "drama"], ["drama"]], 1 / 2, ["drama"]),
        ("genre", [["comedy"], ["drama"]], 0, None),
        ("genre", [["drama", "comedy"]] * 2, 1, ["comedy", "drama"]),
        ("quality", [1, 5], 0, None),
        ("quality", [1, 2, 4, 5], 5 / 12, None),
        ("quality", [1, 3, 3, 5], 1 / 2, 3),
        ("quality", [2, 3, 4, 4], 17 / 24, 4),
        ("quality", [4, 5], 3 / 4, None),
        ("quality", [4, 5, 5], (0.75 + 0.75 + 1) / 3, 5),
        ("order", [ranks("a", "b", "c"), ranks("c", "b", "a")], 0, None),
        ("order", [ranks("a", "b", "c"), ranks("b", "a", "c")], 2 / 3, ranks("a=b", "c")),
        ("order", [ranks("a=b=c"), ranks("a=b=c")], 1, ranks("a=b=c")),
        ("order", [ranks("a=b=c"), ranks("a", "b", "c")], 1 / 2, ranks("a", "b", "c")),
        ("order", [ranks("a", "b", "c"), ranks("c")], 1 / 2, ranks("a", "b=c")),
        ("order", [ranks("a"), ranks("b")], 1 / 2, None),
        ("order", [ranks("a"), ranks("a")], 1, ranks("a")),
        ("entities", [[span(0, 4)], [span(2, 6)]], 1 / 2, [span(2, 4)]),
        ("entities", [[span(0, 4)], [span(0, 4, "place")]], 0, []),
        ("entities", [[], []], 1, []),
        ("entities", [[span(0, 2), span(2, 4)]] * 2, 1, [span(0, 2), span(2, 4)]),
        ("comment", ["fine", "fine"], None, "fine"),
        ("comment", ["fine", "good"], None, None),
    ],
)
def test_what_answers_come_to(name: str, answers: list[Any], agreed: Any, value: Any) -> None:
    assert agreement(rule(name), answers) == (None if agreed is None else pytest.approx(agreed))
    assert consensus(rule(name), answers) == value


def test_one_step_of_a_rating_is_no_disagreement() -> None:
    assert disagrees(rule("quality"), [4, 5]) is None
    assert disagrees(rule("quality"), [3, 5]) == pytest.approx(0.5)
    assert disagrees(rule("sentiment"), ["mixed", "positive"]) == 0
    assert disagrees(rule("comment"), ["a", "b"]) is None
