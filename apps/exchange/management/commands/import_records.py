"""``manage.py import_records``: a file becomes records."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.exchange.formats import FileFormat, format_of, read_table
from apps.exchange.importer import Listener, Reject, Summary, import_table
from apps.exchange.management.dataset_command import DatasetCommand, Place, find_place
from apps.exchange.targets import ColumnMapping

SHOWN = 20  # rejects in the answer; --rejects keeps all
REJECTED = 3  # exit code
NOTE_EVERY = 1.0  # seconds


class Command(DatasetCommand):
    """Imports records from CSV or JSON Lines, of any size.

    Columns go where their names say: to a field, a question (as a suggestion; with
    --response-user as an answer), a metadata property or a vector of the same name. --map
    COLUMN=TARGET says otherwise and may be repeated, also for one column; targets are id,
    field:NAME, suggestion:QUESTION (also .score, .agent, .type), response:QUESTION (also
    @USERNAME), response-user, response-status, metadata:NAME, vector:NAME and ignore. Files of
    export_records need no --map.

    A record with a known id is updated; without an id column the id comes from fields and
    metadata, so importing a file twice changes nothing. A row that cannot be stored is rejected
    with its line number and the reason, and the other rows are stored: the exit code is then 3.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="- reads standard input")
        parser.add_argument("--format", choices=FileFormat.values, help="default: by extension")
        parser.add_argument("--map", action="append", default=[], metavar="COLUMN=TARGET")
        parser.add_argument("--response-user", default="", metavar="USERNAME")
        parser.add_argument("--rejects", type=Path, metavar="FILE", help="rejected rows, as JSONL")
        parser.add_argument(
            "--raw-formulas",
            action="store_true",
            help="keep the apostrophes that export_records puts before formulas",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        place = find_place(
            organization=options["organization"],
            workspace=options["workspace"],
            dataset=options["dataset"],
        )
        format = FileFormat(options["format"] or format_of(options["file"]))
        mapping = mapping_for(place, options["map"], options["response_user"])
        report = Report(self)
        with ExitStack() as stack:
            source = stack.enter_context(opened(options["file"]))
            if options["rejects"]:
                report.file = stack.enter_context(options["rejects"].open("wb"))
            summary = import_table(
                organization_id=place.organization_id,
                dataset_id=place.dataset_id,
                table=read_table(source, format, raw_formulas=options["raw_formulas"]),
                mapping=mapping,
                listener=Listener(report.reject, report.progress),
            )
        self.tell(report.answer(summary, mapping.ignored), as_json=options["json"])
        if summary.rejected:
            raise CommandError(
                f"{summary.rejected} of {summary.read} rows were rejected.", returncode=REJECTED
            )


class Report:
    """Hears of rejects and progress while the import runs."""

    def __init__(self, command: DatasetCommand) -> None:
        self.command = command
        self.file: BinaryIO | None = None
        self.first: list[dict[str, Any]] = []
        self.noted = time.monotonic()

    def reject(self, reject: Reject) -> None:
        line = {"row": reject.row.number, "reason": reject.reason}
        if len(self.first) < SHOWN:
            self.first.append(line)
        if self.file is not None:
            full = {**line, "original": reject.row.original}
            self.file.write(json.dumps(full, ensure_ascii=False).encode() + b"\n")

    def progress(self, summary: Summary) -> None:
        now = time.monotonic()
        if now - self.noted >= NOTE_EVERY:
            self.noted = now
            self.command.note(f"{summary.read} rows read, {summary.rejected} rejected")

    def answer(self, summary: Summary, ignored: Sequence[str]) -> dict[str, Any]:
        return {
            "read": summary.read,
            "created": summary.created,
            "updated": summary.updated,
            "rejected": summary.rejected,
            "rejects": self.first,
            "ignored_columns": list(ignored),
        }


def mapping_for(place: Place, told: Sequence[str], responder: str) -> ColumnMapping:
    """The mapping of ``--map`` and ``--response-user``. Raises ``InvalidError``."""
    targets: dict[str, list[str]] = {}
    for one in told:
        column, equals, target = one.rpartition("=")
        if not equals or not column:
            raise InvalidError(f"--map takes COLUMN=TARGET, not {one!r}.")
        targets.setdefault(column, []).append(target)
    with enter(place.organization_id):
        schema = load_schema(Dataset.objects.get(id=place.dataset_id))
        return ColumnMapping(schema, targets, responder=responder)


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """The file for reading, or standard input for ``-``."""
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as source:
        yield source
