"""``manage.py create_workspace``: a place for datasets and their people."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core.tenancy import enter
from apps.organizations.management.operator import OperatorCommand, find_organization
from apps.workspaces.services import create_workspace


class Command(OperatorCommand):
    """Creates a workspace.

    The answer: organization (its id), slug, and workspace with id and name.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--name", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        organization_id = find_organization(options["organization"])
        with enter(organization_id):
            workspace = create_workspace(name=options["name"])
        result = {
            "organization": str(organization_id),
            "slug": options["organization"],
            "workspace": {"id": str(workspace.id), "name": workspace.name},
        }
        self.tell(result, as_json=options["json"])
