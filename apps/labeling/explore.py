"""What the explore page shows: hits with their reasons, facets, views, the last bulk answer."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.annotation.models import Response
from apps.core.errors import InvalidError
from apps.core.ids import read_id, uuid7
from apps.core.prepared import fetch
from apps.datasets.models import Dataset, FieldType
from apps.datasets.schema import DatasetSchema, load_schema
from apps.jobs.models import Job
from apps.labeling.explore_answers import AnswerChip, show_answer, show_values
from apps.labeling.explore_facets import FacetCard, show_facets
from apps.labeling.explore_jobs import BulkJob, last_bulk_job
from apps.labeling.questions import QuestionCard, show_questions
from apps.organizations.models import Membership
from apps.quality.embeddings import DIMENSIONS, embed
from apps.records.models import Record, Suggestion
from apps.records.text import field_texts
from apps.search import searching
from apps.search.asked import BOTH, CLOSE, MEANING, MODES, WORDS, Asked, read
from apps.search.bulk_answers import viewpoint_of
from apps.search.facets import Counts, count_facets
from apps.search.highlight import Piece, mark_words
from apps.search.matching import FIRST, SHOWN, Hit, Matcher
from apps.search.models import SavedView
from apps.search.query import Viewpoint
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

PAGE: Final = 25
SHORT: Final = 420  # characters of a field that are shown at once


@dataclass(frozen=True, slots=True)
class FieldPart:
    """A field of a hit: pieces of text shown at once, and all of it if that is more."""

    title: str
    pieces: list[Piece]
    whole: list[Piece] = field(default_factory=list)
    image: str = ""


@dataclass(frozen=True, slots=True)
class HitCard:
    """A record in the list; ``why`` says what was found in it."""

    record: Record
    parts: list[FieldPart]
    score: str
    why: str
    status: str
    mine: list[AnswerChip]
    others: list[tuple[str, list[AnswerChip]]]
    suggested: list[AnswerChip]
    may_open: bool


@dataclass
class ExplorePage:
    """A search by a member. ``at`` is where the page of hits begins: an offset, or an id."""

    dataset: Dataset
    member: Membership
    pairs: Iterable[tuple[str, str]] = ()
    at: str = ""
    problems: list[str] = field(default_factory=list)
    asked: Asked = field(init=False)
    upto: UUID = field(init=False, default_factory=uuid7)

    def __post_init__(self) -> None:
        self.asked, problems = read(self.schema, self.pairs, self.viewpoint)
        self.problems += problems

    @cached_property
    def schema(self) -> DatasetSchema:
        return load_schema(self.dataset)

    @cached_property
    def viewpoint(self) -> Viewpoint:
        return viewpoint_of(self.schema, self.member)

    @property
    def sees_others(self) -> bool:
        return self.viewpoint.own is None

    # --- The search ---------------------------------------------------------------------------
    @property
    def can_embed(self) -> bool:
        return searching.phrase_settings(self.schema, DIMENSIONS) is not None

    @property
    def mode(self) -> str:
        return searching.mode_of(self.asked, can_embed=self.can_embed)

    @property
    def modes(self) -> list[tuple[str, str]]:
        names = {WORDS: _("Words"), MEANING: _("Meaning"), BOTH: _("Both")}
        return [(mode, names[mode]) for mode in MODES]

    @cached_property
    def phrase(self) -> list[float] | None:
        """The vector of the phrase, if it is looked for by meaning and means anything."""
        if not self.asked.q or self.mode == WORDS:
            return None
        vector = embed([self.asked.q])[0]
        if vector.any():
            return [float(number) for number in vector]
        self.problems.append(_("These words have no meaning we know: searched as words."))
        return None

    @cached_property
    def matcher(self) -> Matcher:
        """What is asked; without the record to be like where that one is gone."""
        try:
            return self.matching(self.asked)
        except InvalidError as error:
            self.problems.append(error.message)
            self.asked = replace(self.asked, like=None, vector="", least=False)
            return self.matching(self.asked)

    def matching(self, asked: Asked) -> Matcher:
        return searching.matcher_for(
            self.schema, asked, self.member.id, self.viewpoint, phrase=self.phrase
        )

    @cached_property
    def counts(self) -> Counts:
        whole = self.matcher
        near, either, words = whole.near, whole.either, whole.words

        def without(key: str) -> Matcher:
            filters = list(self.asked.without(key).filters(self.member.id))
            view = self.viewpoint
            return Matcher(self.schema, filters, words, near, either=either, viewpoint=view)

        return count_facets(without, me=self.member.id, filtered=self.asked.filter_keys)

    @property
    def total(self) -> int:
        return self.counts["total"][""]

    @cached_property
    def facets(self) -> list[FacetCard]:
        return show_facets(self.schema, self.asked, self.counts, self.viewpoint)

    # --- Likeness -----------------------------------------------------------------------------
    @property
    def cosine(self) -> str:
        near = self.matcher.near
        return f"{near.bound:.2f}" if near else f"{CLOSE:.2f}"

    @cached_property
    def like(self) -> Record | None:
        if self.matcher.near is None or self.asked.like is None:
            return None
        return Record.objects.filter(dataset=self.dataset, id=self.asked.like).first()

    # --- Hits ---------------------------------------------------------------------------------
    @cached_property
    def _found(self) -> list[Hit]:
        """One more than is shown, which tells whether there are more."""
        offset, after = self._offset, FIRST
        if self.at and not self.matcher.is_ranked:
            after = read_id(self.at) or FIRST
        return self.matcher.page(offset=offset, after=after, limit=PAGE + 1)

    @property
    def _offset(self) -> int:
        ranked = self.matcher.is_ranked and self.at.isascii() and self.at.isdigit()
        return min(int(self.at[:9]), 10**7) if ranked else 0

    @cached_property
    def hits(self) -> list[HitCard]:
        return _Cards(self).show(self._found[:PAGE])

    @property
    def more(self) -> str:
        """The address of the hits that follow; empty at the end."""
        if len(self._found) <= PAGE:
            return ""
        ranked = self.matcher.is_ranked
        at = str(self._offset + PAGE) if ranked else str(self._found[PAGE - 1].record_id)
        return f"{self.url_of(self.asked)}{'&' if self.asked.text else '?'}{urlencode({'at': at})}"

    @property
    def is_cut(self) -> bool:
        """Whether the list ends before what matches does."""
        return not self.more and self.matcher.near is not None and self.total > SHOWN

    # --- Around it ----------------------------------------------------------------------------
    def url_of(self, asked: Asked) -> str:
        path = reverse("labeling:explore", args=[self.dataset.id])
        return f"{path}?{asked.text}" if asked.text else path

    @property
    def url(self) -> str:
        return self.url_of(self.asked)

    @property
    def url_without_like(self) -> str:
        left = replace(self.asked, like=None, vector="", least=False, cosine=None)
        return self.url_of(left)

    @property
    def url_by_meaning(self) -> str:
        return self.url_of(replace(self.asked, mode=MEANING)) if self.can_embed else ""

    @property
    def ways_out(self) -> list[tuple[str, str, int]]:
        """Title, address and number of records without each filter; the most first. A statement
        for each of at most five filters."""
        facets = {facet.key: facet for facet in self.facets}
        found = []
        for key in self.asked.filter_keys[:5]:
            left = self.asked.without(key)
            facet = facets.get(key)
            texts = {one.value: one.text for one in facet.options} if facet else {}
            words = ", ".join(texts.get(value, value) for value in self.asked.values.get(key, ()))
            name = facet.title if facet else key.rpartition(".")[2]
            title = f"{name}: {words}" if words else name
            found.append((title, self.url_of(left), self.matching(left).count()))
        return sorted((way for way in found if way[2]), key=lambda way: -way[2])

    @cached_property
    def questions(self) -> list[QuestionCard]:
        return show_questions(self.schema, {}, {}, {}, {})

    @cached_property
    def views(self) -> list[SavedView]:
        found = SavedView.objects.visible_to(self.member).filter(dataset=self.dataset)
        return list(found.select_related("owner").in_order())

    @property
    def may_manage(self) -> bool:
        return permissions.may(self.member, Action.MANAGE_DATASET, self.dataset.workspace_id)

    @cached_property
    def job(self) -> BulkJob | None:
        return last_bulk_job(self.dataset, self.member)


class _Cards:
    """Hits with all that is shown of them: five queries, six where others' answers are seen."""

    def __init__(self, page: ExplorePage) -> None:
        self.page = page

    def show(self, hits: Sequence[Hit]) -> list[HitCard]:
        ids = [hit.record_id for hit in hits]
        if not ids:
            return []
        condition = "dataset_id = %(d)s AND id = ANY(%(ids)s)"
        found = fetch(Record, condition, d=self.page.dataset.id, ids=ids)
        records = {record.id: record for record in found}
        parts = self._parts([records[id] for id in ids if id in records])
        suggested, answers = self._suggested(ids), self._answers(ids)
        return [
            self._card(hit, records[hit.record_id], parts, suggested, answers)
            for hit in hits
            if hit.record_id in records
        ]

    def _card(
        self,
        hit: Hit,
        record: Record,
        parts: Mapping[UUID, list[FieldPart]],
        suggested: Mapping[UUID, list[AnswerChip]],
        answers: Mapping[UUID, list[Response]],
    ) -> HitCard:
        schema, me = self.page.schema, self.page.member.id
        mine = next((one for one in answers[record.id] if one.user_id == me), None)
        others = [one for one in answers[record.id] if one.user_id != me]
        return HitCard(
            record=record,
            parts=parts[record.id],
            score="" if hit.cosine is None else f"{hit.cosine:.2f}".replace("0.", ".", 1),
            why=self._why(hit),
            status=mine.status if mine else "pending",
            mine=show_values(schema, mine.values) if mine else [],
            others=[(one.user.display_name, show_values(schema, one.values)) for one in others],
            suggested=suggested[record.id],
            may_open=mine is not None or self.page.sees_others,
        )

    def _why(self, hit: Hit) -> str:
        near = self.page.matcher.near
        if near is None:
            return _("words") if hit.has_words else ""
        if near.without is not None:
            return _("unlike it") if near.least else _("like it")
        close = hit.cosine is not None and near.within(hit.cosine)
        if hit.has_words:
            return _("words + meaning") if close else _("words only")
        return _("meaning only")

    def _parts(self, records: Sequence[Record]) -> dict[UUID, list[FieldPart]]:
        """One statement marks the words in all texts."""
        schema = self.page.schema
        texts = [
            (record.id, name, text)
            for record in records
            for name, text in field_texts(record.fields, schema.fields)
        ]
        typed = self.page.asked.q if self.page.matcher.words else ""
        marked = mark_words([text for _, _, text in texts], typed)
        parts: dict[UUID, list[FieldPart]] = defaultdict(list)
        for (id, name, _text), pieces in zip(texts, marked, strict=True):
            short = excerpt(pieces)
            whole = pieces if short != pieces else []
            parts[id].append(FieldPart(schema.fields[name].title, short, whole))
        for record in records:
            parts[record.id] += self._images(record)
        return parts

    def _images(self, record: Record) -> list[FieldPart]:
        return [
            FieldPart(part.title, [], image=record.fields[name])
            for name, part in self.page.schema.fields.items()
            if part.type == FieldType.IMAGE
            and str(record.fields.get(name) or "").startswith(("https:", "data:image/"))
        ]

    def _suggested(self, ids: Sequence[UUID]) -> dict[UUID, list[AnswerChip]]:
        chips: dict[UUID, list[AnswerChip]] = defaultdict(list)
        schema = self.page.schema
        for row in fetch(Suggestion, "record_id = ANY(%(ids)s)", ids=list(ids)):
            rule = schema.questions_by_id.get(row.question_id)
            if rule is not None:
                chips[row.record_id] += show_answer(rule, row.value, row.score)
        return chips

    def _answers(self, ids: Sequence[UUID]) -> dict[UUID, list[Response]]:
        found = Response.objects.filter(record_id__in=ids).select_related("user")
        if not self.page.sees_others:
            found = found.filter(user=self.page.member)
        answers: dict[UUID, list[Response]] = defaultdict(list)
        for one in found.order_by("inserted_at"):
            answers[one.record_id].append(one)
        return answers


def excerpt(pieces: list[Piece]) -> list[Piece]:
    """The pieces around the first word that was found, ``SHORT`` characters; all if no more."""
    if sum(len(text) for text, _hit in pieces) <= SHORT:
        return pieces
    first = next((n for n, (_text, hit) in enumerate(pieces) if hit), 0)
    shown: list[Piece] = []
    if first:
        before = pieces[first - 1][0]
        cut = before[-60:].partition(" ")[2] if len(before) > 60 or first > 1 else before
        shown.append((cut if cut == before else f"… {cut}", False))
    left = SHORT
    for text, hit in pieces[first:]:
        if len(text) > left:
            shown.append((text[:left].rpartition(" ")[0] + " …", hit))
            break
        shown.append((text, hit))
        left -= len(text)
    return shown


def job_of(dataset: Dataset, member: Membership, job_id: UUID) -> Job | None:
    """A bulk answer of the member's own."""
    return Job.objects.of_dataset(dataset.id).filter(id=job_id, created_by=member).first()
