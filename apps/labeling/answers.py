"""Answers as the form carries them: ``q.<question name>``, once or several times.

A ranking sends ``<rank>:<option>`` for every ranked option, a span question one JSON object for
every span, and ``[]`` to say that there is nothing to mark.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4, uuid5

from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.datasets.models import QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.datasets.values import response_errors

STATUSES: Final = {"submit": "submitted", "draft": "draft", "discard": "discarded"}
NOTHING: Final = "[]"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the form asks to save; ``values`` maps question name to ``{"value": …}``."""

    status: str
    values: dict[str, Any]
    request_key: UUID
    errors: Mapping[str, str] = field(default_factory=dict)


def read_strays(schema: DatasetSchema, post: QueryDict) -> str:
    """What was answered to questions that are no longer there, in words; empty for nothing."""
    names = [name.removeprefix("q.") for name in post if name.startswith("q.")]
    texts = {name: ", ".join(filter(None, post.getlist(f"q.{name}"))) for name in names}
    gone = {name: text for name, text in texts.items() if text and name not in schema.questions}
    return " ".join(f"“{name}”: {text}" for name, text in gone.items())


def read_answer(schema: DatasetSchema, post: QueryDict, fields: Mapping[str, Any]) -> Answer:
    """The posted answer, and what is wrong with it by question name.

    Its key comes from the form's key and its content: the same answer sent twice is one answer,
    another answer from the same page is another one.
    """
    status = STATUSES.get(post.get("do", ""), "submitted")
    values = read_values(schema, post)
    content = json.dumps([status, values], sort_keys=True)
    return Answer(
        status=status,
        values=values,
        request_key=uuid5(_form_key(post), content),
        errors=_find_errors(schema, values, status, fields),
    )


def _form_key(post: QueryDict) -> UUID:
    try:
        return UUID(post.get("request_key", ""))
    except ValueError:
        return uuid4()


def read_values(schema: DatasetSchema, post: QueryDict) -> dict[str, Any]:
    """What was answered: ``{question name: {"value": …}}``, right or wrong."""
    values = {}
    for name, rule in schema.questions.items():
        given = [text.replace("\0", "") for text in post.getlist(f"q.{name}")]
        value = _READERS[rule.type]([text for text in given if text])
        if value is not None:
            values[name] = {"value": value}
    return values


def _read_one(given: Sequence[str]) -> str | None:
    return given[-1] if given else None


def _read_text(given: Sequence[str]) -> str | None:
    """Forms send line ends as CRLF, whatever was typed."""
    text = given[-1].replace("\r\n", "\n") if given else ""
    return text if text.strip() else None


def _read_several(given: Sequence[str]) -> list[str] | None:
    return list(given) or None


def _read_number(given: Sequence[str]) -> int | str | None:
    if not given:
        return None
    return _whole(given[-1])


def _whole(text: str) -> int | str:
    """A number of a few digits; what is no such number stays text, which the check refuses."""
    return int(text) if text.isdecimal() and len(text) < 10 else text


def _read_ranking(given: Sequence[str]) -> list[dict[str, Any]] | None:
    pairs = [text.partition(":")[::2] for text in given]
    items = [{"value": option, "rank": _whole(rank)} for rank, option in pairs]
    return items or None


def _read_spans(given: Sequence[str]) -> list[Any] | None:
    """Whatever is not a span stays in the list, where the check of values finds it."""
    spans = [_parse(text) for text in given if text != NOTHING]
    return spans if given else None


def _parse(text: str) -> Any:
    """What the JSON says; anything that is none, or cannot be written again, stays text."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
        return value
    except (ValueError, RecursionError):
        return text


_READERS: Final[dict[str, Callable[[Sequence[str]], Any]]] = {
    QuestionType.TEXT: _read_text,
    QuestionType.LABEL: _read_one,
    QuestionType.MULTI_LABEL: _read_several,
    QuestionType.RATING: _read_number,
    QuestionType.RANKING: _read_ranking,
    QuestionType.SPAN: _read_spans,
}


def _find_errors(
    schema: DatasetSchema, values: Mapping[str, Any], status: str, fields: Mapping[str, Any]
) -> dict[str, str]:
    """What is wrong, in the words of the page; ``""`` is said of the whole answer."""
    wrong = response_errors(schema, values, status, fields)
    found = {
        name: misfit(schema.questions[name], values.get(name))
        for name in wrong
        if name in schema.questions
    }
    if status == "submitted" and not values:
        required = schema.required_questions
        found |= {name: misfit(schema.questions[name], None) for name in required}
        if not required:
            found[""] = _("Answer at least one question.")
    return found


def misfit(rule: QuestionRule, answer: Mapping[str, Any] | None) -> str:
    """What to do about a question whose answer is missing, or no longer fits."""
    kind = QuestionType(rule.type)
    if kind == QuestionType.RANKING:
        return _("Give every option a rank.")
    if answer is None:
        return _ask_for(kind)
    if kind == QuestionType.SPAN:
        return _misfit_of_spans(rule, answer["value"])
    return _("An option that was chosen is not there, or no longer. Choose again.")


def _ask_for(kind: QuestionType) -> str:
    return {
        QuestionType.TEXT: _("Write an answer before you submit."),
        QuestionType.LABEL: _("Choose one before you submit."),
        QuestionType.MULTI_LABEL: _("Choose at least one before you submit."),
        QuestionType.RATING: _("Give a value before you submit."),
        QuestionType.SPAN: _("Mark something, or say that there is nothing to mark."),
    }[kind]


def _misfit_of_spans(rule: QuestionRule, spans: Sequence[Any]) -> str:
    labels = [span.get("label") for span in spans if isinstance(span, Mapping)]
    if any(isinstance(label, str) and label not in rule.options for label in labels):
        return _("A label of a mark is not there, or no longer. Mark it with another one.")
    return _("Two marks overlap, or one does not fit the text. Remove it, and mark again.")
