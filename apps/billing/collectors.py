"""Who gets invoices paid: the interface, and payment by hand.

``COLLECTOR`` names the one of this host: ``manual``, or ``stripe``.
"""

from typing import Protocol

from django.conf import settings

from apps.billing.models import Invoice
from apps.core.errors import DomainError


class CollectionError(DomainError):
    """The collector cannot be asked, or answered with nonsense; the invoice stays open."""


class Collector(Protocol):
    """Calls to the outside are made by these two alone."""

    def pay_url(self, invoice: Invoice, *, back: str) -> str | None:
        """Where a person pays it, who then returns to the address ``back``; None: nowhere.

        Raises ``CollectionError``.
        """

    def collect(self, invoice: Invoice) -> None:
        """Try to have it paid without the person, who has paid before; settles or notes failure.

        It enters the invoice's organization where it needs to: call it outside a transaction, or
        others wait for the outside too. Raises ``CollectionError``.
        """


class ManualCollector:
    """Invoices are paid by bank transfer; the operator settles them."""

    def pay_url(self, invoice: Invoice, *, back: str) -> str | None:
        return None

    def collect(self, invoice: Invoice) -> None:
        """Nothing: the money comes, or the invoice becomes overdue."""


def get_collector() -> Collector:
    """The one that the settings name."""
    if settings.COLLECTOR == "stripe":
        from apps.billing.stripe import StripeCollector

        return StripeCollector()
    return ManualCollector()
