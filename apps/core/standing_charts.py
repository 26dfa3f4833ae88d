"""Charts of progress and quality beside those of ``charts.py``, in the same classes.

A burn-up with where it leads, estimates with their intervals, two shares a value, columns by day.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.core.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    across,
    drawn,
    grid,
    joined,
    number,
    scale_top,
    y_of,
)

Along = Callable[[float], float]  # the place of a day on the x axis

ROW: Final = 32  # units of a line of estimates
PAIR: Final = 27  # units of a line with two bars
NAME: Final = 22  # characters of a name beside a bar

HATCH: Final = SafeString(
    '<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse"'
    ' patternTransform="rotate(45)"><line class="hatch-line" x1="0" y1="0" x2="0" y2="5"/>'
    "</pattern></defs>"
)


# --- Burn-up -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Course:
    """Values by day from ``reached`` on; it leads to ``goal`` in ``ahead`` days.

    ``early`` and ``late`` are the days of the interval; None for ``late``: nobody can tell.
    """

    reached: Sequence[float]
    goal: float
    ahead: int | None = None
    early: int | None = None
    late: int | None = None


def burn_up_chart(course: Course, labels: Sequence[str], *, title: str, goal: str) -> SafeString:
    """``labels`` name the days of ``reached``; ``goal`` is written at its line."""
    most = scale_top(max([course.goal, *course.reached, 1]))
    past = max(len(course.reached) - 1, 1)
    future = min(max(course.late or course.ahead or 0, course.ahead or 0), 2 * past)
    width = past + future

    def x(day: float) -> float:
        return LEFT + (RIGHT - LEFT) * min(day / width, 1.0)

    parts = [grid(most, number), across("goal", course.goal, most)]
    y = f"{y_of(course.goal, most) - 5:.1f}"
    parts.append(format_html('<text x="{}" y="{}">{}</text>', LEFT, y, goal))
    if course.reached:
        line = [(x(day), y_of(value, most)) for day, value in enumerate(course.reached)]
        parts += _ahead(course, x, past, most)
        parts += _line(line)
        parts.append(_end(line[-1], course.reached[-1]))
    return drawn(title, HEIGHT, joined([*parts, _day_names(labels, x)]))


def _line(line: Sequence[tuple[float, float]]) -> list[SafeString]:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
    first, last = line[0][0], line[-1][0]
    area = f"{first:.1f},{BOTTOM} {points} {last:.1f},{BOTTOM}"
    return [
        format_html('<polygon class="area" points="{}"/>', area),
        format_html('<polyline class="ln" points="{}"/>', points),
    ]


def _end(place: tuple[float, float], value: float) -> SafeString:
    x, y = place
    is_right = x > (LEFT + RIGHT) / 2
    return format_html(
        '<circle class="pt" cx="{0}" cy="{1}" r="4.5"/>'
        '<text class="s" x="{2}" y="{3}" text-anchor="{4}">{5}</text>',
        f"{x:.1f}",
        f"{y:.1f}",
        f"{x - 9 if is_right else x + 9:.1f}",
        f"{max(y - 8, 11) if is_right else y + 14:.1f}",
        "end" if is_right else "start",
        f"{value:,.0f}",
    )


def _ahead(course: Course, x: Along, past: int, most: float) -> list[SafeString]:
    """Where it leads, with its band."""
    if course.ahead is None or course.early is None:
        return []
    begin, top = (x(past), y_of(course.reached[-1], most)), y_of(course.goal, most)
    parts = []
    late = course.late
    far = (RIGHT, top) if late is None else (x(past + late), top)
    band = [begin, (x(past + course.early), top), far]
    if late is None:  # at the slow end of the interval nothing gets done
        band.append((RIGHT, begin[1]))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in band)
    parts.append(format_html('<polygon class="band" points="{}"/>', points))
    ends = (begin[0], x(past + course.ahead), begin[1], top)
    line = '<line class="ln2" x1="{}" x2="{}" y1="{}" y2="{}"/>'
    parts.append(format_html(line, *(f"{one:.1f}" for one in ends)))
    return parts


def _day_names(labels: Sequence[str], x: Along) -> SafeString:
    """Up to four names of days, the last one among them."""
    every = max(ceil(len(labels) / 4), 1)
    chosen = range(len(labels) - 1, -1, -every)
    return format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="{}">{}</text>',
        (
            (f"{x(day):.1f}", BOTTOM + 18, "start" if day == 0 else "middle", labels[day])
            for day in chosen
        ),
    )


# --- Estimates -----------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Dot:
    """An estimate from 0 to 1; ``mark`` is what is measured. None: ``text`` says why not."""

    label: str
    mark: str
    value: float | None
    low: float | None
    high: float | None
    text: str


def dot_chart(dots: Sequence[Dot], *, title: str, line: float | None = None) -> SafeString:
    """Estimates below each other; what is below 0 is drawn at 0. ``line`` is a line down."""
    bottom = ROW * max(len(dots), 1) + 10
    parts = [
        format_html(
            '<line class="grid" x1="{0}" x2="{0}" y1="10" y2="{1}"/>'
            '<text x="{0}" y="{2}" text-anchor="middle">{3}</text>',
            f"{_across_x(step / 5):.1f}",
            bottom,
            bottom + 15,
            f"{step / 5:g}".replace("0.", "."),
        )
        for step in range(6)
    ]
    if line is not None:
        x = f"{_across_x(line):.1f}"
        down = '<line class="goal" x1="{0}" x2="{0}" y1="6" y2="{1}"/>'
        parts.append(format_html(down, x, bottom))
    parts += [_dot(dot, ROW * place + 26) for place, dot in enumerate(dots)]
    return drawn(title, bottom + 20, joined(parts))


def _across_x(value: float) -> float:
    return 130 + 200 * min(max(value, 0.0), 1.0)


def _dot(dot: Dot, y: int) -> SafeString:
    parts = [
        format_html(
            '<text class="s" x="0" y="{0}">{1}</text><text x="96" y="{0}">{2}</text>'
            '<text class="s" x="380" y="{0}" text-anchor="end">{3}</text>',
            y + 4,
            _short(dot.label, 15),
            dot.mark,
            dot.text,
        )
    ]
    if dot.value is not None and dot.low is not None and dot.high is not None:
        low, high = f"{_across_x(dot.low):.1f}", f"{_across_x(dot.high):.1f}"
        for x1, x2, y1, y2 in (
            (low, high, y, y),
            (low, low, y - 5, y + 5),
            (high, high, y - 5, y + 5),
        ):
            whisker = '<line class="wh" x1="{}" x2="{}" y1="{}" y2="{}"/>'
            parts.append(format_html(whisker, x1, x2, y1, y2))
    if dot.value is not None:
        circle = '<circle class="pt" cx="{}" cy="{}" r="5"/>'
        parts.append(format_html(circle, f"{_across_x(dot.value):.1f}", y))
    return joined(parts)


# --- Two bars a value ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Twin:
    """Two shares of a value: people's and, hatched, the model's; ``model`` None: there is none."""

    label: str
    people: float
    model: float | None
    text: str
    model_text: str = ""


def twin_chart(twins: Sequence[Twin], *, title: str) -> SafeString:
    most = max([one for t in twins for one in (t.people, t.model or 0)], default=0) or 1
    rows = [_twin(twin, PAIR * place, most) for place, twin in enumerate(twins)]
    return drawn(title, PAIR * max(len(twins), 1), joined([HATCH, *rows]))


def _twin(twin: Twin, y: int, most: float) -> SafeString:
    people, model = (max(165 * (one or 0) / most, 1) for one in (twin.people, twin.model))
    has_model = twin.model is not None
    parts = [
        format_html(
            '<text x="0" y="{}">{}</text>'
            '<rect class="f-hum" x="140" y="{}" width="{}" height="9" rx="1"/>',
            y + 19,
            _short(twin.label, NAME),
            y + (6 if has_model else 10),
            f"{people:.1f}",
        )
    ]
    if has_model:
        hatched = (
            '<rect class="mdl" x="140.5" y="{}" width="{}" height="8" rx="1" fill="url(#hatch)"/>'
        )
        parts.append(format_html(hatched, y + 17, f"{model:.1f}"))
    parts.append(
        format_html(
            '<text class="s" x="{}" y="{}">{}<tspan font-weight="400">{}</tspan></text>',
            f"{146 + max(people, model if has_model else 0):.1f}",
            y + 20,
            twin.text,
            f" / {twin.model_text}" if has_model else "",
        )
    )
    return joined(parts)


# --- Columns -------------------------------------------------------------------------------------
def column_chart(values: Sequence[float], labels: Sequence[str], *, title: str) -> SafeString:
    """A column a day, or a value, with up to five names below."""
    most = scale_top(max(values, default=0))
    step = (RIGHT - LEFT) / max(len(values), 1)
    wide = max(min(step - min(step / 5, 2), 34), 0.5)
    rects = format_html_join(
        "",
        '<rect class="f-hum" x="{}" y="{}" width="{}" height="{}"/>',
        (
            (
                f"{LEFT + step * place + (step - wide) / 2:.2f}",
                f"{y_of(value, most):.1f}",
                f"{wide:.2f}",
                f"{BOTTOM - y_of(value, most):.1f}",
            )
            for place, value in enumerate(values)
            if value
        ),
    )
    every = ceil(len(values) / 5) or 1
    names = format_html_join(
        "",
        '<text x="{}" y="{}" text-anchor="middle">{}</text>',
        (
            (f"{LEFT + step * (place + 0.5):.1f}", BOTTOM + 18, labels[place])
            for place in range(len(values) - 1, -1, -every)
        ),
    )
    return drawn(title, HEIGHT, joined([grid(most, number), rects, names]))


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
