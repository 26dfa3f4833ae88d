"""Records as CSV: one row a record, columns named by what they hold (``targets``).

The columns follow from the dataset alone: ``id``, ``status``, each field, each metadata property
and one ``metadata`` with the rest as JSON, four a question for its suggestion, and
then, for every member who has answered, a status and one a question; where reviewers have decided,
one a question for that and four about it. Lists and objects are JSON.

The rest are undeclared values, and terms that are numbers or truth values: the cell of such a one
looks like that of a text.

What CSV cannot carry, and JSONL can: vectors, times, and the difference between an empty text
and none.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.datasets.models import PropertyType
from apps.exchange import cells
from apps.exchange.adjudications import ABOUT
from apps.exchange.exporter import Page

_ABOUT = ("score", "agent", "type")


@dataclass(frozen=True, slots=True)
class Shape:
    """What the columns follow from; ``usernames`` are the members who have answered.

    ``properties`` are types by name.
    ``is_reviewed``: there are decisions, which then have columns.
    """

    fields: Sequence[str]
    properties: Mapping[str, str]
    questions: Sequence[str]
    usernames: Sequence[str]
    is_reviewed: bool = False


def csv_pages(pages: Iterator[Page], *, shape: Shape, raw_formulas: bool = False) -> Iterator[Page]:
    """The same pages as CSV, after one with the header.

    ``raw_formulas`` leaves cells as they are that a spreadsheet would take for formulas.
    """
    table = _Table(shape, raw_formulas)
    yield Page(0, table.lines([table.columns()]))
    for page in pages:
        records = [json.loads(line) for line in page.lines.split(b"\n") if line]
        yield Page(page.records, table.lines([table.row(record) for record in records]))


class _Table:
    def __init__(self, shape: Shape, raw_formulas: bool) -> None:
        self.fields = shape.fields
        self.properties = shape.properties
        self.questions = shape.questions
        self.usernames = shape.usernames
        self.is_reviewed = shape.is_reviewed
        self.raw_formulas = raw_formulas

    def columns(self) -> list[str]:
        columns = ["id", "status", *(f"field:{name}" for name in self.fields)]
        columns += [*(f"metadata:{name}" for name in self.properties), "metadata"]
        for name in self.questions:
            columns += [f"suggestion:{name}", *(f"suggestion:{name}.{key}" for key in _ABOUT)]
        for user in self.usernames:
            columns += [f"response-status@{user}"]
            columns += [f"response:{name}@{user}" for name in self.questions]
        if self.is_reviewed:
            columns += [f"adjudication:{name}" for name in self.questions]
            columns += [f"adjudication.{about}" for about in ABOUT]
        return columns

    def row(self, record: dict[str, Any]) -> list[str]:
        row = [record["id"], record["status"]]
        row += [cells.write_cell(record["fields"].get(name)) for name in self.fields]
        return [
            *row,
            *self._metadata(record["metadata"] or {}),
            *self._suggestions(record["suggestions"]),
            *self._responses(record["responses"]),
            *self._decision(record.get("adjudication")),
        ]

    def _metadata(self, metadata: dict[str, Any]) -> Iterator[str]:
        for name in self.properties:
            yield cells.write_term(metadata.get(name))
        rest = {name: value for name, value in metadata.items() if self._is_rest(name, value)}
        yield cells.write_cell(rest or None)

    def _is_rest(self, name: str, value: Any) -> bool:
        """What has no column, and terms that a cell says as text alone, such as true."""
        return name not in self.properties or (
            self.properties[name] == PropertyType.TERMS and isinstance(value, int | float)
        )

    def _suggestions(self, suggestions: list[dict[str, Any]]) -> Iterator[str]:
        by_question = {one["question"]: one for one in suggestions}
        for name in self.questions:
            one = by_question.get(name, {})
            for key in ("value", *_ABOUT):
                yield cells.write_cell(one.get(key))

    def _responses(self, responses: list[dict[str, Any]]) -> Iterator[str]:
        by_user = {one["user"]: one for one in responses}
        for user in self.usernames:
            one = by_user.get(user, {"status": None, "values": {}})
            yield cells.write_cell(one["status"])
            for name in self.questions:
                yield cells.write_cell(one["values"].get(name, {}).get("value"))

    def _decision(self, decision: dict[str, Any] | None) -> Iterator[str]:
        if not self.is_reviewed:
            return
        one = decision or {"values": {}}
        for name in self.questions:
            yield cells.write_cell(one["values"].get(name, {}).get("value"))
        for about in ABOUT:
            yield cells.write_cell(one.get(about) or None)

    def lines(self, rows: list[list[str]]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        if not self.raw_formulas:
            rows = [[cells.protect(cell) for cell in row] for row in rows]
        writer.writerows(rows)
        return text.getvalue().encode()
