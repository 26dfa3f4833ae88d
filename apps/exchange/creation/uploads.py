"""Uploaded files in the data directory, one a sketch, until nobody has read them for two weeks."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext

from apps.core.errors import InvalidError
from apps.exchange.formats import FileFormat

LARGEST: Final = 2 * 1024**3  # bytes
KEPT: Final = 14 * 24 * 3600  # seconds since it was last read
BEGINNING: Final = 4096  # bytes that tell what a file is

_PACKED: Final = (
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
)
_OTHERS: Final = (b"7z\xbc\xaf", b"Rar!", b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")
_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def directory() -> Path:
    """Where all uploads lie (mode 0700)."""
    path = Path(settings.DATA_DIR) / "uploads"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def path_of(organization_id: UUID, sketch_id: UUID) -> Path:
    """The file of a sketch; its name is made of ids alone."""
    return directory() / str(organization_id) / str(sketch_id)


def part_path(name: UUID) -> Path:
    """Where an upload is written until it is complete."""
    parts = directory() / "parts"
    parts.mkdir(mode=0o700, exist_ok=True)
    return parts / str(name)


def keep(part: Path, *, organization_id: UUID, sketch_id: UUID) -> Path:
    """A complete upload becomes the sketch's file, in place of an earlier one."""
    path = path_of(organization_id, sketch_id)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part.replace(path)
    return path


def remove(organization_id: UUID, sketch_id: UUID) -> None:
    """Nothing happens when there is no file."""
    with suppress(FileNotFoundError):
        path_of(organization_id, sketch_id).unlink()


def touch(path: Path) -> None:
    """It is still needed."""
    with suppress(FileNotFoundError):
        os.utime(path)


def sweep() -> int:
    """Remove what nobody has read for two weeks; returns how many files."""
    removed = 0
    oldest = time.time() - KEPT
    for path in directory().glob("*/*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
    return removed


def check_beginning(beginning: bytes, format: FileFormat) -> None:
    """Raise ``InvalidError`` when a file is plainly not what its name says."""
    if not beginning:
        raise InvalidError(gettext("The file is empty."))
    if beginning.startswith(_PACKED):
        raise InvalidError(
            gettext("The file is compressed, or a spreadsheet; upload it unpacked, as CSV.")
        )
    if beginning.startswith(_OTHERS):
        raise InvalidError(gettext("The file is no table: CSV, JSON and Parquet are."))
    if format == FileFormat.PARQUET:
        if not beginning.startswith(b"PAR1"):
            raise InvalidError(gettext("The file is no Parquet file."))
        return
    if beginning.startswith(b"PAR1"):
        raise InvalidError(gettext("The file is Parquet; its name must end with .parquet."))
    _check_text(beginning)


def _check_text(beginning: bytes) -> None:
    if beginning.startswith(_MARKS[1:]):
        raise InvalidError(gettext("The file is encoded in UTF-16; save it as UTF-8."))
    if b"\0" in beginning:
        raise InvalidError(gettext("The file holds NUL characters, so it is not text in UTF-8."))
    if beginning.removeprefix(_MARKS[0]).lstrip().startswith(b"<"):
        raise InvalidError(gettext("The file is HTML, SVG or XML, not a table."))
