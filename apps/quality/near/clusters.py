"""Groups of near-duplicates: by shared words, and by the angle between vectors."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.quality.near.minhash import Pair, similar_pairs

WORDS: Final = 0.7  # share of runs of words in common
MEANING: Final = 0.97  # cosine of the vectors
BLOCK: Final = 1_024  # rows compared with all others at a time


def clusters(
    texts: Sequence[str],
    vectors: NDArray[Any] | None = None,
    *,
    words: float = WORDS,
    meaning: float = MEANING,
) -> list[int]:
    """The place of the first near-duplicate of each text: its own if there is none before it.

    ``vectors`` are (n, d) of unit length, zeros for none. Groups are closed under likeness: what
    is like something in a group belongs to it.
    """
    labels = join(len(texts), similar_pairs(texts, threshold=words))
    return labels if vectors is None else join_near(labels, vectors, threshold=meaning)


def join(n: int, pairs: Iterable[Pair]) -> list[int]:
    """The least member of each place's group."""
    parents = list(range(n))

    def top(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for one, other in pairs:
        a, b = sorted((top(one), top(other)))
        parents[b] = a
    return [top(place) for place in range(n)]


def join_near(labels: Sequence[int], vectors: NDArray[Any], *, threshold: float) -> list[int]:
    """Groups brought together where two of their rows have a cosine of at least so much.

    Exact, O(n²) in blocks; rows of zeros are near nothing.
    """
    table, found = np.asarray(vectors, dtype=np.float32), np.array(labels, dtype=np.int64)
    for start in range(0, len(table), BLOCK):
        near = table[start : start + BLOCK] @ table[start:].T >= threshold
        for row in np.flatnonzero(near.sum(axis=1) > 1):
            groups = np.unique(found[start:][near[row]])
            if len(groups) > 1:
                found[np.isin(found, groups)] = groups[0]
    return [int(label) for label in found]
