"""``manage.py verify_counters``: whether the counters of records are right."""

from dataclasses import asdict
from typing import Any

from apps.core.errors import DomainError
from apps.operator.counters import reckon
from apps.organizations.management.operator import OperatorCommand


class WrongCounterError(DomainError):
    """The command's exit code says it too."""


class Command(OperatorCommand):
    """Counts the records of every organization and compares that with what is kept.

    The answer: valid, organizations, records, problems. The exit code is 1 when a counter is
    wrong; the plan's record volume is corrected by itself each night.
    """

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        found = reckon()
        self.tell({"valid": not found.problems} | asdict(found), as_json=options["json"])
        if found.problems:
            raise WrongCounterError(found.problems[0])
