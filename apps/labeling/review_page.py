"""What the review page shows: the answers side by side, and the decision that is made of them."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from itertools import combinations
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.annotation.models import Response
from apps.core.documents import encode
from apps.datasets.models import Dataset, QuestionType
from apps.datasets.schema import DatasetSchema, QuestionRule, load_schema
from apps.labeling.fields import FieldCard, show_fields, show_metadata
from apps.labeling.markup import Mark, Segment, cut, read_marks, render_markdown
from apps.labeling.questions import QuestionCard, hues, show_questions, show_score
from apps.labeling.queue import Turn
from apps.organizations.models import Membership
from apps.quality import review
from apps.quality.agreement import agreement
from apps.quality.causes import known_answers
from apps.quality.consensus import consensus, mean_ranks
from apps.quality.decisions import Seen, what_is_seen
from apps.quality.models import (
    Adjudication,
    Comment,
    DatasetReview,
    Flag,
    ReviewCause,
    ReviewItem,
    ReviewReason,
)
from apps.records.models import Record, Suggestion

AGREED, EDIT, AMBIGUOUS = "agreed", "edit", "ambiguous"
FEW: Final = 9  # choices that have a digit


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who answered, as the reviewer may know them."""

    id: UUID
    name: str
    hue: int
    initials: str


@dataclass(frozen=True, slots=True)
class Label:
    text: str
    hue: int
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A value for the eye: labels, or a text; ``diff`` are words kept, added and taken out."""

    labels: list[Label] = field(default_factory=list)
    text: str = ""
    diff: list[tuple[str, str]] = field(default_factory=list)
    is_empty: bool = False


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


def show_value(rule: QuestionRule, value: Any, fields: Mapping[str, Any]) -> Shown:
    """The value as labels or text; an option that is gone is shown by its value."""
    if rule.type == QuestionType.TEXT:
        return Shown(text=str(value))
    options = hues(rule.question)
    if rule.type == QuestionType.SPAN:
        marks = read_marks(value, options, str(fields.get(rule.field or "") or ""))
        labels = [Label(f"{mark.name}: {mark.text}", mark.hue) for mark in marks]
        return Shown(labels=labels, is_empty=not labels)
    if rule.type == QuestionType.RANKING:
        rows = [(item["value"], item.get("rank")) for item in value]
    else:
        rows = [(one, None) for one in (value if isinstance(value, list) else [value])]
    named = [(*options.get(str(one), (str(one), 0)), rank) for one, rank in rows]
    return Shown(labels=[Label(text, hue, rank) for text, hue, rank in named])


def word_diff(before: str, after: str) -> list[tuple[str, str]]:
    """``("same" | "del" | "ins", words)`` in order; blanks stay with the word before them."""
    old, new = _words(before), _words(after)
    parts: list[tuple[str, str]] = []
    for what, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what == "equal":
            parts.append(("same", "".join(old[a:b])))
            continue
        parts += [("del", "".join(old[a:b]))] if b > a else []
        parts += [("ins", "".join(new[c:d]))] if d > c else []
    return parts


def _words(text: str) -> list[str]:
    words: list[str] = []
    for letter in text:
        if words and (letter.isspace() or not words[-1][-1].isspace()):
            words[-1] += letter
        else:
            words.append(letter)
    return words


@dataclass(frozen=True, slots=True)
class Layer:
    """A text with the spans of one person, of all, or of the decision."""

    number: int
    title: str
    name: str
    segments: list[Segment]
    is_marked: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form said, to be shown again: choice by question, the note, what is wrong."""

    chosen: Mapping[str, str] = field(default_factory=dict)
    edited: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    changed: frozenset[UUID] = frozenset()


