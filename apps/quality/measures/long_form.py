"""Agreement of classes in long form, one row an answer: no matrix of units by people anywhere.

A million answers take about a second. Alpha is Krippendorff's, kappa Cohen's; what one person
knows about the others' answer is the mutual information of the two, adjusted for chance (N. Vinh,
J. Epps and J. Bailey, "Information Theoretic Measures for Clusterings Comparison", JMLR 11, 2010),
as a share of what there is to know.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.quality.dawid_skene import Votes
from apps.quality.measures.alpha import Statistic, apart, nominal, ranks_between
from apps.quality.measures.intervals import SEED, Estimate, bootstrap
from apps.quality.measures.labels import NONE

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

POOLS: Final = 2_000  # of units, drawn by chance; resampling those costs the same for any number
ROWS: Final = 20_000  # answers or units looked at together
LEAST_BEYOND: Final = 0.1  # of what there is to know, that chance does not tell


@dataclass(frozen=True, slots=True)
class Reliability:
    """``n`` units have two answers or more; None where agreement is not estimable."""

    n: int
    estimate: Estimate | None


def alpha(votes: Votes, *, ordinal: bool = False, distance: Floats | None = None) -> Reliability:
    """Krippendorff's, nominal unless ``ordinal`` or under a (k, k) ``distance``.

    The interval resamples units, in ``POOLS`` pools where there are more.
    """
    kept = pairable(votes)
    n = int(kept.items.max()) + 1 if len(kept.items) else 0
    totals = np.bincount(kept.labels, minlength=kept.classes).astype(np.float64)
    if np.count_nonzero(totals) < 2:
        return Reliability(n, None)
    if distance is None:
        distance = ranks_between(totals) if ordinal else nominal(kept.classes)
    is_nominal = np.array_equal(distance, nominal(kept.classes))
    units = _apart_nominal(kept, n) if is_nominal else _apart(kept, n, distance)
    pools, pool = min(n, POOLS), pools_of(n)
    of_answer = pool[kept.items]
    cells = np.bincount(of_answer * kept.classes + kept.labels, minlength=pools * kept.classes)
    sums = [
        np.bincount(pool, weights=units, minlength=pools),
        np.bincount(of_answer, minlength=pools),
        cells.reshape(pools, kept.classes),
    ]
    return Reliability(n, bootstrap(np.column_stack(sums), Statistic(distance)))


def pools_of(n: int) -> Integers:
    """The pool of each of ``n`` units: their own, or one of ``POOLS`` by chance, equally many."""
    if n <= POOLS:
        return np.arange(n)
    return np.asarray(np.random.default_rng(SEED).permutation(n) % POOLS)


def pairable(votes: Votes) -> Votes:
    """The answers to units that have another one; units count from 0 again, in order."""
    kept = np.bincount(votes.items)[votes.items] >= 2 if len(votes.items) else votes.items == -1
    _, items = np.unique(votes.items[kept], return_inverse=True)
    order = np.argsort(items, kind="stable")
    people, labels = (column[kept][order] for column in (votes.people, votes.labels))
    return Votes(np.asarray(items[order], np.int64), people, labels, classes=votes.classes)


def _apart_nominal(votes: Votes, n: int) -> Floats:
    """Of each unit: pairs that differ, over the answers less one."""
    cells, counts = np.unique(votes.items * votes.classes + votes.labels, return_counts=True)
    alike = np.bincount(cells // votes.classes, weights=counts.astype(float) ** 2, minlength=n)
    sizes = np.bincount(votes.items, minlength=n).astype(np.float64)
    return np.asarray((sizes**2 - alike) / (sizes - 1))


def _apart(votes: Votes, n: int, distance: Floats) -> Floats:
    """The same under any distance; a table of at most 4 million cells at a time."""
    found, k = np.zeros(n), votes.classes
    step = max(min(ROWS, 4_000_000 // k), 1)
    for begin in range(0, n, step):
        end = min(begin + step, n)
        rows = slice(*np.searchsorted(votes.items, [begin, end]))
        cells = (votes.items[rows] - begin) * k + votes.labels[rows]
        table = np.bincount(cells, minlength=(end - begin) * k).reshape(-1, k).astype(np.float64)
        found[begin:end] = apart(table, distance)
    return found


# --- Two at a time -------------------------------------------------------------------------------
def pairs(items: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Places of each two answers to the same unit, once; ``items`` are sorted."""
    for step in range(1, len(items)):
        first = np.flatnonzero(items[:-step] == items[step:])
        if not len(first):
            return
        yield first, first + step


