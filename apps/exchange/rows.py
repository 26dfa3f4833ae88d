"""Rows of a file, read one at a time in bounded memory; a bad row never ends the file."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from apps.core.errors import InvalidError

MAX_ROW: Final = 16 * 1024 * 1024  # bytes
KEPT_OF_LONGER: Final = 1_000  # bytes of a row that is longer, to recognise it by
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_OTHER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(slots=True)
class Row:
    """A row of a file; ``problem`` says why it cannot be read, and is None for a good one.

    ``number`` is the line on which it starts, from 1, a header line included. ``raw`` is the row
    as it stands in the file, the beginning only of one longer than ``MAX_ROW``. ``after``, where
    rows are lines: where the next one begins.
    """

    number: int
    raw: bytes
    values: dict[str, Any]
    problem: str | None = None
    after: "Start | None" = None

    @property
    def original(self) -> str:
        """The row as text; bytes that are not UTF-8 read ``\\xNN``."""
        return self.raw.rstrip(b"\r\n").decode(errors="backslashreplace")


@dataclass(frozen=True, slots=True)
class Table:
    """What a reader makes of a file.

    ``columns`` are known beforehand only where the file has a header. ``from_text``: the values
    are text cells, which the import turns into numbers and lists as the dataset needs them.
    ``is_ours``: its columns are named as our export names them.
    ``count`` are the rows in all, where the file says so.
    """

    columns: list[str] | None
    rows: Iterator[Row]
    from_text: bool
    is_ours: bool = False
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading goes on in a file whose rows are lines: the byte, and the lines before it."""

    offset: int
    lines: int


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line with its line end; cut when it is longer than a row may be.

    ``end`` is the byte in the file that follows it.
    """

    number: int
    raw: bytes
    is_cut: bool
    end: int

    @property
    def after(self) -> Start:
        """Where the next line begins."""
        return Start(self.end, self.number)


class Lines:
    """The lines of a binary file; those that turn out to belong to the next row can go back.

    Raises ``InvalidError`` for a file in UTF-16.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._returned: deque[Line] = deque()
        self._count = 0
        self._end = 0

    def go_to(self, start: Start) -> None:
        """Read on there."""
        self._source.seek(start.offset)
        self._returned.clear()
        self._count, self._end = start.lines, start.offset

    def read(self) -> Line | None:
        """The next line, or None at the end of the file."""
        if self._returned:
            return self._returned.popleft()
        raw = self._source.readline(MAX_ROW + 1)
        if not raw:
            return None
        self._count += 1
        self._end += len(raw)
        if self._count == 1:
            raw = _without_mark(raw)
        if len(raw) <= MAX_ROW:
            return Line(self._count, raw, is_cut=False, end=self._end)
        self._skip_rest(raw)
        return Line(self._count, raw[:KEPT_OF_LONGER], is_cut=True, end=self._end)

    def give_back(self, lines: list[Line]) -> None:
        """Read these lines again next."""
        self._returned.extendleft(reversed(lines))

    def _skip_rest(self, raw: bytes) -> None:
        while raw and not raw.endswith(b"\n"):
            raw = self._source.readline(MAX_ROW)
            self._end += len(raw)


def _without_mark(raw: bytes) -> bytes:
    if raw.startswith(_OTHER_MARKS):
        raise InvalidError("The file is encoded in UTF-16; save it as UTF-8.")
    return raw.removeprefix(_UTF8_MARK)
