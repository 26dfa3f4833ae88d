"""Figures as the pages of prompts, evaluations and monitors print them."""

from decimal import Decimal
from typing import Any

from django import template
from django.utils.formats import number_format

register = template.Library()


@register.filter
def share(value: float | None) -> str:
    """Two places after the point; a dash for nothing."""
    return "–" if value is None else number_format(round(value, 2), 2)


@register.filter
def percent(value: float | None) -> str:
    """A share in percent, with a place after the point where it matters."""
    if value is None:
        return "–"
    shown = 100 * value
    return number_format(shown, 0 if 10 <= shown <= 90 or shown in {0, 100} else 1) + " %"


@register.filter
def points(value: float | None) -> str:
    """A difference of shares in points, with its sign."""
    if value is None:
        return "–"
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return sign + number_format(abs(100 * value), 1)


@register.filter
def dollars(value: Decimal | float | None) -> str:
    """Cents, or for less than a dollar the first two digits that say something."""
    amount = float(value or 0)
    places = 2
    while 0 < amount < 10 ** (1 - places) and places < 6:
        places += 1
    return "$" + number_format(amount, places)


@register.filter
def p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return "p < " + number_format(0.001, 3) if value < 0.001 else "p = " + number_format(value, 3)


@register.filter
def plain(value: Any) -> str:
    """As an input of the browser wants it, in any language."""
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


@register.filter
def item(values: Any, key: Any) -> Any:
    """The value of a key, None without one."""
    return values.get(key) if values else None
