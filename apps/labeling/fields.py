"""A record's fields as the page shows them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.datasets.models import Field, FieldType
from apps.datasets.schema import DatasetSchema
from apps.labeling.markup import Mark, Segment, cut, render_markdown
from apps.labeling.questions import QuestionCard

LONG_CHAT = 6  # turns; of more, the middle is folded
LINK_SCHEMES = {"https", "http"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, as HTML or as it is."""

    role: str
    text: str
    html: SafeString | None
    is_judged: bool = False


@dataclass(frozen=True, slots=True)
class FieldCard:
    """One field; what is filled in besides ``text`` depends on ``type``.

    ``is_marked``: a span question marks it. ``is_shown``: the image may be loaded; ``is_link``: its
    address may be gone to. ``frame_url``: where a custom field is shown by its template.
    """

    name: str
    title: str
    type: str
    number: int
    text: str = ""
    html: SafeString | None = None
    segments: list[Segment] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    is_marked: bool = False
    is_shown: bool = False
    is_link: bool = False
    frame_url: str = ""

    @property
    def dom_id(self) -> str:
        return f"f{self.number}"

    @property
    def template(self) -> str:
        return f"labeling/fields/_{self.type}.html"

    @property
    def is_long(self) -> bool:
        return len(self.turns) > LONG_CHAT

    @property
    def first_turns(self) -> list[Turn]:
        return self.turns[:1] if self.is_long else self.turns

    @property
    def folded_turns(self) -> list[Turn]:
        """The middle of a long conversation, one click away."""
        return self.turns[1:-3] if self.is_long else []

    @property
    def last_turns(self) -> list[Turn]:
        return self.turns[-3:] if self.is_long else []


def show_fields(
    schema: DatasetSchema,
    values: Mapping[str, Any],
    questions: Sequence[QuestionCard],
    *,
    record_id: UUID | None = None,
) -> list[FieldCard]:
    """The fields that the record has, in the dataset's order, with the marks made in them.

    Several questions may mark one field. With ``record_id``, custom fields are shown by their
    templates, without it as they are stored.
    """
    marks: dict[str, list[Mark]] = {}
    for question in questions:
        if question.marked_field:
            marks.setdefault(question.marked_field, []).extend(question.marks)
    cards = []
    for number, (name, part) in enumerate(schema.fields.items(), start=1):
        value = values.get(name)
        if value in (None, "", []):
            continue
        card = _show(part, number, value, marks.get(name))
        if part.type == FieldType.CUSTOM and record_id is not None:
            place = reverse("labeling:custom_field", args=[schema.dataset.id, record_id, name])
            card = replace(card, frame_url=place)
        cards.append(card)
    return cards


def _show(part: Field, number: int, value: Any, marks: list[Mark] | None) -> FieldCard:
    facts: dict[str, Any] = {
        "name": part.name,
        "title": part.title,
        "type": part.type,
        "number": number,
    }
    use_markdown = bool(part.settings.get("use_markdown"))
    if part.type == FieldType.CHAT:
        return FieldCard(**facts, turns=_show_turns(value, use_markdown))
    if part.type == FieldType.CUSTOM:
        return FieldCard(**facts, text=json.dumps(value, indent=2, ensure_ascii=False))
    text = str(value)
    if part.type == FieldType.IMAGE:
        scheme = _scheme(text)
        shown = scheme == "https" or (scheme == "data" and text[:11].lower() == "data:image/")
        return FieldCard(**facts, text=text, is_shown=shown, is_link=scheme in LINK_SCHEMES)
    if marks is not None:
        return FieldCard(**facts, text=text, segments=cut(text, marks), is_marked=True)
    return FieldCard(**facts, text=text, html=render_markdown(text) if use_markdown else None)


def _scheme(address: str) -> str:
    try:
        return urlsplit(address).scheme
    except ValueError:
        return ""


def _show_turns(value: Sequence[Mapping[str, Any]], use_markdown: bool) -> list[Turn]:
    """A conversation that ends with the model is about its last turn."""
    turns = [_show_turn(turn, use_markdown) for turn in value if isinstance(turn, Mapping)]
    if len(turns) > 1 and value[-1].get("role") == "assistant":
        turns[-1] = replace(turns[-1], is_judged=True)
    return turns


def _show_turn(turn: Mapping[str, Any], use_markdown: bool) -> Turn:
    names = {
        "user": _("User"),
        "assistant": _("Assistant"),
        "system": _("System"),
        "tool": _("Tool"),
    }
    role, text = str(turn.get("role", "")), str(turn.get("content", ""))
    html = render_markdown(text) if use_markdown else None
    return Turn(names.get(role, role.capitalize()), text, html)


def show_metadata(
    schema: DatasetSchema, metadata: Mapping[str, Any] | None, *, all_of_it: bool
) -> list[tuple[str, str]]:
    """Title and value of the declared properties, as text."""
    declared = {name: part.title for name, part in schema.properties.items()}
    return [
        (declared[name], ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in shown_metadata(schema, metadata, all_of_it=all_of_it).items()
        if name in declared
    ]


def shown_metadata(
    schema: DatasetSchema, metadata: Mapping[str, Any] | None, *, all_of_it: bool
) -> dict[str, Any]:
    """The metadata that may be seen: annotators get what is declared and shown to them.

    What is declared comes first, in the dataset's order.
    """
    given = metadata or {}
    seen = {
        name: given[name]
        for name, part in schema.properties.items()
        if given.get(name) is not None and (all_of_it or part.visible_for_annotators)
    }
    return {**seen, **given} if all_of_it else seen
