"""What a question's answers are worth: agreement, who agrees with whom, people against the model.

All from one table of answers (``answer_table.py``); numpy only, apart from its queries.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, Final
from uuid import UUID

import numpy as np

from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule
from apps.quality.answer_table import ClassTable, Given, ValueTable, is_class
from apps.quality.answer_table import load_classes as classes
from apps.quality.answer_table import load_values as values
from apps.quality.dawid_skene import Votes
from apps.quality.measures.between import (
    MEASURES,
    Agreement,
    agreement_of_classes,
    agreement_of_values,
)
from apps.quality.measures.intervals import Estimate, wilson
from apps.quality.measures.labels import NONE
from apps.quality.measures.long_form import information, kappa_of, pair_tables
from apps.quality.measures.report import score

MOST_PEOPLE: Final = 50  # that are compared with each other, those with the most answers
MOST_CELLS: Final = 8_000_000  # people² × classes²
LEAST_TO_JUDGE: Final = 20  # answers from which on somebody is said to answer blindly
BLIND: Final = 0.05  # of what there is to know
Table = ClassTable | ValueTable


def load(rule: QuestionRule, *, since: datetime | None = None) -> Table:
    """The answers to the question, in the form of its type. Three queries."""
    return classes(rule, since=since) if is_class(rule) else values(rule, since=since)


def agreement(rule: QuestionRule, *, since: datetime | None = None) -> Agreement:
    """How far people agree on the question. Three queries, none for texts."""
    if not MEASURES[rule.type]:
        return Agreement()
    table = load(rule, since=since)
    if isinstance(table, ClassTable):
        return agreement_of_classes(rule, table.votes)
    return agreement_of_values(rule, [[one.value for one in unit] for unit in table.units.values()])


# --- Who agrees with whom ------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Pairing:
    """Two people, None for the model, on ``n`` records that both answered; ``differ`` of them
    differently. ``value`` is kappa, or the mean score; None where it is not estimable."""

    one: UUID | None
    other: UUID | None
    n: int
    differ: int
    value: float | None


def pairings(table: Table) -> list[Pairing]:
    """Of each two of the people with the most answers, and the model."""
    if isinstance(table, ClassTable):
        return _paired_classes(table)
    return _paired_values(table)


def _paired_classes(table: ClassTable) -> list[Pairing]:
    k = table.votes.classes
    shown = min(len(table.people), MOST_PEOPLE, max(int(MOST_CELLS**0.5 / k) - 1, 1))
    counts = pair_tables(_with_model(table, shown), shown + 1)
    names: list[UUID | None] = [*table.people[:shown], None]
    weighted = table.rule.type == QuestionType.RATING
    found = []
    for i, j in combinations(range(shown + 1), 2):
        n, same = int(counts[i, j].sum()), int(np.trace(counts[i, j]))
        if n:
            kappa = kappa_of(counts[i, j], weighted=weighted)
            found.append(Pairing(names[i], names[j], n, n - same, kappa))
    return found


def _with_model(table: ClassTable, shown: int) -> Votes:
    """The answers of the first people, and the suggestions as those of one more."""
    votes = table.votes
    kept = votes.people < shown
    firsts = np.flatnonzero(np.diff(votes.items, prepend=-1))
    firsts = firsts[table.suggested[firsts] != NONE]
    return Votes(
        np.concatenate([votes.items[kept], votes.items[firsts]]),
        np.concatenate([votes.people[kept], np.full(len(firsts), shown)]),
        np.concatenate([votes.labels[kept], table.suggested[firsts]]),
        classes=votes.classes,
    )


def _paired_values(table: ValueTable) -> list[Pairing]:
    scores: dict[tuple[int, int], list[float]] = defaultdict(list)
    shown = min(len(table.people), MOST_PEOPLE)
    for unit in table.units.values():
        given = [(one.person, one.value) for one in unit if one.person < shown]
        if unit[0].suggested is not None:
            given.append((shown, unit[0].suggested))
        for (i, one), (j, other) in combinations(sorted(given, key=lambda pair: pair[0]), 2):
            scores[i, j].append(score(table.rule, one, other))
    names: list[UUID | None] = [*table.people[:shown], None]
    return [
        Pairing(
            names[i], names[j], len(found), sum(s < 1 - 1e-9 for s in found), float(np.mean(found))
        )
        for (i, j), found in sorted(scores.items())
    ]


# --- People against the model --------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Confusion:
    """``counts`` (k, k) by what the answers come to and what was suggested; ``n`` is their sum."""

    values: list[Any]
    counts: list[list[int]]
    agent: str | None

    @property
    def n(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def right(self) -> int:
        return sum(row[at] for at, row in enumerate(self.counts))


def confusion(table: Table) -> Confusion | None:
    """None where there is nothing to compare, or answers are not classes."""
    if not isinstance(table, ClassTable):
        return None
    outcome, suggested = table.outcomes
    both = (outcome != NONE) & (suggested != NONE)
    if not both.any():
        return None
    k = table.votes.classes
    cells = np.bincount(outcome[both] * k + suggested[both], minlength=k * k).reshape(k, k)
    return Confusion(table.values, cells.tolist(), table.agent)


# --- Preferences ---------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class WinRate:
    """How often the first was ranked before the other, alike, behind; a tie is half a win."""

    one: str
    other: str
    wins: int
    ties: int
    losses: int

    @property
    def n(self) -> int:
        return self.wins + self.ties + self.losses

    @property
    def rate(self) -> float:
        return (self.wins + self.ties / 2) / self.n

    @property
    def decided(self) -> Estimate | None:
        """Wins among answers that are no tie, with Wilson's interval."""
        return wilson(self.wins, self.wins + self.losses)