def pair_tables(votes: Votes, people: int) -> Integers:
    """How often i said a where j said b, for i < j: (people, people, k, k), sparse in k.

    For the pairs of few people and classes: people² × k² cells are held.
    """
    kept, k = pairable(votes), votes.classes
    tables = np.zeros(people * people * k * k, dtype=np.int64)
    for one, other in pairs(kept.items):
        swap = kept.people[one] > kept.people[other]
        low, high = np.where(swap, other, one), np.where(swap, one, other)
        who = kept.people[low] * people + kept.people[high]
        cells = (who * k + kept.labels[low]) * k + kept.labels[high]
        places, counts = np.unique(cells, return_counts=True)
        tables[places] += counts
    return tables.reshape(people, people, k, k)


def kappa_of(table: NDArray[np.int64], *, weighted: bool = False) -> float | None:
    """Cohen's, of (k, k) counts; with squared distances of places if ``weighted``.

    None where it is not estimable: nothing to compare, or one class only.
    """
    counts = np.asarray(table, np.float64)
    n, at = counts.sum(), np.arange(len(counts))
    if not n:
        return None
    off = (at[:, None] - at[None, :]) ** 2.0 if weighted else nominal(len(counts))
    by_chance = (np.outer(counts.sum(axis=1), counts.sum(axis=0)) * off).sum() / n
    return None if not by_chance else float(1 - (counts * off).sum() / by_chance)


# --- One against the others ----------------------------------------------------------------------
def others_answer(votes: Votes) -> Integers:
    """By answer, (n,): what more of the others said than anything else; ``NONE`` when split.

    ``votes`` are sorted by unit. The person's own answer has no part in it.
    """
    found = np.full(len(votes.items), NONE, dtype=np.int64)
    k = votes.classes
    step = max(min(ROWS, 4_000_000 // k), 1)
    begin = 0
    while begin < len(votes.items):
        last = votes.items[min(begin + step, len(votes.items)) - 1]
        end = int(np.searchsorted(votes.items, last, side="right"))
        found[begin:end] = _of_others(votes, slice(begin, end))
        begin = end
    return found


def _of_others(votes: Votes, rows: slice) -> Integers:
    items, labels, k = votes.items[rows], votes.labels[rows], votes.classes
    _, units = np.unique(items, return_inverse=True)
    table = np.bincount(units * k + labels, minlength=(units[-1] + 1) * k).reshape(-1, k)
    others = table[units]
    others[np.arange(len(labels)), labels] -= 1
    return plurality(others)


def plurality(counts: NDArray[np.int64]) -> Integers:
    """The class of most votes in each row of (n, k); ``NONE`` for none, or a tie."""
    most = counts.max(axis=1)
    is_one = (counts == most[:, None]).sum(axis=1) == 1
    return np.asarray(np.where(is_one & (most > 0), counts.argmax(axis=1), NONE))


def information(table: NDArray[np.int64]) -> float | None:
    """How much of the truth the answers tell: 0 nothing, 1 all; of (said, true) counts.

    None where there is nothing to tell: fewer than two true classes, or answers so few that they
    tell nearly all by chance. Somebody who answers blindly comes to about 0, however many classes.
    """
    n = int(table.sum())
    said, true = (part[part > 0] for part in (table.sum(axis=1), table.sum(axis=0)))
    if len(true) < 2:
        return None
    shared = _entropy(said / n) + _entropy(true / n) - _entropy(table.ravel() / n)
    known, by_chance = _entropy(true / n), _by_chance(said, true)
    if known - by_chance < LEAST_BEYOND * known:
        return None
    return float(min(max((shared - by_chance) / (known - by_chance), 0.0), 1.0))


def _by_chance(said: Integers, true: Integers) -> float:
    """The information expected of the same answers in any order, given how often each is said and
    true: by the hypergeometric distribution of every cell, as far as eight deviations go."""
    n = int(said.sum())
    logs = np.cumsum(np.log(np.maximum(np.arange(n + 1), 1)))  # of factorials
    (a, times), (b, often) = (np.unique(part, return_counts=True) for part in (said, true))
    cells = np.outer(times, often).ravel()
    a, b = (part.ravel() for part in np.meshgrid(a, b, indexing="ij"))
    mean = a * b / n
    reach = 8 * np.sqrt(mean) + 10
    low = np.maximum(np.maximum(a + b - n, 1), np.floor(mean - reach).astype(np.int64))
    widths = np.minimum(np.minimum(a, b), np.ceil(mean + reach).astype(np.int64)) - low + 1
    at = np.arange(widths.sum()) - np.repeat(np.cumsum(widths) - widths - low, widths)
    a, b, cells = (np.repeat(part, widths) for part in (a, b, cells))
    ways = logs[a] + logs[b] + logs[n - a] + logs[n - b] - logs[n]
    chance = np.exp(ways - logs[at] - logs[a - at] - logs[b - at] - logs[n - a - b + at])
    return float((cells * chance * at / n * np.log(n * at / (a * b))).sum())


def _entropy(shares: Floats) -> float:
    known = shares[shares > 0]
    return float(-(known * np.log(known)).sum())
