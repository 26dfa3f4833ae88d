"""The file formats, by name and by file extension."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO, Final

from django.db import models

from apps.core.errors import InvalidError
from apps.exchange.csv_rows import read_csv
from apps.exchange.jsonl_rows import read_jsonl
from apps.exchange.rows import Table

STDIN: Final = "-"


class FileFormat(models.TextChoices):
    CSV = "csv"
    JSONL = "jsonl"


_EXTENSIONS = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
}


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
    return read_jsonl(source)


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """The file for reading, or standard input for ``-``."""
    if file == STDIN:
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as source:
        yield source
