"""The file formats, by name and by file extension."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePath
from typing import BinaryIO, Final

from django.db import models

from apps.core.errors import InvalidError
from apps.exchange.arrow_rows import read_parquet
from apps.exchange.conll_rows import read_conll
from apps.exchange.csv_rows import read_csv
from apps.exchange.json_rows import read_json_rows
from apps.exchange.jsonl_rows import read_jsonl
from apps.exchange.rows import Start, Table

STDIN: Final = "-"


class FileFormat(models.TextChoices):
    CSV = "csv"
    JSONL = "jsonl"
    JSON = "json"
    PARQUET = "parquet"
    CONLL = "conll"


WRITTEN: Final = (FileFormat.CSV, FileFormat.JSONL)  # what exports can be
_EXTENSIONS = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
    ".json": FileFormat.JSON,
    ".parquet": FileFormat.PARQUET,
    ".conll": FileFormat.CONLL,
}


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read: how many rows, and where the next begins if rows are lines."""

    rows: int = 0
    after: Start | None = None


def format_of(file_name: str) -> FileFormat:
    """The format that the extension tells. Raises ``InvalidError`` for an unknown one."""
    extension = PurePath(file_name).suffix.lower()
    if extension not in _EXTENSIONS:
        known = ", ".join(_EXTENSIONS)
        raise InvalidError(f"The format of {file_name!r} is unclear; known endings are {known}.")
    return _EXTENSIONS[extension]


def read_table(source: BinaryIO, format: FileFormat, *, raw_formulas: bool = False) -> Table:
    """The rows of an open file. Raises ``InvalidError`` when its beginning makes no sense."""
    if format == FileFormat.CSV:
        return read_csv(source, raw_formulas=raw_formulas)
    if format == FileFormat.PARQUET and not source.seekable():
        raise InvalidError("A Parquet file cannot come from standard input.")
    return _READERS[format](source)


def read_on(source: BinaryIO, format: FileFormat, position: Position) -> Table:
    """The rows that follow a position: at once where rows are lines or groups, else by passing."""
    if format in _LINES:
        return _LINES[format](source, start=position.after)
    if format == FileFormat.PARQUET:
        return read_parquet(source, skipped=position.rows)
    table = read_table(source, format)
    return replace(table, rows=islice(table.rows, position.rows, None))


_READERS: Final[dict[str, Callable[[BinaryIO], Table]]] = {
    FileFormat.JSONL: read_jsonl,
    FileFormat.JSON: read_json_rows,
    FileFormat.PARQUET: read_parquet,
    FileFormat.CONLL: read_conll,
}
_LINES: Final[dict[str, Callable[..., Table]]] = {
    FileFormat.CSV: read_csv,
    FileFormat.JSONL: read_jsonl,
    FileFormat.CONLL: read_conll,
}


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """The file for reading, or standard input for ``-``."""
    if file == STDIN:
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as source:
        yield source
