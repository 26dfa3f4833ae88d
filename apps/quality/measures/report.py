"""All that is told of a set of answers measured against the right ones, by type of question.

Human ceiling: the same measure between each two people on the same units, averaged by unit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule
from apps.quality.agreement import jaccard
from apps.quality.measures import alpha as reliability
from apps.quality.measures import labels, parts
from apps.quality.measures.confidence import calibration
from apps.quality.measures.intervals import Estimate, bootstrap, bootstrap_mean, wilson

Floats = NDArray[np.float64]
Figures: TypeAlias = dict[str, Estimate | None]

# What one answer is worth against another, 0 to 1 (rankings: -1 to 1): the measure by which
# versions are compared, and that people reach among themselves.
PRIMARY: Final[Mapping[str, str]] = {
    QuestionType.LABEL: "accuracy",
    QuestionType.RATING: "accuracy",
    QuestionType.MULTI_LABEL: "jaccard",
    QuestionType.SPAN: "overlap_f1",
    QuestionType.RANKING: "tau_b",
    QuestionType.TEXT: "token_f1",
}
BINARY: Final = frozenset({QuestionType.LABEL, QuestionType.RATING})


@dataclass(frozen=True, slots=True)
class Measured:
    """Answers to one question in the order of their units.

    ``predicted`` has None where there is no valid answer, which is as good as wrong; ``people``
    holds what each person answered, one list a unit; ``confidences`` may hold None.
    """

    rule: QuestionRule
    truth: Sequence[Any]
    predicted: Sequence[Any]
    people: Sequence[Sequence[Any]] = ()
    confidences: Sequence[float | None] = ()

    @property
    def values(self) -> list[Any]:
        """The question's options in their order."""
        return self.rule.values


def score(rule: QuestionRule, truth: Any, predicted: Any) -> float:
    """What an answer is worth by the primary measure; no answer is worth the least."""
    if predicted is None:
        return -1.0 if rule.type == QuestionType.RANKING else 0.0
    return _SCORES[rule.type](rule, truth, predicted)


def scores(measured: Measured) -> Floats:
    """Of each unit: (n,)."""
    pairs = zip(measured.truth, measured.predicted, strict=True)
    return np.array([score(measured.rule, *pair) for pair in pairs], dtype=np.float64)


def is_right(rule: QuestionRule, value: float) -> bool:
    """Whether a score by the primary measure is the best there is."""
    return value >= 1 - 1e-9


_SCORES: Final[Mapping[str, Callable[[QuestionRule, Any, Any], float]]] = {
    QuestionType.LABEL: lambda rule, one, other: float(one == other),
    QuestionType.RATING: lambda rule, one, other: float(one == other),
    QuestionType.MULTI_LABEL: jaccard,
    QuestionType.SPAN: lambda rule, one, other: parts.one_f1(parts.overlap_counts(one, other)),
    QuestionType.RANKING: parts.kendall,
    QuestionType.TEXT: lambda rule, one, other: parts.token_f1(one, other),
}


def report(measured: Measured) -> dict[str, Any]:
    """Everything, as JSON; estimates are ``{"value", "low", "high"}`` or null."""
    worth = scores(measured)
    answered = [value is not None for value in measured.predicted]
    return {
        "n": len(measured.truth),
        "invalid": len(answered) - sum(answered),
        "primary": PRIMARY[measured.rule.type],
        "metrics": {name: _json(one) for name, one in _figures(measured, worth).items()},
        "by_label": by_label(measured),
        "ceiling": _ceiling(measured),
        "calibration": _calibration(measured, worth),
    }


def _json(estimate: Estimate | None) -> dict[str, float | None] | None:
    return None if estimate is None else estimate.as_json()


def _figures(measured: Measured, worth: Floats) -> Figures:
    return {**_OF_TYPE[measured.rule.type](measured, worth), **_reliability(measured)}