def win_rates(table: Table) -> list[WinRate]:
    """Of each two options of a ranking, over all answers; empty for other questions."""
    if isinstance(table, ClassTable) or table.rule.type != QuestionType.RANKING:
        return []
    counts: Counter[tuple[str, str, int]] = Counter()
    for unit in table.units.values():
        for given in unit:
            ranks = {one["value"]: one["rank"] for one in given.value if one.get("rank")}
            for one, other in combinations(sorted(ranks), 2):
                counts[one, other, int(np.sign(ranks[one] - ranks[other]))] += 1
    return [
        WinRate(one, other, *(counts[one, other, step] for step in (-1, 0, 1)))
        for one, other in sorted({(one, other) for one, other, _ in counts})
    ]


# --- One against the others ----------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Trust:
    """What a person's answers to a question are worth; shares with intervals, None of nothing.

    ``others``: agreement with what the others' answers come to, theirs left out; ``decided``: with
    reviewers' decisions; ``accepted``: with the suggestion; ``told``: how much of what the others
    say their answers tell, near 0 for somebody who answers blindly.
    """

    n: int
    others: Estimate | None = None
    decided: Estimate | None = None
    accepted: Estimate | None = None
    told: float | None = None
    compared: int = 0

    @property
    def is_blind(self) -> bool:
        return self.told is not None and self.told < BLIND and self.compared >= LEAST_TO_JUDGE


def trust(table: Table) -> dict[UUID, Trust]:
    """By person."""
    return _trust_classes(table) if isinstance(table, ClassTable) else _trust_values(table)


def _trust_classes(table: ClassTable) -> dict[UUID, Trust]:
    votes, k, people = table.votes, table.votes.classes, len(table.people)
    n = np.bincount(votes.people, minlength=people)
    shares = [_shares(table, truth) for truth in (table.others, table.decided, table.suggested)]
    known = table.others != NONE
    cells = (votes.people * k + votes.labels) * k + table.others
    told: dict[int, float | None] = {}
    compared = np.bincount(votes.people[known], minlength=people)
    order = np.argsort(votes.people[known], kind="stable")
    sorted_cells, ends = cells[known][order], np.cumsum(compared)
    for person in range(people):
        mine = sorted_cells[ends[person] - compared[person] : ends[person]] - person * k * k
        _, rows = np.unique(mine // k, return_inverse=True)
        _, columns = np.unique(mine % k, return_inverse=True)
        told[person] = _told(rows, columns)
    others, decided, accepted = shares
    return {
        id: Trust(int(n[at]), others[at], decided[at], accepted[at], told[at], int(compared[at]))
        for at, id in enumerate(table.people)
    }


def _told(rows: Any, columns: Any) -> float | None:
    if not len(rows):
        return None
    width = int(columns.max()) + 1
    table = np.bincount(rows * width + columns, minlength=(int(rows.max()) + 1) * width)
    return information(table.reshape(-1, width))


def _shares(table: ClassTable, truth: Any) -> list[Estimate | None]:
    """By person: how often they said the same, where there is something to compare with."""
    people, known = len(table.people), truth != NONE
    who = table.votes.people
    right = np.bincount(who[known & (truth == table.votes.labels)], minlength=people)
    n = np.bincount(who[known], minlength=people)
    return [wilson(int(a), int(b)) for a, b in zip(right, n, strict=True)]


def _trust_values(table: ValueTable) -> dict[UUID, Trust]:
    found: dict[int, list[tuple[float | None, float | None, bool | None]]] = defaultdict(list)
    for unit in table.units.values():
        for one in unit:
            found[one.person].append(_compared(table.rule, one, unit))
    return {
        table.people[person]: Trust(
            len(rows),
            _mean([a for a, _, _ in rows if a is not None]),
            _mean([b for _, b, _ in rows if b is not None]),
            wilson(sum(c for *_, c in rows if c), sum(c is not None for *_, c in rows)),
            None,
            sum(a is not None for a, _, _ in rows),
        )
        for person, rows in found.items()
    }


def _compared(
    rule: QuestionRule, one: Given, unit: Sequence[Given]
) -> tuple[float | None, float | None, bool | None]:
    """With the others, the decision, the suggestion."""
    others = [score(rule, two.value, one.value) for two in unit if two is not one]
    return (
        float(np.mean(others)) if others and MEASURES[rule.type] else None,
        None if one.decided is None else score(rule, one.decided, one.value),
        None if one.suggested is None else score(rule, one.suggested, one.value) >= 1 - 1e-9,
    )


def _mean(scores: Sequence[float]) -> Estimate | None:
    """Without an interval: the normal one would end beyond 1."""
    return Estimate(float(np.mean(scores))) if scores else None
