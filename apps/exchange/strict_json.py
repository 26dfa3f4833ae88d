"""JSON from strangers: what PostgreSQL could not hold is refused while reading."""

import json
import re
from math import isfinite
from typing import Any, Final, NoReturn

from apps.core.errors import InvalidError

MAX_DEPTH: Final = 64
SMALLEST: Final = -(2**63)
LARGEST: Final = 2**63 - 1
_MOST_DIGITS: Final = len(str(SMALLEST))
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read_json(raw: bytes | str) -> Any:
    """The document. Raises ``InvalidError`` with the reason.

    Refused: depth beyond 64, NUL, lone surrogates, NaN and infinities. An integer beyond 64 bits
    is read as the nearest double, as the API reads it: so does what our files tell come back.
    """
    try:
        text = raw.decode() if isinstance(raw, bytes) else raw
        document = json.loads(text, parse_constant=refuse_constant, parse_int=read_integer)
    except UnicodeDecodeError as error:
        raise InvalidError(f"not valid UTF-8 at byte {error.start + 1} of the row") from error
    except json.JSONDecodeError as error:
        raise InvalidError(f"not valid JSON: {error.msg} at character {error.pos + 1}") from error
    except RecursionError as error:
        raise InvalidError(f"nested deeper than {MAX_DEPTH} levels") from error
    check_document(document)
    return document


def read_integer(digits: str) -> int | float:
    """The integer, as the nearest double beyond 64 bits. Raises ``ValueError``."""
    if len(digits) > _MOST_DIGITS:
        return float(digits)
    number = int(digits)
    return number if SMALLEST <= number <= LARGEST else float(number)


def check_document(document: Any) -> None:
    """Raise ``InvalidError`` when PostgreSQL cannot hold the document."""
    _check(document, MAX_DEPTH)


def check_text(text: str) -> None:
    """Raise ``InvalidError`` when PostgreSQL cannot hold the text."""
    if _UNSTORABLE.search(text):
        raise InvalidError("a NUL character or half of a surrogate pair cannot be stored")


def refuse_constant(name: str) -> NoReturn:
    """Raise ``InvalidError`` for NaN and the infinities."""
    raise InvalidError(f"{name} is not a number that can be stored")


def _check(value: Any, levels: int) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, int | float):
        _check_number(value)
    elif isinstance(value, dict | list):
        if levels == 0:
            raise InvalidError(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            for key in value:
                check_text(key)
            value = value.values()
        for item in value:
            _check(item, levels - 1)


def _check_number(number: int | float) -> None:
    if isinstance(number, float):
        if not isfinite(number):  # such as 1e999, which is no constant
            raise InvalidError("a number is out of range")
    elif not SMALLEST <= number <= LARGEST:
        raise InvalidError("an integer needs more than 64 bits")
