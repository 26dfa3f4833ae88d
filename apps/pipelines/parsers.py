"""From what a model wrote to a document of the schema, and from that to a value of the question.

Each function raises ``InvalidError`` with a reason that the model can act on.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from apps.core.errors import InvalidError
from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule
from apps.datasets.values import MAX_SPANS, clean_value
from apps.pipelines.schemas import occurrences

MAX_ANSWER: Final = 200_000  # characters
MAX_REASON: Final = 300  # characters of what a schema objects to
# What PostgreSQL or a reader could not stand: controls but for tab and line ends, half surrogates.
_UNCLEAN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def read_answer(text: str, schema: Mapping[str, Any] | None) -> Any:
    """What the model wrote: a document of the schema, or clean text without one.

    Fences and words around the document are passed over.
    """
    if len(text) > MAX_ANSWER:
        raise InvalidError(f"The answer is longer than {MAX_ANSWER:,} characters.")
    if schema is None:
        return clean(text)
    written = json.dumps(schema)
    document = clean(_find_document(text), kept=_options(written))
    for error in [best_match(_validator(written).iter_errors(document))]:
        if error is not None:
            raise InvalidError(f"At {error.json_path}: {error.message[:MAX_REASON]}")
    return document


@lru_cache(maxsize=128)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))


@lru_cache(maxsize=128)
def _options(schema: str) -> frozenset[str]:
    """The texts that the schema lets one choose from."""
    found: set[str] = set()
    _collect_options(json.loads(schema), found)
    return frozenset(found)


def _collect_options(part: Any, found: set[str]) -> None:
    if isinstance(part, dict):
        found |= {value for value in part.get("enum", ()) if isinstance(value, str)}
        for value in part.values():
            _collect_options(value, found)
    elif isinstance(part, list):
        for value in part:
            _collect_options(value, found)


def _find_document(text: str) -> Any:
    """The first JSON object in the text."""
    decoder = json.JSONDecoder(strict=False, parse_constant=_refuse_constant)
    start = text.find("{")
    for _ in range(20):
        if start < 0:
            break
        try:
            return decoder.raw_decode(text, start)[0]
        except json.JSONDecodeError:
            start = text.find("{", start + 1)
        except (ValueError, RecursionError):
            break
    raise InvalidError("The answer is not one JSON object.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def clean(value: Any, *, kept: frozenset[str] = frozenset()) -> Any:
    """The value without characters that cannot be stored, its texts without blanks around them.

    Texts among ``kept`` stay as they are: an option may end in a blank.
    """
    if isinstance(value, str):
        text = _UNCLEAN.sub("", value)
        return text if text in kept else text.strip()
    if isinstance(value, list):
        return [clean(item, kept=kept) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item, kept=kept) for key, item in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class Answer:
    """A value in stored form, with the confidence (0 to 1) and the rationale that were given."""

    value: Any
    confidence: float | None = None
    rationale: str = ""

    @property
    def score(self) -> Any:
        """The confidence as a suggestion carries it: of a list, once for each of its values."""
        if self.confidence is None:
            return None
        several = isinstance(self.value, list)
        return [self.confidence] * len(self.value) if several else self.confidence


def parse_answer(
    rule: QuestionRule, document: Mapping[str, Any], fields: Mapping[str, Any]
) -> Answer:
    """The answer to the question, checked as any suggestion is. ``fields`` are the record's."""
    value = clean_value(rule, _PARSERS[rule.type](rule, document, fields), fields, complete=True)
    confidence = document.get("confidence")
    return Answer(
        value,
        None if confidence is None else round(float(confidence), 4),
        str(document.get("rationale", "")),
    )


def _ranking(rule: QuestionRule, document: Mapping[str, Any], fields: Any) -> Any:
    places = enumerate(document["ranking"], start=1)
    ranked = [{"value": value, "rank": rank} for rank, place in places for value in place]
    named = [item["value"] for item in ranked]
    missing = sorted(rule.options - set(named))
    if missing or len(named) != len(set(named)):
        raise InvalidError(
            f"The ranking must name every option exactly once; missing: {missing or 'none'}."
        )
    return ranked


def _spans(rule: QuestionRule, document: Mapping[str, Any], fields: Mapping[str, Any]) -> Any:
    text = fields.get(rule.field or "")
    if len(document["spans"]) > MAX_SPANS:
        raise InvalidError(f"There are more than {MAX_SPANS:,} spans.")
    found = [_locate(span, text if isinstance(text, str) else "") for span in document["spans"]]
    unique = {(span["start"], span["end"], span["label"]): span for span in found}
    return [unique[key] for key in sorted(unique)]


def _locate(span: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A quote as offsets in code points, the end exclusive."""
    quote, number = span["quote"], int(span["occurrence"])
    places = list(islice(occurrences(text, quote), min(number, MAX_SPANS)))
    if not places:
        raise InvalidError(f"The quote {quote[:100]!r} is not in the text word for word.")
    if len(places) < number:
        raise InvalidError(f"The quote {quote[:100]!r} occurs only {len(places)} times.")
    start = places[-1]
    return {"label": span["label"], "start": start, "end": start + len(quote)}


_PARSERS: Final[Mapping[str, Callable[[QuestionRule, Mapping[str, Any], Any], Any]]] = {
    QuestionType.LABEL: lambda rule, document, fields: document["label"],
    QuestionType.MULTI_LABEL: lambda rule, document, fields: document["labels"],
    QuestionType.RATING: lambda rule, document, fields: int(document["rating"]),
    QuestionType.TEXT: lambda rule, document, fields: document["text"],
    QuestionType.SPAN: _spans,
    QuestionType.RANKING: _ranking,
}
