"""Charts of progress and quality: where things lie, and what is not drawn."""

import re

import pytest

from apps.core.standing_charts import (
    Course,
    Dot,
    Twin,
    burn_up_chart,
    dot_chart,
    twin_chart,
)

LEFT, RIGHT, TOP, BOTTOM = 40, 374, 14, 160


def show(value: float) -> str:
    return f"{value:.0f}"


def burn_up(course: Course) -> str:
    labels = [f"day {n}" for n, _ in enumerate(course.reached)]
    return burn_up_chart(course, labels, title="t", goal="goal", end="the end", show=show)


def ahead(chart: str) -> list[float]:
    """x1, x2, y1, y2 of the line to the goal."""
    found = re.search(r'class="ln2" x1="(.*?)" x2="(.*?)" y1="(.*?)" y2="(.*?)"', chart)
    assert found
    return [float(one) for one in found.groups()]


def test_a_course_leads_to_its_goal() -> None:
    chart = burn_up(Course([0.0, 5.0, 10.0], 20.0, ahead=2, early=1, late=4))
    x = [LEFT + (RIGHT - LEFT) * day / 6 for day in range(7)]
    assert ahead(chart) == pytest.approx([x[2], x[4], (TOP + BOTTOM) / 2, TOP], abs=0.1)
    assert f'class="band" points="{x[2]:.1f},87.0 {x[3]:.1f},14.0 {x[6]:.1f},14.0"' in chart
    assert "the end" in chart


def test_what_is_too_far_is_cut_off_and_not_bent() -> None:
    """Ten days of the same pace in two days of past: the line leaves the chart on its way."""
    chart = burn_up(Course([0.0, 1.0, 2.0], 22.0, ahead=20, early=20, late=None))
    x1, x2, y1, y2 = ahead(chart)
    slope = (y1 - y2) / (x2 - x1) * (RIGHT - LEFT) / 6  # a day
    assert slope == pytest.approx((BOTTOM - TOP) / 22, abs=0.1)
    assert x2 == RIGHT
    assert "the end" not in chart


def test_without_a_forecast_there_is_only_the_past() -> None:
    for reached in ([], [3.0], [3.0, 4.0]):
        chart = burn_up(Course(reached, 5.0))
        assert "ln2" not in chart
        assert chart.count("<circle") == min(len(reached), 1)


def test_an_estimate_has_whiskers_or_says_why_not() -> None:
    dots = [Dot("a", "α", 0.5, 0.25, 0.75, "0.5"), Dot("b", "α", None, None, None, "not known")]
    chart = dot_chart(dots, title="t", line=0.6)
    assert re.findall(r'class="wh" x1="(.*?)" x2="(.*?)"', chart) == [
        ("180.0", "280.0"),
        ("180.0", "180.0"),
        ("280.0", "280.0"),
    ]
    assert chart.count("<circle") == 1
    assert "not known" in chart


def test_the_rest_has_no_bars_and_dwarfs_nothing() -> None:
    twins = [
        Twin("a", 0.02, 0.01, "2 %", "1 %"),
        Twin("9 others", 0.98, 0.99, "98 %", is_rest=True),
    ]
    chart = twin_chart(twins, title="t")
    widths = re.findall(r'<rect class="(?:f-hum|mdl)".*? width="(.*?)"', chart)
    assert [float(width) for width in widths] == [150, 75]
    assert "98 %" in chart


def test_long_names_can_be_read_and_do_no_harm() -> None:
    name = "<script>" + "x" * 40
    for chart in (
        twin_chart([Twin(name, 1.0, None, "1")], title=name),
        dot_chart([Dot(name, "", 0.5, None, None, name)], title=name),
    ):
        assert "<script" not in chart
        assert f"<title>&lt;script&gt;{'x' * 40}</title>" in chart
