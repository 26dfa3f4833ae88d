"""JSON in and out: what a document may hold, and how ids and times are written.

A document that PostgreSQL or a client could not hold is refused where it enters: depth beyond 64,
NUL, lone surrogates, NaN and infinities. An integer beyond 64 bits is read as the nearest double,
as JSON leaves it open. A parsed body is walked through only when its text gives reason to.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import orjson

from apps.core.documents import encode

MAX_DEPTH = 64
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class UnreadableError(ValueError):
    """The text is no JSON, or holds something that cannot be stored; the message says what."""


def write(document: object) -> bytes:
    """The document as compact UTF-8 JSON; times as naive UTC with six digits of microseconds."""
    return encode(document, default=_scalar)


def _scalar(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no wire form")


def timestamp(moment: datetime) -> str:
    """``2026-11-21T05:05:49.186399``: naive UTC, since clients compare it with naive times."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def read(raw: bytes) -> Any:
    """The document in ``raw``. Raises ``UnreadableError``."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise UnreadableError(f"JSON decode error: {error.msg}") from error
    has_escaped_nul = b"\\u0000" in raw
    if has_escaped_nul or _may_be_deep(raw):
        _check(document, MAX_DEPTH, strings=has_escaped_nul)
    return document


_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _may_be_deep(raw: bytes) -> bool:
    """False when the text cannot be nested deeper than ``MAX_DEPTH``; quicker than looking.

    Innermost pairs of brackets are taken away until none is left; brackets inside strings may
    keep some, and then the document itself is looked at.
    """
    brackets = raw.translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold the text: no NUL, no lone surrogate."""
    return _UNSTORABLE.search(text) is None


def _check(value: Any, levels: int, *, strings: bool) -> None:
    """Raise ``UnreadableError`` when the value is nested too deep or, asked so, holds a NUL."""
    if isinstance(value, dict):
        inside: Iterable[Any] = value.values()
    elif isinstance(value, list):
        inside = value
    else:
        if strings and isinstance(value, str):
            _check_texts((value,))
        return
    if levels == 0:
        raise UnreadableError(f"nested deeper than {MAX_DEPTH} levels")
    if strings and isinstance(value, dict):
        _check_texts(value)
    kinds = set(map(type, inside))
    if strings or not kinds.isdisjoint((dict, list)):
        for item in inside:
            _check(item, levels - 1, strings=strings)


def _check_texts(texts: Iterable[str]) -> None:
    if not all(map(is_storable, texts)):
        raise UnreadableError("a NUL cannot be stored")
