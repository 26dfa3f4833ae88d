"""``manage.py settle_invoice``: what has come by bank transfer, and what was issued in error."""

from typing import Any

from django.core.management.base import CommandParser

from apps.billing.models import Invoice, InvoiceState
from apps.billing.services import settle_invoice
from apps.core.errors import ConflictError, NotFoundError
from apps.core.tenancy import enter
from apps.organizations.management.operator import OperatorCommand, find_organization


class Command(OperatorCommand):
    """Marks an open invoice of an organization as paid, or as void.

    The answer: number, state and total in cents.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--organization", required=True, help="its slug")
        parser.add_argument("--number", required=True, type=int)
        parser.add_argument("--void", action="store_true", help="instead of paid")
        parser.add_argument("--reference", default="", help="e.g. of the transfer")

    def handle(self, *args: Any, **options: Any) -> None:
        state = InvoiceState.VOID if options["void"] else InvoiceState.PAID
        with enter(find_organization(options["organization"])):
            found = Invoice.objects.filter(number=options["number"]).first()
            if found is None:
                raise NotFoundError(f"There is no invoice {options['number']}.")
            if not settle_invoice(invoice=found, state=state, reference=options["reference"]):
                raise ConflictError(f"{found.name} is settled already.")
        result = {"number": found.name, "state": state.value, "cents": found.total_cents}
        self.tell(result, as_json=options["json"])
