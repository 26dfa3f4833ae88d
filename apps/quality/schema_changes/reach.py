"""Which records an edit concerns. The conditions read the answers themselves, not an index of them:
a scan of the dataset's answers, as an export makes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from apps.annotation.models import SchemaChange
from apps.core.documents import encode
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.edits import Reach, Shapes
from apps.datasets.models import QuestionType

FIRST: Final = UUID(int=0)
_PATHS: Final = {
    QuestionType.SPAN: "$.label ? (@ == $l[*])",
    QuestionType.RANKING: "$.value ? (@ == $l[*])",
}
_LABELS: Final = "$ ? (@ == $l[*])"
_SETTLED: Final = (
    "EXISTS (SELECT FROM record_task k WHERE k.organization_id = x.organization_id"
    " AND k.record_id = x.record_id AND k.settled)"
)
_NONE: Final = "false"


@dataclass
class Where:
    """SQL conditions for each part of what was said, with their parameters."""

    responses: str = _NONE
    suggestions: str = _NONE
    adjudications: str = _NONE
    params: dict[str, Any] = field(default_factory=dict)


def where(reaches: Sequence[Reach], shapes: Shapes) -> Where:
    """``shapes`` are the questions with their ids, as the suggestions know them."""
    found = Where()
    answered, suggested, missing, undecided = [], [], [], []
    for n, reach in enumerate(reaches):
        found.params[f"q{n}"] = reach.question
        if reach.missing:
            lacks = f"NOT jsonb_exists(x.values, %(q{n})s::text)"
            missing.append(f"x.status = 'submitted' AND {lacks}")
            undecided += [f"{lacks} AND {_SETTLED}"] if reach.settled else []
            continue
        shape = shapes[reach.question]
        answered.append(_answered(n, reach, shape["settings"]["type"], found.params))
        suggested.append(_suggested(n, reach, shape))
        found.params[f"id{n}"] = UUID(shape["id"])
    found.responses = _any([*answered, *missing])
    found.adjudications = _any([*answered, *undecided])
    found.suggestions = _any(suggested)
    return found


def _answered(n: int, reach: Reach, type: str, params: dict[str, Any]) -> str:
    if reach.labels is None:
        return f"jsonb_exists(x.values, %(q{n})s::text)"
    params[f"path{n}"] = _PATHS.get(QuestionType(type), _LABELS)
    params[f"labels{n}"] = encode({"l": list(reach.labels)}).decode()
    return (
        f"jsonb_path_exists(x.values -> %(q{n})s::text -> 'value',"
        f" %(path{n})s::jsonpath, %(labels{n})s::jsonb)"
    )


def _suggested(n: int, reach: Reach, shape: Any) -> str:
    mine = f"x.question_id = %(id{n})s::uuid"
    if reach.labels is None:
        return mine
    return f"({mine} AND jsonb_path_exists(x.value, %(path{n})s::jsonpath, %(labels{n})s::jsonb))"


def _any(conditions: Sequence[str]) -> str:
    return " OR ".join(f"({one})" for one in conditions) or _NONE


_RECORDS: Final = """
SELECT record_id FROM (
    SELECT x.record_id FROM response x WHERE x.organization_id = %(o)s
        AND x.dataset_id = %(d)s AND x.record_id > %(after)s AND ({where.responses})
    UNION SELECT x.record_id FROM suggestion x WHERE x.organization_id = %(o)s
        AND x.dataset_id = %(d)s AND x.record_id > %(after)s AND ({where.suggestions})
    UNION SELECT x.record_id FROM adjudication x WHERE x.organization_id = %(o)s
        AND x.dataset_id = %(d)s AND x.record_id > %(after)s AND ({where.adjudications})
    {undone}
) AS concerned ORDER BY record_id LIMIT %(n)s
"""
_UNDONE: Final = """UNION SELECT w.record_id FROM rewritten_answer w
    WHERE w.organization_id = %(o)s AND w.change_id = %(change)s AND w.record_id > %(after)s"""


def records_after(
    dataset_id: UUID, concerned: Where, *, after: UUID, limit: int, undone: UUID | None = None
) -> list[UUID]:
    """The next records concerned, by id; those that the change ``undone`` rewrote as well."""
    statement = _RECORDS.format(where=concerned, undone=_UNDONE if undone else "")
    facts = {"o": current(), "d": dataset_id, "after": after, "n": limit}
    if undone:
        facts["change"] = undone
    return [row[0] for row in raw_cursor().execute(statement, {**concerned.params, **facts})]


_COUNT: Final = """
SELECT
    (SELECT count(*) FROM response x WHERE x.organization_id = %(o)s
        AND x.dataset_id = %(d)s AND ({where.responses})),
    (SELECT count(*) FROM suggestion x WHERE x.organization_id = %(o)s
        AND x.dataset_id = %(d)s AND ({where.suggestions})),
    (SELECT count(*) FROM adjudication x WHERE x.organization_id = %(o)s
        AND x.dataset_id = %(d)s AND ({where.adjudications}))
"""


def count(dataset_id: UUID, concerned: Where) -> dict[str, int]:
    """How many answers, suggestions and decisions are concerned. One statement."""
    facts = {"o": current(), "d": dataset_id, **concerned.params}
    row = raw_cursor().execute(_COUNT.format(where=concerned), facts).fetchone()
    names = ("response", "suggestion", "adjudication")
    return dict(zip(names, row or (0, 0, 0), strict=True))


def rewritten_by(change: SchemaChange) -> dict[str, int]:
    """How many of each a change has rewritten. One statement."""
    rows = raw_cursor().execute(
        "SELECT part, count(*) FROM rewritten_answer WHERE organization_id = %(o)s"
        " AND change_id = %(c)s GROUP BY part",
        {"o": current(), "c": change.id},
    )
    return {"response": 0, "suggestion": 0, "adjudication": 0, **dict(rows.fetchall())}
