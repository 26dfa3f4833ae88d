"""What people's answers are to each other: who differs from whom, and what they come to.

A pair is ``one~other``: ids of memberships, ``model`` for what was suggested. An outcome is
``~value``: what is decided (``decide_by``), or else what more people said than anything else. A day
in ISO 8601 (``one~other~2026-10-22``, ``2026-10-22~value``) leaves out older answers. Both look at
answers row by row, as every filter on them does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from apps.core.ids import read_id
from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule

MODEL: Final = "model"
APART: Final = "~"
CLASSED: Final = frozenset({QuestionType.LABEL, QuestionType.RATING})

Add = Callable[[object, str], str]

_ANSWER: Final = """
{0}.organization_id = r.organization_id AND {0}.dataset_id = r.dataset_id AND {0}.record_id = r.id
AND {0}.status = 'submitted' AND {0}.values ? {name}
AND ({since} IS NULL OR {0}.inserted_at >= {since})
"""
_SUGGESTED: Final = """
{0}.organization_id = r.organization_id AND {0}.dataset_id = r.dataset_id AND {0}.record_id = r.id
AND {0}.question_id = {question}
"""
_OUTCOME: Final = """
(SELECT coalesce(max(t.decided), CASE WHEN count(*) FILTER (WHERE t.place = 1) = 1
    THEN min(t.value) FILTER (WHERE t.place = 1) END)
FROM (
    SELECT {value} AS value, rank() OVER (ORDER BY count(*) DESC) AS place,
        ({decided}) AS decided
    FROM response x WHERE {answer} AND {value} = ANY ({options}) GROUP BY 1
) AS t) = {wanted}
"""


_decided = "NULL::text"


def decide_by(statement: str) -> None:
    """The app that keeps decisions says where: SQL over ``r`` for the text decided on ``{name}``.

    Called once, in its ``AppConfig.ready``.
    """
    global _decided
    _decided = statement


@dataclass(frozen=True, slots=True)
class Pair:
    """Two that are compared, None for the model; ``since`` is a moment or None."""

    one: UUID | None
    other: UUID | None
    since: datetime | None = None

    @property
    def both(self) -> tuple[UUID | None, UUID | None]:
        return self.one, self.other

    @property
    def text(self) -> str:
        parts = [str(who or MODEL) for who in self.both]
        return APART.join([*parts, *([day_of(self.since)] if self.since else [])])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the answers since a moment come to."""

    value: str
    since: datetime | None = None

    @property
    def text(self) -> str:
        return f"{day_of(self.since)}{APART}{self.value}"


def day_of(since: datetime | None) -> str:
    return since.date().isoformat() if since else ""


def read_pair(text: str) -> Pair | None:
    """None of what is no pair."""
    names, day = text.split(APART)[:2], text.split(APART)[2:]
    since = _read_day(day[0]) if day else None
    people = [read_id(name) for name in names]
    known = [id is not None or name == MODEL for id, name in zip(people, names, strict=True)]
    if len(known) < 2 or not all(known) or len(day) > 1 or (day and since is None):
        return None
    return Pair(people[0], people[1], since)


def read_outcome(text: str) -> Outcome | None:
    """None of what is no outcome."""
    day, apart, value = text.partition(APART)
    since = _read_day(day) if day else None
    if not apart or not value or (day and since is None):
        return None
    return Outcome(value, since)


def _read_day(text: str) -> datetime | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def pair_condition(rule: QuestionRule, pair: Pair, add: Add) -> str:
    """SQL over ``r``: the two gave different answers; lists count as sets."""
    sides = [_side(rule, who, pair.since, add, at) for at, who in enumerate(pair.both)]
    (one, left, first), (other, right, second) = sides
    alike = f"{left} @> {right} AND {right} @> {left}"
    return f"EXISTS (SELECT FROM {one}, {other} WHERE {first} AND {second} AND NOT ({alike}))"


def _side(
    rule: QuestionRule, who: UUID | None, since: datetime | None, add: Add, at: int
) -> tuple[str, str, str]:
    """Table, value and condition of one of the two."""
    alias = f"p{at}"
    if who is None:
        rows = _SUGGESTED.format(alias, question=add(rule.id, "uuid"))
        return f"suggestion {alias}", f"{alias}.value", rows
    name = add(rule.name, "text")
    rows = _ANSWER.format(alias, name=name, since=add(since, "timestamptz"))
    rows += f" AND {alias}.user_id = {add(who, 'uuid')}"
    return f"response {alias}", f"({alias}.values -> {name} -> 'value')", rows


def outcome_condition(rule: QuestionRule, outcome: Outcome, add: Add) -> str:
    """SQL over ``r``: the answers come to this value."""
    name = add(rule.name, "text")
    return _OUTCOME.format(
        value=f"(x.values -> {name} -> 'value' #>> '{{}}')",
        decided=_decided.format(name=name),
        answer=_ANSWER.format("x", name=name, since=add(outcome.since, "timestamptz")),
        options=add([str(option) for option in rule.options], "text[]"),
        wanted=add(outcome.value, "text"),
    )


def any_of(conditions: Iterable[str]) -> str:
    """SQL that is true where one of them is; of none, nowhere."""
    return " OR ".join(f"({one})" for one in conditions) or "false"
