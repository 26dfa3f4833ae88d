"""A record's fields as the page shows them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.datasets.models import Field, FieldType
from apps.datasets.schema import DatasetSchema
from apps.labeling.markup import Mark, Segment, cut, render_markdown
from apps.labeling.questions import QuestionCard


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, as HTML or as it is."""

    role: str
    text: str
    html: SafeString | None


@dataclass(frozen=True, slots=True)
class FieldCard:
    """One field; what is filled in besides ``text`` depends on ``type``.

    ``is_marked``: a span question marks it. ``is_shown``: the image may be loaded.
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

    @property
    def dom_id(self) -> str:
        return f"f{self.number}"

    @property
    def template(self) -> str:
        return f"labeling/fields/_{self.type}.html"


def show_fields(
    schema: DatasetSchema, values: Mapping[str, Any], questions: Sequence[QuestionCard]
) -> list[FieldCard]:
    """The fields that the record has, in the dataset's order, with the marks made in them."""
    marks = {card.marked_field: card.marks for card in questions if card.marked_field}
    cards = []
    for number, (name, part) in enumerate(schema.fields.items(), start=1):
        value = values.get(name)
        if value not in (None, "", []):
            cards.append(_show(part, number, value, marks.get(name)))
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
        return FieldCard(**facts, turns=[_show_turn(turn, use_markdown) for turn in value])
    if part.type == FieldType.CUSTOM:
        return FieldCard(**facts, text=json.dumps(value, indent=2, ensure_ascii=False))
    text = str(value)
    if part.type == FieldType.IMAGE:
        return FieldCard(**facts, text=text, is_shown=urlsplit(text).scheme in {"https", "data"})
    if marks is not None:
        return FieldCard(**facts, text=text, segments=cut(text, marks), is_marked=True)
    return FieldCard(**facts, text=text, html=render_markdown(text) if use_markdown else None)


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
    """Title and value of the declared properties; annotators get those shown to them."""
    shown = []
    for name, part in schema.properties.items():
        value = (metadata or {}).get(name)
        if value is not None and (all_of_it or part.visible_for_annotators):
            words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            shown.append((part.title, words))
    return shown
