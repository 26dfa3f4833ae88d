"""The folder in which backups lie: which continue which, and how long they stay."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apps.core.embedded.backups.manifest import Backup, DamagedBackupError, read_backup, sync
from apps.core.embedded.directory import make_private, take_lock

NAME_FORMAT = "%Y-%m-%dT%H-%M-%SZ"
NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")
UNFINISHED = ".unfinished"


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder's lock for one kind of run, ``backup`` or ``drill``."""
    make_private(folder, tighten=False)
    otherwise = f"Another {what} runs in {folder} (process %s)."
    lock = take_lock(folder / f"{what}.lock", otherwise=otherwise)
    try:
        yield
    finally:
        os.close(lock)


def names(folder: Path) -> list[str]:
    """Of every directory that has the name of a backup, the oldest first."""
    return sorted(path.name for path in folder.iterdir() if _is_name(path) and path.is_dir())


def next_name(*folders: Path) -> str:
    """The name of a run that begins now: later than all there are, whatever the clock says."""
    stems = [path.name[:20] for folder in folders for path in folder.iterdir()]
    newest = max((stem for stem in stems if NAME.fullmatch(stem)), default="")
    name = datetime.now(UTC).strftime(NAME_FORMAT)
    if name <= newest:
        name = (moment(newest) + timedelta(seconds=1)).strftime(NAME_FORMAT)
    return name


def moment(name: str) -> datetime:
    """When a run of this name began."""
    return datetime.strptime(name[:20], NAME_FORMAT).replace(tzinfo=UTC)


def chain_of(path: Path) -> list[Backup]:
    """The backup and what it continues, the full one first.

    Raises ``DamagedBackupError`` when one of them is missing or cannot be read.
    """
    chain = [read_backup(path)]
    while (after := chain[0].after) is not None:
        if not (path.parent / after).is_dir():
            raise DamagedBackupError(f"{chain[0].path} continues {after}, which is missing.")
        if after >= chain[0].name:
            raise DamagedBackupError(f"{chain[0].path} cannot continue {after}.")
        chain.insert(0, read_backup(path.parent / after))
    return chain


def whole_chains(folder: Path) -> list[list[Backup]]:
    """The chain of each backup that could be restored, in the order of the backups."""
    found: dict[str, list[Backup]] = {}
    for name in names(folder):
        with suppress(DamagedBackupError):
            backup = read_backup(folder / name)
            if backup.after is None:
                found[name] = [backup]
            elif backup.after in found:
                found[name] = [*found[backup.after], backup]
    return [*found.values()]


def sweep(folder: Path) -> None:
    """Remove what a killed run has left."""
    for path in folder.glob(f"*{UNFINISHED}"):
        if NAME.fullmatch(path.name.removesuffix(UNFINISHED)):
            shutil.rmtree(path)


def prune(folder: Path, *, keep: timedelta, now: datetime) -> list[str]:
    """Remove the chains all of whose backups are older than ``keep``, but never the newest.

    Returns the names. What cannot be restored any more goes by its own age.
    """
    needed: set[str] = set()
    chains = whole_chains(folder)
    for chain in chains:
        if now - moment(chain[-1].name) <= keep or chain is chains[-1]:
            needed |= {backup.name for backup in chain}
    removed = [name for name in names(folder) if name not in needed and now - moment(name) > keep]
    # The last of a chain goes first: whatever is left could be restored at any moment.
    for name in reversed(removed):
        unfinished = folder / f"{name}{UNFINISHED}"
        (folder / name).rename(unfinished)
        sync(folder)
        shutil.rmtree(unfinished)
    return removed


def _is_name(path: Path) -> bool:
    return NAME.fullmatch(path.name) is not None
