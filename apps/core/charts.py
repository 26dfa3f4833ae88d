"""Charts as SVG, drawn on the server with the classes of ``.ch`` in app.css; no inline style.

A chart never stands alone: its page shows the numbers as a table, too. Texts are escaped here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HALF, WIDE = 380, 440, 680  # units of the viewBox: a card, half a page and a whole one
HEIGHT: Final = 190
LEFT, RIGHT, TOP, BOTTOM = 40, 374, 14, 160
BAR: Final = 24  # units a bar takes with its gap
LETTER: Final = 6.5  # units of a text, at most
STEPS: Final = (1, 2, 2.5, 5, 10)
COUNTED: Final = (1, 2, 2.5, 4, 5, 10)

Format = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Point:
    """A value over a place on the x axis; None where there is none, with the interval it has."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """``text`` is what stands at its end; ``is_raw`` draws it as a machine's."""

    label: str
    value: float
    text: str = ""
    is_raw: bool = False


def number(value: float) -> str:
    return f"{value:g}"


def line_chart(
    points: Sequence[Point],
    *,
    title: str,
    top: float | None = None,
    limit: float | None = None,
    goal: float | None = None,
    show: Format = number,
) -> SafeString:
    """A line with its band; ``limit`` and ``goal`` are lines across, ``top`` the axis' end.

    Where a point has no value the line is broken; one alone is a dot.
    """
    most = top or scale_top(_most(points, limit, goal))
    parts = [grid([most * share / 4 for share in range(5)], show)]
    parts += [across(name, at, most) for name, at in (("limit", limit), ("goal", goal)) if at]
    for run in _runs(points):
        parts += _run(points, run, most)
    return drawn(title, HEIGHT, joined([*parts, _days(points)]))


def bar_chart(bars: Sequence[Bar], *, title: str, top: float | None = None) -> SafeString:
    """A bar a line, with its name before and its text behind."""
    most = top or max((bar.value for bar in bars), default=0) or 1
    rows = [_bar(bar, place, most) for place, bar in enumerate(bars)]
    hatch = SafeString(
        '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><line class="hatch-line" x1="0" y1="0" x2="0" y2="5"/>'
        "</pattern></defs>"
    )
    parts = [hatch, *rows] if any(bar.is_raw for bar in bars) else rows
    return drawn(title, BAR * max(len(bars), 1), joined(parts))


def sparkline(values: Sequence[float | None]) -> SafeString:
    """A line from 0 on, as high as a text; it only goes with numbers, so nothing reads it out."""
    high = max((value for value in values if value is not None), default=0.0) or 1.0
    step = 76 / max(len(values) - 1, 1)
    places = [
        f"{2 + n * step:.1f},{17 - 14 * value / high:.1f}"
        for n, value in enumerate(values)
        if value is not None
    ]
    return format_html(
        '<svg class="ch" viewBox="0 0 80 20" width="80" height="20" aria-hidden="true">'
        '<polyline class="ln" points="{}"/></svg>',
        " ".join(places),
    )


def scale_top(most: float) -> float:
    """A round number that is at least ``most``: 1, 2, 2.5 or 5 times a power of ten."""
    if most <= 0:
        return 1.0
    unit = 10 ** floor(log10(most))
    return float(next(step * unit for step in STEPS if step * unit >= most * (1 - 1e-9)))


def marks_up_to(most: float, *, whole: bool = True) -> list[float]:
    """Marks of an axis: two to six round numbers from 0 on, the last ≥ ``most``.

    Those of counts are ``whole``; ``most`` of others is above 0.
    """
    least = (max(most, 1) if whole else most) / 5
    unit = 10.0 ** floor(log10(least))
    steps = (one * unit for one in COUNTED)
    step = next(one for one in steps if one >= least * (1 - 1e-9) and not (whole and one % 1))
    return [step * n for n in range(ceil(max(most, step) / step - 1e-9) + 1)]


# --- Parts ---------------------------------------------------------------------------------------
def _most(points: Sequence[Point], *others: float | None) -> float:
    found = [one for point in points for one in (point.value, point.high) if one is not None]
    return max([*found, *(one for one in others if one is not None)], default=0.0)


def _x(place: int, count: int) -> float:
    return LEFT + (RIGHT - LEFT) * (place / (count - 1) if count > 1 else 0.5)


