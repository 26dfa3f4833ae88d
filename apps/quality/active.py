"""Which records to label next, so that few answers teach the most.

At first the records nearest to the centres of k-means clusters; once a head is trained, among the
records between whose two likeliest classes it can least decide, again the centres: uncertain and
unlike each other.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

CANDIDATES: Final = 10  # uncertain records looked at for each one picked
ITERATIONS: Final = 30
SAMPLE: Final = 2_048  # rows a step of k-means looks at

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


def pick_typical(embeddings: Floats, count: int, *, seed: int = 0) -> Rows:
    """Up to ``count`` row numbers: the nearest to each cluster's centre. (n, d) float32."""
    if len(embeddings) <= count:
        return np.arange(len(embeddings))
    groups, distances = _cluster(embeddings, count, seed)
    nearest_first = np.lexsort((distances, groups))
    _, firsts = np.unique(groups[nearest_first], return_index=True)
    return np.sort(nearest_first[firsts])


def pick_uncertain(embeddings: Floats, probabilities: Floats, count: int, *, seed: int = 0) -> Rows:
    """Up to ``count`` row numbers, uncertain and diverse. (n, d) and (n, k) float32, k >= 2."""
    closest = np.argsort(margins(probabilities), kind="stable")[: CANDIDATES * count]
    picked: Rows = closest[pick_typical(embeddings[closest], count, seed=seed)]
    return np.sort(picked)


def margins(probabilities: Floats) -> Floats:
    """(n,) float32: by how much the likeliest class leads the second; 0 is undecided."""
    best_two = np.partition(probabilities, -2, axis=1)[:, -2:]
    lead: Floats = best_two[:, 1] - best_two[:, 0]
    return lead


def _cluster(embeddings: Floats, count: int, seed: int) -> tuple[Any, Any]:
    """(n,) cluster of each row and (n,) distance to its centre."""
    from sklearn.cluster import MiniBatchKMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    model = MiniBatchKMeans(
        count, n_init=1, max_iter=ITERATIONS, batch_size=SAMPLE, random_state=seed
    )
    with threadpool_limits(1):
        groups = model.fit_predict(embeddings)
    distances = np.linalg.norm(embeddings - model.cluster_centers_[groups], axis=1)
    return groups, distances
