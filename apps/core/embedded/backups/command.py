"""``manage.py backup`` and ``manage.py restore``, which run without Django.

With Django's settings a data directory would get a new secret key before the old one is back.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from apps.core.embedded.backups.making import back_up
from apps.core.embedded.backups.restoring import restore
from apps.core.embedded.errors import EmbeddedError
from apps.core.embedded.paths import absolute, backup_directory, data_dir
from apps.core.embedded.supervisor import end_on_signals, refuse

KEEP = 35  # days


def backup(arguments: Sequence[str]) -> int:
    """Back an instance up; the exit code."""
    parser = argparse.ArgumentParser(
        prog="manage.py backup", description="Backs up an embedded instance, running or not."
    )
    parser.add_argument("--data-dir", type=Path, help="default: STONEWARE_DATA_DIR, or var")
    parser.add_argument("--to", type=Path, metavar="DIR", help="default: BACKUP_DIR")
    parser.add_argument("--full", action="store_true", help="not only what has changed")
    parser.add_argument("--keep", type=days, default=KEEP, metavar="DAYS", help=f"default: {KEEP}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    directory = here(options.data_dir) if options.data_dir else data_dir()
    folder = here(options.to) if options.to else backup_directory(directory)

    def run() -> Mapping[str, object]:
        keep = timedelta(days=options.keep)
        made = back_up(directory, folder, full=options.full, keep=keep)
        return {
            "backup": str(made.backup.path),
            "kind": made.backup.kind,
            "after": made.backup.after,
            "bytes": made.backup.bytes,
            "seconds": made.seconds,
            "removed": made.removed,
            "secret_key": "files/secret_key" in made.backup.files,
        }

    return answer(run, as_json=options.json)


def restore_(arguments: Sequence[str]) -> int:
    """Make a data directory from a backup; the exit code."""
    parser = argparse.ArgumentParser(
        prog="manage.py restore", description="Makes a data directory from a backup."
    )
    parser.add_argument("backup", type=Path, metavar="BACKUP")
    parser.add_argument("--data-dir", type=Path, required=True, help="must be empty or missing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)

    def run() -> Mapping[str, object]:
        done = restore(here(options.backup), here(options.data_dir))
        return {
            "data_dir": str(done.path),
            "backup": done.backup,
            "bytes": done.bytes,
            "seconds": done.seconds,
        }

    return answer(run, as_json=options.json)


def answer(run: Callable[[], Mapping[str, object]], *, as_json: bool) -> int:
    """Print what the run returns, as one JSON object or a line for each value; the exit code."""
    end_on_signals()
    try:
        result = run()
    except EmbeddedError as error:
        return refuse(error)
    except KeyboardInterrupt:
        sys.stderr.write("error: Interrupted.\n")
        return 1
    if as_json:
        sys.stdout.write(f"{json.dumps(result, ensure_ascii=False)}\n")
        return 0
    for name, value in result.items():
        if value not in (None, []):
            sys.stdout.write(f"{name}: {value}\n")
    return 0


def here(path: Path) -> Path:
    """A path as the shell means it."""
    return absolute(path.expanduser().absolute())


def days(text: str) -> int:
    """A number of days, 0 or more."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


COMMANDS = {"backup": backup, "restore": restore_}
