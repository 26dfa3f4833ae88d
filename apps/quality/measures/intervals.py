"""How far a measured share or mean can be trusted.

Wilson's interval (E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical
Inference", JASA 22, 1927), the exact one of Clopper and Pearson (Biometrika 26, 1934) and the
percentile bootstrap (B. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb, exp, lgamma, log, log1p
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 2_000
SEED: Final = 20_260
_CELLS: Final = 4_000_000  # resampled units held at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the ends of its interval; ``low`` and ``high`` None where none is known."""

    value: float
    low: float | None = None
    high: float | None = None

    def as_json(self) -> dict[str, float | None]:
        return {"value": self.value, "low": self.low, "high": self.high}


def wilson(successes: int, n: int, *, confidence: float = CONFIDENCE) -> Estimate | None:
    """A share with its score interval; None of nothing."""
    if not n:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = float(middle - half) if successes else 0.0
    return Estimate(share, low, float(middle + half) if successes < n else 1.0)


def lower_bound(successes: int, n: int, *, confidence: float = CONFIDENCE) -> float:
    """The share that is exceeded with ``confidence``: Clopper and Pearson's, one-sided.

    The share at which as many successes or more have a probability of 1 - confidence.
    """
    if not successes:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if upper_tail(successes, n, middle) < 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def upper_tail(successes: int, n: int, share: float) -> float:
    """The probability of at least ``successes`` of ``n`` when each has the probability."""
    if successes <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    logs = [_log_binomial(n, k, share) for k in range(successes, n + 1)]
    return min(sum(exp(value) for value in logs), 1.0)


def _log_binomial(n: int, k: int, share: float) -> float:
    ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
    return ways + k * log(share) + (n - k) * log1p(-share)


def two_sided_sign(fewer: int, n: int) -> float:
    """The exact two-sided probability of a split as uneven as ``fewer`` of ``n`` by fair coin."""
    tail = sum(comb(n, k) for k in range(min(fewer, n - fewer) + 1)) if n <= 1_000 else 0
    if tail:
        return float(min(2 * tail / 2**n, 1.0))
    return float(min(2 * upper_tail(n - min(fewer, n - fewer), n, 0.5), 1.0))


def resamples(n: int, *, rounds: int = RESAMPLES, seed: int = SEED) -> Floats:
    """How often each of ``n`` units is drawn in each round: (rounds, n), rows sum to ``n``."""
    drawn = np.random.default_rng(seed).integers(0, n, (rounds, n))
    places = drawn + n * np.arange(rounds)[:, None]
    counts = np.bincount(places.ravel(), minlength=rounds * n)
    return np.asarray(counts.reshape(rounds, n), dtype=np.float64)


def resampled(units: NDArray[Any], statistic: Callable[[Floats], Floats]) -> Floats:
    """A statistic of the sums over units, in each round: (rounds,).

    ``units`` is (n, cells): what each unit adds. ``statistic`` maps (rounds, cells) to (rounds,).
    """
    n = len(units)
    size = max(min(RESAMPLES, _CELLS // n), 1)
    parts = []
    for at in range(0, RESAMPLES, size):
        drawn = resamples(n, rounds=min(size, RESAMPLES - at), seed=SEED + at)
        parts.append(statistic(drawn @ units))
    return np.concatenate(parts)


def bootstrap(
    units: NDArray[Any],
    statistic: Callable[[Floats], Floats],
    *,
    confidence: float = CONFIDENCE,
) -> Estimate | None:
    """The statistic with its percentile interval; see ``resampled``.

    None where it is not estimable; rounds in which it is not are left out.
    """
    if not len(units):
        return None
    value = float(statistic(units.sum(axis=0, dtype=np.float64)[None])[0])
    if np.isnan(value):
        return None
    return between(value, resampled(units, statistic), confidence)


def bootstrap_mean(scores: NDArray[Any]) -> Estimate | None:
    """The mean of (n,) scores with its percentile interval; None of nothing."""
    n = len(scores)
    column = np.asarray(scores, dtype=np.float64)[:, None]
    return bootstrap(column, lambda sums: np.asarray(sums[:, 0] / n))


def between(value: float, found: Floats, confidence: float = CONFIDENCE) -> Estimate:
    """The value with the quantiles of what resampling found."""
    known = found[~np.isnan(found)]
    if not len(known):
        return Estimate(value)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))
