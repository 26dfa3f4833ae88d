"""Columns by month, day or value, also under a limit, and meters, in the classes of ``.ch``."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.charts import (
    BOTTOM,
    HEIGHT,
    LETTER,
    WIDTH,
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

MARGIN: Final = 6  # units on the right
WIDEST: Final = 30  # units of a column
FULL: Final = 80  # of a meter's hundred units: the limit; the rest is what is over it


@dataclass(frozen=True, slots=True)
class Column:
    """``name`` stands below it where there is room; ``text``, where it is given, above."""

    name: str
    value: float
    text: str = ""


def column_chart(
    columns: Sequence[Column],
    *,
    title: str,
    show: Format,
    limit: float | None = None,
    width: int = WIDTH,
) -> SafeString:
    """Columns beside each other; empty where all are 0.

    ``limit`` is a line across, unless it is so far that nothing shows.
    """
    most = max((column.value for column in columns), default=0)
    if not most:
        return SafeString("")
    limits = [limit] if limit is not None and most * 20 >= limit else []
    are_whole = all(column.value == int(column.value) for column in columns)
    marks = marks_up_to(max([most, *limits]), whole=are_whole)
    left, right = left_of(marks, show), width - MARGIN
    step = (right - left) / len(columns)
    middles = [left + step * (place + 0.5) for place in range(len(columns))]
    parts = [
        grid(marks, show, left, right=right),
        *(across("limit", at, marks[-1], left, right) for at in limits),
        *(_column(column, x, step, marks[-1]) for column, x in zip(columns, middles, strict=True)),
        under(_names(columns, middles, step), left, right),
    ]
    return drawn(title, HEIGHT, joined(parts), width=width)


def meter(value: float, limit: float) -> SafeString:
    """How much of a limit is used, with marks at 80 % and 100 %; it only goes with numbers."""
    used = min(FULL * value / limit, 100) if limit else 100
    kind = "f-bad" if value >= limit else "f-warn" if value * 100 >= limit * 80 else "f-hum"
    return format_html(
        '<svg class="meter" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" x="0" y="2" width="{}" height="6"/>'
        '<rect class="{}" x="0" y="2" width="{}" height="6"/>'
        '<line class="mark" x1="{}" x2="{}" y1="0" y2="10"/>'
        '<line class="mark end" x1="{}" x2="{}" y1="0" y2="10"/></svg>',
        FULL,
        kind,
        f"{used:.1f}",
        FULL * 0.8,
        FULL * 0.8,
        FULL,
        FULL,
    )


def _column(column: Column, middle: float, step: float, end: float) -> SafeString:
    if not column.value:
        return SafeString("")
    wide, high = min(step * 0.75, WIDEST), max(BOTTOM - y_of(column.value, end), 1.0)
    return format_html(
        '<rect class="f-hum" x="{}" y="{}" width="{}" height="{}" rx="1"/>{}',
        f"{middle - wide / 2:.2f}",
        f"{BOTTOM - high:.1f}",
        f"{wide:.2f}",
        f"{high:.1f}",
        _above(column.text, middle, BOTTOM - high) if column.text else "",
    )


def _above(text: str, middle: float, y: float) -> SafeString:
    place = f"{middle:.1f}", f"{y - 6:.1f}"
    return format_html('<text class="s" x="{}" y="{}" text-anchor="middle">{}</text>', *place, text)


def _names(
    columns: Sequence[Column], middles: Sequence[float], step: float
) -> list[tuple[float, str]]:
    """As many as there is room for, the last among them, which may have to end at its column."""
    wide = LETTER * max(len(column.name) for column in columns)
    every = 1 if wide <= step else ceil(1.5 * wide / step)
    return [(middles[n], columns[n].name) for n in range(len(columns) - 1, -1, -every)]
