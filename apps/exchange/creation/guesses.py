"""Where a column probably goes, and why: a proposal that people confirm or change."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apps.datasets.settings import HIGHEST_RATING
from apps.exchange.creation.survey import ColumnFacts, Survey

IGNORE: Final = "ignore"
ID: Final = "id"
AUTHOR: Final = "response-user"
FEW: Final = 20  # different texts that are labels in any case
LONGEST_LABEL: Final = 60  # characters, for what nobody has called a label

_IDS: Final = re.compile(
    r"(^|[_ .-])(id|uuid|guid|key|_id|idx|index)$|^(id|external_id|record_id)", re.I
)
_LABELS: Final = re.compile(
    r"label|class|categor|intent|sentiment|topic|tag|target|gold|genre|emotion|verdict|toxic", re.I
)
_RATINGS: Final = re.compile(r"rating|score|stars|quality|grade|helpful", re.I)
_FACTS: Final = re.compile(
    r"split|part|source|lang|domain|date|time|year|model|author|country|version|subset|license|url",
    re.I,
)
_PEOPLE: Final = re.compile(r"annotator|labeler|labeller|rater|worker|username", re.I)


@dataclass(frozen=True, slots=True)
class Guess:
    """``to`` is a written form of ``outline``; ``reason`` a word that pages turn into a sentence
    with the ``facts``."""

    to: str
    reason: str
    facts: Mapping[str, Any]


def guess_all(survey: Survey) -> dict[str, Guess]:
    """For every column; at least one goes to a field when that is possible at all."""
    guesses = {one.name: guess(one, survey) for one in survey.columns}
    if not any(one.to.startswith("field.") for one in guesses.values()):
        texts = [one for one in survey.columns if one.kind in {"text", "mixed", "integer", "float"}]
        if texts:
            best = max(texts, key=lambda one: (one.kind == "text", one.length))
            guesses[best.name] = Guess("field.text", "longest", {"n": best.length})
    return guesses


def guess(column: ColumnFacts, survey: Survey) -> Guess:
    """One column by what its values are, then by its name."""
    simple = _by_kind(column)
    if simple is not None:
        return simple
    if column.is_unique and column.count == survey.rows and _IDS.search(column.name):
        return Guess(ID, "all_differ", {"rows": survey.rows})
    if column.kind in {"integer", "float"}:
        return _number(column)
    return _text(column, survey)


_KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "none": (IGNORE, "empty"),
    "empty": (IGNORE, "empty"),
    "chat": ("field.chat", "messages"),
    "image": ("field.image", "pictures"),
    "object": ("field.custom", "objects"),
    "spans": ("suggestion.span", "spans"),
    "ranking": ("suggestion.ranking", "rankings"),
}


def _by_kind(column: ColumnFacts) -> Guess | None:
    kind = column.kind
    if kind in _KINDS:
        to, reason = _KINDS[kind]
        return Guess(to, reason, {"n": len(column.values)})
    if kind == "vector":
        to = "vector" if column.dimensions else IGNORE
        return Guess(to, "numbers", {"n": column.dimensions or 0})
    if kind == "terms":
        to = "suggestion.multi_label_selection" if column.is_few else "metadata.terms"
        return Guess(to, "lists", {"n": len(column.values), "rows": column.count})
    if kind == "bool":
        return Guess("metadata.terms", "yes_or_no", {})
    return None


def _number(column: ColumnFacts) -> Guess:
    facts = {"low": column.low, "high": column.high, "n": len(column.values), "rows": column.count}
    if column.kind == "float":
        return Guess("metadata.float", "decimals", facts)
    fits = column.low is not None and column.low >= 0 and (column.high or 0) <= HIGHEST_RATING
    if fits and len(column.values) >= 2 and _RATINGS.search(column.name):
        return Guess("suggestion.rating", "rating", facts)
    if fits and len(column.values) >= 2 and _LABELS.search(column.name):
        return Guess("suggestion.label_selection", "few_values", facts)
    return Guess("metadata.integer", "whole", facts)


def _text(column: ColumnFacts, survey: Survey) -> Guess:
    facts = {"n": len(column.values), "rows": column.count, "length": column.length}
    if _PEOPLE.search(column.name) and column.is_few:
        return Guess("metadata.terms", "people", facts)
    if column.is_few and _are_few(column):
        if _FACTS.search(column.name) and not _LABELS.search(column.name):
            return Guess("metadata.terms", "fact", facts)
        if len(column.values) >= 2:
            return Guess("suggestion.label_selection", "few_values", facts)
        return Guess("metadata.terms", "one_value", facts)
    return Guess("field.text", "texts", facts)


def _are_few(column: ColumnFacts) -> bool:
    """Values that come again, or are called labels."""
    many = len(column.values) > max(FEW, column.count // 10)
    repeats = len(column.values) <= column.count // 2
    if _LABELS.search(column.name):
        return not many or repeats
    return not many and repeats and column.longest <= LONGEST_LABEL


def names_of(survey: Survey | None) -> Sequence[str]:
    return [one.name for one in survey.columns] if survey else []
