"""The questions of a record under review: what people said, and what is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from apps.annotation.models import Response
from apps.datasets.models import QuestionType
from apps.datasets.schema import QuestionRule
from apps.datasets.values import canonical, says_same
from apps.labeling.questions import QuestionCard, show_questions, show_score
from apps.labeling.review_values import (
    Person,
    Shown,
    show_value,
    summarize,
    with_diff,
)
from apps.quality.causes import known_answers
from apps.quality.consensus import consensus
from apps.quality.models import ReviewCause
from apps.records.models import Suggestion

if TYPE_CHECKING:
    from apps.labeling.review_page import ReviewPage

AGREED, EDIT, AMBIGUOUS = "agreed", "edit", "ambiguous"
FEW: Final = 9  # choices that have a digit


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that people gave, or that their answers come to; ``code`` goes into the form."""

    code: str
    value: Any
    shown: Shown
    people: list[Person]
    share: int
    is_agreed: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """A question with what people said and what is chosen."""

    card: QuestionCard
    rule: QuestionRule
    choices: list[Choice]
    chosen: str
    summary: str
    causes: list[ReviewCause]
    alpha: float | None
    suggestion: Suggestion | None
    suggested: Shown | None
    score: str
    error: str = ""

    @property
    def is_settled(self) -> bool:
        """Everybody says the same, and nothing else speaks against it."""
        return len(self.choices) == 1 and bool(self.choices[0].people) and not self.causes

    @property
    def dom_id(self) -> str:
        return self.card.dom_id

    @property
    def is_text(self) -> bool:
        return self.rule.type in {QuestionType.TEXT, QuestionType.SPAN}


def judge_all(page: "ReviewPage") -> list[Judged]:
    record = page.record
    assert record is not None  # noqa: S101
    suggestions = {row.question_id: row for row in Suggestion.objects.filter(record=record)}
    given: dict[str, list[tuple[Response, Any]]] = {name: [] for name in page.schema.questions}
    for response in page.responses:
        for name, value in known_answers(page.schema, response.values):
            given[name].append((response, value))
    agreed = {
        name: consensus(rule, [value for _, value in given[name]])
        for name, rule in page.schema.questions.items()
    }
    prefilled = _prefill(page, given, agreed)
    cards = show_questions(page.schema, {}, prefilled, {}, record.fields)
    return [_judge(page, card, given[card.name], agreed[card.name], suggestions) for card in cards]


def _prefill(
    page: "ReviewPage", given: Mapping[str, Any], agreed: Mapping[str, Any]
) -> dict[str, Any]:
    """What the widgets of one's own answer hold: as posted, as decided, or the agreed value."""
    decided = page.adjudication.values if page.adjudication else {}
    found: dict[str, Any] = {}
    for name in page.schema.questions:
        first = given[name][0][1] if given[name] else None
        value = agreed[name] if agreed[name] is not None else first
        if value is not None:
            found[name] = {"value": value}
    return found | dict(decided) | dict(page.asked.edited)


def _judge(
    page: "ReviewPage",
    card: QuestionCard,
    given: Sequence[tuple[Response, Any]],
    agreed: Any,
    suggestions: Mapping[UUID, Suggestion],
) -> Judged:
    rule = page.schema.questions[card.name]
    choices = _choices(page, rule, given, agreed)
    suggestion = suggestions.get(rule.id)
    fields = page.record.fields if page.record else {}
    score = suggestion.score if suggestion else None
    return Judged(
        card=card,
        rule=rule,
        choices=choices,
        chosen=_chosen(page, card.name, choices),
        summary=summarize(rule, [value for _, value in given]),
        causes=[cause for cause in page.causes if cause.question_id == rule.id],
        alpha=page.alpha(rule.id),
        suggestion=suggestion,
        suggested=show_value(rule, suggestion.value, fields) if suggestion else None,
        score=show_score(score) if isinstance(score, int | float) else "",
        error=page.asked.errors.get(card.name, ""),
    )


def _choices(
    page: "ReviewPage", rule: QuestionRule, given: Sequence[tuple[Response, Any]], agreed: Any
) -> list[Choice]:
    """Equal answers are one choice, the most frequent first; the agreed value leads."""
    groups: dict[str, list[tuple[Response, Any]]] = {}
    for response, value in given:
        groups.setdefault(canonical(value), []).append((response, value))
    ordered = sorted(groups.values(), key=lambda group: -len(group))
    fields = page.record.fields if page.record else {}
    found: list[tuple[str, Any, list[Person]]] = [
        (f"r:{group[0][0].id}", group[0][1], [page.person(one.user) for one, _ in group])
        for group in ordered
    ]
    shared = None if agreed is None else canonical(agreed)
    if shared is not None and shared not in groups:
        found.insert(0, (AGREED, agreed, []))
    found.sort(key=lambda row: canonical(row[1]) != shared)
    first = found[0][1] if found else None
    return [
        Choice(
            code=code,
            value=value,
            shown=with_diff(show_value(rule, value, fields), rule, first, value),
            people=people,
            share=round(100 * len(people) / max(len(given), 1)),
            is_agreed=canonical(value) == shared,
            key=str(number) if number <= FEW else "",
        )
        for number, (code, value, people) in enumerate(found, start=1)
    ]


def _chosen(page: "ReviewPage", name: str, choices: Sequence[Choice]) -> str:
    """As posted; as decided before; else what people agree on."""
    if name in page.asked.chosen:
        return page.asked.chosen[name]
    if page.adjudication is not None:
        if name in page.adjudication.ambiguous:
            return AMBIGUOUS
        decided = page.adjudication.values.get(name, {}).get("value")
        if decided is not None:
            same = (one.code for one in choices if says_same(one.value, decided))
            return next(same, EDIT)
    return next((choice.code for choice in choices if choice.is_agreed), "")
