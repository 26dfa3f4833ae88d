"""Reports of backups and of drills: one JSON file a run in ``BACKUP_DIR``, written by the run."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.utils.dateparse import parse_datetime

SHOWN: Final = 50
LONGEST: Final = 64 * 1024  # bytes of a report


@dataclass(frozen=True)
class Report:
    """A run: ``{"kind": "backup" | "drill", "started_at": …, "finished_at": …, "ok": true,
    "bytes": 12, "detail": "…"}``, times in ISO 8601.
    """

    name: str
    kind: str
    ok: bool
    started_at: datetime
    finished_at: datetime | None
    bytes: int | None
    detail: str


def read_reports() -> list[Report]:
    """The newest first; what is no report is passed over."""
    directory = Path(settings.BACKUP_DIR)
    if not directory.is_dir():
        return []
    found = [_read(path) for path in sorted(directory.glob("*.json"), reverse=True)[: 4 * SHOWN]]
    reports = [one for one in found if one is not None]
    return sorted(reports, key=lambda one: one.started_at, reverse=True)[:SHOWN]


def _read(path: Path) -> Report | None:
    try:
        if path.stat().st_size > LONGEST:
            return None
        given = json.loads(path.read_text())
        return _report(path.stem, given) if isinstance(given, dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _report(name: str, given: dict[str, Any]) -> Report | None:
    started_at = parse_datetime(given["started_at"])
    finished = given.get("finished_at")
    if started_at is None or given["kind"] not in {"backup", "drill"}:
        return None
    return Report(
        name,
        given["kind"],
        given.get("ok") is True,
        started_at,
        parse_datetime(finished) if finished else None,
        int(given["bytes"]) if given.get("bytes") is not None else None,
        str(given.get("detail") or "")[:500],
    )