# --- By type -------------------------------------------------------------------------------------
def _classes(measured: Measured, worth: Floats) -> Figures:
    values = measured.values
    truth = labels.places(values, measured.truth)
    predicted = labels.places(values, measured.predicted)
    k = len(values)
    sums = labels.margins(labels.one_hot(truth, k), labels.one_hot(predicted, k))
    answered = sums[predicted != labels.NONE]
    figures: Figures = {
        "accuracy": wilson(int(worth.sum()), len(worth)),
        "macro_f1": _of_margins(sums, labels.macro_f1),
        "kappa": _of_margins(answered, labels.kappa),
    }
    if measured.rule.type == QuestionType.RATING:
        cells = np.eye(k * k)[(truth * k + predicted)[predicted != labels.NONE]]
        figures["weighted_kappa"] = bootstrap(
            cells, lambda sums: labels.weighted_kappa(sums.reshape(-1, k, k))
        )
        figures["mean_error"] = _mean_error(measured)
    return figures


def _mean_error(measured: Measured) -> Estimate | None:
    pairs = zip(measured.truth, measured.predicted, strict=True)
    return bootstrap_mean(np.array([abs(a - b) for a, b in pairs if b is not None]))


def _sets(measured: Measured, worth: Floats) -> Figures:
    sums = set_margins(measured)
    exact = [
        value is not None and set(value) == set(truth)
        for truth, value in zip(measured.truth, measured.predicted, strict=True)
    ]
    return {
        "jaccard": bootstrap_mean(worth),
        "exact": wilson(sum(exact), len(exact)),
        "macro_f1": _of_margins(sums, labels.macro_f1),
        "micro_f1": _of_margins(sums, labels.micro_f1),
    }


def set_margins(measured: Measured) -> Floats:
    """Of sets of values: (n, 3, k)."""
    values = measured.values
    truth = labels.many_hot(values, measured.truth)
    return labels.margins(truth, labels.many_hot(values, measured.predicted))


def _of_margins(sums: Floats, statistic: Callable[[Floats], Floats]) -> Estimate | None:
    k = sums.shape[-1]
    return bootstrap(sums.reshape(-1, 3 * k), lambda s: statistic(s.reshape(-1, 3, k)))


def _spans(measured: Measured, worth: Floats) -> Figures:
    pairs = [(t, p or ()) for t, p in zip(measured.truth, measured.predicted, strict=True)]
    exact = np.array([parts.exact_counts(*pair) for pair in pairs], dtype=np.float64)
    near = np.array([parts.overlap_counts(*pair) for pair in pairs], dtype=np.float64)
    return {
        "overlap_f1": bootstrap(near.reshape(-1, 3), parts.f1),
        "exact_f1": bootstrap(exact.reshape(-1, 3), parts.f1),
        "mean_overlap_f1": bootstrap_mean(worth),
    }


def _rankings(measured: Measured, worth: Floats) -> Figures:
    pairs = zip(measured.truth, measured.predicted, strict=True)
    first = [value is not None and _best(truth) == _best(value) for truth, value in pairs]
    return {"tau_b": bootstrap_mean(worth), "same_first": wilson(sum(first), len(first))}


def _best(ranking: Any) -> set[str]:
    ranks = {item["value"]: item["rank"] for item in ranking if item.get("rank") is not None}
    return {value for value, rank in ranks.items() if rank == min(ranks.values())}


def _texts(measured: Measured, worth: Floats) -> Figures:
    pairs = [(t, p or "") for t, p in zip(measured.truth, measured.predicted, strict=True)]
    return {
        "token_f1": bootstrap_mean(worth),
        "chrf": bootstrap_mean(np.array([parts.chrf(*pair) for pair in pairs])),
        "exact": wilson(sum(parts.same_text(*pair) for pair in pairs), len(pairs)),
    }


_OF_TYPE: Final[Mapping[str, Callable[[Measured, Floats], Figures]]] = {
    QuestionType.LABEL: _classes,
    QuestionType.RATING: _classes,
    QuestionType.MULTI_LABEL: _sets,
    QuestionType.SPAN: _spans,
    QuestionType.RANKING: _rankings,
    QuestionType.TEXT: _texts,
}


# --- Among people --------------------------------------------------------------------------------
def _reliability(measured: Measured) -> Figures:
    """Alpha with the model as one more annotator, beside people's own."""
    if measured.rule.type not in _DISTANCES or not measured.people:
        return {}
    with_model = [
        [*given, *([] if value is None else [value])]
        for given, value in zip(measured.people, measured.predicted, strict=True)
    ]
    return {"alpha_with_model": _alpha(measured, with_model)}


