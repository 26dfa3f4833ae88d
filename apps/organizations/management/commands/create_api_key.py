"""``manage.py create_api_key``: another key for a member."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from apps.core.errors import NotFoundError
from apps.core.tenancy import enter
from apps.organizations.management.operator import OperatorCommand, find_organization
from apps.organizations.models import Membership, Scope
from apps.organizations.services import create_api_key


class Command(OperatorCommand):
    """Creates an API key for a member.

    The answer, printed this once: organization (its id), slug, username, and key with id, name,
    scopes, expires_at and api_key. Without --scope the key has every scope.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--username", required=True)
        parser.add_argument("--name", default="default")
        parser.add_argument(
            "--scope", action="append", choices=Scope.values, help="may be repeated"
        )
        parser.add_argument("--days", type=int, help="how long it works; default: for ever")

    def handle(self, *args: Any, **options: Any) -> None:
        organization_id = find_organization(options["organization"])
        days = options["days"]
        with enter(organization_id):
            member = Membership.objects.active().filter(username=options["username"]).first()
            if member is None:
                raise NotFoundError(f"There is no member called {options['username']!r}.")
            row, key = create_api_key(
                member=member,
                name=options["name"],
                scopes=options["scope"] or Scope.values,
                expires_at=None if days is None else timezone.now() + timedelta(days=days),
            )
        result = {
            "organization": str(organization_id),
            "slug": options["organization"],
            "username": member.username,
            "key": {
                "id": str(row.id),
                "name": row.name,
                "scopes": row.scopes,
                "expires_at": row.expires_at and row.expires_at.isoformat(),
                "api_key": key,
            },
        }
        self.tell(result, as_json=options["json"])
