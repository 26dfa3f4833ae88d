"""Figures as the pages print them, in both languages."""

from decimal import Decimal

import pytest
from django.utils import translation

from apps.console.templatetags.studio import dollars, p_value, percent, plain, points, share


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (None, "$0.00"),
        (12.346, "$12.35"),
        (Decimal("0.13"), "$0.13"),
        (0.019, "$0.019"),
        (0.00012, "$0.00012"),
        (0.0000001, "$0.000000"),
    ],
)
def test_money_says_its_first_digits(amount: float, text: str) -> None:
    assert dollars(amount) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.5, "50 %"),
        (0.876, "88 %"),
        (0.953, "95.3 %"),
        (0.95, "95 %"),
        (1, "100 %"),
        (0.012, "1.2 %"),
    ],
)
def test_percent_has_a_place_where_it_matters(value: float, text: str) -> None:
    assert percent(value) == text


def test_differences_have_a_sign() -> None:
    assert [points(value) for value in (0.05, -0.1236, 0, None)] == ["+5.0", "−12.4", "±0.0", "–"]
    assert [p_value(value) for value in (0.0001, 0.02, None)] == ["p < 0.001", "p = 0.020", "–"]


def test_german_has_commas_and_inputs_have_none() -> None:
    with translation.override("de"):
        assert (share(0.5), percent(0.953), dollars(0.13)) == ("0,50", "95,3 %", "$0,13")
        assert [plain(value) for value in (0.4, Decimal("2.50"), 7, None)] == [
            "0.4",
            "2.50",
            "7",
            "",
        ]
