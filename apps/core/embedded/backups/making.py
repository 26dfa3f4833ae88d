"""A backup is made: of a running instance while people go on working, or of one at rest."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apps.core.embedded.backups.contents import copy_files, leave_holes, made_here, remember
from apps.core.embedded.backups.folder import (
    UNFINISHED,
    held,
    moment,
    next_name,
    prune,
    sweep,
    whole_chains,
)
from apps.core.embedded.backups.manifest import (
    CLUSTER,
    CLUSTER_MANIFEST,
    FILES,
    Backup,
    Entry,
    bytes_on_disk,
    entry_of,
    files_below,
    sync,
    write_manifest,
)
from apps.core.embedded.backups.reports import reported
from apps.core.embedded.backups.tools import run_tool
from apps.core.embedded.directory import check_version, explained, make_private
from apps.core.embedded.errors import DirectoryInUseError, EmbeddedError, PartFailedError
from apps.core.embedded.paths import (
    POSTGRES_PORT,
    POSTGRES_SUPERUSER,
    backup_directory,
    postgres_directory,
)
from apps.core.embedded.postgres import Postgres
from apps.core.embedded.services import Services

LONGEST_CHAIN = timedelta(days=7)  # PostgreSQL keeps its summaries for ten


@dataclass(frozen=True, slots=True)
class Made:
    """A backup, the seconds it took, and the names of those that were removed for their age."""

    backup: Backup
    seconds: float
    removed: list[str]


def back_up(
    data_dir: Path, folder: Path, *, full: bool, keep: timedelta, durable: bool = True
) -> Made:
    """Make a backup of the instance in the folder, and remove those that are too old.

    It is incremental when the newest one there can be continued, unless ``full``. Raises an
    ``EmbeddedError``, and then leaves nothing that counts as a backup.
    """
    began = time.monotonic()
    _refuse(data_dir, folder)
    reports = backup_directory(data_dir)
    with explained(folder), held(folder, "backup"):
        make_private(reports, tighten=False)
        sweep(folder)
        name = next_name(folder, reports)
        with reported(reports, name, kind="backup") as outcome, explained(folder):
            with serving(data_dir, durable=durable) as postgres:
                backup = Making(postgres, folder, name).make(full=full)
            removed = prune(folder, keep=keep, now=datetime.now(UTC))
            seconds = round(time.monotonic() - began, 1)
            outcome.ok, outcome.bytes = True, backup.bytes
            since = f"since {backup.after} " if backup.after else ""
            outcome.detail = f"{backup.kind} {since}in {seconds:.0f} s"
    return Made(backup, seconds, removed)


def _refuse(data_dir: Path, folder: Path) -> None:
    if os.environ.get("DATABASE_URL"):
        raise EmbeddedError(
            "DATABASE_URL names a PostgreSQL of your own: back it up with its own tools, and with "
            f"it secret_key and uploads in {data_dir} (deploy/OPERATING.md)."
        )
    cluster = postgres_directory(data_dir)
    if not cluster.is_dir():
        raise EmbeddedError(f"There is no instance in {data_dir}: name its --data-dir.")
    if folder.is_relative_to(cluster):
        raise EmbeddedError(f"{folder} is inside the database cluster: choose another --to.")
    if (data_dir / "VERSION").exists():
        check_version(data_dir / "VERSION")


@contextmanager
def serving(data_dir: Path, *, durable: bool) -> Iterator[Postgres]:
    """The instance's PostgreSQL: the one that runs, or one started for the time being."""
    services = Services(data_dir, with_redis=False, durable=durable)
    try:
        services.start()
    except DirectoryInUseError as error:
        postgres = Postgres(data_dir, durable=durable)
        try:
            postgres.query("SELECT 1", database="postgres")
        except EmbeddedError as silence:
            holder = str(error).rpartition(":")[0]
            raise DirectoryInUseError(
                f"{holder}, and its PostgreSQL does not answer: wait until it is up, or stop it."
            ) from silence
        yield postgres
        return
    try:
        if services.postgres:
            yield services.postgres
    finally:
        services.stop()


class Making:
    """One backup on its way from an instance to a folder."""

    def __init__(self, postgres: Postgres, folder: Path, name: str) -> None:
        self.postgres = postgres
        self.data_dir = postgres.data_dir
        self.folder = folder
        self.name = name
        self.unfinished = folder / f"{name}{UNFINISHED}"
        system = "SELECT system_identifier FROM pg_control_system()"
        self.system = postgres.query(system, database="postgres")

    def make(self, *, full: bool) -> Backup:
        """The backup, whole and safely on the disk under its own name."""
        chains = whole_chains(self.folder)
        if any(chain[-1].system != self.system for chain in chains):
            raise EmbeddedError(
                f"{self.folder} holds backups of another instance: choose another --to."
            )
        before = None if full else self._continued(chains)
        try:
            before = self._copy_cluster(before)
            # After the cluster, which names uploads.
            files = copy_files(self.data_dir, self.unfinished, before, besides=self.folder)
            backup = self._complete(before.name if before else None, files)
        except BaseException:
            shutil.rmtree(self.unfinished, ignore_errors=True)
            raise
        remember(self.data_dir, self.name)
        return backup

    def _continued(self, chains: list[list[Backup]]) -> Backup | None:
        """The newest backup, when this directory itself has made it and its chain is young.

        A copy of the directory, an earlier state of it, or one that was restored has a history of
        its own. PostgreSQL would not notice; the blocks of two histories would be mixed.
        """
        if not chains:
            return None
        age = datetime.now(UTC) - moment(chains[-1][0].name)
        newest = chains[-1][-1]
        return newest if newest.name in made_here(self.data_dir) and age < LONGEST_CHAIN else None

    def _copy_cluster(self, before: Backup | None) -> Backup | None:
        """Run pg_basebackup; returns what it continues, None for a full one."""
        make_private(self.unfinished)
        target = self.unfinished / CLUSTER
        if before is not None:
            # Refused when summaries are gone, or the server that runs was started without them.
            with suppress(PartFailedError):
                self._basebackup(target, "--incremental", str(before.path / CLUSTER_MANIFEST))
                return before
            shutil.rmtree(target, ignore_errors=True)
        self._basebackup(target)
        return None

    def _basebackup(self, target: Path, *arguments: str) -> None:
        if not self.postgres.durable:
            arguments = (*arguments, "--no-sync")
        run_tool(
            "pg_basebackup",
            *("--host", str(self.postgres.sockets), "--port", str(POSTGRES_PORT)),
            *("--username", POSTGRES_SUPERUSER, "--no-password"),
            *("--pgdata", str(target), "--checkpoint", "fast", "--wal-method", "stream"),
            *("--manifest-checksums", "SHA256", *arguments),
            directory=self.folder,
        )

    def _complete(self, after: str | None, files: dict[str, Entry]) -> Backup:
        # The write-ahead log is what PostgreSQL's own manifest leaves out.
        log = [*files_below(self.unfinished / CLUSTER / "pg_wal")]
        for segment in log:
            leave_holes(segment)
        for file in (self.unfinished / CLUSTER_MANIFEST, *log):
            files[str(file.relative_to(self.unfinished))] = entry_of(file)
        size = bytes_on_disk(self.unfinished)
        backup = Backup(self.unfinished, after, self.system, size, files)
        write_manifest(backup)
        for directory in (self.unfinished, *self.unfinished.joinpath(FILES).rglob("*")):
            if directory.is_dir():
                sync(directory)
        self.unfinished.rename(self.folder / self.name)
        sync(self.folder)
        return replace(backup, path=self.folder / self.name)
