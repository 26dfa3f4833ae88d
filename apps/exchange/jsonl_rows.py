"""JSON Lines: one object a line; empty lines are no rows."""

from collections.abc import Iterator
from typing import BinaryIO

from apps.core.errors import InvalidError
from apps.exchange.rows import MAX_ROW, Line, Lines, Row, Start, Table
from apps.exchange.strict_json import read_json


def read_jsonl(source: BinaryIO, *, start: Start | None = None) -> Table:
    """The rows of a JSON Lines file in UTF-8, with ``start`` those from there on."""
    lines = Lines(source)
    if start is not None:
        lines.go_to(start)
    return Table(columns=None, rows=_rows(lines), from_text=False)


def _rows(lines: Lines) -> Iterator[Row]:
    while (line := lines.read()) is not None:
        if line.raw.strip():
            yield _row(line)


def _row(line: Line) -> Row:
    row = Row(line.number, line.raw, {}, after=line.after)
    if line.is_cut:
        row.problem = f"longer than {MAX_ROW} bytes"
        return row
    try:
        values = read_json(line.raw)
    except InvalidError as error:
        row.problem = error.message
        return row
    if isinstance(values, dict):
        row.values = values
    else:
        row.problem = "not a JSON object"
    return row
