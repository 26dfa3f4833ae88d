"""What the review page shows: the answers side by side, and the decision that is made of them."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
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
from apps.labeling.questions import hues, show_score
from apps.labeling.queue import Turn
from apps.labeling.review_questions import Judged, judge_all
from apps.labeling.review_values import Person
from apps.organizations.models import Membership
from apps.quality import review
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
from apps.records.models import Record


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
    A page that is made ahead counts the record ``settled`` as such.
    """

    dataset: Dataset
    member: Membership
    filters: review.Filters
    record: Record | None = None
    item: ReviewItem | None = None
    blind: bool = False
    asked: Asked = field(default_factory=Asked)
    done: Record | None = None
    settled: UUID | None = None
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
        return judge_all(self) if self.record else []

    @cached_property
    def wrong(self) -> list[Judged]:
        return [one for one in self.questions if one.error]

    @property
    def fields(self) -> list[tuple[FieldCard, list[Layer]]]:
        if self.record is None:
            return []
        cards = show_fields(self.schema, self.record.fields, [], record_id=self.record.id)
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

    @property
    def _waiting(self) -> Any:
        return self.filters.items(self.dataset).exclude(record_id=self.settled or UUID(int=0))

    @cached_property
    def total(self) -> int:
        """How many records wait under the filters."""
        return int(self._waiting.count())

    @cached_property
    def place(self) -> int:
        """The record's place among them."""
        if self.record is None:
            return 0
        return int(self._waiting.filter(record_id__lt=self.record.id).count()) + 1

    @cached_property
    def decided(self) -> int:
        others = Adjudication.objects.filter(dataset=self.dataset)
        if self.settled is None:
            return others.count()
        return others.exclude(record_id=self.settled).count() + 1

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

    @property
    def own_url(self) -> str:
        return self.url(record=self.record.id if self.record else None)

    @property
    def ahead_url(self) -> str:
        """Where the page that follows the decision is made; empty when this decides nothing."""
        if self.record is None or self.item is None or self.held_by_other:
            return ""
        return self.url(after=self.record.id, done=self.record.id, ahead=1)


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
