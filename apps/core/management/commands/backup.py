"""``manage.py backup``: a copy of the whole instance, taken while people work."""

import sys

from django.core.management.base import BaseCommand

from apps.core.embedded.backups.command import COMMANDS


class Command(BaseCommand):
    """Backs up an embedded instance: the database, the secret key, uploads.

    ``manage.py`` goes straight there, before Django is loaded; this makes the command known to
    ``manage.py help`` and to whoever starts Django in another way.
    """

    help = __doc__

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(COMMANDS["backup"](argv[2:]))
