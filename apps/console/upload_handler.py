"""An upload that goes to the data directory as it comes, and nowhere else."""

from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from uuid import uuid4

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, SkipFile, StopUpload
from django.http import HttpRequest

from apps.exchange.creation import uploads

CHUNK: Final = 1024 * 1024  # bytes
FORM: Final = 8 * 1024 * 1024  # bytes of a form beside its file


class StoringHandler(FileUploadHandler):
    """Writes the first file of a request to a part of its own; more than one is passed over.

    ``part`` is None as long as there is no complete file. ``is_too_large``: it was cut off.
    """

    chunk_size = CHUNK

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.part: Path | None = None
        self.name = ""
        self.is_too_large = False
        self._path: Path | None = None
        self._out: BinaryIO | None = None
        self._written = 0

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self._path is not None:
            raise SkipFile
        self._path = uploads.part_path(uuid4())
        self._out = self._path.open("xb")
        self.name = str(self.file_name)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._written += len(raw_data)
        if self._written > uploads.LARGEST:
            self.is_too_large = True
            raise StopUpload(connection_reset=True)
        cast(BinaryIO, self._out).write(raw_data)

    def file_complete(self, file_size: int) -> "UploadedFile[bytes] | None":
        cast(BinaryIO, self._out).close()
        self.part = self._path
        return UploadedFile(name=self.name, size=file_size)

    def clean_up(self) -> None:
        """Remove what nobody has taken."""
        if self._out is not None:
            self._out.close()
        if self._path is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()


def is_too_long(request: HttpRequest) -> bool:
    """Whether the request says itself that it is larger than may be."""
    length = request.headers.get("Content-Length", "")
    return length.isdecimal() and int(length) > uploads.LARGEST + FORM


def is_encoded(request: HttpRequest) -> bool:
    """Whether the body is compressed, which nobody unpacks here."""
    return request.headers.get("Content-Encoding", "identity").strip().lower() not in {
        "",
        "identity",
    }
