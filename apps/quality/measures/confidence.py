"""What a model's own confidence is worth: calibration, and what may be accepted without a look.

Expected calibration error: M. P. Naeini, G. Cooper and M. Hauskrecht, "Obtaining Well Calibrated
Probabilities Using Bayesian Binning", AAAI 2015. Accepting selectively: Y. Geifman and R. El-Yaniv,
"Selective Classification for Deep Neural Networks", 2017, with the bound of Clopper and Pearson.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.quality.measures.intervals import CONFIDENCE, lower_bound, upper_tail

Floats = NDArray[np.float64]

BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same confidence: how many, how sure, how often right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """``error`` is the expected calibration error, ``brier`` the mean squared one."""

    n: int
    error: float
    brier: float
    bins: list[Bin]


def calibration(scores: NDArray[Any], right: NDArray[Any]) -> Calibration | None:
    """Of (n,) confidences in [0, 1] and whether each was right; None of nothing."""
    sure, correct = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    if not len(sure):
        return None
    places = np.clip(np.ceil(sure * BINS) - 1, 0, BINS - 1).astype(np.int64)
    bins = []
    for place in np.unique(places):
        chosen = places == place
        shares = float(sure[chosen].mean()), float(correct[chosen].mean())
        bins.append(Bin(place / BINS, (place + 1) / BINS, int(chosen.sum()), *shares))
    error = sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / len(sure)
    return Calibration(len(sure), error, float(((sure - correct) ** 2).mean()), bins)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is accepted at a threshold: ``n`` of ``of``, ``right`` of them right.

    ``bound`` is what the precision exceeds with 95 % confidence.
    """

    threshold: float
    n: int
    of: int
    right: int
    bound: float

    @property
    def coverage(self) -> float:
        return self.n / self.of if self.of else 0.0

    @property
    def precision(self) -> float | None:
        return self.right / self.n if self.n else None

    def as_json(self) -> dict[str, Any]:
        return {
            "threshold": self.threshold,
            "n": self.n,
            "of": self.of,
            "right": self.right,
            "coverage": self.coverage,
            "precision": self.precision,
            "bound": self.bound,
        }


def accepted_at(threshold: float, scores: NDArray[Any], right: NDArray[Any]) -> Accepted:
    """What the threshold accepts: answers at least as sure."""
    chosen = np.asarray(scores, np.float64) >= threshold
    hits = int(np.asarray(right, bool)[chosen].sum())
    n = int(chosen.sum())
    return Accepted(float(threshold), n, len(chosen), hits, lower_bound(hits, n))


def widest(
    scores: NDArray[Any], right: NDArray[Any], *, target: float, confidence: float = CONFIDENCE
) -> Accepted | None:
    """The threshold that accepts most with a precision of ``target`` by its lower bound.

    Answers of equal confidence stand or fall together. None where no threshold does.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    sure, hits = np.asarray(scores, np.float64)[order], np.cumsum(np.asarray(right, bool)[order])
    if not len(sure):
        return None
    for end in np.flatnonzero(np.append(np.diff(sure) < 0, True))[::-1]:
        n, good = int(end) + 1, int(hits[end])
        if good / n < target:  # the bound lies below the share
            continue
        if upper_tail(good, n, target) < 1 - confidence:  # so that the bound lies above
            bound = lower_bound(good, n, confidence=confidence)
            return Accepted(float(sure[end]), n, len(sure), good, bound)
    return None
