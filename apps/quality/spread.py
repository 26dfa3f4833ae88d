"""How answers spread over a question's values: people's beside the model's suggestions.

Of several labels each counts, of spans their labels, of rankings what is ranked first.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule

# What is counted of a stored value ``v``, as JSON path.
_PARTS: Final[dict[str, str]] = {
    QuestionType.LABEL: "$",
    QuestionType.RATING: "$",
    QuestionType.MULTI_LABEL: "$[*]",
    QuestionType.SPAN: "$[*].label",
    QuestionType.RANKING: "$[*] ? (@.rank == 1).value",
}
_PEOPLE: Final = """
SELECT part #>> '{}', count(*) FROM response x,
    jsonb_path_query(x.values -> %(name)s -> 'value', %(path)s::jsonpath) AS part
WHERE x.organization_id = %(o)s AND x.dataset_id = %(d)s AND x.status = 'submitted'
    AND (%(since)s::timestamptz IS NULL OR x.inserted_at >= %(since)s)
GROUP BY 1
"""
_MODEL: Final = """
SELECT part #>> '{}', count(*) FROM suggestion s,
    jsonb_path_query(s.value, %(path)s::jsonpath) AS part
WHERE s.organization_id = %(o)s AND s.dataset_id = %(d)s AND s.question_id = %(q)s GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Share:
    """A value with how often people and the model say it."""

    value: Any
    people: int
    model: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Values in the question's order; ``people`` and ``model`` are the sums."""

    shares: list[Share]

    @property
    def people(self) -> int:
        return sum(one.people for one in self.shares)

    @property
    def model(self) -> int:
        return sum(one.model for one in self.shares)


def spread(rule: QuestionRule, *, since: datetime | None = None) -> Spread:
    """Nothing of texts. Two queries; 1 to 2 µs an answer."""
    path = _PARTS.get(rule.type)
    if path is None:
        return Spread([])
    facts = {
        "o": current(),
        "d": rule.question.dataset_id,
        "q": rule.id,
        "name": rule.name,
        "path": path,
        "since": since,
    }
    people, model = (
        dict(raw_cursor().execute(text, facts).fetchall()) for text in (_PEOPLE, _MODEL)
    )
    return Spread(
        [
            Share(value, people.get(str(value), 0), model.get(str(value), 0))
            for value in (option["value"] for option in rule.question.options)
        ]
    )
