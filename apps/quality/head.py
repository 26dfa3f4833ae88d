"""The few-shot head: logistic regression over text embeddings.

At 1 to 32 examples a class it is never worse than nearest centroids (clinc150), so it is the only
rule. Trained in well under a second; predicting needs numpy alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.datasets.values import certainty

INVERSE_REGULARISATION: Final = 30.0
ITERATIONS: Final = 300
# The gradient at which training ends. It shrinks with the number of classes, so a fixed bound
# would end before the first step when there are many.
TOLERANCE: Final = 1e-4
TOLERANCE_OF_ALL_CLASSES: Final = 0.05

Value = str | int
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Head:
    """``classes`` are k answer values, ``coefficients`` (k, d), ``intercepts`` (k,) float32.

    Scores are the softmax over the classes, or with ``is_multi`` a sigmoid for each of them.
    """

    classes: tuple[Value, ...]
    coefficients: Floats
    intercepts: Floats
    is_multi: bool = False


def fit(embeddings: Floats, targets: Sequence[Value]) -> Head:
    """Learn to choose one class; (n, d) float32 and n values of at least two classes."""
    classes = tuple(sorted(set(targets), key=str))
    places = {value: place for place, value in enumerate(classes)}
    coefficients, intercepts = _regress(
        embeddings, np.array([places[value] for value in targets]), len(classes)
    )
    if len(classes) == 2:  # one row for the second class: half of it against half of it
        coefficients = np.vstack([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    return Head(classes, _float32(coefficients), _float32(intercepts))


def fit_multi(embeddings: Floats, targets: Sequence[Collection[Value]]) -> Head:
    """Learn which classes apply, each for itself; a class may apply to all examples or to one."""
    classes = tuple(sorted({value for chosen in targets for value in chosen}, key=str))
    coefficients = np.zeros((len(classes), embeddings.shape[1]))
    intercepts = np.zeros(len(classes))
    for place, value in enumerate(classes):
        applies = np.array([value in chosen for chosen in targets])
        if applies.all():
            intercepts[place] = np.log(len(applies) + 1)  # as if one more example spoke against it
            continue
        rows, starts = _regress(embeddings, applies, 2)
        coefficients[place], intercepts[place] = rows[0], starts[0]
    return Head(classes, _float32(coefficients), _float32(intercepts), is_multi=True)


def _regress(embeddings: Floats, targets: NDArray[Any], classes: int) -> tuple[Any, Any]:
    """Coefficients (rows, d) and intercepts (rows,); one row for two classes, else one each."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    tolerance = min(TOLERANCE, TOLERANCE_OF_ALL_CLASSES / classes)
    model = LogisticRegression(C=INVERSE_REGULARISATION, tol=tolerance, max_iter=ITERATIONS)
    # On matrices this small, threads of the algebra library that wait for busy cores cost ten
    # times what they bring.
    with threadpool_limits(1):
        model.fit(embeddings, targets)
    return model.coef_, model.intercept_


def predict(head: Head, embeddings: Floats) -> Floats:
    """(n, k) float32 probabilities, in the order of ``head.classes``."""
    logits = embeddings @ head.coefficients.T + head.intercepts
    if head.is_multi:
        return _float32(1 / (1 + np.exp(-logits)))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return _float32(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Proposal:
    """A suggested value with its score: a list of scores for a list of values, None for none."""

    value: Any
    score: float | list[float] | None

    @property
    def certainty(self) -> float | None:
        """The lowest score."""
        return certainty(self.score)


def propose(head: Head, embeddings: Floats) -> list[Proposal]:
    """The likeliest class for each row; with ``is_multi`` all above one half, at least one."""
    probabilities = predict(head, embeddings)
    if head.is_multi:
        return [_propose_labels(head, row) for row in probabilities]
    best = probabilities.argmax(axis=1)
    return [
        Proposal(head.classes[place], _rounded(row[place]))
        for row, place in zip(probabilities, best, strict=True)
    ]


def _propose_labels(head: Head, row: Floats) -> Proposal:
    places = np.flatnonzero(row > 0.5)
    if not len(places):
        places = np.array([row.argmax()])
    return Proposal([head.classes[n] for n in places], [_rounded(row[n]) for n in places])


def _rounded(score: Any) -> float:
    return round(float(score), 4)


def _float32(numbers: Any) -> Floats:
    return np.asarray(numbers, dtype=np.float32)
