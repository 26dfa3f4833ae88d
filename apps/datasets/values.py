"""What a value may be: the one place that decides, for suggestions and responses alike.

Every function raises ``InvalidError`` with the reason in words, or returns the value in the form
in which it is stored.
"""

import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidError
from apps.datasets.models import QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule

Vector = NDArray[np.float32]
MAX_SPANS: Final = 10_000
_NUMBERS: Final = {int, float}  # and not bool


def clean_value(
    rule: QuestionRule, value: Any, fields: Mapping[str, Any] | None, *, complete: bool
) -> Any:
    """The answer in its stored form.

    ``fields`` are the record's, which spans are checked against. ``complete`` asks for what a
    submitted answer needs and a suggestion does not: a ranking of all options.
    """
    return _CLEANERS[rule.type](rule, value, fields, complete)


def _clean_text(rule: QuestionRule, value: Any, fields: Any, complete: bool) -> str:
    if not isinstance(value, str):
        raise InvalidError(f"text question expects a text value, found {type(value)}")
    return value


def _clean_label(rule: QuestionRule, value: Any, fields: Any, complete: bool) -> str:
    if not isinstance(value, str) or value not in rule.options:
        raise InvalidError(
            f"{value!r} is not a valid label for label selection question.\n"
            f"Valid labels are: {sorted(rule.options)!r}"
        )
    return value


def _clean_labels(rule: QuestionRule, value: Any, fields: Any, complete: bool) -> list[str]:
    if not isinstance(value, list):
        raise InvalidError(
            f"multi label selection questions expects a list of values, found {type(value)}"
        )
    if not value:
        raise InvalidError("multi label selection questions expects a list of values, found empty")
    _refuse_unknown(rule, value, "labels for multi label selection question")
    _refuse_repeated(value, "multi label selection question")
    return value


def _clean_rating(rule: QuestionRule, value: Any, fields: Any, complete: bool) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value not in rule.options:
        raise InvalidError(
            f"{value!r} is not a valid rating for rating question.\n"
            f"Valid ratings are: {sorted(rule.options)!r}"
        )
    return value


def _clean_ranking(
    rule: QuestionRule, value: Any, fields: Any, complete: bool
) -> list[dict[str, Any]]:
    """Sorted by rank; a list without any rank ranks by position, ties are kept."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise InvalidError(f"ranking question expects a list of values, found {type(value)}")
    items = [{"value": item.get("value"), "rank": item.get("rank")} for item in value]
    values = [item["value"] for item in items]
    _refuse_unknown(rule, values, "options for ranking question")
    _refuse_repeated(values, "ranking question")
    ranks = [item["rank"] for item in items]
    if all(rank is None for rank in ranks):
        items = [{**item, "rank": place} for place, item in enumerate(items, start=1)]
    elif any(rank is not None and not _is_rank(rank, len(rule.options)) for rank in ranks):
        raise InvalidError(f"ranking question expects ranks from 1 to {len(rule.options)}")
    elif complete and None in ranks:
        raise InvalidError("ranking question expects a rank for every option")
    if complete and len(values) != len(rule.options):
        raise InvalidError(
            f"ranking question expects all options to be ranked, found {len(values)}"
            f" of {len(rule.options)}"
        )
    return sorted(items, key=lambda item: item["rank"] or len(rule.options) + 1)


def _is_rank(rank: Any, count: int) -> bool:
    return isinstance(rank, int) and not isinstance(rank, bool) and 1 <= rank <= count


def _clean_spans(
    rule: QuestionRule, value: Any, fields: Mapping[str, Any] | None, complete: bool
) -> list[dict[str, Any]]:
    """Offsets count code points, as Python does; the end is exclusive."""
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise InvalidError(f"span question expects a list of values, found {type(value)}")
    if len(value) > MAX_SPANS:
        raise InvalidError(f"span question takes at most {MAX_SPANS} spans, found {len(value)}")
    text = (fields or {}).get(rule.field or "")
    if not isinstance(text, str):
        raise InvalidError(f"span question requires record to have field `{rule.field}`")
    spans = [_clean_span(rule, item, len(text)) for item in value]
    if not rule.overlapping:
        _refuse_overlap(spans)
    return spans


def _clean_span(rule: QuestionRule, item: Mapping[str, Any], length: int) -> dict[str, Any]:
    label, start, end = item.get("label"), item.get("start"), item.get("end")
    if not isinstance(label, str) or label not in rule.options:
        raise InvalidError(f"undefined label {label!r} for span question.")
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        raise InvalidError("span question expects whole numbers with 0 <= start < end")
    if start >= length or end > length:
        raise InvalidError(
            f"span question value `start` or `end` is beyond the field's {length} characters"
        )
    return {"label": label, "start": start, "end": end}


def _refuse_overlap(spans: Sequence[Mapping[str, Any]]) -> None:
    ordered = sorted(spans, key=lambda span: (span["start"], span["end"]))
    for before, after in pairwise(ordered):
        if after["start"] < before["end"]:
            raise InvalidError(
                "overlapping values found between spans at "
                f"{before['start']}-{before['end']} and {after['start']}-{after['end']}"
            )


def _refuse_unknown(rule: QuestionRule, values: Sequence[Any], kind: str) -> None:
    unknown = [v for v in values if not isinstance(v, str) or v not in rule.options]
    if unknown:
        raise InvalidError(
            f"{unknown!r} are not valid {kind}.\nValid values are: {sorted(rule.options)!r}"
        )


def _refuse_repeated(values: Sequence[str], kind: str) -> None:
    if len(set(values)) != len(values):
        raise InvalidError(f"{kind} expects a list of unique values, but duplicates were found")


_CLEANERS: Final[dict[str, Callable[[QuestionRule, Any, Any, bool], Any]]] = {
    QuestionType.TEXT: _clean_text,
    QuestionType.LABEL: _clean_label,
    QuestionType.MULTI_LABEL: _clean_labels,
    QuestionType.RATING: _clean_rating,
    QuestionType.RANKING: _clean_ranking,
    QuestionType.SPAN: _clean_spans,
}


def value_key(rule: QuestionRule, value: Any) -> str | None:
    """The text by which an answer can be filtered; None for kinds that cannot be."""
    if rule.type in {QuestionType.LABEL, QuestionType.RATING}:
        return str(value)
    return None


def canonical(value: Any) -> str:
    """A text that is equal for answers that say the same.

    Labels, ranks and spans say the same in whatever order they were given.
    """
    if isinstance(value, list):
        return json.dumps(sorted(canonical(item) for item in value))
    return json.dumps(value, sort_keys=True)


def says_same(one: Any, other: Any) -> bool:
    """Whether two answers say the same, in whatever order they were given."""
    return canonical(one) == canonical(other)


def check_score(value: Any, score: Any) -> None:
    """A number from 0 to 1 for one value, a list of them (as long) for a list; or null."""
    if score is None:
        return
    if isinstance(value, list):
        if not isinstance(score, list) or len(score) != len(value):
            raise InvalidError("a list of values needs a list of scores of the same length")
        numbers = score
    elif isinstance(score, list):
        raise InvalidError("a single value needs a single score")
    else:
        numbers = [score]
    for number in numbers:
        if type(number) not in _NUMBERS:
            raise InvalidError(f"{number!r} is not a score")
        if not 0 <= number <= 1:
            raise InvalidError("a score lies between 0 and 1")


def certainty(score: Any) -> float | None:
    """The lowest of a suggestion's scores."""
    if score is None or score == []:
        return None
    return float(min(score)) if isinstance(score, list) else float(score)


