"""Whether one of two is better, told from the same units.

McNemar's exact test (Q. McNemar, Psychometrika 12, 1947) where a unit is right or wrong; the
paired bootstrap (P. Koehn, "Statistical Significance Tests for Machine Translation Evaluation",
EMNLP 2004) for any score.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.quality.measures.intervals import (
    RESAMPLES,
    Estimate,
    between,
    resampled,
    two_sided_sign,
)

Floats = NDArray[np.float64]

LEVEL: Final = 0.05


class Verdict(StrEnum):
    """Of B against A."""

    BETTER = "better"
    WORSE = "worse"
    NOT_DISTINGUISHABLE = "not_distinguishable"


@dataclass(frozen=True, slots=True)
class Compared:
    """``delta`` is B - A. ``only_a`` and ``only_b`` count units that just one has right."""

    n: int
    delta: Estimate
    p: float
    test: str
    verdict: Verdict
    only_a: int | None = None
    only_b: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "delta": self.delta.as_json(),
            "p": self.p,
            "test": self.test,
            "verdict": str(self.verdict),
            "only_a": self.only_a,
            "only_b": self.only_b,
        }


def mcnemar(a: NDArray[Any], b: NDArray[Any]) -> Compared | None:
    """Of (n,) right or wrong; None of nothing. The delta's interval is the bootstrap's."""
    one, other = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    if not len(one):
        return None
    only_a, only_b = int((one & ~other).sum()), int((other & ~one).sum())
    p = two_sided_sign(min(only_a, only_b), only_a + only_b) if only_a + only_b else 1.0
    steps = other.astype(np.float64) - one.astype(np.float64)
    delta = between(float(steps.mean()), _means(steps))
    verdict = judge(p, delta.value)
    return Compared(len(one), delta, p, "mcnemar_exact", verdict, only_a, only_b)


def paired_bootstrap(a: NDArray[Any], b: NDArray[Any]) -> Compared | None:
    """Of (n,) scores a unit; None of nothing."""
    steps = np.asarray(b, dtype=np.float64) - np.asarray(a, dtype=np.float64)
    if not len(steps):
        return None
    return _compared(len(steps), float(steps.mean()), _means(steps))


def paired_statistic(
    a: NDArray[Any], b: NDArray[Any], statistic: Callable[[Floats], Floats]
) -> Compared | None:
    """Of a statistic of sums over units, such as macro-F1; ``a`` and ``b`` are (n, cells)."""
    if not len(a):
        return None
    both = np.concatenate([a, b], axis=1)
    width = a.shape[1]

    def step(sums: Floats) -> Floats:
        return statistic(sums[:, width:]) - statistic(sums[:, :width])

    delta = float(step(both.sum(axis=0, dtype=np.float64)[None])[0])
    return None if np.isnan(delta) else _compared(len(a), delta, resampled(both, step))


def judge(p: float, delta: float) -> Verdict:
    """Nothing is said of a difference that chance makes as often as one time in twenty."""
    if p >= LEVEL or not delta:
        return Verdict.NOT_DISTINGUISHABLE
    return Verdict.BETTER if delta > 0 else Verdict.WORSE


def _means(steps: Floats) -> Floats:
    return resampled(steps[:, None], lambda sums: np.asarray(sums[:, 0] / len(steps)))


def _compared(n: int, delta: float, found: Floats) -> Compared:
    known = found[~np.isnan(found)]
    beyond = min((known <= 0).mean(), (known >= 0).mean()) if len(known) else 1.0
    p = float(min(2 * max(beyond, 1 / RESAMPLES), 1.0))
    return Compared(n, between(delta, found), p, "paired_bootstrap", judge(p, delta))
