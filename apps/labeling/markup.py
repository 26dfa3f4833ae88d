"""From record text to safe HTML: markdown, and text with its spans."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(
    ["table", "strikethrough"]
)
_TAGS = {
    *("a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("i", "img", "li", "ol", "p", "pre", "s", "strong", "sub", "sup", "table", "tbody", "td"),
    *("th", "thead", "tr", "ul"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}}


@lru_cache(maxsize=2048)
def render_markdown(text: str) -> SafeString:
    """The text as HTML that holds nothing but the tags above; the only place that marks safe.

    Kept by its text, since one record is shown to several people.
    """
    html = nh3.clean(
        _MARKDOWN.render(text),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(html)  # noqa: S308  (nh3 has just cleaned it)


@lru_cache(maxsize=128)
def render_guidelines(text: str) -> SafeString:
    """Markdown whose headings can be gone to: ``guide-<slug of the heading>``."""
    tokens = _MARKDOWN.parse(text)
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", f"guide-{slugify(tokens[place + 1].content, allow_unicode=True)}")
    html = nh3.clean(
        _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {}),
        tags=_TAGS,
        attributes=_ATTRIBUTES | {f"h{level}": {"id"} for level in range(1, 7)},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(html)  # noqa: S308  (nh3 has just cleaned it)


def exact(text: str) -> SafeString:
    """The text escaped so that a browser keeps every character: CR would be read as LF."""
    return mark_safe(escape(text).replace("\r", "&#13;"))  # noqa: S308  (escaped)


@dataclass(frozen=True, slots=True)
class Mark:
    """A marked stretch of text; offsets count code points, the end is exclusive."""

    start: int
    end: int
    label: str
    name: str
    hue: int
    suggested: bool = False
    text: str = ""

    @property
    def json(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, "label": self.label}


@dataclass(frozen=True, slots=True)
class Segment:
    """Text between two borders; ``mark`` covers it, ``closes`` names the mark that ends here."""

    text: str
    mark: Mark | None = None
    closes: bool = False


def cut(text: str, marks: Iterable[Mark]) -> list[Segment]:
    """The text cut at every border of a mark; where several cover it, the shortest answer shows."""
    waiting = sorted(
        (m for m in marks if 0 <= m.start < m.end <= len(text)), key=lambda m: -m.start
    )
    borders = sorted({0, len(text)}.union(*({m.start, m.end} for m in waiting)))
    segments: list[Segment] = []
    over: list[Mark] = []
    for start, end in pairwise(borders):
        while waiting and waiting[-1].start <= start:
            over.append(waiting.pop())
        over = [mark for mark in over if mark.end > start]
        mark = min(over, key=lambda m: (m.suggested, m.end - m.start), default=None)
        before = segments.pop().text if mark and segments and segments[-1].mark is mark else ""
        segments.append(Segment(before + text[start:end], mark, bool(mark and mark.end == end)))
    return segments


def read_marks(
    spans: Sequence[Mapping[str, Any]],
    options: Mapping[str, tuple[str, int]],
    text: str,
    *,
    suggested: bool = False,
) -> list[Mark]:
    """The spans of an answer in ``text`` as marks; ``options`` give each label's name and hue."""
    marks = []
    for span in spans:
        name, hue = options.get(span["label"], (span["label"], 0))
        start, end = span["start"], span["end"]
        marks.append(Mark(start, end, span["label"], name, hue, suggested, text[start:end]))
    return marks
