"""Text cells of CSV files: formulas made harmless, values to text and back.

A spreadsheet runs a cell that begins like a formula. So an apostrophe is put before every cell
that begins with ``= + - @``, a tab, a line end or a full-width form of them, after any number of
apostrophes, unless the cell is a plain number. Reading takes one apostrophe from such a cell
again; a text that began with one itself got a second one, so nothing is lost.
"""

import json
import re
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

from apps.core.errors import InvalidError
from apps.exchange.strict_json import LARGEST, SMALLEST, read_integer, read_json

SEPARATOR: Final = "|"
_RISKY = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def protect(cell: str) -> str:
    """The cell, as it is harmless in a spreadsheet."""
    if _RISKY.match(cell) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def expose(cell: str) -> str:
    """The cell as it was before ``protect``."""
    return cell[1:] if cell.startswith("'") and _RISKY.match(cell) else cell


def write_cell(value: Any) -> str:
    """A value as a cell: text as it is, None empty, everything else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def write_term(value: Any) -> str:
    """A metadata value; a text that would be read as JSON is written as a JSON string."""
    if isinstance(value, str) and value.startswith(("[", "{", '"')):
        return json.dumps(value, ensure_ascii=False)
    return write_cell(value)


def read_term(cell: str, values: Sequence[Any] = ()) -> Any:
    """The value of ``write_term``; what looks like JSON and is none is text.

    Of the ``values`` that a property allows, the one that is written so is meant.
    """
    meant = [value for value in values if write_term(value) == cell]
    if meant:
        return cell if cell in meant else meant[0]
    if cell.startswith(("[", "{", '"')):
        try:
            return read_json(cell)
        except InvalidError:
            return cell
    return cell


def read_whole(cell: str) -> int:
    """A whole number of 64 bits; ``4.0`` is one. Raises ``InvalidError``."""
    number = read_number(cell)
    if isinstance(number, float) and not number.is_integer():
        raise InvalidError(f"{cell[:50]!r} is not a whole number")
    if not SMALLEST <= number <= LARGEST:
        raise InvalidError(f"{cell[:50]!r} needs more than 64 bits")
    return int(number)


def read_number(cell: str) -> int | float:
    """A finite number, of which JSON says the same. Raises ``InvalidError``."""
    text = cell.strip()  # of more than int() and float() pass over
    if not _NUMBER.fullmatch(text) or len(cell) > 100:
        raise InvalidError(f"{cell[:50]!r} is not a number")
    try:
        number = read_integer(text)
    except ValueError:
        number = float(text)
    if not isfinite(number):
        raise InvalidError(f"{cell[:50]!r} is too large a number")
    return number


def read_list(cell: str) -> list[Any]:
    """A JSON list, or texts separated by ``|``. Raises ``InvalidError``."""
    if not cell.lstrip().startswith("["):
        return [part.strip() for part in cell.split(SEPARATOR) if part.strip()]
    value = read_json(cell)
    return value if isinstance(value, list) else [value]
