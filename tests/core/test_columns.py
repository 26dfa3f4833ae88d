"""Columns and meters: what is drawn, and that nothing in a name becomes markup."""

import re
from itertools import pairwise

import pytest

from apps.core.charts import BOTTOM, HALF, LETTER, TOP, WIDE, WIDTH
from apps.core.columns import Column, column_chart, meter


def chart(*values: float, limit: float | None = None) -> str:
    columns = [Column("J", value) for value in values]
    return column_chart(columns, title="Title", show=lambda value: f"{value:g}", limit=limit)


def heights(svg: str) -> list[float]:
    return [float(found) for found in re.findall(r'width="[\d.]+" height="([\d.]+)"', svg)]


def test_columns_are_as_high_as_their_share() -> None:
    assert heights(chart(0, 50, 100)) == [(BOTTOM - TOP) / 2, BOTTOM - TOP]
    assert heights(chart(0.001, 100))[0] == 1, "what is there is seen"


def test_a_limit_is_drawn_unless_it_is_far_away() -> None:
    assert 'class="limit"' in chart(50, limit=100)
    assert 'class="limit"' in chart(150, limit=100)
    assert 'class="limit"' not in chart(1, limit=1_000_000)


def test_the_axis_ends_at_the_limit_in_round_steps() -> None:
    def names(*values: float, limit: float | None = None) -> list[str]:
        svg = chart(*values, limit=limit or values[-1])
        return re.findall(r'text-anchor="end">([^<]+)<', svg)

    assert names(3) == ["0", "1", "2", "3"]
    assert names(1) == ["0", "1"], "a part of what is counted in whole ones is one at least"
    assert names(0.5) == ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]
    assert names(4) == ["0", "1", "2", "3", "4"]
    assert names(6) == ["0", "2", "4", "6"]
    assert names(4, limit=3)[-1] == "4", "what is over the limit is inside"


@pytest.mark.parametrize("width", [WIDTH, HALF, WIDE])
@pytest.mark.parametrize("name", ["J", "day 89", "30. September"])
def test_names_keep_apart_and_inside(width: int, name: str) -> None:
    columns = [Column(name, 1.0)] * 90
    svg = column_chart(columns, title="t", show=lambda value: f"{value:g}", width=width)
    found = re.findall(r'<text x="([\d.]+)" y="178" text-anchor="(\w+)"', svg)
    wide = LETTER * len(name)
    ends = [float(x) + (0 if anchor == "end" else wide / 2) for x, anchor in found]
    assert len(ends) > 2
    assert ends[0] <= width
    assert all(last - wide >= earlier for last, earlier in pairwise(ends))


def test_each_of_twelve_months_has_its_letter() -> None:
    for width in (HALF, WIDE):
        columns = [Column(name, 1) for name in "DJFMAMJJASON"]
        svg = column_chart(columns, title="t", show=lambda value: f"{value:g}", width=width)
        assert re.findall(r'text-anchor="middle">(\w)<', svg) == list("NOSAJJMAMFJD")


def test_without_a_limit_there_is_no_line() -> None:
    assert 'class="limit"' not in chart(1)


def test_nothing_at_all_is_no_chart() -> None:
    assert chart() == chart(0, 0) == ""


def test_texts_are_escaped() -> None:
    svg = column_chart([Column("<b>", 1, '"&')], title="<i>", show=lambda value: "<u>")
    assert not re.search(r"<[biu]>", svg)
    assert "&quot;&amp;" in svg


def test_a_meter_shows_how_far_one_is_and_over() -> None:
    assert 'class="f-hum" x="0" y="2" width="40.0"' in meter(50, 100)
    assert 'class="f-warn" x="0" y="2" width="64.0"' in meter(80, 100)
    assert 'class="f-bad" x="0" y="2" width="80.0"' in meter(100, 100)
    assert 'width="100.0"' in meter(999, 100)
    assert meter(1, 0)