def y_of(value: float, most: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * min(max(value / most, 0.0), 1.0)


def grid(
    marks: Sequence[float],
    show: Format,
    left: float = LEFT,
    end: float | None = None,
    right: float = RIGHT,
) -> SafeString:
    """Lines across at the marks, with their numbers; the last is the axis' end if none is given."""
    heights = [(y_of(mark, end or marks[-1]), show(mark)) for mark in marks]
    return format_html_join(
        "",
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<text x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (left, right, f"{y:.1f}", f"{y:.1f}", left - 6, f"{y + 4:.1f}", text)
            for y, text in heights
        ),
    )


def across(
    name: str, at: float, most: float, left: float = LEFT, right: float = RIGHT
) -> SafeString:
    y = f"{y_of(at, most):.1f}"
    return format_html(
        '<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>', name, left, right, y, y
    )


def left_of(marks: Sequence[float], show: Format) -> float:
    """Where the axis is, so that its numbers have room."""
    return max(LEFT, 10 + LETTER * max(len(show(mark)) for mark in marks))


def under(names: Sequence[tuple[float, str]], left: float, right: float = RIGHT) -> SafeString:
    """Names below the axis; those at its ends stay inside."""
    return format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="{}">{}</text>',
        ((f"{x:.1f}", BOTTOM + 18, _anchor(x, left, right, name), name) for x, name in names),
    )


def _anchor(x: float, left: float, right: float, name: str) -> str:
    if x + LETTER * len(name) / 2 > right:
        return "end"
    return "start" if x < left + 5 else "middle"


def _runs(points: Sequence[Point]) -> list[list[int]]:
    """Places that follow each other and have a value."""
    runs: list[list[int]] = []
    for place, point in enumerate(points):
        if point.value is None:
            continue
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _run(points: Sequence[Point], run: Sequence[int], most: float) -> list[SafeString]:
    places = [(_x(n, len(points)), points[n]) for n in run]
    line = " ".join(f"{x:.1f},{y_of(point.value or 0, most):.1f}" for x, point in places)
    banded = [(x, p.low, p.high) for x, p in places if p.low is not None and p.high is not None]
    parts = []
    if len(banded) > 1:
        upper = [f"{x:.1f},{y_of(high, most):.1f}" for x, _, high in banded]
        lower = [f"{x:.1f},{y_of(low, most):.1f}" for x, low, _ in reversed(banded)]
        parts.append(format_html('<polygon class="band" points="{}"/>', " ".join(upper + lower)))
    elif banded:
        x, low, high = banded[0]
        ends = f"{x:.1f}", f"{y_of(low, most):.1f}", f"{y_of(high, most):.1f}"
        line_html = '<line class="wh" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
        parts.append(format_html(line_html, *ends))
    if len(places) > 1:
        parts.append(format_html('<polyline class="ln" points="{}"/>', line))
    x, last = places[-1]
    y = f"{y_of(last.value or 0, most):.1f}"
    parts.append(format_html('<circle class="pt" cx="{}" cy="{}" r="4"/>', f"{x:.1f}", y))
    return parts


def _days(points: Sequence[Point]) -> SafeString:
    """Up to five names below the axis."""
    if not points:
        return SafeString("")
    every = ceil(len(points) / 5)
    chosen = range(len(points) - 1, -1, -every)
    return format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="{}">{}</text>',
        (
            (
                f"{_x(place, len(points)):.1f}",
                BOTTOM + 18,
                "end" if place == len(points) - 1 and len(points) > 1 else "middle",
                points[place].label,
            )
            for place in chosen
        ),
    )


def _bar(bar: Bar, place: int, most: float) -> SafeString:
    width = max(170 * bar.value / most, 1)
    fill = SafeString(' fill="url(#hatch)"') if bar.is_raw else ""
    return format_html(
        '<text x="0" y="{}">{}</text><rect class="{}" x="140" y="{}" width="{}" height="10"'
        ' rx="1"{}/><text class="s" x="{}" y="{}">{}</text>',
        BAR * place + 15,
        bar.label if len(bar.label) <= 22 else f"{bar.label[:21]}…",
        "mdl" if bar.is_raw else "f-hum",
        BAR * place + 6,
        f"{width:.1f}",
        fill,
        f"{146 + width:.1f}",
        BAR * place + 15,
        bar.text,
    )


def joined(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))


def drawn(title: str, height: int, inside: SafeString, *, width: int = WIDTH) -> SafeString:
    return format_html(
        '<svg class="ch{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        " wide" if width >= WIDE else "",
        width,
        height,
        title,
        inside,
    )
