"""``manage.py export_organization``: everything an organization has, as files."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.exchange.organization.export import export_organization, tell_of_export
from apps.organizations.management.operator import OperatorCommand, find_organization


class Command(OperatorCommand):
    """Writes an organization to a directory, or to one ZIP file if the name ends so.

    The answer: organization (its id), slug, to, files, rows. Keys, secrets and passwords are not
    in it; manifest.json says what is left out.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--slug", required=True)
        parser.add_argument("--to", required=True, type=Path, metavar="PATH")

    def handle(self, *args: Any, **options: Any) -> None:
        organization_id = find_organization(options["slug"])
        manifest = export_organization(organization_id=organization_id, target=options["to"])
        tell_of_export(organization_id=organization_id, manifest=manifest)
        result = {
            "organization": str(organization_id),
            "slug": options["slug"],
            "to": str(options["to"]),
            "files": len(manifest["files"]),
            "rows": sum(facts["rows"] for facts in manifest["files"].values()),
        }
        self.tell(result, as_json=options["json"])
