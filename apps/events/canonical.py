"""An event as bytes that are always the same, and the digest of a row of events."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any, Final

FIRST: Final = "0" * 64  # the hash before the first seal
COLUMNS: Final = (
    "organization_id",
    "id",
    "xact",
    "inserted_at",
    "kind",
    "actor_id",
    "key_id",
    "support_id",
    "address",
    "request_id",
    "dataset_id",
    "object_id",
    "payload",
)


def canonical(row: Sequence[Any]) -> bytes:
    """The values of ``COLUMNS`` as JSON, keys sorted, without spaces; ``payload`` is JSON text."""
    values = dict(zip(COLUMNS, row, strict=True))
    values["inserted_at"] = values["inserted_at"].astimezone(UTC).isoformat(timespec="microseconds")
    values["payload"] = json.loads(values["payload"])
    return json.dumps(
        values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str
    ).encode()


def digest(before: str, rows: Iterable[Sequence[Any]]) -> tuple[str, int]:
    """``(hash, count)`` of the events in their order, after the hash before. Constant memory."""
    total, count = hashlib.sha256(before.encode()), 0
    for row in rows:
        total.update(hashlib.sha256(canonical(row)).digest())
        count += 1
    return total.hexdigest(), count
