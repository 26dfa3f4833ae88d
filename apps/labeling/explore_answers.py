"""Answers and suggestions as chips in a list, and the form that answers many at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.annotation.bulk import BulkAnswer
from apps.core.errors import InvalidError
from apps.core.ids import read_id
from apps.datasets.models import QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.labeling.answers import STATUSES, read_answer
from apps.labeling.questions import hues, show_score
from apps.search.bulk_answers import MAX_PICKED

LONGEST: Final = 80  # characters of a text in a chip


@dataclass(frozen=True, slots=True)
class AnswerChip:
    """One value; ``hue`` is None where values have no colour."""

    text: str
    score: str = ""
    hue: int | None = None
    question: str = ""


def show_values(schema: DatasetSchema, values: Mapping[str, Any]) -> list[AnswerChip]:
    """A response's values, in the order of the questions."""
    chips: list[AnswerChip] = []
    for name, rule in schema.questions.items():
        if name in values:
            chips += show_answer(rule, values[name].get("value"))
    return chips


def show_answer(rule: QuestionRule, value: Any, score: Any = None) -> list[AnswerChip]:
    """A value of any question; ``score`` is a suggestion's."""
    title = rule.question.title
    if rule.type in {QuestionType.LABEL, QuestionType.MULTI_LABEL}:
        names = hues(rule.question)
        given = value if isinstance(value, list) else [value]
        scores = score if isinstance(score, list) else [score] * len(given)
        chips = []
        for one, its in zip(given, [*scores, *[None] * len(given)], strict=False):
            text, hue = names.get(str(one), (str(one), 0))
            chips.append(AnswerChip(text, show_score(its), hue, title))
        return chips
    return [AnswerChip(_in_words(rule, value), _score(score), None, title)]


def _in_words(rule: QuestionRule, value: Any) -> str:
    title = rule.question.title
    if rule.type == QuestionType.SPAN:
        return ngettext("%(n)d span", "%(n)d spans", len(value)) % {"n": len(value)}
    if rule.type == QuestionType.RANKING:
        items = sorted(value, key=lambda item: item.get("rank") or len(value))
        return f"{title}: {' › '.join(str(item['value']) for item in items)}"
    text = str(value)
    text = text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()}…"
    return f"{title}: {text}"


def _score(score: Any) -> str:
    if isinstance(score, list):
        score = min(score, default=None)
    return show_score(score)


# --- The form -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class BulkForm:
    """What was posted: the answer, the records picked (None: all that match), the search."""

    answer: BulkAnswer
    picked: list[UUID] | None
    query: str
    upto: UUID | None
    expected: int | None
    problems: list[str]


def read_bulk_form(schema: DatasetSchema, post: QueryDict) -> BulkForm:
    """The form, and what keeps it from being carried out, in words."""
    problems: list[str] = []
    answer = BulkAnswer(
        status=STATUSES.get(post.get("do", ""), "submitted"),
        values=read_answer(schema, post, {}).values,
        accepted=tuple(dict.fromkeys(post.getlist("accept"))),
        keeps_mine="keep" in post,
    )
    picked = None if post.get("all") == "1" else _picked(post, problems)
    if picked == [] and not problems:
        problems.append(_("No record is selected."))
    try:
        answer.check(schema)
    except InvalidError as error:
        problems.append(_word(schema, answer, error))
    return BulkForm(
        answer=answer,
        picked=picked,
        query=post.get("query", ""),
        upto=read_id(post.get("upto", "")),
        expected=_as_count(post.get("expected", "")),
        problems=problems,
    )


def _picked(post: QueryDict, problems: list[str]) -> list[UUID]:
    given = list(dict.fromkeys(post.getlist("record")))
    ids = [id for text in given if (id := read_id(text)) is not None]
    if len(ids) < len(given):
        problems.append(_("One of the selected records is none."))
    if len(ids) > MAX_PICKED:
        told = _("At most %d records can be picked by hand; take all that match instead.")
        problems.append(told % MAX_PICKED)
    return ids


def _word(schema: DatasetSchema, answer: BulkAnswer, error: InvalidError) -> str:
    if not answer.values and not answer.accepted:
        return _("No question is answered yet.")
    if not {*answer.values, *answer.accepted} <= set(schema.questions):
        return _("A question was changed or deleted meanwhile. Load the page again.")
    return error.message


def _as_count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
