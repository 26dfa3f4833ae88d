"""How far people agree on a question, by its type: what is measured, on how many units, how sure.

Labels: nominal alpha. Ratings: ordinal alpha. Several labels: alpha under MASI. Spans: the mean F1
of each two answers, exactly and by characters; alpha is not defined where anything may be a unit.
Rankings: Kendall's W with correction for ties (M. Kendall and B. Babington Smith, "The Problem of
m Rankings", 1939), and the mean tau-b of each two. Texts: nothing, which is said.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final, TypeAlias

import numpy as np

from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule
from apps.quality.dawid_skene import Votes
from apps.quality.measures import parts
from apps.quality.measures.alpha import masi
from apps.quality.measures.intervals import Estimate, bootstrap_mean
from apps.quality.measures.long_form import Floats, Reliability, alpha, pools_of

Units: TypeAlias = Sequence[Sequence[Any]]

MOST_SETS: Final = 2_000  # different sets of labels that are told apart: 32 MB of distances

# What each type is measured by, first the one that is shown in a chart.
MEASURES: Final[Mapping[str, tuple[str, ...]]] = {
    QuestionType.LABEL: ("alpha",),
    QuestionType.RATING: ("ordinal_alpha",),
    QuestionType.MULTI_LABEL: ("masi_alpha",),
    QuestionType.SPAN: ("overlap_f1", "exact_f1"),
    QuestionType.RANKING: ("kendall_w", "tau_b"),
    QuestionType.TEXT: (),
}


@dataclass(frozen=True, slots=True)
class Agreement:
    """``n`` units have two answers or more; a measure without an estimate is not estimable.

    ``measures`` is empty where the type has none.
    """

    n: int = 0
    measures: Mapping[str, Estimate | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return next(iter(self.measures), "")

    @property
    def estimate(self) -> Estimate | None:
        return self.measures.get(self.name)


def agreement_of_classes(rule: QuestionRule, votes: Votes) -> Agreement:
    """Of labels, or of ratings whose values stand in their order."""
    found = alpha(votes, ordinal=rule.type == QuestionType.RATING)
    return Agreement(found.n, {MEASURES[rule.type][0]: found.estimate})


def agreement_of_values(rule: QuestionRule, units: Units) -> Agreement:
    """Of answers in stored form, one sequence a unit; for types other than classes."""
    measure = _OF_TYPE.get(rule.type)
    given = [unit for unit in units if len(unit) >= 2]
    return measure(rule, given) if measure else Agreement()


def _of_sets(rule: QuestionRule, units: Units) -> Agreement:
    places: dict[frozenset[Any], int] = {}
    items, labels = [], []
    for item, given in enumerate(units):
        sets = [frozenset(value) for value in given]
        if len(places.keys() | set(sets)) > MOST_SETS:
            continue
        labels += [places.setdefault(one, len(places)) for one in sets]
        items += [item] * len(sets)
    of, named = np.array(items, dtype=np.int64), np.array(labels, dtype=np.int64)
    votes = Votes(of, np.zeros_like(of), named, classes=max(len(places), 1))
    found = alpha(votes, distance=masi(list(places))) if places else Reliability(0, None)
    return Agreement(found.n, {"masi_alpha": found.estimate})


def _of_spans(rule: QuestionRule, units: Units) -> Agreement:
    def mean(count: Callable[[Any, Any], tuple[int, int, int]]) -> Estimate | None:
        return _mean(_by_unit(units, lambda one, other: parts.one_f1(count(one, other))))

    both = {"overlap_f1": mean(parts.overlap_counts), "exact_f1": mean(parts.exact_counts)}
    return Agreement(len(units), both)


def _of_rankings(rule: QuestionRule, units: Units) -> Agreement:
    whole = [found for unit in units if (found := concordance(unit)) is not None]
    twos = _by_unit(units, lambda one, other: parts.kendall(rule, one, other))
    both = {"kendall_w": _mean(np.array(whole)), "tau_b": _mean(twos)}
    return Agreement(len(units), both)


def concordance(rankings: Sequence[Any]) -> float | None:
    """Kendall's W, 0 to 1, of the options that all have ranked; None where all only tie."""
    ranks = [{one["value"]: one["rank"] for one in ranking} for ranking in rankings]
    shared = sorted(set.intersection(*(_ranked(given) for given in ranks)))
    m, n = len(ranks), len(shared)
    if n < 2:
        return None
    table = np.array([_middle_ranks([given[name] for name in shared]) for given in ranks])
    ties = sum(_ties(row) for row in table)
    spread = ((table.sum(axis=0) - m * (n + 1) / 2) ** 2).sum()
    most = m * m * (n**3 - n) - m * ties
    return float(12 * spread / most) if most > 0 else None


def _ranked(given: Mapping[str, Any]) -> set[str]:
    return {name for name, rank in given.items() if rank is not None}


def _middle_ranks(ranks: Sequence[int]) -> Floats:
    """Ranks from 1; those that tie share the middle of their places."""
    _, place, counts = np.unique(np.array(ranks), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def _ties(ranks: Floats) -> float:
    _, counts = np.unique(ranks, return_counts=True)
    return float((counts.astype(np.float64) ** 3 - counts).sum())


def _by_unit(units: Units, score: Callable[[Any, Any], float]) -> Floats:
    return np.array([np.mean([score(*two) for two in combinations(unit, 2)]) for unit in units])


def _mean(scores: Floats) -> Estimate | None:
    """The mean over units, with the interval of ``pools_of`` them."""
    if not len(scores):
        return None
    pool = pools_of(len(scores))
    sizes = np.bincount(pool)
    found = bootstrap_mean(np.bincount(pool, weights=scores) / sizes)
    if found is None:
        return None
    return Estimate(float(scores.mean()), found.low, found.high)


_OF_TYPE: Final[Mapping[str, Callable[[QuestionRule, Units], Agreement]]] = {
    QuestionType.MULTI_LABEL: _of_sets,
    QuestionType.SPAN: _of_spans,
    QuestionType.RANKING: _of_rankings,
}
