"""Cents, records and bytes as the language writes them: ``€1,234.50``, ``1.234,50 €``."""

from typing import Final

from django.utils.formats import number_format
from django.utils.translation import pgettext

from apps.billing.plans import CURRENCY

SIGNS: Final = {"EUR": "€", "USD": "$", "GBP": "£"}
UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def format_cents(cents: int, currency: str = CURRENCY, *, short: bool = False) -> str:
    """Whole cents as money; ``short`` leaves out a ``.00``. No float comes near them."""
    whole, rest = divmod(abs(cents), 100)
    digits = number_format(whole, 0, force_grouping=True)
    if rest or not short:
        point = number_format("0.0", 1)[1:-1]
        digits = f"{digits}{point}{rest:02d}"
    sign = "−" if cents < 0 else ""
    values = {"amount": digits, "currency": SIGNS.get(currency, currency)}
    return sign + pgettext("money", "%(currency)s%(amount)s") % values


def format_bytes(count: int) -> str:
    """``38 GB``, ``4.2 MB``: three figures at most, by thousands."""
    size, unit = float(count), 0
    while size >= 999.5 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    size = round(size, 1 if size < 9.95 else 0)
    return f"{number_format(size, 0 if size == int(size) else 1)} {UNITS[unit]}"


def format_records(count: int) -> str:
    """``2.46 M`` from a hundred thousand on (rounded, a half up), else the whole number."""
    if abs(count) < 100_000:
        return str(number_format(count, 0, force_grouping=True))
    hundredths = (abs(count) + 5_000) // 10_000
    whole, rest = divmod(hundredths, 100)
    digits = number_format(whole, 0, force_grouping=True)
    if rest:
        digits += number_format("0.0", 1)[1:-1] + f"{rest:02d}".rstrip("0")
    sign = "−" if count < 0 else ""
    return sign + pgettext("millions", "%(n)s M") % {"n": digits}
