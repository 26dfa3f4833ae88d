"""Rows of a directory or file of columns: Arrow as ``datasets`` saves it, Parquet, JSON Lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from apps.core.errors import InvalidError
from apps.exchange.arrow_rows import read_arrow_rows, read_parquet_rows
from apps.exchange.jsonl_rows import read_jsonl
from apps.exchange.rows import Row

ENDINGS: Final = (".arrow", ".parquet", ".jsonl", ".ndjson")


def read_tables(place: Path) -> Iterator[Row]:
    """The rows of all files in order of their names, numbered through.

    Raises ``InvalidError`` when there are none, or one cannot be read at all.
    """
    number = 0
    for file in _files(place):
        rows = _jsonl(file) if file.suffix in {".jsonl", ".ndjson"} else _columns(file)
        for row in rows:
            number += 1
            row.number = number
            yield row


def _files(place: Path) -> list[Path]:
    found = [place] if place.is_file() else sorted(one for one in place.rglob("*.*"))
    # What ``datasets`` keeps of a computation begins with cache-.
    files = [f for f in found if f.suffix in ENDINGS and not f.name.startswith("cache-")]
    if not place.exists():
        raise InvalidError(f"There is no {str(place)!r}.")
    if not files:
        raise InvalidError(f"There is no Arrow, Parquet or JSON Lines file in {str(place)!r}.")
    return files


def _jsonl(file: Path) -> Iterator[Row]:
    with file.open("rb") as source:
        yield from read_jsonl(source).rows


def _columns(file: Path) -> Iterator[Row]:
    read = read_parquet_rows if file.suffix == ".parquet" else read_arrow_rows
    try:
        with file.open("rb") as source:
            yield from read(source)
    except InvalidError as error:
        raise InvalidError(error.message.replace("The file", file.name, 1)) from error
