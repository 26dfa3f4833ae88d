"""Answers that are classes, one or several a unit: confusion, shares, and what is beyond chance.

Cohen's kappa (J. Cohen, "A Coefficient of Agreement for Nominal Scales", 1960) and its weighted
form (J. Cohen, "Weighted kappa", Psychological Bulletin 70, 1968).

*Margins* are (…, 3, k): by class, how often both say it, the truth does, the prediction does.
They add up over units, so resampling needs nothing else.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NONE: Final = -1  # the place of an answer that is none of the values


def places(values: Sequence[Any], answers: Sequence[Any]) -> Integers:
    """The place of each answer in ``values``, (n,); ``NONE`` where it has none."""
    place = {value: number for number, value in enumerate(values)}
    known = (isinstance(answer, str | int) for answer in answers)
    found = [
        place.get(answer, NONE) if is_one else NONE
        for answer, is_one in zip(answers, known, strict=True)
    ]
    return np.array(found, dtype=np.int64)


def confusion(truth: Integers, predicted: Integers, classes: int) -> Integers:
    """Counts by (true, predicted); the last column is for what was not answered: (k, k + 1)."""
    columns = np.where(predicted == NONE, classes, predicted)
    counts = np.bincount(truth * (classes + 1) + columns, minlength=classes * (classes + 1))
    return np.asarray(counts.reshape(classes, classes + 1))


def one_hot(answers: Integers, classes: int) -> Floats:
    """(n, k); zeros where there is no answer."""
    return np.asarray(np.vstack([np.eye(classes), np.zeros(classes)])[answers])


def many_hot(values: Sequence[Any], answers: Sequence[Sequence[Any] | None]) -> Floats:
    """Lists of values as (n, k) of ones and zeros."""
    place = {value: number for number, value in enumerate(values)}
    table = np.zeros((len(answers), len(values)))
    for row, chosen in enumerate(answers):
        table[row, [place[value] for value in chosen or () if value in place]] = 1
    return table


def margins(truth: Floats, predicted: Floats) -> Floats:
    """Of (n, k) answers, by unit: (n, 3, k)."""
    return np.stack([truth * predicted, truth, predicted], axis=1)


def precision_recall_f1(sums: Floats) -> Floats:
    """By class: (…, 3, k). Not a number for a class that nobody predicted, or that is not."""
    both, truth, predicted = sums[..., 0, :], sums[..., 1, :], sums[..., 2, :]
    found = [divided(both, predicted), divided(both, truth), divided(2 * both, truth + predicted)]
    return np.stack(found, axis=-2)


def macro_f1(sums: Floats) -> Floats:
    """The mean F1 of the classes that occur in either; one never found has an F1 of 0."""
    scores = precision_recall_f1(sums)[..., 2, :]
    return divided(np.nan_to_num(scores).sum(axis=-1), (~np.isnan(scores)).sum(axis=-1))


def micro_f1(sums: Floats) -> Floats:
    """F1 over all classes together."""
    both, truth, predicted = np.moveaxis(sums.sum(axis=-1), -1, 0)
    return divided(2 * both, truth + predicted)


def kappa(sums: Floats) -> Floats:
    """Cohen's, of units with one class each; not a number where only one class occurs."""
    n = sums[..., 1, :].sum(axis=-1)
    seen = divided(sums[..., 0, :].sum(axis=-1), n)
    chance = divided((sums[..., 1, :] * sums[..., 2, :]).sum(axis=-1), n * n)
    return divided(seen - chance, 1 - chance)


def weighted_kappa(tables: NDArray[Any]) -> Floats:
    """Cohen's with squared distances of places, of (…, k, k) counts by (true, predicted)."""
    table = np.asarray(tables, dtype=np.float64)
    at = np.arange(table.shape[-1])
    weights = (at[:, None] - at[None, :]) ** 2.0
    expected = table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :]
    by_chance = divided((expected * weights).sum(axis=(-2, -1)), table.sum(axis=(-2, -1)))
    return np.asarray(1 - divided((table * weights).sum(axis=(-2, -1)), by_chance))


def divided(parts: NDArray[Any], totals: NDArray[Any]) -> Floats:
    """Quotients; not a number where there is nothing to divide by."""
    above, below = np.broadcast_arrays(
        np.asarray(parts, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    )
    return np.asarray(np.divide(above, below, out=np.full(below.shape, np.nan), where=below != 0))
