"""Words of jobs on the operator's pages."""

from typing import Final

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from apps.console.words import STATES, kind_words
from apps.labeling.templatetags.labeling import icon

register = template.Library()

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


@register.simple_tag
def job_state(state: str) -> SafeString:
    """The state with its shape and colour."""
    words, shape = STATES[state]
    return format_html(
        '<span class="st" data-s="{}">{}{}</span>', shape, icon(f"st-{shape}"), words
    )
