"""What the console's templates need."""

from typing import Any

from django import template

register = template.Library()


@register.filter
def is_text(value: Any) -> bool:
    """Whether a value of JSON is shown as it is, rather than as JSON."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)
