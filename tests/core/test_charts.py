"""Charts: where points lie, what breaks a line, and that texts stay texts."""

from typing import Any

import pytest
from django.test.html import Element, parse_html

from apps.core.charts import (
    Bar,
    Point,
    bar_chart,
    line_chart,
    marks_up_to,
    scale_top,
    sparkline,
)


def read(chart: str) -> Element:
    element = parse_html(chart)
    assert isinstance(element, Element)
    return element


def find(chart: Element, name: str) -> list[dict[str, Any]]:
    """The attributes of the chart's elements of that name."""
    return [dict(one.attributes) for one in chart.children if getattr(one, "name", "") == name]


@pytest.mark.parametrize(
    ("most", "top"), [(0, 1), (0.07, 0.1), (1, 1), (1.2, 2), (23, 25), (26, 50), (900, 1000)]
)
def test_an_axis_ends_at_a_round_number(most: float, top: float) -> None:
    assert scale_top(most) == pytest.approx(top)


@pytest.mark.parametrize(
    ("most", "marks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (3, [0, 1, 2, 3]),
        (7, [0, 2, 4, 6, 8]),
        (108, [0, 25, 50, 75, 100, 125]),
        (1_600, [0, 400, 800, 1_200, 1_600]),
        (200_000, [0, 40_000, 80_000, 120_000, 160_000, 200_000]),
    ],
)
def test_counts_are_marked_at_whole_round_numbers(most: float, marks: list[float]) -> None:
    assert marks_up_to(most) == marks


def test_amounts_are_marked_at_round_numbers() -> None:
    assert marks_up_to(0.5, whole=False) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert marks_up_to(0.07, whole=False) == pytest.approx([0, 0.02, 0.04, 0.06, 0.08])
    assert marks_up_to(12.5, whole=False) == pytest.approx([0, 2.5, 5, 7.5, 10, 12.5])


def test_a_line_breaks_where_there_is_nothing() -> None:
    points = [Point("1", 0.5), Point("2", 1.0), Point("3", None), Point("4", 0.25, 0.1, 0.4)]
    chart = read(line_chart(points, title="Right", top=1))
    lines = find(chart, "polyline")
    assert [line["points"] for line in lines] == ["40.0,87.0 151.3,14.0"]
    dots = [(dot["cx"], dot["cy"]) for dot in find(chart, "circle")]
    assert dots == [("151.3", "14.0"), ("374.0", "123.5")]
    assert len([one for one in find(chart, "line") if one["class"] == "wh"]) == 1


def test_a_band_goes_there_and_back() -> None:
    points = [Point("1", 0.5, 0.0, 1.0), Point("2", 0.5, 0.5, 0.5)]
    chart = read(line_chart(points, title="Right", top=1))
    assert find(chart, "polygon")[0]["points"] == "40.0,14.0 374.0,87.0 374.0,87.0 40.0,160.0"


def test_texts_are_texts() -> None:
    told = '<script>"&'
    chart = bar_chart([Bar(told, 2, told), Bar("b", 1, "1", is_raw=True)], title=told)
    assert "<script" not in chart
    assert chart.count("&lt;script&gt;&quot;&amp;") == 3
    widths = [float(bar["width"]) for bar in find(read(chart), "rect")]
    assert widths == [170, 85]
    assert "<script" not in line_chart([Point(told, 1)], title=told)


def test_nothing_can_be_drawn_too() -> None:
    for chart in (line_chart([], title="a"), bar_chart([], title="a"), sparkline([])):
        assert read(chart).name == "svg"
    spark = find(read(sparkline([1, None, 3])), "polyline")[0]
    assert spark["points"] == "2.0,12.3 78.0,3.0"  # from 0 on
