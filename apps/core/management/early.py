"""Commands that ``manage.py`` runs before Django is loaded."""

import sys
from collections.abc import Sequence
from typing import ClassVar

from django.core.management.base import BaseCommand


class EarlyCommand(BaseCommand):
    """Makes such a command known to ``manage.py help`` and to whoever starts Django otherwise.

    ``main`` takes the arguments after the command's name and returns the exit code.
    """

    main: ClassVar["staticmethod[[Sequence[str]], int]"]

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(self.main(argv[2:]))
