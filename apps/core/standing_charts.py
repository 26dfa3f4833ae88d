"""Charts of progress and quality beside those of ``charts.py``, in the same classes.

A burn-up with where it leads, estimates with their intervals, two shares a value.
"""

from collections.abc import Sequence
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
    Format,
    across,
    drawn,
    grid,
    joined,
    left_of,
    marks_up_to,
    under,
    y_of,
)

Place = tuple[float, float]

ROW: Final = 32  # units of a line of estimates
PAIR: Final = 27  # units of a line with two bars
NAME: Final = 22  # characters of a name beside a bar
APART: Final = 70  # units between the names of two days

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

    @property
    def past(self) -> int:
        return max(len(self.reached) - 1, 1)

    @property
    def width(self) -> int:
        """Days of the axis; what is farther than twice the past is cut off."""
        return self.past + min(max(self.late or 0, self.ahead or 0), 2 * self.past)


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where days and values of a course lie."""

    course: Course
    most: float
    left: float

    def x(self, day: float) -> float:
        return self.left + (RIGHT - self.left) * min(day / self.course.width, 1.0)

    def y(self, value: float) -> float:
        return y_of(value, self.most)

    @property
    def now(self) -> Place:
        return self.x(len(self.course.reached) - 1), self.y(self.course.reached[-1])

    def toward(self, days: int) -> Place:
        """The end of the line that reaches the goal in so many days, at the edge if not before."""
        room, (_, low), top = (
            self.course.width - self.course.past,
            self.now,
            self.y(self.course.goal),
        )
        if days <= room:
            return self.x(self.course.past + days), top
        return RIGHT, low + (top - low) * room / days


def burn_up_chart(
    course: Course, labels: Sequence[str], *, title: str, goal: str, end: str, show: Format
) -> SafeString:
    """``labels`` name the days of ``reached``, ``end`` that of the goal; ``goal`` is its line's."""
    most = max([course.goal, *course.reached])
    marks = [mark for mark in marks_up_to(most) if mark <= most]
    plane = _Plane(course, most, left_of(marks, show))
    parts = [
        grid(marks, show, plane.left, most),
        across("goal", course.goal, plane.most, plane.left),
    ]
    y = f"{plane.y(course.goal) - 5:.1f}"
    parts.append(format_html('<text x="{}" y="{}">{}</text>', plane.left + 2, y, goal))
    if course.reached:
        parts += _ahead(plane)
        parts += _line([(plane.x(day), plane.y(n)) for day, n in enumerate(course.reached)])
        parts.append(_now(plane.now, show(course.reached[-1])))
    return drawn(title, HEIGHT, joined([*parts, _day_names(plane, labels, end)]))


def _line(line: Sequence[Place]) -> list[SafeString]:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
    first, last = line[0][0], line[-1][0]
    area = f"{first:.1f},{BOTTOM} {points} {last:.1f},{BOTTOM}"
    return [
        format_html('<polygon class="area" points="{}"/>', area),
        format_html('<polyline class="ln" points="{}"/>', points),
    ]


def _now(place: Place, text: str) -> SafeString:
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
        text,
    )


def _ahead(plane: _Plane) -> list[SafeString]:
    """Where it leads, with its band."""
    course = plane.course
    if course.ahead is None or course.early is None:
        return []
    early, top = plane.toward(course.early), plane.y(course.goal)
    # At the slow end of the interval nothing may get done at all.
    late = (RIGHT, plane.now[1]) if course.late is None else plane.toward(course.late)
    corner = [(RIGHT, top)] if early[1] == top and late[1] != top else []
    band = " ".join(f"{x:.1f},{y:.1f}" for x, y in (plane.now, early, *corner, late))
    (x1, y1), (x2, y2) = plane.now, plane.toward(course.ahead)
    line = '<line class="ln2" x1="{}" x2="{}" y1="{}" y2="{}"/>'
    return [
        format_html('<polygon class="band" points="{}"/>', band),
        format_html(line, *(f"{one:.1f}" for one in (x1, x2, y1, y2))),
    ]


