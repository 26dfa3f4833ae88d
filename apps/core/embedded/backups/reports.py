"""A report of each run, for the operator's console: one JSON file in ``BACKUP_DIR``."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apps.core.embedded.backups.folder import NAME, moment

KEPT = timedelta(days=366)
INTERRUPTED = "Interrupted."


@dataclass
class Outcome:
    """What a run has come to; times in ISO 8601. It is not finished until its end is written."""

    kind: str
    started_at: str
    finished_at: str | None = None
    ok: bool = False
    bytes: int | None = None
    detail: str = ""


@contextmanager
def reported(directory: Path, name: str, *, kind: str) -> Iterator[Outcome]:
    """Tell of a run, ``backup`` or ``drill``, when it begins and when it has ended.

    The run fills in ``ok``, ``bytes`` and ``detail``; what it raises becomes the detail. A run of
    this kind before that never told its end, because it was killed, counts as failed from now on.
    """
    _end_interrupted(directory, kind)
    outcome = Outcome(kind, started_at=_now())
    file = directory / f"{name}.json"
    _write(file, outcome)
    try:
        yield outcome
    except BaseException as error:
        outcome.ok, outcome.detail = False, str(error) or INTERRUPTED
        raise
    finally:
        outcome.finished_at = _now()
        with suppress(OSError):  # a full disk: the run's own error tells of it
            _write(file, outcome)


def _end_interrupted(directory: Path, kind: str) -> None:
    for file in directory.glob("*.json"):
        if not NAME.fullmatch(file.name[:20]):
            continue
        if datetime.now(UTC) - moment(file.name) > KEPT:
            file.unlink()
            continue
        with suppress(ValueError, TypeError):
            outcome = Outcome(**json.loads(file.read_text()))
            if outcome.kind == kind and outcome.finished_at is None:
                outcome.finished_at, outcome.detail = _now(), INTERRUPTED
                _write(file, outcome)


def _write(file: Path, outcome: Outcome) -> None:
    """In place of an earlier one, at once: a reader finds one or the other."""
    draft = file.with_suffix(".part")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(outcome)))
    os.replace(draft, file)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
