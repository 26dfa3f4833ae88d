"""Where the files of an organization go and come from: a directory, or one ZIP file."""

import shutil
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from apps.core.errors import ConflictError, InvalidError

MANIFEST = "manifest.json"
LARGE: Final = 16 * 1024 * 1024  # bytes
LARGEST_RATIO: Final = 200  # of unfolded to stored bytes, for what is large at all


class Sink(ABC):
    """Takes one file after the other."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]:
        """The next file, to be written and closed."""


class DirectorySink(Sink):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> IO[bytes]:
        return (self._folder / name).open("xb")


class ZipSink(Sink):
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(name, "w", force_zip64=True)


class NoSink(Sink):
    """For the figures alone."""

    def open(self, name: str) -> IO[bytes]:
        return Path("/dev/null").open("wb")


@contextmanager
def writing(target: Path) -> Iterator[Sink]:
    """A ZIP file for a path that ends so, else a directory; whole, or not there at all.

    Raises ``ConflictError`` when something is there already.
    """
    if target.exists():
        raise ConflictError(f"There is something at {target} already.")
    begun = target.with_name(f".{target.name}.part")
    _forget(begun)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if target.suffix == ".zip":
            with zipfile.ZipFile(begun, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
                begun.chmod(0o600)
                yield ZipSink(archive)
        else:
            begun.mkdir(mode=0o700)
            yield DirectorySink(begun)
        begun.rename(target)
    finally:
        _forget(begun)


def _forget(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Source:
    """The files of an export. Raises ``InvalidError`` for what is none."""

    def __init__(self, path: Path) -> None:
        self._folder, self._archive = path, None
        if path.is_file():
            try:
                self._archive = zipfile.ZipFile(path)
            except zipfile.BadZipFile as error:
                raise InvalidError(f"{path} is no ZIP file.") from error
        elif not path.is_dir():
            raise InvalidError(f"There is no export at {path}.")

    def open(self, name: str) -> IO[bytes]:
        """One of them. Raises ``InvalidError`` when it is missing or unfolds to far too much."""
        try:
            if self._archive is not None:
                _check_size(self._archive.getinfo(name))
                return self._archive.open(name)
            return (self._folder / name).open("rb")
        except (KeyError, FileNotFoundError) as error:
            raise InvalidError(f"The export lacks {name}.") from error


def _check_size(file: zipfile.ZipInfo) -> None:
    """No more is read than the archive says of a file, so what it says is what counts."""
    if file.file_size > LARGE and file.file_size > LARGEST_RATIO * max(file.compress_size, 1):
        raise InvalidError(f"{file.filename} unfolds to {file.file_size:,} bytes: far too much.")
