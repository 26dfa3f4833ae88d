"""``manage.py import_argilla``: everything on an Argilla server comes here."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from apps.core.errors import InvalidError
from apps.exchange.argilla.client import Client
from apps.exchange.argilla.report import Listener, Report, Skipped
from apps.exchange.argilla.run import Wanted, copy_server
from apps.organizations import directory
from apps.organizations.management.operator import OperatorCommand, find_organization

INCOMPLETE = 3  # exit code
INTERRUPTED = 130  # exit code
NOTE_EVERY = 1.0  # seconds
BAR = 30  # characters
KEY_VARIABLE = "ARGILLA_API_KEY"


class Command(OperatorCommand):
    """Copies a running Argilla 2.x server: workspaces, users, datasets, records with everything.

    Needs an owner's API key. Users keep name, role and workspaces; API keys are not copied, and
    passwords cannot be: --passwords FILE gives new ones, else accounts have none until one is
    set. A username or workspace that is here already is the same one.

    May be stopped at any moment and started again: it goes on where it was. A later run brings
    the records that were added there since; --from-start reads all of them again and stores what
    is there over what is here. At the end both sides are counted. The exit code is 3 when
    something was left out or the counts differ; both are named.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--url", required=True, metavar="URL")
        parser.add_argument(
            "--api-key",
            default="",
            metavar="KEY",
            help=f"default: the environment's {KEY_VARIABLE}, which other users cannot read",
        )
        parser.add_argument("--organization", default="", metavar="SLUG", help="default: the only")
        parser.add_argument("--workspace", action="append", default=[], metavar="NAME")
        parser.add_argument("--dataset", action="append", default=[], metavar="NAME")
        parser.add_argument("--from-start", action="store_true")
        parser.add_argument(
            "--passwords", type=Path, metavar="FILE", help="new passwords are added here, mode 0600"
        )
        parser.add_argument(
            "--skipped", type=Path, metavar="FILE", help="all that is left out, as JSONL"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        client = Client(options["url"], options["api_key"] or os.environ.get(KEY_VARIABLE, ""))
        organization_id = target(options["organization"])
        wanted = Wanted(options["workspace"], options["dataset"], options["from_start"])
        console = Console(self)
        with ExitStack() as stack:
            if options["passwords"]:
                console.passwords = stack.enter_context(appended(options["passwords"]))
            if options["skipped"]:
                console.skipped = stack.enter_context(appended(options["skipped"]))
            try:
                report = copy_server(
                    client=client,
                    organization_id=organization_id,
                    wanted=wanted,
                    listener=console.listener(),
                )
            except KeyboardInterrupt:
                message = "Interrupted. The same command goes on from here."
                raise CommandError(message, returncode=INTERRUPTED) from None
            finally:
                console.close()
        self._tell(report, as_json=options["json"])
        if not report.is_complete:
            raise CommandError(
                "Not everything was copied: see what differs or was left out.",
                returncode=INCOMPLETE,
            )

    def _tell(self, report: Report, *, as_json: bool) -> None:
        if as_json:
            self.tell(report.as_document(), as_json=True)
            return
        for kind, number in report.created.items():
            self.stdout.write(f"{kind} created: {number}")
        for line in report.renamed:
            self.stdout.write(f"renamed: {line}")
        if report.without_password:
            self.stdout.write(f"accounts without password: {', '.join(report.without_password)}")
        for one in report.datasets:
            counts = ", ".join(f"{number} {name}" for name, number in asdict(one.here).items())
            self.stdout.write(f"{one.workspace}/{one.dataset}: {counts}")
            for difference in one.differences:
                self.stdout.write(f"  differs: {difference}")
        for skipped in report.first_skipped:
            self.stdout.write(f"left out: {skipped.where} {skipped.what}: {skipped.reason}")
        if report.skipped > len(report.first_skipped):
            self.stdout.write(f"left out in all: {report.skipped}")


class Console:
    """Hears of what happens: a bar on a terminal, lines elsewhere, and the files asked for."""

    def __init__(self, command: OperatorCommand) -> None:
        self.command = command
        self.passwords: TextIO | None = None
        self.skipped: TextIO | None = None
        self.is_terminal = sys.stderr.isatty()
        self.noted = 0.0
        self.has_bar = False

    def listener(self) -> Listener:
        return Listener(
            on_skipped=self.skip,
            on_progress=self.progress,
            on_password=self.password if self.passwords else None,
        )

    def skip(self, skipped: Skipped) -> None:
        if self.skipped is not None:
            self.skipped.write(json.dumps(asdict(skipped), ensure_ascii=False) + "\n")
            self.skipped.flush()

    def password(self, username: str, password: str) -> None:
        """Written before the account is there: one that is killed in between is told anew."""
        if self.passwords is not None:
            self.passwords.write(f"{username}\t{password}\n")
            self.passwords.flush()

    def progress(self, where: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.noted < NOTE_EVERY and done < total:
            return
        self.noted = now
        text = f"{where}: {done} of {total} records"
        if self.is_terminal:
            filled = BAR * min(done, total) // max(total, 1)
            text = f"\r[{'#' * filled}{' ' * (BAR - filled)}] {text}\x1b[K"
            self.has_bar = True
        end = "" if self.is_terminal else "\n"
        self.command.stderr.write(text, ending=end, style_func=str)

    def close(self) -> None:
        """Leave the bar's line."""
        if self.has_bar:
            self.command.stderr.write("")


def target(slug: str) -> UUID:
    """The organization named, or the only one there is. Raises ``DomainError``."""
    if slug:
        return find_organization(slug)
    only = directory.find_only_organization()
    if only is None:
        raise InvalidError("Name one with --organization SLUG: there is not exactly one.")
    return only


@contextmanager
def appended(file: Path) -> Iterator[TextIO]:
    """The file for adding to, which only its owner may read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as target:
        yield target
