"""``manage.py export_records``: a dataset becomes a file."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandParser

from apps.core.errors import InvalidError
from apps.exchange.exports import export_dataset
from apps.exchange.formats import WRITTEN, FileFormat
from apps.exchange.management.dataset_command import DatasetCommand, find_place
from apps.records.models import RecordStatus

NOTE_EVERY = 1.0  # seconds
STDOUT = "-"


class Command(DatasetCommand):
    """Exports records with everything about them, of any number.

    JSON Lines carries all of it: id, fields, metadata, status, suggestions, responses, vectors.
    CSV has a row for each record and no vectors or times; cells that a spreadsheet would take for
    formulas begin with an apostrophe, which import_records takes away again, unless
    --raw-formulas.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--format", choices=[*map(str, WRITTEN)], default=FileFormat.JSONL)
        parser.add_argument("--output", default=STDOUT, metavar="FILE", help="default: -")
        parser.add_argument(
            "--status", action="append", choices=RecordStatus.values, default=[], help="repeatable"
        )
        parser.add_argument("--raw-formulas", action="store_true", help="CSV as the data is")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["json"] and options["output"] == STDOUT:
            raise InvalidError("--json needs --output FILE: standard output is taken.")
        place = find_place(
            organization=options["organization"],
            workspace=options["workspace"],
            dataset=options["dataset"],
        )
        pages = export_dataset(
            organization_id=place.organization_id,
            dataset_id=place.dataset_id,
            format=FileFormat(options["format"]),
            statuses=options["status"],
            raw_formulas=options["raw_formulas"],
        )
        records, noted = 0, time.monotonic()
        with written(options["output"]) as target:
            for page in pages:
                target.write(page.lines)
                records += page.records
                if time.monotonic() - noted >= NOTE_EVERY:
                    noted = time.monotonic()
                    self.note(f"{records} records written")
        result = {"records": records, "format": options["format"], "output": options["output"]}
        if options["output"] != STDOUT:
            self.tell(result, as_json=options["json"])


@contextmanager
def written(output: str) -> Iterator[BinaryIO]:
    """The file for writing, which appears when it is complete; or standard output for ``-``."""
    if output == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = Path(f"{output}.part")
    try:
        with part.open("wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        part.replace(output)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()
