"""A JSON document of rows, read piece by piece: it need not fit into memory.

Rows are the items of a list. Where the document is an object, each of its lists holds rows, and
the column ``part`` says which list a row was in; its other members are no rows. An item that is an
object is a row as it is, a list has the columns ``column_1``, ``column_2`` …, anything else the
column ``value``.
"""

import json
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from apps.core.errors import InvalidError
from apps.exchange.rows import MAX_ROW, Row, Table
from apps.exchange.strict_json import (
    MAX_DEPTH,
    check_document,
    check_text,
    read_integer,
    refuse_constant,
)

PART: Final = "part"
VALUE: Final = "value"
PIECE: Final = 256 * 1024  # bytes
_BLANK: Final = " \t\r\n"
_NO_TEXT: Final = re.compile("[\udc80-\udcff]")  # what a byte that is not UTF-8 becomes
_DECODER: Final = json.JSONDecoder(parse_constant=refuse_constant, parse_int=read_integer)


class _BrokenError(Exception):
    """From here on the document makes no sense."""


def read_json_rows(source: BinaryIO) -> Table:
    """The rows of a JSON file in UTF-8. Raises ``InvalidError`` when it holds no list."""
    document = _Document(source)
    first = document.peek()
    if first not in {"[", "{"}:
        raise InvalidError("The file holds neither a list of rows nor an object of such lists.")
    return Table(columns=None, rows=_rows(document, first), from_text=False)


def _rows(document: "_Document", first: str) -> Iterator[Row]:
    """A document that breaks off is one bad row, the last."""
    number = 0
    try:
        items = document.items() if first == "[" else _items_of_parts(document)
        for values, text in items:
            number += 1
            yield _row(number, values, text)
    except _BrokenError as error:
        yield Row(number + 1, document.rest(), {}, f"{error}; nothing after it can be read")


def _items_of_parts(document: "_Document") -> Iterator[tuple[Any, str]]:
    """The items of each list in an object; those that are objects say where they were."""
    for name in document.members():
        if document.peek() != "[":
            document.value()
            continue
        for item, text in document.items():
            yield ({PART: name, **_as_columns(item)}, text)


def _as_columns(item: Any) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    if isinstance(item, list):
        return {f"column_{place}": value for place, value in enumerate(item, start=1)}
    return {VALUE: item}


def _row(number: int, item: Any, text: str) -> Row:
    row = Row(number, text.encode(errors="surrogateescape"), {})
    if _NO_TEXT.search(text):
        row.problem = "not valid UTF-8"
        return row
    try:
        check_document(item)
        row.values = _as_columns(item)
    except InvalidError as error:
        row.problem = error.message
    return row


class _Document:
    """A place in the text; ``_text`` is what was read and not yet passed, from ``_at`` on."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._decoder = getincrementaldecoder("utf-8-sig")(errors="surrogateescape")
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The next character that is not blank; nothing at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def items(self) -> Iterator[tuple[Any, str]]:
        """The items of the list that begins here, each with its text."""
        for _ in self._until("]"):
            yield self.value()

    def members(self) -> Iterator[str]:
        """The names in the object that begins here; its values are for the caller to pass."""
        for _ in self._until("}"):
            name, _text = self.value()
            if not isinstance(name, str):
                raise _BrokenError("a name is missing")
            self._take(":")
            try:
                check_text(name)
            except InvalidError as error:
                raise _BrokenError(error.message) from error
            yield name

    def value(self) -> tuple[Any, str]:
        """The value that stands here, and its text."""
        while True:
            self.peek()
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
                # A number may go on in what has not been read.
                if end < len(self._text) or self._ended:
                    text = self._text[self._at : end]
                    self._at = end
                    return value, text
            except RecursionError as error:
                raise _BrokenError(f"nested deeper than {MAX_DEPTH} levels") from error
            except InvalidError as error:
                raise _BrokenError(error.message) from error
            except ValueError as error:
                if self._ended:
                    raise _BrokenError(f"not valid JSON ({_reason(error)})") from error
            if len(self._text) - self._at > MAX_ROW:
                raise _BrokenError(f"not valid JSON, or a row longer than {MAX_ROW} bytes")
            self._more()

    def rest(self) -> bytes:
        """The beginning of what cannot be read."""
        return self._text[self._at : self._at + 1_000].encode(errors="surrogateescape")

    def _until(self, closing: str) -> Iterator[None]:
        self._at += 1
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self.peek() == closing:
                self._at += 1
                return
            self._take(",")

    def _take(self, wanted: str) -> None:
        if self.peek() != wanted:
            raise _BrokenError(f"not valid JSON (expected “{wanted}”)")
        self._at += 1

    def _more(self) -> bool:
        """Read as much again as is at hand; False at the end."""
        if self._ended:
            return False
        pending = len(self._text) - self._at
        piece = self._source.read(max(PIECE, pending))
        self._ended = not piece
        fresh = self._decoder.decode(piece, final=self._ended)
        self._text, self._at = self._text[self._at :] + fresh, 0
        return True


def _reason(error: ValueError) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else "a number is too long"
