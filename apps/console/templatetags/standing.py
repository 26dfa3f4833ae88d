"""What the templates of progress and quality need."""

from typing import Any

from django import template
from django.utils.translation import gettext as _

from apps.console.standing_cards import show_cell

register = template.Library()

TITLES = {
    "burn-up": lambda: _("Progress"),
    "daily": lambda: _("Answers a day"),
    "redundancy": lambda: _("Answers a record"),
    "agreement": lambda: _("Agreement"),
    "spread": lambda: _("Spread of answers"),
    "pairs": lambda: _("Who agrees with whom"),
    "confusion": lambda: _("People against the model"),
    "wins": lambda: _("Win rates"),
    "people": lambda: _("What their answers are worth"),
}


@register.filter
def cell(value: Any) -> str:
    """A raw cell in the reader's way of writing."""
    return show_cell(value)


@register.filter
def card_title(key: str) -> str:
    """What a card is called before it is there."""
    return TITLES[key]()
