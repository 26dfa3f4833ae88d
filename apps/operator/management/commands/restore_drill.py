"""``manage.py restore_drill``: whether the newest backup could be restored."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from apps.core.embedded.errors import EmbeddedError
from apps.core.embedded.paths import absolute
from apps.core.embedded.supervisor import end_on_signals
from apps.operator.drill import drill
from apps.organizations.management.operator import OperatorCommand, one_line


class Command(OperatorCommand):
    """Restores the newest backup beside the others, starts it, and looks whether all is there.

    The migrations must be the code's or older, the counters of records right, and the event logs
    whole; then everything is removed. The answer: ok, backup, bytes, seconds by step,
    organizations, records, events, migrations_applied, problems. The exit code is 1 when
    something is wrong.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--from", type=Path, metavar="DIR", help="default: BACKUP_DIR")

    def handle(self, *args: Any, **options: Any) -> None:
        given = options["from"]
        source = absolute(given.absolute()) if given else settings.BACKUP_DIR
        end_on_signals()
        try:
            found = drill(source, settings.BACKUP_DIR)
        except EmbeddedError as error:
            raise CommandError(one_line(error)) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted.") from error
        self.tell({"ok": not found.problems} | asdict(found), as_json=options["json"])
        if found.problems:
            raise CommandError(one_line(found.detail))