@dataclass
class ReviewPage:
    """One record under review, or, without one, what waits.

    ``asked`` is a decision that could not be taken. ``held_by_other`` names who has the record.
    """

    dataset: Dataset
    member: Membership
    filters: review.Filters
    record: Record | None = None
    item: ReviewItem | None = None
    blind: bool = False
    asked: Asked = field(default_factory=Asked)
    done: Record | None = None
    schema: DatasetSchema = field(init=False)

    def __post_init__(self) -> None:
        self.schema = load_schema(self.dataset)

    @property
    def turn(self) -> Turn | None:
        """What templates of fields ask for."""
        return Turn(self.record) if self.record else None

    @cached_property
    def settings(self) -> DatasetReview:
        return review.review_settings(self.dataset.id)

    @property
    def note(self) -> str:
        """As posted, else that of the decision which stands."""
        return self.asked.note or (self.adjudication.note if self.adjudication else "")

    @property
    def least_percent(self) -> str:
        return f"{100 * self.settings.least_certain:g}"

    @cached_property
    def responses(self) -> list[Response]:
        rows = Response.objects.submitted().filter(record=self.record)
        return list(rows.select_related("user").order_by("id")) if self.record else []

    @cached_property
    def adjudication(self) -> Adjudication | None:
        rows = Adjudication.objects.filter(record=self.record)
        return rows.select_related("reviewer").first() if self.record else None

    @cached_property
    def causes(self) -> list[ReviewCause]:
        rows = ReviewCause.objects.filter(record=self.record.id) if self.record else []
        return sorted(rows, key=lambda cause: list(ReviewReason).index(ReviewReason(cause.reason)))

    @property
    def reasons(self) -> list[str]:
        return list(dict.fromkeys(cause.get_reason_display() for cause in self.causes))

    @cached_property
    def flags(self) -> list[tuple[str, str]]:
        rows = Flag.objects.filter(record=self.record).select_related("member").order_by("id")
        return [(self.name_of(flag.member), flag.note) for flag in rows]

    @cached_property
    def comments(self) -> list[tuple[Person, Comment]]:
        rows = Comment.objects.filter(record=self.record).select_related("author").order_by("id")
        return [(self.person(comment.author), comment) for comment in rows]

    @cached_property
    def people(self) -> list[Person]:
        return [self.person(response.user) for response in self.responses]

    @cached_property
    def _numbers(self) -> dict[UUID, int]:
        return {response.user_id: n for n, response in enumerate(self.responses, start=1)}

    def person(self, member: Membership | None) -> Person:
        """In blind mode a number; colours then tell nothing either."""
        if member is None:
            return Person(UUID(int=0), _("somebody who left"), 0, "–")
        if not self.blind or member.id == self.member.id:
            words = member.display_name.replace("-", " ").replace("_", " ").split()
            letters = "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()
            return Person(member.id, member.display_name, member.id.int % 16, letters)
        number = self._numbers.get(member.id)
        if number is None:
            return Person(member.id, _("Colleague"), 0, "–")
        name = _("Annotator %(number)s") % {"number": number}
        return Person(member.id, name, number % 16, str(number))

    def name_of(self, member: Membership) -> str:
        return self.person(member).name

    @cached_property
    def seen(self) -> str:
        """What the decision will rest on, for the form."""
        return encode(dict(what_is_seen(self.responses, self.adjudication))).decode()

    @property
    def held_by_other(self) -> str:
        item = self.item
        if item is None or item.held_by is None or item.held_by_id == self.member.id:
            return ""
        return item.held_by.display_name

    @cached_property
    def questions(self) -> list[Judged]:
        return _judge_all(self) if self.record else []

    @cached_property
    def wrong(self) -> list[Judged]:
        return [one for one in self.questions if one.error]

    @property
    def fields(self) -> list[tuple[FieldCard, list[Layer]]]:
        if self.record is None:
            return []
        cards = show_fields(self.schema, self.record.fields, [])
        return [(card, self._layers(card)) for card in cards]

    def _layers(self, card: FieldCard) -> list[Layer]:
        """All spans together, each person's, and the decision's."""
        rules = [
            rule
            for rule in self.schema.questions.values()
            if rule.type == QuestionType.SPAN and rule.field == card.name
        ]
        if not rules or not card.text:
            return []
        found = [(_("all"), _together(rules, card.text, [r.values for r in self.responses]))]
        for person, response in zip(self.people, self.responses, strict=True):
            found.append((person.name, _marks(rules, card.text, response.values)))
        if self.adjudication is not None:
            found.append((_("decision"), _marks(rules, card.text, self.adjudication.values)))
        return [
            Layer(number, title, card.name, cut(card.text, marks))
            for number, (title, marks) in enumerate(found)
        ]

    @property
    def metadata(self) -> list[tuple[str, str]]:
        metadata = self.record.metadata if self.record else None
        return show_metadata(self.schema, metadata, all_of_it=True)

    @property
    def guidelines(self) -> str:
        return render_markdown(self.dataset.guidelines) if self.dataset.guidelines else ""

    # --- The queue ---
    @cached_property
    def counts(self) -> list[tuple[str, str, int]]:
        found = review.count_reasons(self.dataset)
        return [(reason.value, str(reason.label), found.get(reason, 0)) for reason in ReviewReason]

    @cached_property
    def total(self) -> int:
        """How many records wait under the filters."""
        return int(self.filters.items(self.dataset).count())

    @cached_property
    def place(self) -> int:
        """The record's place among them."""
        if self.record is None:
            return 0
        items = self.filters.items(self.dataset)
        return int(items.filter(record_id__lt=self.record.id).count()) + 1

    @cached_property
    def decided(self) -> int:
        return Adjudication.objects.filter(dataset=self.dataset).count()

    @cached_property
    def candidates(self) -> list[Membership]:
        """People to filter by; nobody in blind mode."""
        if self.blind:
            return []
        return list(
            Membership.objects.filter(
                responses__dataset=self.dataset, responses__status="submitted"
            )
            .distinct()
            .order_by("username")
        )

    def alpha(self, question_id: UUID) -> float | None:
        value = self.settings.agreement.get(str(question_id))
        return value if isinstance(value, int | float) else None

    @property
    def weakest(self) -> tuple[str, str] | None:
        """The disputed question on which people agree least, with its alpha."""
        rated = [(one.alpha, one.card.title) for one in self.questions if one.alpha is not None]
        disputed = [pair for pair in rated if pair[0] < 0.8]
        return (show_alpha(min(disputed)[0]), min(disputed)[1]) if disputed else None

    def url(self, **more: Any) -> str:
        return review_url(self.dataset.id, self.filters, blind=self.blind, **more)

    @property
    def skip_url(self) -> str:
        return self.url(after=self.record.id if self.record else None)


