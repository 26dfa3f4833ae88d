"""What belongs to an instance beside its cluster, copied to a backup and back."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from apps.core.embedded.backups.folder import UNFINISHED
from apps.core.embedded.backups.manifest import FILES, MANIFEST, Backup, Entry, entry_of, sync
from apps.core.embedded.paths import (
    backup_directory,
    exports_directory,
    log_directory,
    postgres_directory,
    run_directory,
)

REMEMBERED = 20  # backups


def own_files(data_dir: Path, *, besides: Path) -> Iterator[Path]:
    """Every file that cannot be made anew; backups, and the folder ``besides``, are left out."""
    left_out = {
        *(postgres_directory(data_dir), data_dir / "postgres.unfinished"),
        *(run_directory(data_dir), log_directory(data_dir), exports_directory(data_dir)),
        *(data_dir / "uploads" / "parts", backup_directory(data_dir), besides),
    }
    left_out = {path.resolve() for path in left_out}
    for directory, below, files in os.walk(data_dir, followlinks=True):
        here = Path(directory)
        below[:] = [name for name in below if not _is_left_out(here / name, left_out)]
        for file in (here / name for name in files):
            if file.is_file() and file not in (data_dir / "lock", _made_file(data_dir)):
                yield file


def _is_left_out(directory: Path, left_out: set[Path]) -> bool:
    is_backup = directory.name.endswith(UNFINISHED) or (directory / MANIFEST).exists()
    return is_backup or directory.resolve() in left_out


def copy_files(
    data_dir: Path, target: Path, before: Backup | None, *, besides: Path
) -> dict[str, Entry]:
    """Copy the instance's own files below ``target``; returns them by their paths there.

    One that is as it was in the backup ``before`` takes no space again.
    """
    found = {}
    for file in own_files(data_dir, besides=besides):
        name = f"{FILES}/{file.relative_to(data_dir)}"
        with suppress(FileNotFoundError):  # removed meanwhile
            found[name] = _known(file, name, target, before) or put(file, target / name)
    return found


def _known(file: Path, name: str, target: Path, before: Backup | None) -> Entry | None:
    """A second name for the file that the backup before has, if it is still the same."""
    entry, status = before.files.get(name) if before else None, file.stat()
    if not (
        before and entry and (entry.size, entry.mtime_ns) == (status.st_size, status.st_mtime_ns)
    ):
        return None
    try:
        _make_parents(target / name)
        os.link(before.path / name, target / name)
    except OSError:
        return None
    return entry


def put(file: Path, target: Path) -> Entry:
    """Copy the file, as private as it is, in directories that nobody else opens."""
    _make_parents(target)
    shutil.copy2(file, target)
    sync(target)
    return entry_of(target)


def _make_parents(file: Path) -> None:
    for directory in reversed(file.parents):
        directory.mkdir(mode=0o700, exist_ok=True)


def leave_holes(file: Path) -> None:
    """Free the zeros at the end of a file, which keeps its length."""
    content = file.read_bytes()
    os.truncate(file, len(content.rstrip(b"\0")))
    os.truncate(file, len(content))
    sync(file)


def made_here(data_dir: Path) -> list[str]:
    """The names of the last backups that this directory has made, in whatever folder."""
    try:
        return _made_file(data_dir).read_text().split()
    except FileNotFoundError:
        return []


def remember(data_dir: Path, name: str) -> None:
    """This directory has made the backup of this name."""
    names = [*made_here(data_dir), name][-REMEMBERED:]
    _made_file(data_dir).write_text("".join(f"{name}\n" for name in names))


def _made_file(data_dir: Path) -> Path:
    return data_dir / "backups.made"
