"""A backup becomes a data directory again, whole or not at all."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from apps.core.embedded.backups.contents import put
from apps.core.embedded.backups.folder import chain_of
from apps.core.embedded.backups.manifest import (
    CLUSTER,
    FILES,
    Backup,
    bytes_on_disk,
    check,
    sync,
)
from apps.core.embedded.backups.tools import run_tool
from apps.core.embedded.directory import DataDirectory, check_version, explained
from apps.core.embedded.errors import EmbeddedError
from apps.core.embedded.paths import postgres_directory
from apps.core.embedded.postgres import Postgres, hand_over

RECOVERY_PATIENCE = 3600.0  # seconds; all that was written during the backup is replayed


@dataclass(slots=True)
class Restored:
    """A data directory: its bytes on the disk, and the seconds that each step took."""

    path: Path
    backup: str
    bytes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 1)


def restore(backup: Path, data_dir: Path, *, durable: bool = True) -> Restored:
    """Make a data directory from a backup and all that it continues, and let it recover.

    Every file is checked before anything is written. Raises ``DamagedBackupError`` with the first
    that is missing or damaged, and an ``EmbeddedError`` for a directory that cannot be used; then
    nothing is left of it.
    """
    restored = Restored(data_dir, backup.name)
    with explained(data_dir):
        _refuse(data_dir)
        with restored.step("check"):
            chain = _checked(backup)
        with _unfinished(data_dir) as directory:
            with restored.step("copy"):
                _copy(chain, directory.path, durable=durable)
            directory.open()
            with restored.step("recovery"):
                _recover(directory.path, durable=durable)
            restored.bytes = bytes_on_disk(directory.path)
            directory.path.rename(data_dir)
            sync(data_dir.parent)
    return restored


def _refuse(data_dir: Path) -> None:
    if data_dir.exists() and any(data_dir.iterdir()):
        raise EmbeddedError(f"{data_dir} is not empty: choose another --data-dir.")
    if os.path.ismount(data_dir):
        raise EmbeddedError(f"{data_dir} is a mount point: choose a directory in it.")


def _checked(backup: Path) -> list[Backup]:
    """The chain of the backup, whose every file is as it was written."""
    chain = chain_of(backup)
    version = backup / FILES / "VERSION"
    if version.exists():
        check_version(version)
    for one in chain:
        check(one)
    return chain


@contextmanager
def _unfinished(data_dir: Path) -> Iterator[DataDirectory]:
    """An empty, locked directory beside the one to be made; gone after a failure."""
    directory = DataDirectory(data_dir.with_name(f"{data_dir.name}.unfinished"))
    directory.claim()
    try:
        for path in directory.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        yield directory
    except BaseException:
        shutil.rmtree(directory.path, ignore_errors=True)
        raise
    finally:
        directory.close()


def _copy(chain: list[Backup], target: Path, *, durable: bool) -> None:
    clusters = [str(backup.path / CLUSTER) for backup in chain]
    output = postgres_directory(target)
    sync_or_not = [] if durable else ["--no-sync"]
    run_tool(
        "pg_combinebackup",
        *(*clusters, "--output", str(output), "--no-manifest", *sync_or_not),
        directory=target,
    )
    hand_over(output)
    backup = chain[-1]
    for name in backup.files:
        if name.startswith(f"{FILES}/"):
            put(backup.path / name, target / name.removeprefix(f"{FILES}/"))
    for directory in (target, *(path for path in target.iterdir() if path.name != CLUSTER)):
        if directory.is_dir():
            sync(directory)


def _recover(data_dir: Path, *, durable: bool) -> None:
    """Start PostgreSQL once: it replays what was written during the backup."""
    postgres = Postgres(data_dir, durable=durable, start_patience=RECOVERY_PATIENCE)
    try:
        postgres.start()
    finally:
        postgres.stop()
