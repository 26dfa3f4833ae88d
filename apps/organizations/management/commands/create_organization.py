"""``manage.py create_organization``: a tenant with its owner."""

import re
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from apps.core.tenancy import enter
from apps.organizations.management.members import add_member
from apps.organizations.management.operator import OperatorCommand
from apps.organizations.models import Plan, Role
from apps.organizations.services import create_organization


class Command(OperatorCommand):
    """Creates an organization, its owner, and an API key for the owner.

    The answer, printed this once: organization (its id), slug, and owner with id, email,
    username, password and api_key. Without --owner-password the password is random. The password
    is null when the person has an account here already: it stays as it was.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--name", required=True)
        parser.add_argument("--slug", required=True, help="host name and short name")
        parser.add_argument("--owner-email", required=True)
        parser.add_argument("--owner-username", help="default: the e-mail up to its @")
        parser.add_argument("--owner-password", help="default: a random one")
        parser.add_argument("--plan", choices=Plan.values, default=Plan.SELF_HOSTED)

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            organization = create_organization(
                name=options["name"], slug=options["slug"], plan=options["plan"]
            )
            with enter(organization.id):
                owner = add_member(
                    username=options["owner_username"] or username_from(options["owner_email"]),
                    role=Role.OWNER,
                    email=options["owner_email"],
                    password=options["owner_password"],
                )
        result = {"organization": str(organization.id), "slug": organization.slug, "owner": owner}
        self.tell(result, as_json=options["json"])


def username_from(email: str) -> str:
    """``anna_b`` for ``anna.b@…``: letters, digits, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", email.partition("@")[0]) or "owner"
