"""All answers to one question, as numbers: what agreement, confusion and people's figures need.

One statement reads a question's answers in the window, the decisions and the model's suggestions:
a second for some 200,000 of them, 50 bytes each. Types that are
not classes are read as values, of at most ``MOST_UNITS`` records, which the ids' hashes draw.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.schema import QuestionRule
from apps.quality.causes import CLASSED
from apps.quality.dawid_skene import Votes
from apps.quality.measures.labels import NONE
from apps.quality.measures.long_form import others_answer, pairable, plurality

Integers = NDArray[np.int64]

MOST_ANSWERS: Final = 1_000_000  # of one question, the newest
MOST_UNITS: Final = 10_000  # records of types that are not classes

DECIDED, SUGGESTED = -1, -2  # in the place of a person

_SUBMITTED: Final = """
x.organization_id = %(o)s AND x.dataset_id = %(d)s AND x.status = 'submitted'
AND (%(since)s::timestamptz IS NULL OR x.inserted_at >= %(since)s)
"""
_PEOPLE: Final = f"""
SELECT x.user_id, count(*) FROM response x WHERE {_SUBMITTED} AND x.values ? %(name)s
GROUP BY 1 ORDER BY 2 DESC, 1
"""  # noqa: S608  (constant text)
_VALUE: Final = "array_position(%(values)s::text[], {} #>> '{{}}') - 1"
# Sorted together rather than joined: no plan can go wrong.
_CLASSES: Final = f"""
SELECT dense_rank() OVER (ORDER BY record_id) - 1, person, said FROM (
    (SELECT x.record_id, array_position(%(people)s::uuid[], x.user_id) - 1 AS person,
        {_VALUE.format("(x.values -> %(name)s -> 'value')")} AS said
    FROM response x WHERE {_SUBMITTED} AND x.values ? %(name)s ORDER BY x.id DESC LIMIT %(most)s)
    UNION ALL
    SELECT a.record_id, -1, {_VALUE.format("(a.values -> %(name)s -> 'value')")}
    FROM adjudication a WHERE a.organization_id = %(o)s AND a.dataset_id = %(d)s
        AND NOT a.accepted ? %(name)s
    UNION ALL
    SELECT s.record_id, -2, {_VALUE.format("s.value")} FROM suggestion s
    WHERE s.organization_id = %(o)s AND s.dataset_id = %(d)s AND s.question_id = %(q)s
) AS given WHERE said IS NOT NULL AND person IS NOT NULL
"""  # noqa: S608
_AGENTS: Final = """
SELECT agent FROM suggestion WHERE organization_id = %(o)s AND dataset_id = %(d)s
    AND question_id = %(q)s
GROUP BY agent ORDER BY count(*) DESC, agent LIMIT 1
"""
_DRAWN: Final = f"""
SELECT x.record_id FROM response x WHERE {_SUBMITTED} AND x.values ? %(name)s
GROUP BY 1 ORDER BY hashtextextended(x.record_id::text, 0) LIMIT %(most)s
"""  # noqa: S608
_VALUES: Final = """
SELECT x.record_id, array_position(%(people)s::uuid[], x.user_id) - 1,
    x.values -> %(name)s -> 'value'
FROM response x WHERE x.organization_id = %(o)s AND x.record_id = ANY(%(ids)s::uuid[])
    AND x.status = 'submitted' AND x.values ? %(name)s
    AND (%(since)s::timestamptz IS NULL OR x.inserted_at >= %(since)s)
ORDER BY x.record_id, x.id
"""
_DECIDED: Final = """
SELECT record_id, values -> %(name)s -> 'value' FROM adjudication
WHERE organization_id = %(o)s AND record_id = ANY(%(ids)s::uuid[])
    AND NOT accepted ? %(name)s