def _alpha(measured: Measured, answers: Sequence[Sequence[Any]]) -> Estimate | None:
    if measured.rule.type == QuestionType.MULTI_LABEL:
        answers = [[frozenset(value) for value in given] for given in answers]
    else:
        known = set(measured.values)
        answers = [[value for value in given if value in known] for given in answers]
    values, counts = reliability.tally(answers)
    if measured.rule.type == QuestionType.RATING:
        order = np.argsort(np.array(values, dtype=np.float64))
        counts = counts[:, order]
    return reliability.alpha(counts, _DISTANCES[measured.rule.type](values, counts))


_DISTANCES: Final[Mapping[str, Callable[[list[Any], Floats], Floats]]] = {
    QuestionType.LABEL: lambda values, counts: reliability.nominal(len(values)),
    QuestionType.RATING: lambda values, counts: reliability.ordinal(counts),
    QuestionType.MULTI_LABEL: lambda values, counts: reliability.masi(values),
}


def _ceiling(measured: Measured) -> dict[str, Any]:
    """How well people agree with each other by the primary measure; ``n`` units have two."""
    by_unit = np.array(list(_between_people(measured)), dtype=np.float64)
    alpha = None
    if measured.rule.type in _DISTANCES and len(by_unit):
        alpha = _alpha(measured, measured.people)
    return {
        "n": len(by_unit),
        "agreement": _json(bootstrap_mean(by_unit)),
        "alpha": _json(alpha),
    }


def _between_people(measured: Measured) -> Iterator[float]:
    for given in measured.people:
        if len(given) >= 2:
            pairs = combinations(given, 2)
            yield float(np.mean([score(measured.rule, one, other) for one, other in pairs]))


# --- Where it is right and wrong -----------------------------------------------------------------
def by_label(measured: Measured) -> list[dict[str, Any]]:
    """Precision, recall and F1 of each label; ``support`` is how often it is true."""
    if measured.rule.type in BINARY:
        k = len(measured.values)
        answers = (measured.truth, measured.predicted)
        hot = [labels.one_hot(labels.places(measured.values, given), k) for given in answers]
        sums = labels.margins(*hot).sum(axis=0)
    elif measured.rule.type == QuestionType.MULTI_LABEL:
        sums = set_margins(measured).sum(axis=0)
    elif measured.rule.type == QuestionType.SPAN:
        sums = _span_margins(measured)
    else:
        return []
    table = labels.precision_recall_f1(sums)
    return [
        {
            "value": value,
            **{name: _number(table[row, at]) for row, name in enumerate(_SHARES)},
            "support": int(sums[1, at]),
        }
        for at, value in enumerate(measured.values)
    ]


_SHARES: Final = ("precision", "recall", "f1")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _span_margins(measured: Measured) -> Floats:
    place = {value: number for number, value in enumerate(measured.values)}
    sums = np.zeros((3, len(place)))
    for truth, predicted in zip(measured.truth, measured.predicted, strict=True):
        for value, at in place.items():
            mine = [[s for s in given or () if s["label"] == value] for given in (truth, predicted)]
            sums[:, at] += parts.exact_counts(*mine)
    return sums


def confusion_cells(measured: Measured) -> dict[tuple[int, int], list[int]]:
    """The units of each (true, predicted) place; the place after the last is no valid answer."""
    if measured.rule.type not in BINARY:
        return {}
    truth = labels.places(measured.values, measured.truth)
    predicted = labels.places(measured.values, measured.predicted)
    cells: dict[tuple[int, int], list[int]] = {}
    for unit, (row, column) in enumerate(zip(truth, predicted, strict=True)):
        place = len(measured.values) if column == labels.NONE else int(column)
        cells.setdefault((int(row), place), []).append(unit)
    return cells


def _calibration(measured: Measured, worth: Floats) -> dict[str, Any] | None:
    sure, right = confident(measured, worth)
    found = calibration(sure, right)
    return None if found is None else asdict(found)


def confident(measured: Measured, worth: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Of the valid answers that say how sure they are: confidences, and whether each is right."""
    rows = [
        (sure, is_right(measured.rule, value))
        for sure, value, answer in zip(
            measured.confidences or [None] * len(worth), worth, measured.predicted, strict=True
        )
        if sure is not None and answer is not None
    ]
    return np.array([s for s, _ in rows], np.float64), np.array([r for _, r in rows], bool)
