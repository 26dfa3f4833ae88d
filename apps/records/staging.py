"""COPY into temporary stages: the quickest way into tables behind row-level security."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID
from zlib import crc32

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


class Stage:
    """A temporary table: made once a session, empty for each transaction that fills it.

    So the catalog does not grow with every bulk, and statements that read it keep their plans.
    The name tells the columns apart, since a pooled session may outlive a release.
    """

    def __init__(self, name: str, columns: str) -> None:
        self.name = f"stage_{name}_{crc32(columns.encode()):08x}"
        # One round trip; a second bulk in the same transaction finds what the first one left.
        self._prepare = (
            f"CREATE TEMP TABLE IF NOT EXISTS {self.name} ({columns}) ON COMMIT DELETE ROWS;"
            f" DELETE FROM {self.name}"
        )

    def __str__(self) -> str:
        return self.name

    def fill(self, cursor: psycopg.Cursor[Any], rows: Iterable[Sequence[str]]) -> None:
        """Copy rows of ready-made texts into the stage."""
        cursor.execute(self._prepare)
        with cursor.copy(f"COPY {self.name} FROM STDIN") as copy:
            copy.write("".join(["\t".join(row) + "\n" for row in rows]))

    def fill_vectors(
        self,
        cursor: psycopg.Cursor[Any],
        keys: Sequence[tuple[UUID, UUID]],
        vectors: Sequence[Vector],
    ) -> None:
        """Copy pairs of ids, each with its vector, in binary."""
        cursor.execute(self._prepare)
        parts = [b"PGCOPY\n\xff\r\n\0" + bytes(8)]
        for (first, second), vector in zip(keys, vectors, strict=True):
            data = len(vector).to_bytes(2, "big") + b"\0\0" + vector.astype(">f4").tobytes()
            parts.append(
                b"\0\3\0\0\0\x10"
                + first.bytes
                + b"\0\0\0\x10"
                + second.bytes
                + len(data).to_bytes(4, "big")
                + data
            )
        parts.append(b"\xff\xff")
        with cursor.copy(f"COPY {self.name} FROM STDIN WITH (FORMAT binary)") as copy:
            copy.write(b"".join(parts))
