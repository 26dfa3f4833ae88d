"""Words of jobs on the operator's pages."""

from typing import Final

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.billing.models import invoice_name
from apps.console.words import STATES, kind_words
from apps.labeling.templatetags.labeling import icon
from apps.organizations.models import Level, Role

register = template.Library()

PARTS: Final = {
    "database": _("Database"),
    "migrations": _("Migrations"),
    "redis": "Redis",
    "disk": _("Disk"),
}
STEPS: Final = {
    "retry": _("Queue again"),
    "cancel": _("Cancel"),
    "pause": _("Pause"),
    "resume": _("Resume"),
}


@register.filter
def job_name(kind: str) -> str:
    """What people call a kind of job."""
    return kind_words(kind)


@register.filter
def step_name(step: str) -> str:
    return str(STEPS[step])


@register.filter
def part_name(part: str) -> str:
    """A part of the instance that can be ready or not."""
    return str(PARTS[part])


@register.filter
def role_name(role: str) -> str:
    return str(Role(role).label)


@register.filter
def level_name(level: str) -> str:
    return str(Level(level).label)


register.filter("invoice_name", invoice_name)


@register.simple_tag
def job_state(state: str) -> SafeString:
    """The state with its shape and colour."""
    words, shape = STATES[state]
    return format_html(
        '<span class="st" data-s="{}">{}{}</span>', shape, icon(f"st-{shape}"), words
    )
