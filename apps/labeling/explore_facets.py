"""Facets as the page shows them: values with their counts, scores as a histogram, ranges."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from django.utils.translation import gettext as _

from apps.annotation.models import ResponseStatus
from apps.core.ids import read_id
from apps.datasets.models import PropertyType
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.labeling.questions import hues
from apps.organizations.models import Membership
from apps.search.asked import BETWEEN, CHOSEN, RECORD, Asked, Bounds
from apps.search.between import read_outcome, read_pair
from apps.search.facets import BINS, Counts
from apps.search.query import Viewpoint

SHOWN: Final = 6  # values shown before the rest is folded away
HEIGHT: Final = 32  # of a histogram, in its own units
WIDTH: Final = 12  # of a bar


@dataclass(frozen=True, slots=True)
class Option:
    value: str
    text: str
    count: int
    checked: bool


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    y: int
    height: int
    is_in: bool


@dataclass(frozen=True, slots=True)
class FacetCard:
    """One filter; ``bounds`` of a range, with ``bars`` where the values are scores."""

    key: str
    title: str
    options: list[Option] = field(default_factory=list)
    bounds: Bounds | None = None
    bars: list[Bar] = field(default_factory=list)

    @property
    def first(self) -> list[Option]:
        return [one for n, one in enumerate(self.options) if n < SHOWN or one.checked]

    @property
    def rest(self) -> list[Option]:
        return [one for n, one in enumerate(self.options) if n >= SHOWN and not one.checked]


def show_facets(
    schema: DatasetSchema, asked: Asked, counts: Counts, viewpoint: Viewpoint
) -> list[FacetCard]:
    """The filters that can tell records apart, and those that are set. One query for names."""
    facets = _Facets(schema, asked, counts, viewpoint)
    found = [
        *facets.named(),
        *facets.between(),
        *facets.statuses(),
        *facets.of_questions(),
        *facets.of_properties(),
    ]
    if viewpoint.own is None:
        found.append(facets.people())
    return [card for card in found if card.options or card.bounds is not None]


@dataclass(frozen=True, slots=True)
class _Facets:
    schema: DatasetSchema
    asked: Asked
    counts: Counts
    viewpoint: Viewpoint

    def statuses(self) -> Iterator[FacetCard]:
        mine = {"pending": _("Pending")} | {s.value: str(s.label) for s in ResponseStatus}
        yield self._card("mine", _("My answer"), mine, always=True)
        record = {"pending": _("Pending"), "completed": _("Completed")}
        yield self._card("status", _("Record"), record, always=True)

    def of_questions(self) -> Iterator[FacetCard]:
        for name, rule in self.schema.questions.items():
            title = rule.question.title
            if rule.type in CHOSEN:
                texts = _texts(rule)
                told = _("Suggested: %s") % title
                yield self._card(f"suggested.{name}", told, texts)
                yield self._card(f"answered.{name}", _("Answered: %s") % title, texts)
            key = f"score.{name}"
            if key in self.counts or key in self.asked.ranges:
                yield self._scores(key, _("Score: %s") % title)

    def of_properties(self) -> Iterator[FacetCard]:
        for name, part in self.schema.properties.items():
            if name in self.viewpoint.hidden:
                continue
            key = f"meta.{name}"
            if part.type == PropertyType.TERMS:
                yield self._card(key, part.title, {})
            else:
                yield FacetCard(key, part.title, bounds=self.asked.ranges.get(key, Bounds()))

    def named(self) -> Iterator[FacetCard]:
        """The records that an address names one by one."""
        ids = self.asked.values.get(RECORD, ())
        options = [Option(id, _("Record %s") % n, 1, True) for n, id in enumerate(ids, start=1)]
        if options:
            yield FacetCard(RECORD, _("Named records"), options)

    def between(self) -> Iterator[FacetCard]:
        """Who differs from whom, and what answers come to, as an address says it."""
        for key, given in self.asked.values.items():
            kind, _dot, name = key.partition(".")
            rule = self.schema.questions.get(name)
            if kind not in BETWEEN or rule is None:
                continue
            if kind == "differ":
                options, title = self._pairs(given), _("Answered differently: %s")
            else:
                options, title = self._outcomes(rule, given), _("Comes to: %s")
            yield FacetCard(key, title % rule.question.title, options)

    def _pairs(self, given: Sequence[str]) -> list[Option]:
        """One query for the names."""
        pairs = {text: pair for text in given if (pair := read_pair(text)) is not None}
        ids = {id for pair in pairs.values() for id in pair.both if id is not None}
        members = Membership.objects.filter(id__in=ids)
        names: dict[UUID | None, str] = {one.id: one.display_name for one in members}
        names[None] = _("the model")
        return [
            self._since(
                text, pair.since, f"{names.get(pair.one, '–')} / {names.get(pair.other, '–')}"
            )
            for text, pair in pairs.items()
        ]

    def _outcomes(self, rule: QuestionRule, given: Sequence[str]) -> list[Option]:
        found = {text: one for text in given if (one := read_outcome(text)) is not None}
        texts = _texts(rule)
        return [
            self._since(text, one.since, texts.get(one.value, one.value))
            for text, one in found.items()
        ]

    def _since(self, value: str, since: datetime | None, text: str) -> Option:
        if since is not None:
            text = _("%(what)s, since %(day)s") % {"what": text, "day": since.date().isoformat()}
        return Option(value, text, self.counts["total"][""], True)

    def people(self) -> FacetCard:
        ids = [id for id in self._found("by") if id != "nobody"]
        members = Membership.objects.filter(id__in=filter(None, map(read_id, ids)))
        names = {str(member.id): member.display_name for member in members}
        return self._card("by", _("Answered by"), {**names, "nobody": _("nobody yet")})

    def _found(self, key: str) -> Mapping[str, int]:
        """Counts by value; a value that is filtered by stays, even without a record."""
        chosen = dict.fromkeys(self.asked.values.get(key, ()), 0)
        return {**self.counts.get(key, {}), **{v: 0 for v in chosen if v not in self._of(key)}}

    def _of(self, key: str) -> Mapping[str, int]:
        return self.counts.get(key, {})

    def _card(
        self, key: str, title: str, texts: Mapping[str, str], *, always: bool = False
    ) -> FacetCard:
        found: Mapping[str, int] = self._found(key)
        if always:
            found = {value: found.get(value, 0) for value in texts}
        chosen = self.asked.values.get(key, ())
        options = [
            Option(value, texts.get(value, value), count, value in chosen)
            for value, count in found.items()
        ]
        return FacetCard(key, title, options)

    def _scores(self, key: str, title: str) -> FacetCard:
        found, bounds = self._of(key), self.asked.ranges.get(key, Bounds())
        most = max(found.values(), default=1)
        low, high = float(bounds.ge or 0), float(bounds.le or 1)
        bars = []
        for number in range(BINS):
            count = found.get(str(number), 0)
            height = max(round(HEIGHT * count / most), 1) if count else 0
            is_in = (number + 1) / BINS > low and number / BINS <= high
            bars.append(Bar(WIDTH * number + 1, HEIGHT - height, height, is_in))
        return FacetCard(key, title, bounds=bounds, bars=bars)


def _texts(rule: QuestionRule) -> dict[str, str]:
    return {value: text for value, (text, _hue) in hues(rule.question).items()}
