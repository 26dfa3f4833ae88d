"""CSV with a header line: commas, semicolons or tabs; quoted cells may hold line ends.

A row that cannot be read is one problem, and reading goes on with the next line. When a quote is
opened and never closed, only the line on which it opens is lost: the lines it swallowed are read
again, as long as the file does not make that a habit (``REREAD_BUDGET``).
"""

import csv
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from apps.core.errors import InvalidError
from apps.exchange.cells import expose
from apps.exchange.rows import MAX_ROW, Line, Lines, Row, Start, Table

DELIMITERS: Final = ",;\t"
REREAD_BUDGET: Final = 4 * MAX_ROW  # bytes a file
OWN_COLUMN: Final = "field:"  # begins columns in files that this app wrote

# The module's limit is 128 kB a cell and holds for the whole process; nothing else reads CSV.
csv.field_size_limit(2 * MAX_ROW)


class _TooLongError(Exception):
    """The row is longer than ``MAX_ROW``."""


def read_csv(source: BinaryIO, *, raw_formulas: bool = False, start: Start | None = None) -> Table:
    """The rows of a CSV file in UTF-8, with its columns; empty cells are None.

    In a file whose columns are named as our export names them, the apostrophes of
    ``cells.protect`` are taken away, unless ``raw_formulas``. With ``start``, the rows from there
    on. Raises ``InvalidError`` when the
    header is missing, unreadable, or names a column twice.
    """
    reader = _Reader(Lines(source))
    columns = reader.read_header()
    if start is not None:
        reader.lines.go_to(start)
    rows = reader.rows(columns, exposed=is_ours(columns) and not raw_formulas)
    named = [column for column in columns if column]
    return Table(columns=named, rows=rows, from_text=True, is_ours=is_ours(columns))


def is_ours(columns: Sequence[str]) -> bool:
    """Whether our export named them: they then mean what they say, to the last blank."""
    return any(column.startswith(OWN_COLUMN) for column in columns)


class _Feed:
    """Hands lines to ``csv.reader`` and remembers which ones the current row took."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.begin()

    def begin(self) -> None:
        """The next line starts a row."""
        self.taken: list[Line] = []
        self.size = 0
        self.problem: str | None = None

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = self.lines.read()
        if line is None:
            raise StopIteration
        self.taken.append(line)
        self.size += len(line.raw)
        if line.is_cut or self.size > MAX_ROW:
            raise _TooLongError
        if b"\0" in line.raw:
            self.problem = "a NUL character cannot be stored"
        try:
            return line.raw.decode()
        except UnicodeDecodeError as error:
            self.problem = f"not valid UTF-8 at byte {error.start + 1} of line {line.number}"
            return line.raw.decode(errors="replace")


class _Reader:
    """One pass over the file."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.feed = _Feed(lines)
        self.budget = REREAD_BUDGET

    def read_header(self) -> list[str]:
        first = self.lines.read()
        if first is None:
            raise InvalidError("The file is empty; its first line must name the columns.")
        self.lines.give_back([first])
        self.parser = csv.reader(self.feed, delimiter=_delimiter(first), strict=True)
        try:
            columns = next(self.parser)
        except (csv.Error, _TooLongError) as error:
            raise InvalidError("The header line cannot be read.") from error
        if self.feed.problem:
            raise InvalidError(f"The header line cannot be read: {self.feed.problem}.")
        if not is_ours(columns):
            columns = [column.strip() for column in columns]
        named = [column for column in columns if column]
        repeated = sorted({column for column in named if named.count(column) > 1})
        if repeated:
            raise InvalidError(f"The header line names columns twice: {', '.join(repeated)}.")
        return columns

    def rows(self, columns: list[str], *, exposed: bool) -> Iterator[Row]:
        while True:
            self.feed.begin()
            try:
                cells = next(self.parser)
            except StopIteration:
                return
            except _TooLongError:
                yield self._broken(f"longer than {MAX_ROW} bytes")
            except csv.Error as error:
                yield self._broken(_in_words(error))
            else:
                if cells:
                    yield self._row(columns, cells, exposed)

    def _row(self, columns: list[str], cells: list[str], exposed: bool) -> Row:
        taken = self.feed.taken
        row = Row(taken[0].number, b"".join(line.raw for line in taken), {}, after=taken[-1].after)
        row.problem = self.feed.problem
        if row.problem is None and len(cells) != len(columns):
            row.problem = f"{len(cells)} cells where the header has {len(columns)}"
        if row.problem is None:
            texts = [expose(cell) for cell in cells] if exposed else cells
            pairs = zip(columns, texts, strict=True)
            row.values = {column: text or None for column, text in pairs if column}
        return row

    def _broken(self, problem: str) -> Row:
        first, *rest = self.feed.taken
        if rest and self.feed.size <= self.budget:
            self.budget -= self.feed.size
            self.lines.give_back(rest)
            return Row(first.number, first.raw, {}, problem, first.after)
        raw = b"".join(line.raw for line in self.feed.taken)
        swallowed = f" (up to line {rest[-1].number})" if rest else ""
        return Row(first.number, raw, {}, problem + swallowed, self.feed.taken[-1].after)


def _delimiter(header: Line) -> str:
    """The one that cuts the header into most columns; a comma when none does."""
    text = header.raw.decode(errors="replace")
    counts = {one: len(next(csv.reader([text], delimiter=one), [])) for one in DELIMITERS}
    return max(DELIMITERS, key=counts.__getitem__)


def _in_words(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote is opened and never closed"
    if "expected after" in str(error):
        return "text follows a closing quote"
    return f"not valid CSV: {error}"
