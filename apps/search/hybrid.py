"""One ranking out of several."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID


def fuse(
    *rankings: Sequence[UUID], weights: Sequence[float] | None = None, k: int = 60
) -> list[tuple[UUID, float]]:
    """Reciprocal rank fusion: ids with their scores, best first.

    Each ranking, best first, gives the id at rank n (from 1) ``weight / (k + n)``; the sum counts.
    Scores of the rankings themselves, which cannot be compared, play no part. Equal sums keep the
    order in which the ids are first met. ``weights``, one a ranking, are 1 unless given.

    G. V. Cormack, C. L. A. Clarke, S. Büttcher: Reciprocal Rank Fusion outperforms Condorcet and
    individual Rank Learning Methods. SIGIR 2009.
    """
    scores: dict[UUID, float] = defaultdict(float)
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, id in enumerate(ranking, start=1):
            scores[id] += weight / (k + rank)
    return sorted(scores.items(), key=lambda pair: -pair[1])
