"""What the beginning of a file's rows shows of each column, in bounded memory."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils.translation import gettext
from pydantic import BaseModel

from apps.core.errors import InvalidError
from apps.datasets.settings import MAX_LABELS
from apps.exchange import cells
from apps.exchange.foreign.derive import MAX_LABEL, kind_of
from apps.exchange.rows import Row, Table
from apps.exchange.strict_json import read_json

MOST_ROWS: Final = 50_000
MOST_BYTES: Final = 32 * 1024 * 1024
MOST_COLUMNS: Final = 200
NEARLY_ALL: Final = 0.95  # of the values are of one kind: the others are mistakes
_CODE: Final = re.compile(r"-?0[0-9]")
REMEMBERED: Final = 2_000  # values that tell whether all differ


class ColumnFacts(BaseModel):
    """``count`` are the rows with a value; ``values`` the different short texts, the most frequent
    first, none when there are more than can be labels. ``kinds`` are counted by name."""

    name: str
    count: int = 0
    kinds: dict[str, int] = {}
    values: list[str] = []
    is_few: bool = True
    is_unique: bool = True
    length: int = 0  # characters of a text, on average
    longest: int = 0
    low: float | None = None
    high: float | None = None
    dimensions: int | None = None

    @property
    def kind(self) -> str:
        """What nearly all values are; ``mixed`` if they are not alike, ``none`` without any."""
        found = {name: n for name, n in self.kinds.items() if name != "empty"} or self.kinds
        if not found:
            return "none"
        merged = {"float": found.get("integer", 0) + found.get("float", 0)}
        if "float" in found and merged["float"] >= NEARLY_ALL * self.count:
            return "float"
        name = max(found, key=found.__getitem__)
        return name if found[name] >= NEARLY_ALL * sum(found.values()) else "mixed"


class Survey(BaseModel):
    """``is_all``: the rows are all that the file has. ``total`` is known or guessed."""

    rows: int
    bad: int
    is_all: bool
    total: int
    columns: list[ColumnFacts]

    def column(self, name: str) -> ColumnFacts | None:
        return next((one for one in self.columns if one.name == name), None)


def take_survey(table: Table, *, size: int) -> Survey:
    """Look at up to 50,000 rows or 32 MB of a file of ``size`` bytes.

    Raises ``InvalidError`` when no row can be read, or there are too many columns.
    """
    columns: dict[str, _Column] = {}
    for name in table.columns or ():
        _add_column(columns, name)
    rows = bad = passed = 0
    problem, is_all = "", True
    for row in table.rows:
        if rows + bad >= MOST_ROWS or passed > MOST_BYTES:
            is_all = False
            break
        passed += len(row.raw)
        if row.problem:
            bad += 1
            problem = problem or f"row {row.number}: {row.problem}"
            continue
        rows += 1
        _see_row(columns, row, table.from_text)
    if not rows:
        raise InvalidError(f"No row of the file can be read. {problem}".strip())
    total = rows + bad
    if not is_all:
        total = table.count or max(total, int(size * total / max(passed, 1)))
    facts = [one.facts() for one in columns.values()]
    return Survey(rows=rows, bad=bad, is_all=is_all, total=total, columns=facts)


def _see_row(columns: "dict[str, _Column]", row: Row, from_text: bool) -> None:
    for name, value in row.values.items():
        if name not in columns:
            _add_column(columns, name)
        if value is not None:
            columns[name].see(value, from_text)


def _add_column(columns: "dict[str, _Column]", name: str) -> None:
    if len(columns) == MOST_COLUMNS:
        raise InvalidError(gettext("The rows have more than %s columns.") % MOST_COLUMNS)
    columns[name] = _Column(name)


class _Column:
    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.kinds: dict[str, int] = {}
        self.values: dict[str, int] = {}
        self.is_few = True
        self.seen: set[int] = set()
        self.is_unique = True
        self.length = 0
        self.longest = 0
        self.numbers: list[float] = []
        self.dimensions: set[int] = set()

    def see(self, value: Any, from_text: bool) -> None:
        self.count += 1
        if from_text:
            value = _unfolded(value)
        kind = _kind(value)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        text = value if isinstance(value, str) else str(value)
        self._see_length(text)
        if kind in {"integer", "float"}:
            self.numbers = [min([value, *self.numbers]), max([value, *self.numbers])]
        if kind == "vector":
            self.dimensions.add(len(value))
        for label in _labels(kind, value, text):
            self._see_label(label)

    def _see_length(self, text: str) -> None:
        self.length += len(text)
        self.longest = max(self.longest, len(text))
        if self.is_unique and self.count <= REMEMBERED:
            self.is_unique = hash(text) not in self.seen
            self.seen.add(hash(text))

    def _see_label(self, label: str) -> None:
        if not self.is_few:
            return
        if not label or len(label) > MAX_LABEL:
            self.is_few, self.values = False, {}
            return
        self.values[label] = self.values.get(label, 0) + 1
        if len(self.values) > MAX_LABELS:
            self.is_few, self.values = False, {}

    def facts(self) -> ColumnFacts:
        frequent = sorted(self.values, key=lambda label: -self.values[label])
        return ColumnFacts(
            name=self.name,
            count=self.count,
            kinds=self.kinds,
            values=frequent,
            is_few=self.is_few and bool(frequent),
            is_unique=self.is_unique and self.count > 1,
            length=self.length // max(self.count, 1),
            longest=self.longest,
            low=self.numbers[0] if self.numbers else None,
            high=self.numbers[-1] if self.numbers else None,
            dimensions=self.dimensions.pop() if len(self.dimensions) == 1 else None,
        )


def _unfolded(cell: str) -> Any:
    """What a text cell says: a number, a list or an object, else the text.

    A postcode 01230 or a telephone number +49… is no number, which nobody would write so.
    """
    if cell[:1] in "[{":
        try:
            return read_json(cell)
        except InvalidError:
            return cell
    if cell[:1] in "0123456789.-" and len(cell) <= 40 and not _CODE.match(cell):
        try:
            return cells.read_number(cell)
        except InvalidError:
            return cell
    return cell


def _kind(value: Any) -> str:
    if value in ([], ""):
        return "empty"
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        if all({"label", "start", "end"} <= one.keys() for one in value):
            return "spans"
        if all({"value", "rank"} <= one.keys() for one in value):
            return "ranking"
    if isinstance(value, dict | list) and kind_of(value) == "other":
        return "object"
    return kind_of(value)


def _labels(kind: str, value: Any, text: str) -> Iterable[str]:
    if kind == "text":
        return (text,)
    if kind == "integer":
        return (str(value),)
    if kind == "terms":
        return tuple(value)
    if kind == "bool":
        return (text.lower(),)
    key = {"spans": "label", "ranking": "value"}.get(kind)
    return _named(value, key) if key else ()


def _named(items: Iterable[Mapping[str, Any]], key: str) -> Iterable[str]:
    return tuple(str(one[key]) for one in items)