def _day_names(plane: _Plane, labels: Sequence[str], end: str) -> SafeString:
    """As many as there is room for, the last day of the past and the end among them."""
    every = ceil(APART * plane.course.width / (RIGHT - plane.left))
    names = [(plane.x(day), labels[day]) for day in range(len(labels) - 1, -1, -every)]
    ahead = plane.course.ahead or 0
    x = plane.x(plane.course.past + ahead)
    is_seen = plane.course.past + ahead <= plane.course.width
    if names and is_seen and x - names[0][0] >= APART:
        names.append((x, end))
    return under(names, plane.left)


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
    name = format_html(
        '<text class="s" x="0" y="{0}">{1}{2}</text><text x="100" y="{0}">{3}</text>',
        y + 4,
        *_short(dot.label, 15 if dot.mark else 20),
        dot.mark,
    )
    if dot.value is None:
        return joined([name, format_html('<text x="134" y="{}">{}</text>', y + 4, dot.text)])
    text = '<text class="s" x="380" y="{}" text-anchor="end">{}</text>'
    circle = '<circle class="pt" cx="{}" cy="{}" r="4"/>'
    return joined(
        [
            name,
            format_html(text, y + 4, dot.text),
            _whiskers(dot, y),
            format_html(circle, f"{_across_x(dot.value):.1f}", y),
        ]
    )


def _whiskers(dot: Dot, y: int) -> SafeString:
    if dot.low is None or dot.high is None:
        return SafeString("")
    low, high = f"{_across_x(dot.low):.1f}", f"{_across_x(dot.high):.1f}"
    return format_html_join(
        "",
        '<line class="wh" x1="{}" x2="{}" y1="{}" y2="{}"/>',
        ((low, high, y, y), (low, low, y - 6, y + 6), (high, high, y - 6, y + 6)),
    )


# --- Two bars a value ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Twin:
    """Two shares of a value: people's and, hatched, the model's; ``model`` None: there is none.

    ``is_rest``: of many values together, so without bars, which would dwarf those of one.
    """

    label: str
    people: float
    model: float | None
    text: str
    model_text: str = ""
    is_rest: bool = False


def twin_chart(twins: Sequence[Twin], *, title: str) -> SafeString:
    ones = [twin for twin in twins if not twin.is_rest]
    most = max([one for t in ones for one in (t.people, t.model or 0)], default=0) or 1
    rows = [_twin(twin, PAIR * place, most) for place, twin in enumerate(twins)]
    return drawn(title, PAIR * max(len(twins), 1), joined([HATCH, *rows]))


def _twin(twin: Twin, y: int, most: float) -> SafeString:
    if twin.is_rest:
        return _rest(twin, y)
    people, model = (max(150 * (one or 0) / most, 1) for one in (twin.people, twin.model))
    has_model = twin.model is not None
    parts = [
        format_html(
            '<text x="0" y="{}">{}{}</text>'
            '<rect class="f-hum" x="140" y="{}" width="{}" height="9" rx="1"/>',
            y + 19,
            *_short(twin.label, NAME),
            y + (6 if has_model else 10),
            f"{people:.1f}",
        )
    ]
    if has_model:
        hatched = (
            '<rect class="mdl" x="140.5" y="{}" width="{}" height="8" rx="1" fill="url(#hatch)"/>'
        )
        parts.append(format_html(hatched, y + 17, f"{model:.1f}"))
    parts.append(_shares(twin, 146 + max(people, model if has_model else 0), y + 20))
    return joined(parts)


def _shares(twin: Twin, x: float, y: float) -> SafeString:
    return format_html(
        '<text class="s" x="{}" y="{}">{}<tspan class="r">{}</tspan></text>',
        f"{x:.1f}",
        y,
        twin.text,
        "" if twin.model is None else f" / {twin.model_text}",
    )


def _rest(twin: Twin, y: int) -> SafeString:
    name = format_html('<text x="0" y="{}">{}{}</text>', y + 19, *_short(twin.label, NAME))
    return joined([name, _shares(twin, 140, y + 19)])


# --- Texts ---------------------------------------------------------------------------------------
def _short(text: str, most: int) -> tuple[str, SafeString]:
    """What there is room for; where that is not all, the whole to read when pointed at."""
    if len(text) <= most:
        return text, SafeString("")
    return f"{text[: most - 1]}…", format_html("<title>{}</title>", text)
