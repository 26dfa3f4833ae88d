"""Prices, terms, proration and money, in whole cents."""

from datetime import date, timedelta

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from apps.billing.money import format_bytes, format_cents, format_records
from apps.billing.plans import PRICES, Period, Term, price, quote, share, term_of

DAYS = st.dates(date(2020, 1, 1), date(2040, 12, 31))
PLANS = st.sampled_from(sorted(PRICES))
PERIODS = st.sampled_from(Period.values)


@pytest.mark.parametrize(
    ("plan", "month", "year"),
    [
        ("starter", 24_000, 259_200),
        ("base", 59_000, 637_200),
        ("medium", 74_000, 799_200),
        ("large", 99_000, 1_069_200),
    ],
)
def test_a_year_is_ten_percent_less(plan: str, month: int, year: int) -> None:
    assert (price(plan, Period.MONTHLY), price(plan, Period.YEARLY)) == (month, year)


@pytest.mark.parametrize(
    ("anchor", "period", "after", "end"),
    [
        (date(2026, 1, 31), "monthly", date(2026, 1, 31), date(2026, 2, 28)),
        (date(2026, 1, 31), "monthly", date(2026, 2, 28), date(2026, 3, 31)),
        (date(2026, 1, 31), "monthly", date(2026, 12, 30), date(2026, 12, 31)),
        (date(2024, 2, 29), "yearly", date(2024, 2, 29), date(2025, 2, 28)),
        (date(2024, 2, 29), "yearly", date(2027, 3, 1), date(2028, 2, 29)),
        (date(2026, 11, 21), "monthly", date(2026, 11, 21), date(2026, 12, 21)),
    ],
)
def test_terms_keep_their_day(anchor: date, period: str, after: date, end: date) -> None:
    start, found = term_of(anchor, period, after)
    assert found == end
    assert start <= after < end
    assert start == anchor or term_of(anchor, period, start - timedelta(days=1))[1] == start


@pytest.mark.parametrize(
    ("cents", "days", "of", "share_of_it"),
    [(100, 1, 3, 33), (100, 2, 3, 67), (1, 1, 2, 1), (24_000, 10, 30, 8_000), (5, 0, 30, 0)],
)
def test_a_share_is_rounded_to_the_nearest_cent(
    cents: int, days: int, of: int, share_of_it: int
) -> None:
    assert share(cents, days, of) == share_of_it


@given(st.integers(0, 10**9), st.integers(0, 366), st.integers(1, 366))
def test_a_share_is_never_more_than_half_a_cent_off(cents: int, days: int, of: int) -> None:
    assert abs(2 * (share(cents, days, of) * of - cents * days)) <= of


@given(PLANS, PERIODS, PLANS, PERIODS, DAYS, st.integers(0, 800), st.integers(0, 10**7))
def test_a_change_neither_makes_nor_loses_money(
    old: str, old_period: str, new: str, period: str, start: date, passed: int, balance: int
) -> None:
    end = term_of(start, old_period, start)[1]
    former = Term(old, old_period, start, end, price(old, old_period))
    offer = quote(
        plan=new,
        period=period,
        today=start + timedelta(days=passed),
        former=former,
        balance=balance,
    )
    assert offer.due - offer.kept == offer.charge - offer.unused - balance
    assert min(offer.due, offer.kept) == 0
    assert 0 <= offer.unused <= former.cents
    assert offer.unused == (former.cents if passed == 0 else offer.unused)
    assert passed < offer.of or offer.unused == 0


@pytest.mark.parametrize(
    ("count", "english", "german"),
    [
        (0, "0 B", "0 B"),
        (999, "999 B", "999 B"),
        (1_000, "1 kB", "1 kB"),
        (4_250_000, "4.2 MB", "4,2 MB"),
        (38_000_000_000, "38 GB", "38 GB"),
        (999_600, "1 MB", "1 MB"),
        (10**16, "10000 TB", "10000 TB"),
    ],
)
def test_bytes_by_thousands(count: int, english: str, german: str) -> None:
    with translation.override("en"):
        assert format_bytes(count) == english
    with translation.override("de"):
        assert format_bytes(count) == german


def test_records_in_millions() -> None:
    known = {99_999: "99,999", 100_000: "0.1 M", 2_464_999: "2.46 M", 2_465_000: "2.47 M"}
    with translation.override("en"):
        assert {n: format_records(n) for n in known} == known
        assert format_records(3_000_000) == "3 M"
        assert format_records(-1_500_000) == "−1.5 M"
    with translation.override("de"):
        assert format_records(2_460_000) == "2,46\xa0Mio."


@pytest.mark.parametrize(
    ("cents", "english", "german"),
    [
        (59_000, "€590.00", "590,00\xa0€"),
        (123_456_789, "€1,234,567.89", "1.234.567,89\xa0€"),
        (5, "€0.05", "0,05\xa0€"),
        (-1_250, "−€12.50", "−12,50\xa0€"),
    ],
)
def test_money_as_the_language_writes_it(cents: int, english: str, german: str) -> None:
    with translation.override("en"):
        assert format_cents(cents) == english
        assert format_cents(59_000, short=True) == "€590"
        assert format_cents(59_001, short=True) == "€590.01"
    with translation.override("de"):
        assert format_cents(cents) == german
