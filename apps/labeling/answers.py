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


def read_strays(schema: DatasetSchema, post: QueryDict) -> dict[str, str]:
    """What was answered to questions that are no longer there, by their names, as text."""
    names = [name.removeprefix("q.") for name in post if name.startswith("q.")]
    texts = {name: ", ".join(filter(None, post.getlist(f"q.{name}"))) for name in names}
    return {name: text for name, text in texts.items() if text and name not in schema.questions}


def read_answer(schema: DatasetSchema, post: QueryDict, fields: Mapping[str, Any]) -> Answer:
    """The posted answer, and what is wrong with it by question name.

    Its key comes from the form's key and its content: the same answer sent twice is one answer,
    another answer from the same page is another one.
    """
    status = STATUSES.get(post.get("do", ""), "submitted")
    values = _read_values(schema, post)
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


def _read_values(schema: DatasetSchema, post: QueryDict) -> dict[str, Any]:
    values = {}
    for name, rule in schema.questions.items():
        value = _READERS[rule.type]([text for text in post.getlist(f"q.{name}") if text])
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
    return int(given[-1]) if given[-1].isdecimal() else given[-1]


def _read_ranking(given: Sequence[str]) -> list[dict[str, Any]] | None:
    pairs = [text.partition(":")[::2] for text in given]
    items = [
        {"value": option, "rank": int(rank) if rank.isdecimal() else rank} for rank, option in pairs
    ]
    return items or None


def _read_spans(given: Sequence[str]) -> list[Any] | None:
    """Whatever is not a span stays in the list, where the check of values finds it."""
    spans = [_parse(text) for text in given if text != NOTHING]
    return spans if given else None


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
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
    found = response_errors(schema, values, status, fields)
    if status == "submitted" and not values:
        found |= dict.fromkeys(schema.required_questions, "")
        found[""] = "" if schema.required_questions else _("Answer at least one question.")
    return {
        name: _word(schema.questions.get(name), name in values, reason)
        for name, reason in found.items()
        if name or reason
    }


def _word(rule: QuestionRule | None, answered: bool, reason: str) -> str:
    """The reason as the page says it."""
    if rule is None:
        return reason
    if rule.type == QuestionType.RANKING:
        return _("Give every option a rank.")
    if answered:
        return reason
    return {
        QuestionType.TEXT: _("Write an answer before you submit."),
        QuestionType.LABEL: _("Choose one before you submit."),
        QuestionType.MULTI_LABEL: _("Choose at least one before you submit."),
        QuestionType.RATING: _("Give a value before you submit."),
        QuestionType.SPAN: _("Mark something, or say that there is nothing to mark."),
    }[QuestionType(rule.type)]
