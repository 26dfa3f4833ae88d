"""What plans hold and cost, the days of a term, and what a change comes to. Nothing but numbers."""

import calendar
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.organizations.models import Plan

CURRENCY: Final = "EUR"
YEARLY_PERCENT: Final = 90  # of twelve months
# Cents a month.
PRICES: Final[dict[str, int]] = {
    Plan.STARTER: 24_000,
    Plan.BASE: 59_000,
    Plan.MEDIUM: 74_000,
    Plan.LARGE: 99_000,
}
NAMES: Final = {
    Plan.SELF_HOSTED: _("Self-hosted"),
    Plan.STARTER: _("Starter"),
    Plan.BASE: _("Base"),
    Plan.MEDIUM: _("Medium"),
    Plan.LARGE: _("Large"),
}


class Period(models.TextChoices):
    MONTHLY = "monthly", _("Monthly")
    YEARLY = "yearly", _("Yearly")


def price(plan: str, period: str) -> int:
    """Cents of a whole term; a year costs 90 % of twelve months, in whole cents."""
    month = PRICES[Plan(plan)]
    return 12 * month * YEARLY_PERCENT // 100 if period == Period.YEARLY else month


def term_of(anchor: date, period: str, day: date) -> tuple[date, date]:
    """The term that holds the day: its first day, and the first day after it.

    Terms are counted from ``anchor``, so those of a 31st end on the last day of shorter months
    and go back to the 31st.
    """
    months = 12 if period == Period.YEARLY else 1
    number, start = 1, anchor
    while (end := _months_later(anchor, months * number)) <= day:
        number, start = number + 1, end
    return start, end


def _months_later(day: date, months: int) -> date:
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def share(cents: int, days: int, of: int) -> int:
    """``days`` of ``of`` days' worth of ``cents``, to the nearest cent, a half up."""
    return (2 * cents * days + of) // (2 * of)


@dataclass(frozen=True, slots=True)
class Term:
    """What was charged for the days from ``starts_on`` until before ``ends_on``."""

    plan: str
    period: str
    starts_on: date
    ends_on: date
    cents: int

    def unused(self, today: date) -> tuple[int, int, int]:
        """``(cents, days, of)`` from today on, today included; nothing once it is over."""
        of = (self.ends_on - self.starts_on).days
        days = min(max((self.ends_on - today).days, 0), of)
        return share(self.cents, days, of), days, of


@dataclass(frozen=True, slots=True)
class Quote:
    """What a change of plan comes to today.

    ``unused`` is given back for ``days`` of ``of`` days, ``balance`` was kept before; what both
    exceed ``charge`` by is ``kept`` for later invoices.
    """

    term: Term
    unused: int = 0
    days: int = 0
    of: int = 0
    balance: int = 0
    former: Term | None = None

    @property
    def charge(self) -> int:
        return self.term.cents

    @property
    def due(self) -> int:
        return max(self.charge - self.unused - self.balance, 0)

    @property
    def kept(self) -> int:
        return max(self.unused + self.balance - self.charge, 0)


def quote(
    *, plan: str, period: str, today: date, former: Term | None = None, balance: int = 0
) -> Quote:
    """A new term from today, less what is left of the former one and the balance."""
    _start, end = term_of(today, period, today)
    term = Term(plan, period, today, end, price(plan, period))
    if former is None:
        return Quote(term, balance=balance)
    unused, days, of = former.unused(today)
    return Quote(term, unused, days, of, balance, former)
