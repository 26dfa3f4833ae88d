"""Figures as the pages of prompts, evaluations and monitors print them."""

from decimal import Decimal
from typing import Any

from django import template
from django.utils.formats import number_format

from apps.console.measures import METRICS, in_order

register = template.Library()


def _rounded(value: float, places: int) -> str:
    """``number_format`` alone cuts digits off."""
    return str(number_format(round(value, places), places))


@register.filter
def share(value: float | None) -> str:
    """Two places after the point; a dash for nothing."""
    return "–" if value is None else _rounded(value, 2)


@register.filter
def percent(value: float | None) -> str:
    """A share in percent, with a place after the point where it matters."""
    if value is None:
        return "–"
    shown = round(100 * value, 1)
    return _rounded(shown, 0 if 10 <= shown <= 90 or shown == int(shown) else 1) + " %"


@register.filter
def points(value: float | None) -> str:
    """A difference of shares in points, with its sign."""
    if value is None:
        return "–"
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    return sign + _rounded(abs(100 * value), 1)


@register.filter
def dollars(value: Decimal | float | None) -> str:
    """Cents, or for less than a dollar the first two digits that say something."""
    amount = float(value or 0)
    places = 2
    while 0 < amount < 10 ** (1 - places) and places < 6:
        places += 1
    return "$" + _rounded(amount, places)


@register.filter
def p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return "p < " + number_format(0.001, 3) if value < 0.001 else "p = " + _rounded(value, 3)


@register.filter
def plain(value: Any) -> str:
    """As an input of the browser wants it, in any language."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    return format(value, "f") if isinstance(value, Decimal) else str(value)


@register.filter
def at(values: Any, place: int) -> Any:
    return values[place]


@register.filter
def figures(report: Any) -> list[tuple[str, Any]]:
    """The measures of a report in their order."""
    return [(name, report["metrics"][name]) for name in in_order(report)]


@register.filter
def metric(name: str) -> str:
    """What people call a measure."""
    return str(METRICS.get(name, name))


@register.filter
def primary(report: Any) -> float | None:
    """The measure that a report is judged by."""
    figure = report["metrics"].get(report["primary"])
    return figure["value"] if figure else None


@register.filter
def per_thousand(cost: Any) -> str:
    """What a thousand records cost."""
    return dollars(1_000 * cost["usd_per_record"])


@register.filter
def dev_size(gold: Any) -> str:
    return number_format(gold.size - gold.test_size, 0)


@register.filter
def typed_percent(value: float) -> str:
    """As it stands in an address."""
    return f"{100 * value:g}"


@register.simple_tag
def names_list(*names: str) -> list[str]:
    return list(names)
