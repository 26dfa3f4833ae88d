"""Money, volumes, and the note that a limit is near or reached."""

from datetime import date, timedelta
from typing import Any

from django import template

from apps.billing.money import format_bytes, format_cents, format_records
from apps.billing.plans import NAMES
from apps.billing.standing import State, standing_in
from apps.console.plan_page import day as as_day
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

register = template.Library()


@register.filter
def money(cents: int) -> str:
    """``€590.00``."""
    return format_cents(cents)


@register.filter
def price(cents: int) -> str:
    """``€590``."""
    return format_cents(cents, short=True)


@register.filter
def records(count: int) -> str:
    """``2.46 M``."""
    return format_records(count)


@register.filter
def size(count: int) -> str:
    """``38 GB``; a dash for nothing."""
    return format_bytes(count) if count else "–"


@register.filter
def day(value: date) -> str:
    return as_day(value)


@register.filter
def day_before(value: date) -> date:
    return value - timedelta(days=1)


@register.filter
def plan_name(plan: str) -> str:
    return str(NAMES[plan])  # type: ignore[index]


@register.inclusion_tag("console/_standing.html", takes_context=True)
def plan_note(context: dict[str, Any], standing: Any = None, reached_on: Any = None) -> Any:
    """A note for those who see the usage, where a limit is near or reached."""
    member = context["request"].member
    if not permissions.may(member, Action.VIEW_USAGE):
        return {}
    shown = standing or standing_in(member.organization)
    if shown.state == State.FINE:
        return {}
    return {
        "standing": shown,
        "reached_on": reached_on,
        "manages": permissions.may(member, Action.MANAGE_PLAN),
        "is_here": standing is not None,
    }
