"""Groups of near-duplicates: by shared words, and by the angle between vectors."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.quality.near.minhash import Hashes, Pair, runs, signatures, similar_pairs

WORDS: Final = 0.7  # share of runs of words in common
MEANING: Final = 0.97  # cosine of the vectors
# Vectors that average words say of long texts that all are alike: what they bring together must
# also have this share of single words in common.
COMMON: Final = 0.3
BLOCK: Final = 1_024  # rows compared with all others at a time


def clusters(
    texts: Sequence[str],
    vectors: NDArray[Any] | None = None,
    *,
    words: float = WORDS,
    meaning: float = MEANING,
    common: float = COMMON,
) -> list[int]:
    """The place of the first near-duplicate of each text: its own if there is none before it.

    ``vectors`` are (n, d) of unit length, zeros for none. Groups are closed under likeness: what
    is like something in a group belongs to it. ``common`` 0 trusts the vectors alone.
    """
    labels = join(len(texts), similar_pairs(texts, threshold=words))
    if vectors is None:
        return labels
    table = signatures([runs(text, size=1) for text in texts]) if common else None
    return join_near(labels, vectors, threshold=meaning, table=table, common=common)


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


def join_near(
    labels: Sequence[int],
    vectors: NDArray[Any],
    *,
    threshold: float,
    table: Hashes | None = None,
    common: float = 0,
) -> list[int]:
    """Groups brought together where two of their rows have a cosine of at least so much.

    With a ``table`` of signatures, (n, 64), they agree in that share of it as well. Exact, O(n²)
    in blocks; rows of zeros are near nothing.
    """
    rows, found = np.asarray(vectors, dtype=np.float32), np.array(labels, dtype=np.int64)
    for start in range(0, len(rows), BLOCK):
        near = rows[start : start + BLOCK] @ rows[start:].T >= threshold
        for row in np.flatnonzero(near.sum(axis=1) > 1):
            others = start + np.flatnonzero(near[row])
            if table is not None:
                others = others[(table[others] == table[start + row]).mean(axis=1) >= common]
            groups = np.unique(found[others])
            if len(groups) > 1:
                found[np.isin(found, groups)] = groups[0]
    return [int(label) for label in found]
