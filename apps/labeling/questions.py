"""Questions as the page shows them: options with their numbers, suggestion, answer, error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.datasets.models import Question, QuestionType
from apps.datasets.schema import DatasetSchema
from apps.labeling.markup import Mark, read_marks
from apps.records.models import Suggestion

HUES = 16
FEW_OPTIONS = 10  # below, one digit chooses; above, two digits do and the rest is folded away


@dataclass(frozen=True, slots=True)
class Option:
    """One choice; ``key`` is the number printed on it, ``rank`` its place in a ranking."""

    value: str
    text: str
    description: str
    key: str
    hue: int
    checked: bool
    suggested: bool
    score: str
    extra: bool = False
    rank: int | None = None
    suggested_rank: int | None = None
    letter: str = ""


@dataclass(frozen=True, slots=True)
class QuestionCard:
    """One question; ``text`` and ``marks`` hold the answer where it is not among the options."""

    number: int
    name: str
    title: str
    description: str
    required: bool
    type: str
    options: list[Option]
    suggestion: Suggestion | None
    score: str
    text: str = ""
    marked_field: str = ""
    overlapping: bool = False
    marks: list[Mark] = field(default_factory=list)
    is_empty: bool = False
    answered: bool = False
    error: str = ""

    @property
    def dom_id(self) -> str:
        return f"q{self.number}"

    @property
    def template(self) -> str:
        return f"labeling/questions/_{self.type}.html"

    @property
    def extras(self) -> int:
        """How many options are folded away."""
        return sum(option.extra for option in self.options)

    @property
    def is_long(self) -> bool:
        """There is a filter for the options."""
        return len(self.options) >= FEW_OPTIONS

    @property
    def described(self) -> list[Option]:
        return [option for option in self.options if option.description]

    @property
    def ranks(self) -> range:
        return range(1, len(self.options) + 1)


def show_questions(
    schema: DatasetSchema,
    suggestions: Mapping[Any, Suggestion],
    values: Mapping[str, Any],
    errors: Mapping[str, str],
    fields: Mapping[str, Any],
) -> list[QuestionCard]:
    """The dataset's questions with the answer so far; ``suggestions`` are by question id."""
    return [
        _show(
            number,
            rule.question,
            suggestions.get(rule.id),
            values.get(name, {}).get("value"),
            errors.get(name, ""),
            fields,
        )
        for number, (name, rule) in enumerate(schema.questions.items(), start=1)
    ]


def _show(
    number: int,
    question: Question,
    suggestion: Suggestion | None,
    answer: Any,
    error: str,
    fields: Mapping[str, Any],
) -> QuestionCard:
    is_span = question.type == QuestionType.SPAN
    return QuestionCard(
        number=number,
        name=question.name,
        title=question.title,
        description=question.description or "",
        required=question.required,
        type=question.type,
        options=_show_options(question, suggestion, answer),
        suggestion=suggestion,
        score=show_score(_lowest(suggestion.score)) if suggestion else "",
        text=answer if question.type == QuestionType.TEXT and isinstance(answer, str) else "",
        marked_field=question.settings.get("field", ""),
        overlapping=bool(question.settings.get("allow_overlapping")),
        marks=_show_marks(question, suggestion, answer, fields) if is_span else [],
        is_empty=answer == [],
        answered=answer is not None,
        error=error,
    )


def show_score(score: float | None) -> str:
    """``.91``; nothing without a score."""
    if score is None:
        return ""
    text = f"{score:.2f}"
    return text.removeprefix("0") if score < 1 else text


def hues(question: Question) -> dict[str, tuple[str, int]]:
    """Text and hue of every option, by value; neighbours differ."""
    return {
        str(option["value"]): (str(option.get("text") or option["value"]), place % HUES)
        for place, option in enumerate(question.options)
    }


def _show_options(question: Question, suggestion: Suggestion | None, answer: Any) -> list[Option]:
    chosen = _chosen(question.type, answer)
    suggested = _chosen(question.type, suggestion.value) if suggestion else {}
    scores = _scores(suggestion) if suggestion else {}
    visible = question.settings.get("visible_options") or len(question.options)
    options = []
    for place, option in enumerate(question.options):
        value = str(option["value"])
        options.append(
            Option(
                value=value,
                text=str(option.get("text") or value),
                description=option.get("description") or "",
                key=str(place + 1)
                if place != FEW_OPTIONS - 1 or len(question.options) > FEW_OPTIONS
                else "0",
                hue=place % HUES,
                checked=value in chosen,
                suggested=value in suggested,
                score=show_score(scores.get(value)),
                extra=place >= visible,
                rank=chosen.get(value),
                suggested_rank=suggested.get(value),
                letter=_letter(place),
            )
        )
    if question.type == QuestionType.RANKING:
        options.sort(key=lambda option: option.rank or len(options) + 1)
    return options


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _chosen(kind: str, answer: Any) -> dict[str, int | None]:
    """The options an answer names, with their rank in a ranking."""
    if answer is None or kind in {QuestionType.TEXT, QuestionType.SPAN}:
        return {}
    if kind == QuestionType.RANKING:
        return {item["value"]: _as_rank(item.get("rank")) for item in answer}
    if kind == QuestionType.MULTI_LABEL:
        return dict.fromkeys(answer)
    return {str(answer): None}


def _as_rank(rank: Any) -> int | None:
    return rank if isinstance(rank, int) else None


def _scores(suggestion: Suggestion) -> dict[str, float]:
    """Score by option, for a single value and for a list of values alike."""
    if isinstance(suggestion.score, list):
        if not isinstance(suggestion.value, list):
            return {}
        pairs = zip(suggestion.value, suggestion.score, strict=False)
        return {value: score for value, score in pairs if isinstance(value, str)}
    return {str(suggestion.value): suggestion.score} if suggestion.score is not None else {}


def _lowest(score: Any) -> float | None:
    if isinstance(score, list):
        return min(score, default=None)
    return score if isinstance(score, int | float) else None


def _is_span(span: Any) -> bool:
    """Whether it can be shown; what a form sent is checked elsewhere."""
    return (
        isinstance(span, Mapping)
        and isinstance(span.get("start"), int)
        and isinstance(span.get("end"), int)
        and isinstance(span.get("label"), str)
    )


def _show_marks(
    question: Question, suggestion: Suggestion | None, answer: Any, fields: Mapping[str, Any]
) -> list[Mark]:
    """The answer's spans, then the suggested ones that are not among them."""
    options = hues(question)
    text = str(fields.get(question.settings["field"]) or "")
    spans = [span for span in answer or () if _is_span(span)]
    marks = read_marks(spans, options, text)
    if suggestion is None:
        return marks
    known = {(mark.start, mark.end, mark.label) for mark in marks}
    suggested: Sequence[Mark] = read_marks(suggestion.value, options, text, suggested=True)
    return marks + [m for m in suggested if (m.start, m.end, m.label) not in known]
