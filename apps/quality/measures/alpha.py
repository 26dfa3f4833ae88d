"""Krippendorff's alpha under any distance, with its bootstrap interval; MASI for sets.

K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011; R. Passonneau, "Measuring
Agreement on Set-valued Items (MASI) for Semantic and Pragmatic Annotation", LREC 2006.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.quality.measures.intervals import Estimate, bootstrap
from apps.quality.measures.labels import divided, many_hot

Floats = NDArray[np.float64]


def nominal(values: int) -> Floats:
    """Different is different: (k, k)."""
    return 1 - np.eye(values)


def ordinal(counts: NDArray[Any]) -> Floats:
    """Squared: the values between two in the (units, k) ``counts``, and half of each."""
    return ranks_between(_pairable(counts).sum(axis=0))


def ranks_between(totals: Floats) -> Floats:
    """The same, of how often each value was given to units that have two answers."""
    middle = np.cumsum(totals) - totals / 2
    return np.asarray((middle[:, None] - middle[None, :]) ** 2)


def masi(sets: Sequence[frozenset[Any]]) -> Floats:
    """1 - Jaccard × monotonicity of each two sets: (m, m)."""
    members = list(dict.fromkeys(member for one in sets for member in one))
    hot = many_hot(members, [list(one) for one in sets])
    shared, sizes = hot @ hot.T, hot.sum(axis=1)
    union = sizes[:, None] + sizes[None, :] - shared
    least, most = (pick(sizes[:, None], sizes[None, :]) for pick in (np.minimum, np.maximum))
    monotonicity = np.where(shared == most, 1.0, np.where(shared == least, 2 / 3, 1 / 3))
    return np.asarray(np.where(union == 0, 0.0, 1 - monotonicity * shared / np.maximum(union, 1)))


def tally(answers: Sequence[Sequence[Any]]) -> tuple[list[Any], Floats]:
    """The distinct values of all units' answers, and how often each unit has each: (units, m)."""
    values = list(dict.fromkeys(value for given in answers for value in given))
    place = {value: number for number, value in enumerate(values)}
    counts = np.zeros((len(answers), len(values)))
    for row, given in enumerate(answers):
        for value in given:
            counts[row, place[value]] += 1
    return values, counts


def alpha(counts: NDArray[Any], distance: Floats) -> Estimate | None:
    """Alpha of (units, k) counts of values under a (k, k) distance.

    The interval resamples units. None where it cannot be estimated: no unit with two answers, or
    one value only.
    """
    summands = _summands(counts, distance)
    return None if summands is None else bootstrap(summands, Statistic(distance))


def value(counts: NDArray[Any], distance: Floats) -> float | None:
    """The same without its interval."""
    summands = _summands(counts, distance)
    return None if summands is None else float(Statistic(distance)(summands.sum(axis=0)[None])[0])


@dataclass(frozen=True, slots=True)
class Statistic:
    """Alpha of (n, 2 + k) sums over units: how far they are apart, their answers, of each value."""

    distance: Floats

    def __call__(self, sums: Floats) -> Floats:
        n, totals = sums[:, 1], sums[:, 2:]
        by_chance = ((totals @ self.distance) * totals).sum(axis=1) / (n * (n - 1))
        return np.asarray(1 - divided(sums[:, 0] / n, by_chance))


def apart(table: Floats, distance: Floats) -> Floats:
    """Of each unit: its answers' distances, each two twice, over the answers less one."""
    return np.asarray(((table @ distance) * table).sum(axis=1) / (table.sum(axis=1) - 1))


def _summands(counts: NDArray[Any], distance: Floats) -> Floats | None:
    table = _pairable(counts)
    if not len(table) or np.count_nonzero(table.sum(axis=0)) < 2:
        return None
    return np.column_stack([apart(table, distance), table.sum(axis=1), table])


def _pairable(counts: NDArray[Any]) -> Floats:
    table = np.asarray(counts, dtype=np.float64)
    return np.asarray(table[table.sum(axis=1) >= 2])
