"""Two sets of answers to the same units: which one is better, if either, and where they differ."""

from typing import Any

import numpy as np

from apps.datasets.models import QuestionType
from apps.quality.measures import labels, paired
from apps.quality.measures.report import (
    BINARY,
    PRIMARY,
    Measured,
    is_right,
    scores,
    set_margins,
)


def compare(a: Measured, b: Measured) -> dict[str, Any]:
    """B against A: by the primary measure, and by macro-F1 where there are labels. As JSON.

    ``units`` are the places of the units that just one of them has right, worst for B first.
    """
    one, other = scores(a), scores(b)
    if a.rule.type in BINARY:
        primary = paired.mcnemar(one, other)
    else:
        primary = paired.paired_bootstrap(one, other)
    by_class = _macro_f1(a, b)
    return {
        "n": len(one),
        "primary": PRIMARY[a.rule.type],
        "test": None if primary is None else primary.as_json(),
        "macro_f1": None if by_class is None else by_class.as_json(),
        "units": differing(a, b),
    }


def differing(a: Measured, b: Measured) -> list[int]:
    """The places where they answered differently and one is better, what B lost first."""
    steps = scores(b) - scores(a)
    order = np.argsort(steps, kind="stable")
    return [int(unit) for unit in order if abs(steps[unit]) > 1e-9]


def disagreeing(measured: Measured) -> list[int]:
    """The places of the units that are not quite right, worst first."""
    worth = scores(measured)
    order = np.argsort(worth, kind="stable")
    return [int(unit) for unit in order if not is_right(measured.rule, float(worth[unit]))]


def _macro_f1(a: Measured, b: Measured) -> paired.Compared | None:
    if a.rule.type not in BINARY and a.rule.type != QuestionType.MULTI_LABEL:
        return None
    one, other = (_margins(measured) for measured in (a, b))
    n, _, k = one.shape
    return paired.paired_statistic(
        one.reshape(n, 3 * k),
        other.reshape(n, 3 * k),
        lambda sums: labels.macro_f1(sums.reshape(-1, 3, k)),
    )


def _margins(measured: Measured) -> labels.Floats:
    if measured.rule.type == QuestionType.MULTI_LABEL:
        return set_margins(measured)
    k = len(measured.values)
    truth, predicted = (
        labels.one_hot(labels.places(measured.values, given), k)
        for given in (measured.truth, measured.predicted)
    )
    return labels.margins(truth, predicted)
