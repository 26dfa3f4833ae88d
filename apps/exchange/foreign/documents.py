"""JSON documents of a file, one at a time: the elements of an array, or a line each."""

import codecs
import io
import json
from collections.abc import Iterator
from json.decoder import WHITESPACE  # type: ignore[attr-defined]
from typing import Any, BinaryIO, Final

from apps.core.errors import InvalidError
from apps.exchange.jsonl_rows import read_jsonl
from apps.exchange.rows import MAX_ROW, Row
from apps.exchange.strict_json import check_document, read_integer

CHUNK: Final = 1024 * 1024  # bytes
_UTF8_MARK: Final = b"\xef\xbb\xbf"


def read_documents(source: BinaryIO) -> Iterator[Row]:
    """Rows whose values are objects, numbered by element or line.

    In an array, JSON that is broken is the last row: nobody knows where the next would begin.
    Raises ``InvalidError`` when the file is no JSON at all.
    """
    file = source if isinstance(source, io.BufferedReader) else io.BufferedReader(source)  # type: ignore[type-var]
    first = _first(file)
    if first == b"[":
        yield from _Array(file).rows()
    elif first == b"{":
        yield from read_jsonl(file).rows
    elif first:
        raise InvalidError("The file is no JSON: it begins with neither [ nor {.")
    else:
        raise InvalidError("The file is empty.")


def _first(file: "io.BufferedReader[Any]") -> bytes:
    """The first byte that is no space and no mark, which is not taken."""
    return file.peek(CHUNK).removeprefix(_UTF8_MARK).lstrip()[:1]


class _BrokenError(Exception):
    """No element can be read any more."""


class _Array:
    """The elements of an array; the text held is that of one chunk or one element."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.json = json.JSONDecoder(parse_int=read_integer)
        self.start = 0
        self.text = ""
        self.at = 0
        self.has_ended = False

    def rows(self) -> Iterator[Row]:
        number = 0
        try:
            self._expect("[")
            while self._next() != "]":
                number += 1
                yield self._row(number)
                if self._next() != "]":
                    self._expect(",")
        except _BrokenError as error:
            problem = f"{error}; nothing behind it can be read"
            yield Row(number, self.text[self.at : self.at + 1_000].encode(), {}, problem)

    def _row(self, number: int) -> Row:
        document, problem = None, None
        try:
            document = self._document()
            check_document(document)
        except InvalidError as error:
            problem = error.message
        row = Row(number, self.text[self.start : self.at].encode(), {}, problem)
        if isinstance(document, dict):
            row.values = document
        else:
            row.problem = problem or "not a JSON object"
        return row

    def _document(self) -> Any:
        while True:
            try:
                document, end = self.json.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                self._need_more(error)
            except (RecursionError, ValueError) as error:
                raise _BrokenError("nested too deeply, or a number too long") from error
            else:
                self.start, self.at = self.at, end
                return document

    def _need_more(self, error: json.JSONDecodeError) -> None:
        """Read on, as long as the element may only have been cut off."""
        if self.has_ended:
            raise _BrokenError(f"not valid JSON, or cut off: {error.msg}") from error
        if len(self.text) - self.at > MAX_ROW:
            raise _BrokenError(f"not valid JSON, or longer than {MAX_ROW} bytes") from error
        self._read_on()

    def _read_on(self) -> None:
        """As much again as is there, so that a long element is not tried too often."""
        chunk = self.file.read(max(CHUNK, len(self.text) - self.at))
        try:
            text = self.decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise _BrokenError("not valid UTF-8") from error
        self.text, self.at = self.text[self.at :] + text, 0
        self.has_ended = not chunk

    def _next(self) -> str:
        """The next character that is no space, which is not taken; empty at the end."""
        while True:
            match = WHITESPACE.match(self.text, self.at)
            self.at = match.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if self.has_ended:
                return ""
            self._read_on()

    def _expect(self, character: str) -> None:
        found = self._next()
        if found != character:
            raise _BrokenError(f"{character} expected, {found or 'the end of the file'} found")
        self.at += 1
