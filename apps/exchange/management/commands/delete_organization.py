"""``manage.py delete_organization``: the operator's hand on the end of an organization."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core.tenancy import enter
from apps.exchange.organization import deletion
from apps.organizations.management.operator import OperatorCommand, find_organization
from apps.organizations.models import Organization


class Command(OperatorCommand):
    """Asks for an organization's deletion in 30 days, takes that back, or deletes what is due.

    The answer: organization (its id), slug, due_at; of one that is gone deleted_at, certificate
    and signature.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--slug", required=True)
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--ask", metavar="NAME", help="its name, as it is")
        what.add_argument("--keep", action="store_true", help="take it back")
        what.add_argument("--due", action="store_true", help="delete it, if the 30 days are over")

    def handle(self, *args: Any, **options: Any) -> None:
        organization_id = find_organization(options["slug"])
        result: dict[str, Any] = {"organization": str(organization_id), "slug": options["slug"]}
        if options["due"]:
            gone = deletion.delete_organization(organization_id=organization_id)
            result["deleted_at"] = gone.deleted_at and gone.deleted_at.isoformat()
            result |= {"certificate": gone.text, "signature": gone.signature}
        else:
            with enter(organization_id):
                row = Organization.objects.get(id=organization_id)
                if options["keep"]:
                    row = deletion.keep_organization(organization=row)
                else:
                    row = deletion.ask_for_deletion(organization=row, typed_name=options["ask"])
            result["due_at"] = row.deletion_due_at and row.deletion_due_at.isoformat()
        self.tell(result, as_json=options["json"])
