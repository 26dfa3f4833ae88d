"""``manage.py up``: a whole Stoneware on this machine, with one command."""

import sys

from django.core.management.base import BaseCommand

from apps.core.embedded.supervisor import main


class Command(BaseCommand):
    """Starts PostgreSQL, Redis, web server and worker; Ctrl-C stops them all.

    ``manage.py`` goes straight to the supervisor, before Django is loaded; this makes the command
    known to ``manage.py help`` and to whoever starts Django in another way.
    """

    help = __doc__

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(main(argv[2:]))
