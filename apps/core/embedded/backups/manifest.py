"""What a backup says about itself, and the checksums by which its files are known."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from apps.core.embedded.errors import EmbeddedError

FORMAT = 1
MANIFEST = "manifest.json"
CLUSTER = "postgres"
FILES = "files"
CLUSTER_MANIFEST = f"{CLUSTER}/backup_manifest"


class DamagedBackupError(EmbeddedError):
    """A backup, or one that it continues, lacks something or is not as it was written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it was written: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str
    mtime_ns: int = 0


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup in a folder; ``after`` names the one it continues, None for a full one.

    ``system`` is PostgreSQL's identifier of the cluster, ``bytes`` what the directory takes on the
    disk, ``files`` maps paths inside the directory to what PostgreSQL's own manifest leaves out.
    """

    path: Path
    after: str | None
    system: str
    bytes: int
    files: dict[str, Entry]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def kind(self) -> str:
        return "incremental" if self.after else "full"


def write_manifest(backup: Backup) -> None:
    """Leave it in the backup's directory."""
    content = {
        "format": FORMAT,
        "after": backup.after,
        "system": backup.system,
        "bytes": backup.bytes,
        "files": {name: asdict(entry) for name, entry in backup.files.items()},
    }
    file = backup.path / MANIFEST
    file.touch(mode=0o600)
    file.write_text(json.dumps({"sha256": _digest(content), "content": content}, indent=1))
    sync(file)


def read_backup(path: Path) -> Backup:
    """The backup in this directory. Raises ``DamagedBackupError`` when there is none to read."""
    try:
        given = json.loads((path / MANIFEST).read_text())
        content = given["content"]
        if given["sha256"] != _digest(content):
            raise DamagedBackupError(f"{path / MANIFEST} is damaged: its checksum differs.")
        if content["format"] != FORMAT:
            raise DamagedBackupError(f"{path} was made by a newer version of Stoneware.")
        files = {name: Entry(**entry) for name, entry in content["files"].items()}
        return Backup(path, content["after"], content["system"], content["bytes"], files)
    except FileNotFoundError as error:
        raise DamagedBackupError(f"{path} is no backup: {MANIFEST} is missing.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedBackupError(f"{path / MANIFEST} is damaged.") from error


def cluster_files(backup: Backup) -> dict[str, Entry]:
    """What PostgreSQL's manifest lists, by paths inside the backup's directory.

    The manifest itself must have been checked before.
    """
    listed = json.loads((backup.path / CLUSTER_MANIFEST).read_text())["Files"]
    found = {}
    for one in listed:
        name = one["Path"] if "Path" in one else os.fsdecode(bytes.fromhex(one["Encoded-Path"]))
        found[f"{CLUSTER}/{name}"] = Entry(one["Size"], one["Checksum"])
    return found


def check(backup: Backup) -> None:
    """Read every file of the backup. Raises ``DamagedBackupError`` with the first bad one."""
    for name, entry in backup.files.items():
        _check_file(backup.path / name, entry)
    listed = cluster_files(backup)
    for name, entry in listed.items():
        _check_file(backup.path / name, entry)
    known = {MANIFEST, *backup.files, *listed}
    for file in files_below(backup.path):
        if str(file.relative_to(backup.path)) not in known:
            raise DamagedBackupError(f"{file} does not belong to the backup.")


def _check_file(file: Path, entry: Entry) -> None:
    try:
        size = file.stat().st_size
    except FileNotFoundError as error:
        raise DamagedBackupError(f"{file} is missing.") from error
    if size != entry.size:
        raise DamagedBackupError(f"{file} is damaged: {size} bytes instead of {entry.size}.")
    if digest_of_file(file) != entry.sha256:
        raise DamagedBackupError(f"{file} is damaged: its checksum differs.")


def entry_of(file: Path) -> Entry:
    """The file as it is now."""
    status = file.stat()
    return Entry(status.st_size, digest_of_file(file), status.st_mtime_ns)


def digest_of_file(file: Path) -> str:
    """SHA-256 in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def files_below(directory: Path) -> Iterator[Path]:
    """Every file in it and in the directories below, in order."""
    return (path for path in sorted(directory.rglob("*")) if path.is_file())


def bytes_on_disk(directory: Path) -> int:
    """What the files take, holes left out."""
    return sum(file.stat().st_blocks * 512 for file in files_below(directory))


def sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are safely on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
