"""The gate's page: drafts with where they come from and what is said against them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.core.paginator import Page, Paginator
from django.http import QueryDict
from django.utils.translation import gettext as _

from apps.console.words import kind_words
from apps.core.ids import read_id
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.drafts.asked import Asked, summary
from apps.drafts.models import Draft, DraftQuerySet, DraftState
from apps.drafts.provenance import edits
from apps.labeling.review_values import word_diff
from apps.records.models import Record

A_PAGE: Final = 25
MOST_COMPARED: Final = 20_000  # characters that are compared word by word
STATES: Final = (DraftState.WAITING, DraftState.ACCEPTED, DraftState.DISCARDED)


@dataclass(frozen=True, slots=True)
class Before:
    """What was changed, by its title; ``diff`` are words kept, added and taken out, of a text."""

    title: str
    text: str
    diff: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class DraftCard:
    """``alike`` is the text that it nearly repeats, ``parents`` are texts it was made from.

    ``before`` is what the model wrote where a person has changed it.
    """

    draft: Draft
    fields: Sequence[tuple[str, Any]]
    alike: str
    parents: Sequence[str]
    before: Sequence["Before"] = ()

    @property
    def recipe(self) -> str:
        return kind_words(self.draft.recipe)

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """What filters say of it, by their names."""
        return [{**one, "filter": kind_words(one["filter"])} for one in self.draft.reasons]


@dataclass
class DraftsPage:
    """Drafts as an address asks for them (``?state=&job=&group=&keep=&alike=&page=``)."""

    dataset: Dataset
    query: QueryDict

    @cached_property
    def state(self) -> str:
        given = self.query.get("state", "")
        return given if given in STATES else str(DraftState.WAITING)

    @cached_property
    def asked(self) -> Asked:
        """All that is asked for, but the state."""
        return Asked(
            job=read_id(self.query.get("job", "")),
            group=self.query.get("group") or None,
            keep={"no": False, "yes": True}.get(self.query.get("keep", "")),
            alike={"no": False, "yes": True}.get(self.query.get("alike", "")),
        )

    @cached_property
    def matching(self) -> DraftQuerySet:
        return self.asked.of(self.dataset)

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        return summary(self.matching)

    @property
    def waiting(self) -> int:
        """How many wait, of all that match."""
        return int(self.summary["states"][DraftState.WAITING])

    @cached_property
    def page(self) -> "Page[Draft]":
        rows = self.matching.filter(state=self.state).select_related("edited_by").in_order()
        return Paginator(rows, A_PAGE).get_page(self.query.get("page"))

    @cached_property
    def cards(self) -> list[DraftCard]:
        """Those of the page. Four queries."""
        drafts = list(self.page.object_list)
        named = {id for one in drafts for id in (*one.parents[:3], one.like) if id}
        texts = self._texts(named)
        titles = {name: field.title for name, field in load_schema(self.dataset).fields.items()}
        return [
            DraftCard(
                one,
                [(titles.get(name, name), value) for name, value in one.fields.items()],
                texts.get(one.like, _("something that is gone")) if one.like else "",
                [texts[id] for id in one.parents[:3] if id in texts],
                before(one, titles),
            )
            for one in drafts
        ]

    def _texts(self, ids: set[UUID]) -> dict[UUID, str]:
        """The words of records and drafts, shortened."""
        records = Record.objects.filter(dataset=self.dataset, id__in=ids)
        drafts = Draft.objects.of_dataset(self.dataset).filter(id__in=ids)
        found = [*records.values_list("id", "fields"), *drafts.values_list("id", "fields")]
        return {id: _short(fields) for id, fields in found}

    def after(self, draft: Draft) -> Draft | None:
        """The one that waits next, of those that match. One query."""
        return self.matching.waiting().filter(id__gt=draft.id).in_order().first()

    @property
    def states(self) -> list[tuple[str, str, int]]:
        """Each state with its word and count."""
        words = {
            DraftState.WAITING: _("waiting"),
            DraftState.ACCEPTED: _("accepted"),
            DraftState.DISCARDED: _("discarded"),
        }
        return [(str(one), words[one], self.summary["states"][one]) for one in STATES]

    @property
    def groups(self) -> list[str]:
        named = sorted(name for name in self.summary["groups"] if name)
        chosen = self.asked.group
        return named if chosen is None or chosen in named else [chosen, *named]

    @property
    def filters(self) -> str:
        """The address's query without page and state, for forms and links."""
        names = ("job", "group", "keep", "alike")
        kept = QueryDict(mutable=True)
        kept.update({name: str(self.query[name]) for name in names if self.query.get(name)})
        return kept.urlencode()


def before(draft: Draft, titles: Mapping[str, str]) -> list[Before]:
    """What of the draft is no longer as the model wrote it; ``titles`` are those of fields."""
    changed = edits(draft)
    found = [
        _before(titles.get(name, name), old, draft.fields.get(name))
        for name, old in changed.get("fields", {}).items()
    ]
    for part in ("suggestions", "metadata"):
        found += [Before(name, _in_words(old)) for name, old in changed.get(part, {}).items()]
    return found


def _before(title: str, old: Any, new: Any) -> Before:
    if isinstance(old, str) and isinstance(new, str) and len(old) + len(new) <= MOST_COMPARED:
        return Before(title, old, word_diff(old, new))
    return Before(title, _in_words(old))


def _in_words(value: Any) -> str:
    if value is None:
        return _("nothing")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(fields: Mapping[str, Any]) -> str:
    text = next((value for value in fields.values() if isinstance(value, str)), "")
    return text if len(text) <= 160 else f"{text[:159]}…"
