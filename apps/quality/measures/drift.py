"""How far one distribution has moved from another.

The population stability index (as in credit scoring: N. Siddiqi, "Credit Risk Scorecards", 2006;
below 0.1 nothing moved, above 0.25 much has) and the divergence of Jensen and Shannon (J. Lin,
1991), in bits: 0 for the same, 1 for nothing in common.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SMOOTHING: Final = 0.5  # counts added to each bin, so that an empty one is no infinity
MOVED: Final = 0.25  # of the index


def psi(before: NDArray[Any], after: NDArray[Any]) -> float | None:
    """The index between two (k,) counts; None where one has nothing."""
    if not before.sum() or not after.sum():
        return None
    p, q = (_shares(counts + SMOOTHING) for counts in (before, after))
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(before: NDArray[Any], after: NDArray[Any]) -> float | None:
    """The divergence between two (k,) counts, in bits; None where one has nothing."""
    if not before.sum() or not after.sum():
        return None
    p, q = _shares(before), _shares(after)
    middle = (p + q) / 2
    return float((_relative(p, middle) + _relative(q, middle)) / 2)


def aligned(before: Mapping[Any, int], after: Mapping[Any, int]) -> tuple[Floats, Floats]:
    """Counts by value as two (k,) arrays over the values of either."""
    values = sorted({*before, *after}, key=str)
    one, other = ([float(counts.get(v, 0)) for v in values] for counts in (before, after))
    return np.array(one), np.array(other)


def _shares(counts: NDArray[Any]) -> Floats:
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def _relative(p: Floats, q: Floats) -> float:
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())
