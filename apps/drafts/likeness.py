"""What nearly repeats something: MinHash finds candidates, counting decides.

Drafts are short and come one after another: so runs are of characters, and bands are kept.

Broder: On the resemblance and containment of documents (1997). Texts are alike when they share
most of their runs of five characters. Each text has ``BANDS`` numbers; alike texts have one of
them in common (of texts at the threshold, all but one in two thousand).
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.drafts.content import fold
from apps.quality.near.minhash import resemblance

ALIKE: Final = 0.8  # share of runs in common (Jaccard)
RUN: Final = 5  # characters
BANDS: Final = 20
MINIMA: Final = 5  # in a band
MOST: Final = 20_000  # characters that are looked at

Runs = NDArray[np.uint64]

_random = np.random.default_rng(1997)
_FACTORS: Final = _random.integers(1, 2**63, BANDS * MINIMA, dtype=np.uint64) | np.uint64(1)
_OFFSETS: Final = _random.integers(0, 2**63, BANDS * MINIMA, dtype=np.uint64)
_POWERS: Final = np.array([1_000_003**n % 2**32 for n in range(RUN)], dtype=np.uint64)


def runs_of(text: str) -> Runs:
    """The different runs as hashes, (n,) uint64 ascending; none of a text without words."""
    codes = np.frombuffer(fold(text)[:MOST].encode("utf-32-le", "replace"), dtype=np.uint32)
    if not len(codes):
        return np.empty(0, dtype=np.uint64)
    if len(codes) < RUN:
        codes = np.pad(codes, (0, RUN - len(codes)))
    windows = np.lib.stride_tricks.sliding_window_view(codes, RUN).astype(np.uint64)
    return np.unique(windows @ _POWERS)


def bands_of(runs: Runs, scope: str = "") -> list[int]:
    """``BANDS`` signed 64-bit numbers; of no runs none. Those of another scope are others."""
    if not len(runs):
        return []
    least = (runs[:, None] * _FACTORS + _OFFSETS >> np.uint64(32)).min(axis=0)
    return [
        int.from_bytes(_digest(f"{n} {scope} ", least[n * MINIMA : (n + 1) * MINIMA]), signed=True)
        for n in range(BANDS)
    ]


def most_alike(runs: Runs, candidates: Sequence[Runs]) -> int | None:
    """Which of the candidates is most alike, and enough so; of equal ones the first."""
    shares = [resemblance(runs, candidate) for candidate in candidates]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    return best if best is not None and shares[best] >= ALIKE else None


def _digest(salt: str, minima: Runs) -> bytes:
    return blake2b(salt.encode() + minima.tobytes(), digest_size=8).digest()