def show_alpha(value: float) -> str:
    """``.41``, ``−.12``."""
    sign = "−" if value < 0 else ""
    return sign + show_score(abs(value))


def review_url(dataset_id: UUID, filters: review.Filters, **more: Any) -> str:
    """The review page under the filters; empty parts are left out."""
    query = {
        "reason": filters.reason,
        "question": filters.question_id,
        "person": filters.person_id,
        "blind": "1" if more.pop("blind", False) else "",
        **more,
    }
    path = reverse("labeling:review", args=[dataset_id])
    given = {name: str(value) for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def _together(rules: Sequence[QuestionRule], text: str, answers: Iterable[Any]) -> list[Mark]:
    """Everybody's spans; those of several people once, with their number."""
    counts = Counter(mark for values in answers for mark in _marks(rules, text, values))
    return [
        Mark(m.start, m.end, m.label, f"{m.name} {count}", m.hue, count == 1, m.text)
        for m, count in counts.items()
    ]


def _marks(rules: Sequence[QuestionRule], text: str, values: Mapping[str, Any]) -> list[Mark]:
    marks: list[Mark] = []
    for rule in rules:
        spans = values.get(rule.name, {}).get("value") or []
        marks += read_marks(spans, hues(rule.question), text)
    return marks


# --- Questions -----------------------------------------------------------------------------------
def _judge_all(page: ReviewPage) -> list[Judged]:
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
    page: ReviewPage, given: Mapping[str, Any], agreed: Mapping[str, Any]
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
    page: ReviewPage,
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
        summary=_summary(rule, [value for _, value in given]),
        causes=[cause for cause in page.causes if cause.question_id == rule.id],
        alpha=page.alpha(rule.id),
        suggestion=suggestion,
        suggested=show_value(rule, suggestion.value, fields) if suggestion else None,
        score=show_score(score) if isinstance(score, int | float) else "",
        error=page.asked.errors.get(card.name, ""),
    )


