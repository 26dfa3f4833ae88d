"""``manage.py fuzz_tenants --url URL [--json]``: does a running server keep organizations apart?"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.operator.fuzzing import Walk, routes
from apps.operator.planting import plant, uproot


class Command(BaseCommand):
    """Makes two organizations in the server's database, asks every address of the one with the
    ids of the other under each role and method, and deletes both again.

    Ends with 1 when anything came out. Run it where the server's database can be reached.
    """

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", required=True, help="of the running server")
        parser.add_argument("--json", action="store_true", help="only the report, as JSON")
        parser.add_argument("--only", default="", help="addresses that begin so, e.g. api/v1/")
        parser.add_argument("--keep", action="store_true", help="leave both organizations there")

    def handle(self, *, url: str, json: bool, only: str, keep: bool, **_: Any) -> None:
        if not url.startswith(("http://", "https://")):
            raise CommandError("The URL begins with http:// or https://.")
        found = routes(only)
        ours, theirs = plant("Ours"), plant("Theirs", fill=True)
        try:
            report = Walk(url, ours, theirs, found).run()
        finally:
            if not keep:
                uproot(ours)
                uproot(theirs)
        if json:
            self.stdout.write(report.as_json())
        else:
            self.stdout.write(f"{len(found)} addresses, {report.checks} checks.")
            for leak in report.leaks:
                self.stdout.write("{role} {method} {path}: {status}, {why}".format(**leak))
            self.stdout.write(f"{len(report.leaks)} leaks.")
        if report.leaks:
            raise SystemExit(1)
