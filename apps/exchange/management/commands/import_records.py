"""``manage.py import_records``: a file becomes records."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import CommandError, CommandParser

from apps.core.errors import InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, QuestionType
from apps.datasets.schema import load_schema
from apps.exchange.foreign.formats import ForeignFormat, create_for_file, import_file
from apps.exchange.formats import FileFormat, format_of, opened, read_table
from apps.exchange.importer import Listener, Reject, Summary, import_table
from apps.exchange.management.dataset_command import DatasetCommand, Place, find_place
from apps.exchange.targets import ColumnMapping
from apps.organizations.management.operator import find_organization

SHOWN = 20  # rejects in the answer; --rejects keeps all
REJECTED = 3  # exit code
NOTE_EVERY = 1.0  # seconds


class Command(DatasetCommand):
    """Imports records from CSV, TSV, JSON Lines, JSON, Parquet, CoNLL or other tools' files.

    Columns go where their names say: to a field, a question (as a suggestion; with
    --response-user as an answer), a metadata property or a vector of the same name. --map
    COLUMN=TARGET says otherwise and may be repeated, also for one column; targets are id,
    field:NAME, suggestion:QUESTION (also .score, .agent, .type), response:QUESTION (also
    @USERNAME), response-user, response-status, metadata:NAME, vector:NAME and ignore. Files of
    export_records need no --map.

    A record with a known id is updated; without an id column the id comes from fields and
    metadata, so importing a file twice changes nothing. A row that cannot be stored is rejected
    with its line number and the reason, and the other rows are stored: the exit code is then 3.

    Other tools' files are named by --format: label_studio (JSON export), doccano (JSONL),
    distilabel and argilla_v1 (a directory that was saved, or its Parquet, Arrow or JSONL file).
    Their columns go to fields, vectors and metadata by their names, their answers to the
    questions of the same name. Authors are members of the same username, or --user THEIRS=OURS,
    or else --response-user; answers of nobody are suggestions. An answer that lacks what is
    required is kept as a draft. --create makes a dataset that fits the file, also for JSON Lines
    of export_records; --question NAME=TYPE says what shall not be guessed.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE", help="- reads standard input")
        formats = [*FileFormat.values, *ForeignFormat.values]
        parser.add_argument("--format", choices=formats, help="default: by extension")
        parser.add_argument("--create", action="store_true", help="make the dataset for the file")
        parser.add_argument("--question", action="append", default=[], metavar="NAME=TYPE")
        parser.add_argument("--user", action="append", default=[], metavar="THEIRS=OURS")
        parser.add_argument("--map", action="append", default=[], metavar="COLUMN=TARGET")
        parser.add_argument("--response-user", default="", metavar="USERNAME")
        parser.add_argument("--rejects", type=Path, metavar="FILE", help="rejected rows, as JSONL")
        parser.add_argument(
            "--raw-formulas",
            action="store_true",
            help="keep the apostrophes that export_records puts before formulas",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        format = format_named(options["format"] or format_of(options["file"]))
        if options["create"]:
            create_dataset_for(format, options)
        place = find_place(
            organization=options["organization"],
            workspace=options["workspace"],
            dataset=options["dataset"],
        )
        report = Report(self)
        with ExitStack() as stack:
            if options["rejects"]:
                report.file = stack.enter_context(options["rejects"].open("wb"))
            if isinstance(format, ForeignFormat):
                summary, ignored = store_foreign(format, place, options, report)
            else:
                summary, ignored = store_own(format, place, options, report)
        self.tell(report.answer(summary, ignored), as_json=options["json"])
        if summary.rejected:
            raise CommandError(
                f"{summary.rejected} of {summary.read} rows were rejected.", returncode=REJECTED
            )


def format_named(name: str) -> FileFormat | ForeignFormat:
    return ForeignFormat(name) if name in ForeignFormat.values else FileFormat(name)


def create_dataset_for(format: FileFormat | ForeignFormat, options: Mapping[str, Any]) -> None:
    types = pairs("--question", options["question"])
    for type in types.values():
        if type not in QuestionType.values:
            raise InvalidError(f"{type!r} is no question type: {', '.join(QuestionType.values)}.")
    create_for_file(
        organization_id=find_organization(options["organization"]),
        workspace=options["workspace"],
        name=options["dataset"],
        format=format,
        file=options["file"],
        types=types,
    )


def store_own(
    format: FileFormat, place: Place, options: Mapping[str, Any], report: "Report"
) -> tuple[Summary, list[str]]:
    """Store a file of rows; also returns the columns that went nowhere."""
    mapping = mapping_for(place, options["map"], options["response_user"])
    with opened(options["file"]) as source:
        summary = import_table(
            organization_id=place.organization_id,
            dataset_id=place.dataset_id,
            table=read_table(source, format, raw_formulas=options["raw_formulas"]),
            mapping=mapping,
            listener=Listener(report.reject, report.progress),
        )
    return summary, mapping.ignored


def store_foreign(
    format: ForeignFormat, place: Place, options: Mapping[str, Any], report: "Report"
) -> tuple[Summary, list[str]]:
    """Store another tool's file; also returns what has no place here."""
    if options["map"]:
        raise InvalidError("--map is for files of rows, not for those of other tools.")
    return import_file(
        organization_id=place.organization_id,
        dataset_id=place.dataset_id,
        format=format,
        file=options["file"],
        users=pairs("--user", options["user"]),
        responder=options["response_user"],
        listener=Listener(report.reject, report.progress),
    )


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """``{"a": "b"}`` of ``a=b``. Raises ``InvalidError``."""
    found = {}
    for one in given:
        left, equals, right = one.rpartition("=")
        if not left or not equals or not right:
            raise InvalidError(f"{option} takes NAME=VALUE, not {one!r}.")
        found[left] = right
    return found


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
