"""What the sign-in pages offer."""

from typing import Any

from django import template
from django.conf import settings

from apps.labeling.views.providers import offered

register = template.Library()


@register.simple_tag(takes_context=True)
def sign_in_providers(context: dict[str, Any]) -> list[Any]:
    """The configured providers of log-ins: their id and the name that people know."""
    return offered(context["request"])


@register.simple_tag
def may_sign_up() -> bool:
    """Whether there is a page on which to sign up."""
    return settings.SIGNUP != "closed"
