"""Columns by month under a limit, and meters, as SVG with the classes of ``.ch``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.core.charts import scale_top

WIDTH, HALF, HEIGHT = 680, 440, 176  # units of the viewBox
LEFT, TOP, BOTTOM = 44, 24, 150
FULL: Final = 80  # of a meter's hundred units: the limit; the rest is what is over it


@dataclass(frozen=True, slots=True)
class Column:
    """``name`` stands below it; ``text``, where it is given, above."""

    name: str
    value: float
    text: str = ""


def column_chart(
    columns: Sequence[Column],
    *,
    title: str,
    show: Callable[[float], str],
    limit: float | None = None,
    is_half: bool = False,
) -> SafeString:
    """A column a month; empty where all are 0. ``is_half`` is for two beside each other.

    ``limit`` is a line across, unless it is so far that nothing shows.
    """
    most = max((column.value for column in columns), default=0)
    if not most:
        return SafeString("")
    shown = limit if limit is not None and most * 20 >= limit else None
    top = shown if shown and most <= shown else scale_top(most)
    width = HALF if is_half else WIDTH
    step = (width - LEFT) / max(len(columns), 1)
    are_whole = all(column.value == int(column.value) for column in columns)
    parts = [_grid(top, show, width, whole=are_whole)]
    if shown is not None:
        parts.append(_line("limit", _y(shown, top), width))
    parts += [_column(column, LEFT + step * n, step, top) for n, column in enumerate(columns)]
    return format_html(
        '<svg class="ch{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        "" if is_half else " wide",
        width,
        HEIGHT,
        title,
        format_html_join("", "{}", ((part,) for part in parts)),
    )


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


def _y(value: float, top: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * min(max(value / top, 0.0), 1.0)


def _line(name: str, y: float, width: int) -> SafeString:
    return format_html(
        '<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>',
        name,
        LEFT,
        width,
        f"{y:.1f}",
        f"{y:.1f}",
    )


def _grid(top: float, show: Callable[[float], str], width: int, *, whole: bool) -> SafeString:
    count = _count(top, whole=whole)
    heights = [top * share / count for share in range(count + 1)]
    rows = (
        (_line("grid", y, width), LEFT - 8, f"{y + 4:.1f}", show(height))
        for height in heights
        for y in [_y(height, top)]
    )
    return format_html_join("", '{}<text x="{}" y="{}" text-anchor="end">{}</text>', rows)


def _count(top: float, *, whole: bool) -> int:
    """How many parts of the axis are a round number: 1, 2 or 5 times a power of ten.

    ``whole`` axes have whole parts.
    """
    parts = [(count, top / count) for count in (4, 3, 2, 5)]
    fit = [(count, part) for count, part in parts if not whole or part == int(part)]
    usual = fit[0][0] if whole and fit else 1 if whole else 2
    return next((count for count, part in fit if scale_top(part) == part), usual)


def _column(column: Column, left: float, step: float, top: float) -> SafeString:
    y, middle = _y(column.value, top), f"{left + step / 2:.1f}"
    height = max(BOTTOM - y, 1.0 if column.value else 0.0)
    return format_html(
        '<rect class="f-hum" x="{}" y="{}" width="{}" height="{}" rx="2"/>'
        '<text x="{}" y="168" text-anchor="middle">{}</text>{}',
        f"{left + step * 0.22:.1f}",
        f"{BOTTOM - height:.1f}",
        f"{step * 0.56:.1f}",
        f"{height:.1f}",
        middle,
        column.name,
        _above(column.text, middle, y) if column.text else "",
    )


def _above(text: str, middle: str, y: float) -> SafeString:
    return format_html(
        '<text class="s" x="{}" y="{}" text-anchor="middle">{}</text>', middle, f"{y - 6:.1f}", text
    )
