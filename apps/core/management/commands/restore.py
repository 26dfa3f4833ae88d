"""``manage.py restore``: a data directory from a backup."""

import sys

from django.core.management.base import BaseCommand

from apps.core.embedded.backups.command import COMMANDS


class Command(BaseCommand):
    """Makes a data directory from a backup, checked file by file.

    ``manage.py`` goes straight there, before Django is loaded; this makes the command known to
    ``manage.py help`` and to whoever starts Django in another way.
    """

    help = __doc__

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(COMMANDS["restore"](argv[2:]))
