"""COPY into temporary stages: the quickest way into tables behind row-level security."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import psycopg

from apps.core.documents import encode
from apps.datasets.values import Vector

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"})
NULL = "\\N"


def as_text(value: str | None) -> str:
    """A text value as COPY wants it."""
    return NULL if value is None else value.translate(_ESCAPES)


def as_json(value: Any) -> str:
    """A JSON document as COPY wants it; JSON has no raw control characters to escape."""
    if value is None:
        return NULL
    return encode(value).decode().replace("\\", "\\\\")


def fill(
    cursor: psycopg.Cursor[Any], stage: str, columns: str, rows: Iterable[Sequence[str]]
) -> None:
    """Create the temporary table ``stage`` and copy rows of ready-made texts into it."""
    cursor.execute(f"CREATE TEMP TABLE {stage} ({columns}) ON COMMIT DROP")
    with cursor.copy(f"COPY {stage} FROM STDIN") as copy:
        copy.write("".join(["\t".join(row) + "\n" for row in rows]))


def fill_vectors(
    cursor: psycopg.Cursor[Any],
    stage: str,
    rows: Sequence[tuple[UUID, UUID]],
    vectors: Sequence[Vector],
) -> None:
    """Stage ``(settings id, record id)`` pairs with their vectors, in binary."""
    cursor.execute(
        f"CREATE TEMP TABLE {stage} (settings_id uuid, record_id uuid, embedding vector)"
        " ON COMMIT DROP"
    )
    parts = [b"PGCOPY\n\xff\r\n\0" + bytes(8)]
    for (settings_id, record_id), vector in zip(rows, vectors, strict=True):
        data = len(vector).to_bytes(2, "big") + b"\0\0" + vector.astype(">f4").tobytes()
        parts.append(
            b"\0\3\0\0\0\x10"
            + settings_id.bytes
            + b"\0\0\0\x10"
            + record_id.bytes
            + len(data).to_bytes(4, "big")
            + data
        )
    parts.append(b"\xff\xff")
    with cursor.copy(f"COPY {stage} FROM STDIN WITH (FORMAT binary)") as copy:
        copy.write(b"".join(parts))


def drop(cursor: psycopg.Cursor[Any], *stages: str) -> None:
    """Drop the stages, so that a second bulk in the same transaction can make its own."""
    cursor.execute("DROP TABLE " + ", ".join(stages))
