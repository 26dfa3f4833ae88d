"""From a question to the JSON schema of its answer, and from a stored value to such an answer.

The schemas keep to what servers that force answers into a schema understand; what else must hold
is checked afterwards (``parsers``). A rationale stands before the answer it leads to.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule

Document = dict[str, Any]

RATIONALE: Final = {"type": "string", "description": "In one sentence, why."}
CONFIDENCE: Final = {
    "type": "number",
    "minimum": 0,
    "maximum": 1,
    "description": "How likely the answer is right.",
}
INSTRUCTIONS: Final[Mapping[str, str]] = {
    QuestionType.LABEL: "Choose exactly one of the options.",
    QuestionType.MULTI_LABEL: "Choose all options that apply: one at least, none twice.",
    QuestionType.RATING: "Choose one of the ratings.",
    QuestionType.TEXT: "Answer in text.",
    QuestionType.SPAN: (
        "Find every passage that deserves one of the labels. Copy each word for word as its quote;"
        " occurrence counts from 1 where the same words stand in the text more than once."
    ),
    QuestionType.RANKING: (
        "Rank all options, the best first: a list of places, each a list of the options that share"
        " it. Every option stands there exactly once."
    ),
}


def answer_schema(rule: QuestionRule, *, rationale: bool = False, confidence: bool = False) -> Any:
    """The JSON schema of an answer; a confidence from 0 to 1 and a rationale where wanted."""
    properties = {
        **({"rationale": RATIONALE} if rationale else {}),
        **_SHAPES[rule.type](rule),
        **({"confidence": CONFIDENCE} if confidence else {}),
    }
    return closed(properties)


def closed(properties: Mapping[str, Any]) -> Document:
    """An object that has these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _label(rule: QuestionRule) -> Document:
    return {"label": {"enum": rule.values}}


def _labels(rule: QuestionRule) -> Document:
    return {"labels": {"type": "array", "items": {"enum": rule.values}, "minItems": 1}}


def _rating(rule: QuestionRule) -> Document:
    return {"rating": {"enum": rule.values}}


def _text(rule: QuestionRule) -> Document:
    return {"text": {"type": "string"}}


def _spans(rule: QuestionRule) -> Document:
    span = {
        "quote": {"type": "string", "description": "Copied from the text, word for word."},
        "occurrence": {"type": "integer", "minimum": 1},
        "label": {"enum": rule.values},
    }
    return {"spans": {"type": "array", "items": closed(span)}}


def _ranking(rule: QuestionRule) -> Document:
    place = {"type": "array", "items": {"enum": rule.values}, "minItems": 1}
    return {"ranking": {"type": "array", "items": place, "minItems": 1}}


_SHAPES: Final[Mapping[str, Callable[[QuestionRule], Document]]] = {
    QuestionType.LABEL: _label,
    QuestionType.MULTI_LABEL: _labels,
    QuestionType.RATING: _rating,
    QuestionType.TEXT: _text,
    QuestionType.SPAN: _spans,
    QuestionType.RANKING: _ranking,
}


def as_answer(rule: QuestionRule, value: Any, fields: Mapping[str, Any]) -> Document:
    """A stored value as a model would have to answer it, to be shown as an example."""
    if rule.type == QuestionType.SPAN:
        return {"spans": [_quoted(span, str(fields.get(rule.field or "", ""))) for span in value]}
    if rule.type == QuestionType.RANKING:
        ranked = sorted(value, key=_rank)
        places = groupby(ranked, key=_rank)
        return {"ranking": [[item["value"] for item in items] for _, items in places]}
    return {next(iter(_SHAPES[rule.type](rule))): value}


def _rank(item: Mapping[str, Any]) -> int:
    return item["rank"] or 0


def _quoted(span: Mapping[str, Any], text: str) -> Document:
    quote = text[span["start"] : span["end"]]
    return {
        "quote": quote,
        "occurrence": 1 + sum(1 for at in occurrences(text, quote) if at < span["start"]),
        "label": span["label"],
    }


def occurrences(text: str, quote: str) -> Iterator[int]:
    """Where the quote begins in the text, in code points; overlapping ones count."""
    at = text.find(quote) if quote else -1
    while at >= 0:
        yield at
        at = text.find(quote, at + 1)
