"""``manage.py import_organization``: an organization from its export."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.exchange.organization.restore import import_organization
from apps.organizations.management.operator import OperatorCommand


class Command(OperatorCommand):
    """Makes the organization of an export, in an empty instance or beside others.

    The answer: organization (its new id), slug, rows. Members with an e-mail find their account or
    get one without a password; keys are made anew, and webhooks wait for a new secret.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--from", required=True, type=Path, metavar="PATH", dest="path")
        parser.add_argument("--slug", default="", help="default: the one it had")

    def handle(self, *args: Any, **options: Any) -> None:
        made = import_organization(path=options["path"], slug=options["slug"])
        result = {"organization": str(made.organization_id), "slug": made.slug, "rows": made.rows}
        self.tell(result, as_json=options["json"])