def response_errors(
    schema: DatasetSchema,
    values: Mapping[str, Any] | None,
    status: str,
    fields: Mapping[str, Any] | None,
) -> dict[str, str]:
    """What is wrong with a response, by question name; the key ``""`` is the whole of it."""
    return _examine(schema, values, status, fields)[1]


def clean_response(
    schema: DatasetSchema,
    values: Mapping[str, Any] | None,
    status: str,
    fields: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A response's values in stored form: ``{question name: {"value": …}}``.

    A submitted response answers every required question; drafts and discarded ones may be
    partial, and every value that is there must be right.
    """
    cleaned, errors = _examine(schema, values, status, fields)
    for reason in errors.values():
        raise InvalidError(reason)
    return cleaned


def _examine(
    schema: DatasetSchema,
    values: Mapping[str, Any] | None,
    status: str,
    fields: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], dict[str, str]]:
    submitted = status == "submitted"
    cleaned: dict[str, Any] = {}
    errors: dict[str, str] = {}
    if submitted and not values:
        errors[""] = "missing response values for submitted response"
    for name, answer in (values or {}).items():
        rule = schema.questions.get(name)
        if rule is None:
            errors[name] = f"found response value for non configured question with name={name!r}"
            continue
        try:
            value = clean_value(rule, _unwrap(answer), fields, complete=submitted)
        except InvalidError as error:
            errors[name] = error.message
        else:
            cleaned[name] = {"value": value}
    if submitted and values:
        for name in schema.required_questions:
            if name not in cleaned and name not in errors:
                errors[name] = f"missing response value for required question with name={name!r}"
    return cleaned, errors


def _unwrap(answer: Any) -> Any:
    if not isinstance(answer, Mapping) or "value" not in answer:
        raise InvalidError('an answer has the form {"value": …}')
    return answer["value"]


def as_vector(numbers: Any) -> Vector:
    """A list of numbers as float32, as they are stored. Raises ``InvalidError``."""
    try:
        vector = np.asarray(array("f", numbers))
    except (TypeError, OverflowError):
        raise InvalidError("must be a list of finite numbers") from None
    if vector.size and all(isinstance(one, bool) for one in numbers):  # done at the first number
        raise InvalidError("must be a list of finite numbers")
    if not np.isfinite(vector).all():
        raise InvalidError("must hold finite numbers that are not too large for 32 bits")
    return vector


def clean_vector(schema: DatasetSchema, name: str, numbers: Any) -> Vector:
    """The vector in stored form, after its name, length and numbers are checked."""
    settings = schema.vectors.get(name)
    if settings is None:
        raise InvalidError(f"vector with name={name} not found for dataset_id={schema.dataset.id}")
    try:
        vector = numbers if isinstance(numbers, np.ndarray) else as_vector(numbers)
    except InvalidError as error:
        raise InvalidError(f"vector with name={name} {error.message}") from None
    if len(vector) != settings.dimensions:
        raise InvalidError(
            f"vector value for vector name={name} must have {settings.dimensions} elements,"
            f" got {len(vector)} elements"
        )
    return vector
