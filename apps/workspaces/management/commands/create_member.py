"""``manage.py create_member``: a person in an organization."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core.errors import NotFoundError
from apps.core.tenancy import enter
from apps.organizations.management.members import add_member
from apps.organizations.management.operator import OperatorCommand, find_organization
from apps.organizations.models import Membership, Role
from apps.workspaces.models import Workspace
from apps.workspaces.services import add_workspace_member


class Command(OperatorCommand):
    """Creates a member with an API key.

    The answer, printed this once: organization (its id), slug, and member with id, email,
    username, password, api_key, role and workspaces. Without --email the member logs in on the
    organization's page with username and password.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--username", required=True)
        parser.add_argument("--role", choices=Role.values, default=Role.ANNOTATOR)
        parser.add_argument("--email")
        parser.add_argument("--password", help="default: a random one")
        parser.add_argument(
            "--workspace", action="append", default=[], metavar="NAME", help="may be repeated"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        organization_id = find_organization(options["organization"])
        with enter(organization_id):
            member = add_member(
                username=options["username"],
                role=options["role"],
                email=options["email"],
                password=options["password"],
            )
            for name in options["workspace"]:
                join(member["username"], name)
        member |= {"role": options["role"], "workspaces": options["workspace"]}
        result = {
            "organization": str(organization_id),
            "slug": options["organization"],
            "member": member,
        }
        self.tell(result, as_json=options["json"])


def join(username: str, workspace_name: str) -> None:
    """Let the member into the workspace. Raises ``NotFoundError``."""
    workspace = Workspace.objects.filter(name=workspace_name).first()
    if workspace is None:
        raise NotFoundError(f"There is no workspace called {workspace_name!r}.")
    add_workspace_member(workspace=workspace, member=Membership.objects.get(username=username))
