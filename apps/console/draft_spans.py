"""Suggested spans as rows of a form: a label and the words that it marks.

The text may be edited in the same form, so a mark is found again by its words: where it would be
if everything before it had only moved, or at the nearest other place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.core.errors import InvalidError


@dataclass(frozen=True, slots=True)
class Mark:
    """A label, the words it marks, and where they began in the text before the edit."""

    label: str
    quote: str
    at: str

    @classmethod
    def blank(cls) -> "Mark":
        return cls("", "", "")


def marks_of(value: Any, text: str) -> list[Mark]:
    """The spans of a suggestion as rows; what is no span is not shown."""
    rows = value if isinstance(value, list) else []
    return [
        Mark(str(one["label"]), text[one["start"] : one["end"]], str(one["start"]))
        for one in rows
        if isinstance(one, Mapping)
        and isinstance(one.get("start"), int)
        and isinstance(one.get("end"), int)
        and "label" in one
    ]


def read_marks(marks: Sequence[Mark], before: str, after: str) -> list[dict[str, Any]]:
    """Spans in the text ``after`` the edit. Raises ``InvalidError`` for words that it lacks."""
    spans = []
    for mark in marks:
        if not mark.quote.strip():
            continue
        at = int(mark.at) if mark.at.isdecimal() and len(mark.at) < 10 else 0
        start = _nearest(after, mark.quote, _moved(at, before, after))
        if start is None:
            raise InvalidError(
                _("The text does not say “%(words)s”.") % {"words": mark.quote[:100]}
            )
        spans.append({"label": mark.label, "start": start, "end": start + len(mark.quote)})
    return spans


def _moved(at: int, before: str, after: str) -> int:
    """Where a place of the old text is in the new one, of which the middle was replaced."""
    most = min(len(before), len(after))
    head = next((n for n in range(most) if before[n] != after[n]), most)
    return at if at < head else max(at + len(after) - len(before), 0)


def _nearest(text: str, words: str, at: int) -> int | None:
    """Where the words begin, as near to a place as possible."""
    later = text.find(words, at)
    earlier = text.rfind(words, 0, at + len(words))
    places = [place for place in (later, earlier) if place >= 0]
    return min(places, key=lambda place: abs(place - at), default=None)
