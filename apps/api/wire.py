"""JSON in and out: what a document may hold, and how ids and times are written.

A document that PostgreSQL or a client could not hold is refused where it enters: depth beyond 64,
NUL, lone surrogates, NaN and infinities, integers beyond 64 bits. A clean body of any size costs
one pass over its containers; its strings are looked at only when the text has an escape that
could make one of those characters.
"""

import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

MAX_DEPTH = 64
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1


class UnreadableError(ValueError):
    """The text is no JSON, or holds something that cannot be stored; the message says what."""


def write(document: object) -> bytes:
    """The document as compact UTF-8 JSON; times as naive UTC with six digits of microseconds."""
    text = json.dumps(
        document, default=_scalar, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    return text.encode()


def _scalar(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return timestamp(value)
    raise TypeError(f"{type(value).__name__} has no wire form")


def timestamp(moment: datetime) -> str:
    """``2026-11-21T05:05:49.186399``: naive UTC, since clients compare it with naive times."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def read(raw: bytes) -> Any:
    """The document in ``raw``. Raises ``UnreadableError``."""
    try:
        text = raw.decode()
        document = json.loads(text, parse_constant=_refuse_constant)
    except UnreadableError:
        raise
    except RecursionError as error:
        raise UnreadableError(f"nested deeper than {MAX_DEPTH} levels") from error
    except (ValueError, UnicodeDecodeError) as error:
        # Also an integer of more than 4300 digits, which Python refuses to read.
        raise UnreadableError("JSON decode error") from error
    _Cleaner(strings=r"\u" in text).check(document, MAX_DEPTH)
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise UnreadableError(f"{name} is not a number that can be stored")


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold the text: no NUL, no lone surrogate."""
    return _UNSTORABLE.search(text) is None


class _Cleaner:
    """Walks a parsed document; ``strings`` says whether its strings need a look."""

    def __init__(self, *, strings: bool) -> None:
        self.strings = strings

    def check(self, value: Any, levels: int) -> None:
        """Raise ``UnreadableError`` when the value, or anything in it, cannot be stored."""
        kind = type(value)
        if kind is dict:
            self._enter(levels)
            if self.strings:
                self._check_texts(value)
            self._check_all(value.values(), levels - 1)
        elif kind is list:
            self._enter(levels)
            self._check_all(value, levels - 1)
        elif kind is str:
            if self.strings:
                self._check_texts((value,))
        elif kind in {int, float}:
            _check_numbers((value,))

    def _check_all(self, values: Iterable[Any], levels: int) -> None:
        """The same for many; one of one kind, such as a vector, is checked without a loop."""
        kinds = set(map(type, values))
        if kinds <= {int} or kinds <= {float}:
            _check_numbers(values)
        elif kinds <= {str}:
            if self.strings:
                self._check_texts(values)
        else:
            for value in values:
                self.check(value, levels)

    @staticmethod
    def _enter(levels: int) -> None:
        if levels == 0:
            raise UnreadableError(f"nested deeper than {MAX_DEPTH} levels")

    @staticmethod
    def _check_texts(texts: Iterable[str]) -> None:
        for text in texts:
            if not is_storable(text):
                raise UnreadableError("a NUL or half of a surrogate pair cannot be stored")


def _check_numbers(numbers: Iterable[Any]) -> None:
    """All of one kind: int or float. A finite sum holds no infinity, and is quick."""
    total = sum(numbers)
    if isinstance(total, float) and math.isfinite(total):
        return
    smallest, largest = min(numbers, default=0), max(numbers, default=0)
    # Constants are refused while reading: an infinity is an overflow such as 1e999.
    if isinstance(smallest, float):
        if math.isinf(smallest) or math.isinf(largest):
            raise UnreadableError("a number is out of range")
    elif smallest < _SMALLEST or largest > _LARGEST:
        raise UnreadableError("an integer needs more than 64 bits")