"""
_SUGGESTED: Final = """
SELECT record_id, value FROM suggestion
WHERE organization_id = %(o)s AND record_id = ANY(%(ids)s::uuid[]) AND question_id = %(q)s
"""


@dataclass(frozen=True)
class ClassTable:
    """Answers that are classes; ``decided`` and ``suggested`` stand beside each answer, (n,).

    ``values`` are the question's options in their order, ``people`` memberships with the most
    answers first; ``NONE`` where nobody decided, or nothing was suggested.
    """

    rule: QuestionRule
    values: list[Any]
    people: list[UUID]
    votes: Votes
    decided: Integers
    suggested: Integers
    agent: str | None

    @cached_property
    def others(self) -> Integers:
        """What the other people's answers come to, beside each answer: (n,)."""
        return others_answer(self.votes)

    @cached_property
    def outcomes(self) -> tuple[Integers, Integers]:
        """By record with one: what is decided, or else what most people say; what is suggested."""
        firsts = np.flatnonzero(np.diff(self.votes.items, prepend=-1))
        agreed = np.full(len(firsts), NONE, dtype=np.int64)
        k = self.votes.classes
        step = max(4_000_000 // k, 1)
        for begin in range(0, len(firsts), step):
            rows = slice(*np.searchsorted(self.votes.items, [begin, begin + step]))
            cells = (self.votes.items[rows] - begin) * k + self.votes.labels[rows]
            n = min(step, len(firsts) - begin)
            table = np.bincount(cells, minlength=n * k).reshape(n, k)
            agreed[begin : begin + n] = plurality(table)
        decided = self.decided[firsts]
        return np.where(decided == NONE, agreed, decided), self.suggested[firsts]

    @cached_property
    def pairable(self) -> Votes:
        return pairable(self.votes)


@dataclass(frozen=True, slots=True)
class Given:
    """One answer of another type, as stored; None where nobody decided or suggested anything."""

    person: int
    value: Any
    decided: Any
    suggested: Any


@dataclass(frozen=True)
class ValueTable:
    """Answers of the other types, by record."""

    rule: QuestionRule
    people: list[UUID]
    units: Mapping[UUID, Sequence[Given]]
    agent: str | None


def is_class(rule: QuestionRule) -> bool:
    """Whether the question's answers are classes."""
    return rule.type in CLASSED


def load_classes(rule: QuestionRule, *, since: datetime | None = None) -> ClassTable:
    """The answers given since then to a question of classes. Three queries."""
    values = rule.values
    facts, people = _facts(rule, since)
    given = {**facts, "values": [str(value) for value in values], "most": MOST_ANSWERS}
    rows = raw_cursor().execute(_CLASSES, given).fetchall()
    items, who, said = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    beside = np.full((2, int(items.max(initial=-1)) + 1), NONE, dtype=np.int64)
    for row, mark in enumerate((DECIDED, SUGGESTED)):
        beside[row, items[who == mark]] = said[who == mark]
    kept = np.flatnonzero(who >= 0)
    kept = kept[np.argsort(items[kept], kind="stable")]
    decided, suggested = beside[:, items[kept]]
    _, units = np.unique(items[kept], return_inverse=True)
    votes = Votes(units, who[kept], said[kept], classes=max(len(values), 1))
    return ClassTable(rule, values, people, votes, decided, suggested, facts["agent"])


def load_values(rule: QuestionRule, *, since: datetime | None = None) -> ValueTable:
    """The answers given since then to a question of another type. Six queries."""
    facts, people = _facts(rule, since)
    ids = [row[0] for row in raw_cursor().execute(_DRAWN, {**facts, "most": MOST_UNITS})]
    facts["ids"] = ids
    decided, suggested = _beside(_DECIDED, facts), _beside(_SUGGESTED, facts)
    units: dict[UUID, list[Given]] = {}
    for record, person, text in raw_cursor().execute(_VALUES, facts):
        if text is not None and person is not None:
            given = Given(person, json.loads(text), decided.get(record), suggested.get(record))
            units.setdefault(record, []).append(given)
    return ValueTable(rule, people, units, facts["agent"])


def _beside(statement: str, facts: dict[str, Any]) -> dict[UUID, Any]:
    """A value a record, where there is one."""
    rows = raw_cursor().execute(statement, facts)
    return {record: json.loads(text) for record, text in rows if text is not None}


def _facts(rule: QuestionRule, since: datetime | None) -> tuple[dict[str, Any], list[UUID]]:
    facts = {
        "o": current(),
        "d": rule.question.dataset_id,
        "q": rule.id,
        "name": rule.name,
        "since": since,
    }
    people = [row[0] for row in raw_cursor().execute(_PEOPLE, facts)]
    agent = raw_cursor().execute(_AGENTS, facts).fetchone()
    return {**facts, "people": people, "agent": agent[0] if agent else None}, people
