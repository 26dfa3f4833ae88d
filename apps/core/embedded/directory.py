"""The data directory of an instance: made, checked and locked before anything else happens."""

import errno
import fcntl
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from apps.core.embedded.errors import (
    DirectoryInUseError,
    DirectoryNotOursError,
    DiskFullError,
    EmbeddedError,
    VersionError,
)
from apps.core.embedded.paths import log_directory, run_directory, socket_directory

# What the files of a data directory were made by; raise the layout when an older version
# could no longer use them.
VERSIONS = {"layout": 1, "postgresql": 18}


class DataDirectory:
    """One data directory, held by at most one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Make what is missing, check that the directory is ours to use, and lock it."""
        self.claim()
        try:
            make_private(run_directory(self.path))
            make_private(log_directory(self.path))
            make_private(socket_directory(self.path))
            version = self.path / "VERSION"
            if version.exists():
                check_version(version)
            else:
                lines = [f"{name} {number}\n" for name, number in VERSIONS.items()]
                version.write_text("".join(lines))
        except OSError as error:
            raise self.explain(error) from error

    def claim(self) -> None:
        """Make the directory and lock it, whatever is in it."""
        if self._lock is not None:
            return
        try:
            make_private(self.path, tighten=False)
            self._lock = take_lock(
                self.path / "lock",
                otherwise=f"{self.path} is in use by process %s: "
                "stop it or choose another --data-dir.",
            )
        except OSError as error:
            raise self.explain(error) from error

    def close(self) -> None:
        """Let go of the lock, and of a socket directory that lies elsewhere."""
        if self._lock is not None:
            if not socket_directory(self.path).is_relative_to(self.path):
                with suppress(OSError):
                    socket_directory(self.path).rmdir()
            os.close(self._lock)
            self._lock = None

    def explain(self, error: OSError) -> EmbeddedError:
        """The error in our words, for one the operating system raised below this directory."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFullError(f"No space is left on the disk of {self.path}.")
        if isinstance(error, FileExistsError | NotADirectoryError):
            return EmbeddedError(f"{error.filename} is not a directory.")
        return EmbeddedError(f"{self.path} cannot be used: {error.strerror} ({error.filename}).")


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Errors of the operating system in our words; they are about the directory."""
    try:
        yield
    except OSError as error:
        raise DataDirectory(directory).explain(error) from error


def make_private(directory: Path, *, tighten: bool = True) -> None:
    """Make the directory (mode 0700) unless it exists; ``tighten``: close an existing one too.

    Raises ``DirectoryNotOursError`` when it is another user's.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    if status.st_uid != os.geteuid():
        owner = user_name(status.st_uid)
        raise DirectoryNotOursError(
            f"{directory} belongs to {owner}, not to {user_name(os.geteuid())}: "
            f"run this as {owner}, or choose another directory."
        )
    if tighten:
        directory.chmod(0o700)


def take_lock(file: Path, *, otherwise: str) -> int:
    """Lock the file for this process; closing the descriptor lets go of it.

    Raises ``DirectoryInUseError``: ``otherwise``, with the holder's process id for ``%s``.
    """
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip()
        os.close(lock)
        raise DirectoryInUseError(otherwise.replace("%s", holder)) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def check_version(file: Path) -> None:
    """Raise ``VersionError`` unless what lies beside this ``VERSION`` was made by our version."""
    for line in file.read_text().splitlines():
        name, _, number = line.partition(" ")
        known = VERSIONS.get(name, 0)
        if not number.isdecimal() or int(number) > known:
            raise VersionError(
                f"{file.parent} was made by a newer version of Stoneware ({line!r}): "
                "use that version, or choose another directory."
            )
        if int(number) < known:
            raise VersionError(
                f"{file.parent} was made by an older version of Stoneware ({line!r}): run that "
                "version, and move each organization with export_organization and "
                "import_organization."
            )


def user_name(uid: int) -> str:
    """The account's name, or its number when it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
