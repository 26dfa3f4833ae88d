"""Answers that are right in parts: spans, rankings, texts.

Span F1 exactly as in the shared task of CoNLL 2003 (E. Tjong Kim Sang and F. De Meulder), and by
characters for overlap. Token F1 and exact match of texts are those of SQuAD (P. Rajpurkar et al.,
2016); chrF is M. Popović's (WMT 2015). Rankings: Kendall's tau-b (M. Kendall, 1945).
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from string import punctuation
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.datasets.schema import QuestionRule
from apps.quality.agreement import covered, tau
from apps.quality.measures.labels import divided

Floats = NDArray[np.float64]
Span = Mapping[str, Any]

GRAMS: Final = 6
BETA: Final = 2.0  # chrF2: recall counts twice
_ARTICLE: Final = {"a", "an", "the"}


def exact_counts(truth: Sequence[Span], predicted: Sequence[Span]) -> tuple[int, int, int]:
    """Spans that agree in label and both ends; those of the truth; those predicted."""
    left, right = _places(truth), _places(predicted)
    return len(left & right), len(left), len(right)


def overlap_counts(truth: Sequence[Span], predicted: Sequence[Span]) -> tuple[int, int, int]:
    """The same of characters marked with the same label."""
    left, right = covered(truth), covered(predicted)
    return len(left & right), len(left), len(right)


def _places(spans: Sequence[Span]) -> set[tuple[str, int, int]]:
    return {(span["label"], span["start"], span["end"]) for span in spans}


def f1(sums: Floats) -> Floats:
    """Of (…, 3) counts: shared, of the truth, predicted. Not a number where nothing is marked."""
    return divided(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def one_f1(counts: tuple[int, int, int]) -> float:
    """Of one unit; 1 when neither marks anything."""
    shared, left, right = counts
    return 2 * shared / (left + right) if left + right else 1.0


def kendall(rule: QuestionRule, one: Any, other: Any) -> float:
    """Tau-b of two rankings, from -1 to 1."""
    return 2 * tau(rule, one, other) - 1


def same_text(one: str, other: str) -> bool:
    """Whether they are equal but for case, punctuation, articles and blanks."""
    return _words(one) == _words(other)


def token_f1(one: str, other: str) -> float:
    """F1 of the words that both have; 1 for two texts without words."""
    left, right = Counter(_words(one)), Counter(_words(other))
    return one_f1(((left & right).total(), left.total(), right.total()))


def chrf(reference: str, text: str) -> float:
    """chrF2 of characters without blanks, from 0 to 1."""
    left, right = ("".join(value.split()) for value in (reference, text))
    precisions, recalls = [], []
    for size in range(1, GRAMS + 1):
        ours, theirs = _grams(left, size), _grams(right, size)
        if not ours and not theirs:
            continue
        shared = (ours & theirs).total()
        precisions.append(shared / theirs.total() if theirs else 0.0)
        recalls.append(shared / ours.total() if ours else 0.0)
    if not precisions:
        return 1.0
    precision, recall = float(np.mean(precisions)), float(np.mean(recalls))
    below = BETA**2 * precision + recall
    return (1 + BETA**2) * precision * recall / below if below else 0.0


def _grams(text: str, size: int) -> "Counter[str]":
    return Counter(text[at : at + size] for at in range(len(text) - size + 1))


def _words(text: str) -> list[str]:
    """Without what SQuAD takes no account of, and without punctuation beyond ASCII."""
    left = "".join(
        letter
        for letter in text.casefold()
        if letter not in punctuation and unicodedata.category(letter)[0] != "P"
    )
    return [word for word in left.split() if word not in _ARTICLE]
