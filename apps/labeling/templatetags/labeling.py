"""What templates need beyond Django: icons, markdown, initials."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext

from apps.labeling.markup import render_markdown

register = template.Library()

_ICON = '<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>'


@register.simple_tag
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
    if timezone.now() - time < timedelta(minutes=1):
        return gettext("just now")
    return gettext("%(time)s ago") % {"time": timesince(time, depth=1)}


@register.filter
def as_json(value: Any) -> str:
    """For attributes; the template escapes it."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
