"""Rows of a directory or file of columns: Arrow as ``datasets`` saves it, Parquet, JSON Lines."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from apps.core.errors import InvalidError
from apps.exchange.jsonl_rows import read_jsonl
from apps.exchange.rows import Row
from apps.exchange.strict_json import check_document

BATCH: Final = 100  # rows
ENDINGS: Final = (".arrow", ".parquet", ".jsonl", ".ndjson")
_NEED: Final = "Arrow and Parquet files need pyarrow: pip install 'stoneware[hub]'"
_PICTURES: Final = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}


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
    if find_spec("pyarrow") is None:
        raise InvalidError(_NEED)
    import pyarrow

    try:
        for batch in _batches(file):
            for values in batch.to_pylist():
                yield _row(values)
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidError(f"{file.name} cannot be read: {reason}") from error


def _batches(file: Path) -> Iterator[Any]:
    """Record batches of few rows, read as they are asked for."""
    import pyarrow
    from pyarrow import parquet

    if file.suffix == ".parquet":
        with parquet.ParquetFile(file) as source:
            yield from source.iter_batches(batch_size=BATCH)
        return
    with pyarrow.memory_map(str(file)) as source:
        for batch in pyarrow.ipc.open_stream(source):
            for start in range(0, batch.num_rows, BATCH):
                yield batch.slice(start, BATCH)


def _row(given: dict[str, Any]) -> Row:
    row = Row(0, b"", {})
    try:
        row.values = {name: _plain(value) for name, value in given.items()}
        check_document(row.values)
        row.raw = json.dumps(row.values, ensure_ascii=False).encode()
    except InvalidError as error:
        row.problem = error.message
        row.raw = repr(given)[:1_000].encode(errors="backslashreplace")
    return row


def _plain(value: Any) -> Any:
    """The value as JSON has it; pictures as data URLs."""
    if isinstance(value, dict):
        if value.keys() == {"bytes", "path"} and isinstance(value["bytes"], bytes):
            return _picture(value["bytes"])
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        raise InvalidError("bytes have no place in a record")
    return value


def _picture(data: bytes) -> str:
    for beginning, type in _PICTURES.items():
        if data.startswith(beginning):
            return f"data:image/{type};base64,{b64encode(data).decode()}"
    raise InvalidError("a picture is neither PNG, JPEG, GIF nor WebP")
