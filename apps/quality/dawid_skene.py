"""Who is right when people disagree: the model of Dawid and Skene.

Each person has a confusion matrix, each item a true class nobody sees; expectation maximization
finds both. A. P. Dawid and A. M. Skene, "Maximum Likelihood Estimation of Observer Error-Rates
Using the EM Algorithm", Journal of the Royal Statistical Society C 28(1), 1979, pp. 20-28.

The matrices are estimated with a Dirichlet prior (MAP): ``SMOOTHING`` on each cell and
``DIAGONAL`` more on the diagonal, so that somebody with few answers is taken for mostly right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

SMOOTHING: Final = 0.1
DIAGONAL: Final = 1.0
MAX_ROUNDS: Final = 200
ENOUGH: Final = 1e-6  # largest change of a posterior that still counts as movement


@dataclass(frozen=True, slots=True)
class Votes:
    """One row an answer; all three are (n,) and count from 0.

    Several answers of one person to one item are allowed.
    """

    items: Integers
    people: Integers
    labels: Integers
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Items, people, classes."""
        return int(self.items.max()) + 1, int(self.people.max()) + 1, self.classes


@dataclass(frozen=True, slots=True)
class Estimate:
    """``posteriors`` (items, k), ``confusion`` (people, k true, k answered), ``priors`` (k,)."""

    posteriors: Floats
    confusion: Floats
    priors: Floats


def shares(votes: Votes) -> Floats:
    """How the votes of each item are shared out: (items, k), rows sum to 1."""
    items, _, classes = votes.shape
    counts = np.bincount(votes.items * classes + votes.labels, minlength=items * classes)
    table = counts.reshape(items, classes).astype(np.float64)
    return np.asarray(table / np.maximum(table.sum(axis=1, keepdims=True), 1))


def estimate(
    votes: Votes,
    *,
    truth: Mapping[int, int] | None = None,
    smoothing: float = SMOOTHING,
    diagonal: float = DIAGONAL,
) -> Estimate:
    """The posterior of each item; ``truth`` clamps the items whose class is known.

    Starts from the vote shares. Cost: O(n·k) a round, and n·k floats of memory.
    """
    known = _clamped(truth or {}, votes.classes)
    posteriors = _clamp(shares(votes), known)
    for _ in range(MAX_ROUNDS):
        confusion, priors = _maximize(votes, posteriors, smoothing, diagonal)
        renewed = _clamp(_expect(votes, confusion, priors), known)
        moved = float(np.abs(renewed - posteriors).max())
        posteriors = renewed
        if moved < ENOUGH:
            break
    confusion, priors = _maximize(votes, posteriors, smoothing, diagonal)
    return Estimate(posteriors, confusion, priors)


def _maximize(
    votes: Votes, posteriors: Floats, smoothing: float, diagonal: float
) -> tuple[Floats, Floats]:
    _, people, classes = votes.shape
    cells = votes.people * classes + votes.labels
    weights = posteriors[votes.items]
    counts = np.stack(
        [np.bincount(cells, weights[:, k], minlength=people * classes) for k in range(classes)],
        axis=1,
    )
    cube = counts.reshape(people, classes, classes).transpose(0, 2, 1)
    table: Floats = cube + smoothing + diagonal * np.eye(classes)
    totals = table.sum(axis=2, keepdims=True)
    confusion = np.divide(table, totals, out=np.zeros_like(table), where=totals > 0)
    return confusion, posteriors.mean(axis=0)


def _expect(votes: Votes, confusion: Floats, priors: Floats) -> Floats:
    items, _, classes = votes.shape
    with np.errstate(divide="ignore"):
        likelihood = np.log(confusion)[votes.people, :, votes.labels]
        start = np.log(priors)
    sums = [np.bincount(votes.items, likelihood[:, k], minlength=items) for k in range(classes)]
    logs = np.stack(sums, axis=1) + start
    logs -= np.maximum(logs.max(axis=1, keepdims=True), -1e300)
    found = np.exp(logs)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _clamped(truth: Mapping[int, int], classes: int) -> tuple[Integers, Floats]:
    rows = np.fromiter(truth.keys(), dtype=np.int64, count=len(truth))
    values = np.fromiter(truth.values(), dtype=np.int64, count=len(truth))
    return rows, np.eye(classes)[values]


def _clamp(posteriors: Floats, known: tuple[Integers, Floats]) -> Floats:
    rows, values = known
    posteriors[rows] = values
    return posteriors
