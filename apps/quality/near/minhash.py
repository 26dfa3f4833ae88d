"""Texts that share most of their words, found without comparing all pairs.

MinHash (A. Broder, "On the Resemblance and Containment of Documents", 1997) with banding: 64
permutations in 16 bands of 4, so of two texts that share 60 % of their runs of words nine in ten
pairs meet in a band, of those that share 90 % all do. What meets is counted exactly.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Pair = tuple[int, int]

PERMUTATIONS: Final = 64
BANDS: Final = 16
ROWS: Final = PERMUTATIONS // BANDS
RUN: Final = 3  # words
MOST: Final = 20_000  # characters that are looked at
CROWDED: Final = 50  # texts in a bucket, beyond which neighbours alone are compared

_WORD: Final = re.compile(r"\w+")
_random = np.random.default_rng(64)
_FACTORS: Final = _random.integers(1, 2**63, PERMUTATIONS, dtype=np.uint64) | np.uint64(1)
_OFFSETS: Final = _random.integers(0, 2**63, PERMUTATIONS, dtype=np.uint64)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


def runs(text: str, *, size: int = RUN) -> Hashes:
    """The different runs of ``size`` (1 or 3) words as (n,) hashes ascending.

    Of as few words as that, the words.
    """
    words = _WORD.findall(text[:MOST].casefold())
    codes = np.array([zlib.crc32(word.encode()) for word in words], dtype=np.uint64)
    if size > 1 and len(codes) > size:
        first, second, third = codes[:-2], codes[1:-1], codes[2:]
        codes = (first * _MIX ^ second) * _MIX ^ third
    return np.unique(codes)


def signatures(texts: Sequence[Hashes]) -> Hashes:
    """The least hash of each text under each permutation: (n, 64); all ones for no words."""
    table = np.full((len(texts), PERMUTATIONS), np.iinfo(np.uint64).max, dtype=np.uint64)
    for row, hashes in enumerate(texts):
        if len(hashes):
            spread = hashes[:, None] * _FACTORS + _OFFSETS
            table[row] = (spread ^ spread >> np.uint64(32)).min(axis=0)
    return table


def candidates(table: Hashes, filled: NDArray[np.bool_]) -> set[Pair]:
    """Pairs of rows that agree in a whole band; ``filled`` says which rows have words at all."""
    found: set[Pair] = set()
    rows = np.flatnonzero(filled)
    for band in range(BANDS):
        part = table[rows, band * ROWS : (band + 1) * ROWS]
        keys = np.zeros(len(rows), dtype=np.uint64)
        for column in part.T:
            keys = (keys ^ column) * _MIX
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order])) + 1
        for bucket in np.split(rows[order], starts):
            found.update(_pairs(bucket))
    return found


def _pairs(bucket: NDArray[np.int64]) -> Iterator[Pair]:
    """All pairs, or in a crowd each with its first, which is enough to bring them together."""
    if len(bucket) < 2:
        return
    if len(bucket) > CROWDED:
        yield from ((int(bucket[0]), int(other)) for other in bucket[1:])
        return
    for n, one in enumerate(bucket):
        yield from ((int(one), int(other)) for other in bucket[n + 1 :])


def resemblance(one: Hashes, other: Hashes) -> float:
    """The share of all their runs that both have, 0 to 1."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    every = len(one) + len(other) - shared
    return shared / every if every else 0.0


def similar_pairs(texts: Sequence[str], *, threshold: float) -> set[Pair]:
    """Pairs of places whose texts resemble each other at least so much."""
    hashes = [runs(text) for text in texts]
    filled = np.array([len(one) > 0 for one in hashes], dtype=bool)
    return {
        (one, other)
        for one, other in candidates(signatures(hashes), filled)
        if resemblance(hashes[one], hashes[other]) >= threshold
    }
