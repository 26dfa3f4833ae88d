"""A distilabel dataset: columns of texts that models wrote and judged.

``generations`` become the columns ``generation-1``, …; ``ratings`` and ``rationales`` the
suggestions for ``generation-1-rating`` and ``generation-1-rationale``, whose agent is the row's
``model_name``. Every other column is one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from apps.datasets.models import QuestionType
from apps.datasets.settings import HIGHEST_RATING
from apps.exchange.foreign.hints import Hints
from apps.exchange.foreign.tables import read_tables
from apps.exchange.rows import Row

_IDS: Final = ("id", "external_id")
_OWN: Final = ("generations", "ratings", "rationales", "distilabel_metadata")


def read_distilabel(place: Path, hints: Hints) -> Iterator[Row]:
    """The rows as items."""
    for row in read_tables(place):
        if row.problem is None:
            row.values = _item(row.values, hints)
        yield row


def _item(given: Mapping[str, Any], hints: Hints) -> dict[str, Any]:
    if given.get("distilabel_metadata"):
        hints.ignored.add("distilabel_metadata")
    own = given if isinstance(given.get("generations"), list) else {}
    columns = {
        name: value for name, value in given.items() if name not in _IDS and name not in _OWN
    }
    for name in _OWN[1:3]:  # judgements of something else are columns
        if not own and given.get(name) is not None:
            columns[name] = given[name]
    generations = own.get("generations", [])
    for number, text in enumerate(generations, start=1):
        columns[f"generation-{number}"] = text
    given_id = next((given[name] for name in _IDS if given.get(name) is not None), None)
    return {
        "id": None if given_id is None else str(given_id),
        "data": columns,
        "suggestions": [
            *_judgements(own, "ratings", "rating", QuestionType.RATING, hints),
            *_judgements(own, "rationales", "rationale", QuestionType.TEXT, hints),
        ],
        "responses": [],
    }


def _judgements(
    own: Mapping[str, Any], column: str, name: str, type: str, hints: Hints
) -> list[dict[str, Any]]:
    values = own.get(column)
    if not isinstance(values, list):
        return []
    agent = own.get("model_name")
    suggestions = []
    for number, value in enumerate(values, start=1):
        question = f"generation-{number}-{name}"
        if value is None or (type == QuestionType.RATING and not _is_rating(value)):
            if value is not None:
                hints.ignored.add(f"{question} {str(value)[:20]}")
            continue
        hints.types.setdefault(question, type)
        suggestions.append(
            {
                "question": question,
                "value": int(value) if type == QuestionType.RATING else str(value),
                "agent": agent[:200] if isinstance(agent, str) and agent else None,
                "type": "model",
            }
        )
    return suggestions


def _is_rating(value: Any) -> bool:
    """A whole number that a rating can have."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and float(value).is_integer() and 0 <= value <= HIGHEST_RATING
