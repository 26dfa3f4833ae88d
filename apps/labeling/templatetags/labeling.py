"""What templates need beyond Django: icons, markdown, initials."""

import json
from collections.abc import Hashable
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django import template
from django.conf import settings
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, ngettext

from apps.annotation.quotas import median_seconds
from apps.datasets.models import Dataset
from apps.labeling import keystrokes, markup, shortcuts, work
from apps.labeling.markup import render_markdown

register = template.Library()

OwnKeys = tuple[tuple[str, str], ...]  # command and keys of each shortcut a person has changed

_ICON = '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>'


@register.simple_tag
@lru_cache(maxsize=512)
def icon(name: str, classes: str = "i") -> SafeString:
    """An icon of the sprite, e.g. ``{% icon "check" %}``."""
    return format_html(_ICON, classes, static("img/icons.svg"), f"i-{name}")


@register.simple_tag
def symbol(name: str, classes: str = "") -> SafeString:
    """The mark or the word of the sprite, in the size that ``classes`` give it."""
    return format_html(_ICON, classes, static("img/icons.svg"), name)


@register.filter
def markdown(text: str) -> SafeString:
    """Markdown as clean HTML."""
    return render_markdown(text)


@register.filter
def exact(text: str) -> SafeString:
    """Escaped, with every character kept, so that offsets in the page are those of the text."""
    return markup.exact(text)


@register.filter
def initials(name: str) -> str:
    """One or two letters to recognise a person by."""
    words = name.replace("-", " ").replace("_", " ").replace(".", " ").split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


@register.filter
def hue(id: UUID) -> int:
    """A person's colour, the same every day."""
    return id.int % 16


@register.filter
def ago(time: datetime) -> str:
    """How long ago, in its largest unit."""
    minutes = int((timezone.now() - time).total_seconds() // 60)
    if minutes < 1:
        return gettext("just now")
    if minutes < 60:
        return ngettext("%(n)d minute ago", "%(n)d minutes ago", minutes) % {"n": minutes}
    if minutes < 24 * 60:
        hours = minutes // 60
        return ngettext("%(n)d hour ago", "%(n)d hours ago", hours) % {"n": hours}
    days = minutes // (24 * 60)
    if days < 60:
        return ngettext("%(n)d day ago", "%(n)d days ago", days) % {"n": days}
    return ngettext("%(n)d month ago", "%(n)d months ago", days // 30) % {"n": days // 30}


@register.filter
def as_json(value: Any) -> str:
    """For attributes; the template escapes it."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


@register.simple_tag
def fixed(template: str, **facts: Hashable) -> SafeString:
    """A template that says the same to all who read a language, but for ``facts``: rendered once.

    ``{% fixed "labeling/_failures.html" dataset_id=dataset.id %}``
    """
    render = _fixed.__wrapped__ if settings.DEBUG else _fixed  # who edits it wants to see it
    return render(template, tuple(facts.items()), get_language())


@lru_cache(maxsize=1024)
def _fixed(
    template: str, facts: tuple[tuple[str, Hashable], ...], language: str | None
) -> SafeString:
    return render_to_string(template, dict(facts))


@register.simple_tag(takes_context=True)
def keyboard(context: dict[str, Any], page: str) -> SafeString:
    """The table of keys for ``keys.js`` and the cheatsheet of a page."""
    user = context["request"].user
    return _keyboard(page, _own_keys(user), user.single_keys, get_language())


@lru_cache(maxsize=256)
def _keyboard(page: str, own: OwnKeys, single: str, language: str | None) -> SafeString:
    """Rendered once for all who have the same keys and language: it is long."""
    table, sheet = shortcuts.table(page, dict(own), single), shortcuts.sheet(page, dict(own))
    return render_to_string("labeling/_keys.html", {"table": table, "sheet": sheet})


@register.simple_tag(takes_context=True)
def key(context: dict[str, Any], command: str) -> SafeString:
    """The first key of a command as caps, e.g. ``{% key "answer.discard" %}``; nothing without."""
    user = context["request"].user
    return _key(command, _own_keys(user), user.single_keys, get_language())


@lru_cache(maxsize=4096)
def _key(command: str, own: OwnKeys, single: str, language: str | None) -> SafeString:
    keys = shortcuts.keys_of(shortcuts.by_command()[command], dict(own))
    if not keys or (single == "off" and keystrokes.is_single(keys[0])):
        return SafeString("")
    control = SafeString(" data-control" if keys[0].startswith("Control+") else "")
    caps = ((control, cap) for cap in keystrokes.caps(keys[0]))
    return format_html_join(" ", '<kbd aria-hidden="true"{}>{}</kbd>', caps)


def _own_keys(user: Any) -> OwnKeys:
    return tuple(sorted(user.shortcuts.items()))


@register.simple_tag(takes_context=True)
def appearance(context: dict[str, Any]) -> SafeString:
    """Attributes of the root for the person's theme and density; set before anything is painted."""
    user = _signed_in(context)
    if user is None:
        return SafeString("")
    chosen = {"theme": user.theme, "density": user.density}
    usual = ("system", "comfortable")
    pairs = ((name, value) for name, value in chosen.items() if value not in usual)
    return format_html_join("", ' data-{}="{}"', pairs)


@register.simple_tag(takes_context=True)
def color_scheme(context: dict[str, Any]) -> str:
    """What the browser paints before the stylesheet is there."""
    user = _signed_in(context)
    return "light dark" if user is None or user.theme == "system" else user.theme


@register.simple_tag
def next_step(page: Any) -> work.NextStep:
    """What else there is to do when an annotate page has no record."""
    return work.find_next_step(page.dataset, page.member)


@register.simple_tag
def review_link(dataset: Dataset) -> str:
    """Where the dataset is reviewed."""
    return work.review_url(dataset.id)


@register.simple_tag
def pace(page: Any) -> int | None:
    """The member's median seconds a record in the dataset of an annotate page."""
    return median_seconds(dataset=page.dataset, annotator=page.member)


def _signed_in(context: dict[str, Any]) -> Any:
    """The person who asks; None on error pages, which know no request."""
    user = getattr(context.get("request"), "user", None)
    return user if user is not None and user.is_authenticated else None
