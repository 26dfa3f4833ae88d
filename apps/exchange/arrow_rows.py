"""Rows of Parquet and of Arrow as ``datasets`` saves it: few at a time, as they are asked for.

A file may say that it unfolds to much more than it weighs, so what a piece of it may unfold to is
limited before it is read.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isnan
from typing import Any, BinaryIO, Final

from apps.core.errors import InvalidError
from apps.exchange.rows import MAX_ROW, Row, Table
from apps.exchange.strict_json import check_document

BATCH: Final = 100  # rows
LARGEST_COLUMN: Final = 1024**3  # bytes of a column in a row group, unfolded
LARGEST_RATIO: Final = 1_000  # of unfolded to stored bytes, for what is large at all
MOST_COLUMNS: Final = 2_000
_PICTURES: Final = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}


def read_parquet(source: BinaryIO, *, skipped: int = 0) -> Table:
    """The rows of a Parquet file, but the first ``skipped`` ones. Raises ``InvalidError``."""
    with _in_words():
        file = _opened(source)
        rows = file.metadata.num_rows
        columns = list(file.schema_arrow.names)
    return Table(columns, _parquet_rows(file, skipped), from_text=False, count=rows)


def read_parquet_rows(source: BinaryIO) -> Iterator[Row]:
    """The rows of a Parquet file. Raises ``InvalidError`` when it is none."""
    yield from read_parquet(source).rows


def read_arrow_rows(source: BinaryIO) -> Iterator[Row]:
    """The rows of an Arrow stream. Raises ``InvalidError`` when it is none."""
    import pyarrow

    number = 0
    with _in_words():
        for batch in pyarrow.ipc.open_stream(source):
            for start in range(0, batch.num_rows, BATCH):
                for values in batch.slice(start, BATCH).to_pylist():
                    number += 1
                    yield _row(number, values)


def _opened(source: BinaryIO) -> Any:
    """The file, when its own figures are within the limits."""
    from pyarrow import parquet

    file = parquet.ParquetFile(source, page_checksum_verification=False)
    about = file.metadata
    if about.num_columns > MOST_COLUMNS:
        raise InvalidError(f"The file has more than {MOST_COLUMNS} columns.")
    for group in range(about.num_row_groups):
        for column in range(about.num_columns):
            _check_chunk(about.row_group(group).column(column))
    return file


def _check_chunk(chunk: Any) -> None:
    unfolded, stored = chunk.total_uncompressed_size, chunk.total_compressed_size
    is_bomb = unfolded > MAX_ROW and unfolded > LARGEST_RATIO * max(stored, 1)
    if unfolded > LARGEST_COLUMN or is_bomb:
        raise InvalidError(
            f"The column {chunk.path_in_schema!r} unfolds to {unfolded:,} bytes, which is too much;"
            " write the file in smaller row groups."
        )


def _parquet_rows(file: Any, skipped: int) -> Iterator[Row]:
    groups, number = _groups_after(file.metadata, skipped)
    with _in_words():
        for batch in _batches(file, groups):
            if number + batch.num_rows <= skipped:
                number += batch.num_rows
                continue
            for values in batch.to_pylist():
                number += 1
                if number > skipped:
                    yield _row(number, values)


def _batches(file: Any, groups: list[int]) -> Iterator[Any]:
    """Group by group: asked for several, the reader keeps what it has read of all of them."""
    for group in groups:
        size = _rows_at_once(file.metadata.row_group(group))
        yield from file.iter_batches(batch_size=size, row_groups=[group])


def _rows_at_once(group: Any) -> int:
    """A value that is stored once may be meant by every row: where one may be large, one row."""
    chunks = (group.column(number) for number in range(group.num_columns))
    may_repeat = any(
        chunk.has_dictionary_page and chunk.total_uncompressed_size > MAX_ROW for chunk in chunks
    )
    return 1 if may_repeat else BATCH


def _groups_after(about: Any, skipped: int) -> tuple[list[int], int]:
    """The row groups that hold later rows, and how many rows lie before them."""
    before = 0
    for group in range(about.num_row_groups):
        rows = about.row_group(group).num_rows
        if before + rows > skipped:
            return list(range(group, about.num_row_groups)), before
        before += rows
    return [], before


class _in_words:  # noqa: N801  (a context manager)
    """Turns what pyarrow raises into ``InvalidError``."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        import pyarrow

        if isinstance(error, pyarrow.ArrowException | OSError | UnicodeDecodeError):
            reason = str(error).partition("\n")[0][:300]
            raise InvalidError(f"The file cannot be read: {reason}") from error


def _row(number: int, given: dict[str, Any]) -> Row:
    row = Row(number, b"", {})
    if any(isinstance(one, str | bytes) and len(one) > MAX_ROW for one in given.values()):
        return _too_long(row)
    try:
        row.values = {name: _plain(value) for name, value in given.items()}
        check_document(row.values)
        row.raw = json.dumps(row.values, ensure_ascii=False).encode()
    except InvalidError as error:
        row.problem = error.message
        row.raw = repr(given)[:1_000].encode(errors="backslashreplace")
    if len(row.raw) > MAX_ROW:
        return _too_long(row)
    return row


def _too_long(row: Row) -> Row:
    return Row(row.number, row.raw[:1_000], {}, f"longer than {MAX_ROW} bytes")


def _plain(value: Any) -> Any:
    """The value as JSON has it; pictures as data URLs."""
    if isinstance(value, dict):
        if value.keys() == {"bytes", "path"} and isinstance(value["bytes"], bytes):
            return _picture(value["bytes"])
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and isnan(value):
        return None
    if isinstance(value, bytes):
        raise InvalidError("bytes have no place in a record")
    return value


def _picture(data: bytes) -> str:
    for beginning, type in _PICTURES.items():
        if data.startswith(beginning):
            return f"data:image/{type};base64,{b64encode(data).decode()}"
    raise InvalidError("a picture is neither PNG, JPEG, GIF nor WebP")