def _choices(
    page: ReviewPage, rule: QuestionRule, given: Sequence[tuple[Response, Any]], agreed: Any
) -> list[Choice]:
    """Equal answers are one choice, the most frequent first; the agreed value leads."""
    groups: dict[str, list[tuple[Response, Any]]] = {}
    for response, value in given:
        groups.setdefault(_standard(value), []).append((response, value))
    ordered = sorted(groups.values(), key=lambda group: -len(group))
    fields = page.record.fields if page.record else {}
    found: list[tuple[str, Any, list[Person]]] = [
        (f"r:{group[0][0].id}", group[0][1], [page.person(one.user) for one, _ in group])
        for group in ordered
    ]
    if agreed is not None and _standard(agreed) not in groups:
        found.insert(0, (AGREED, agreed, []))
    elif agreed is not None:
        found.sort(key=lambda row: row[1] != agreed)
    first = found[0][1] if found else None
    return [
        Choice(
            code=code,
            value=value,
            shown=_with_diff(show_value(rule, value, fields), rule, first, value),
            people=people,
            share=round(100 * len(people) / max(len(given), 1)),
            is_agreed=agreed is not None and value == agreed,
            key=str(number) if number <= FEW else "",
        )
        for number, (code, value, people) in enumerate(found, start=1)
    ]


def _standard(value: Any) -> str:
    """Equal for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True)


def _with_diff(shown: Shown, rule: QuestionRule, first: Any, value: Any) -> Shown:
    if rule.type != QuestionType.TEXT or value == first:
        return shown
    return Shown(text=shown.text, diff=word_diff(str(first), str(value)))


def _chosen(page: ReviewPage, name: str, choices: Sequence[Choice]) -> str:
    """As posted; as decided before; else what people agree on."""
    if name in page.asked.chosen:
        return page.asked.chosen[name]
    if page.adjudication is not None:
        if name in page.adjudication.ambiguous:
            return AMBIGUOUS
        decided = page.adjudication.values.get(name, {}).get("value")
        if decided is not None:
            same = (choice.code for choice in choices if choice.value == decided)
            return next(same, EDIT)
    return next((choice.code for choice in choices if choice.is_agreed), "")


def _summary(rule: QuestionRule, values: Sequence[Any]) -> str:
    """How the answers compare, in a few words."""
    if len(values) < 2:
        return _("one answer") if values else _("nobody answered")
    if all(value == values[0] for value in values):
        return _("all %(n)s agree") % {"n": len(values)}
    if rule.type == QuestionType.LABEL:
        return _(" to ").join(str(n) for _value, n in Counter(values).most_common())
    if rule.type == QuestionType.RATING:
        mean = sum(values) / len(values)
        words = {"low": min(values), "high": max(values), "mean": f"{mean:.1f}"}
        return _("from %(low)s to %(high)s, mean %(mean)s") % words
    return _summary_of_parts(rule, values)


def _summary_of_parts(rule: QuestionRule, values: Sequence[Any]) -> str:
    if rule.type == QuestionType.RANKING:
        options = hues(rule.question)
        ranks = [
            f"{options.get(name, (name, 0))[0]} {mean:.1f}"
            for name, mean in mean_ranks(values).items()
        ]
        return _("mean ranks: %(ranks)s") % {"ranks": ", ".join(ranks)}
    if rule.type == QuestionType.TEXT:
        pairs = [SequenceMatcher(None, a, b).ratio() for a, b in combinations(values[:5], 2)]
        likeness = sum(pairs) / len(pairs)
    else:
        likeness = agreement(rule, values) or 0.0
    return _("%(percent)s %% alike") % {"percent": round(100 * likeness)}


# --- The form ------------------------------------------------------------------------------------
def read_seen(text: str) -> Seen | None:
    """What the form was made of. None for anything else than an object of texts."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()):
        return found
    return None
