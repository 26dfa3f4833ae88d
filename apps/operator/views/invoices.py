"""Invoices of all organizations: what came by bank transfer, and what was issued in error."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_POST

from apps.billing.models import Invoice, InvoiceState
from apps.billing.services import settle_invoice
from apps.core.errors import ConflictError, InvalidError
from apps.operator import acts, reads
from apps.operator.access import OperatorRequest, for_operators

SETTLED = (InvoiceState.PAID, InvoiceState.VOID)


@for_operators
@require_GET
def invoices(request: OperatorRequest) -> HttpResponse:
    """Those that are open, or all."""
    return _show(request)


@for_operators
@require_POST
def settle(request: OperatorRequest, organization_id: UUID, invoice_id: UUID) -> HttpResponse:
    """Mark it as paid, with the transfer's reference, or as void."""
    state, reference = request.POST.get("state", ""), request.POST.get("reference", "").strip()

    def change() -> None:
        if state not in SETTLED or "\0" in reference:
            raise InvalidError(_("An invoice is paid or void."))
        if not settle_invoice(invoice=found, state=state, reference=reference):
            raise ConflictError(_("The invoice was settled already."))

    with acts.inside(request, organization_id):
        found = acts.find(Invoice, invoice_id)
        problem, code = acts.refusal(change)
    if problem:
        return _show(request, problem=problem, code=code)
    return redirect("operator:invoices")


def _show(request: OperatorRequest, *, code: int = 200, **more: Any) -> HttpResponse:
    state = "all" if request.GET.get("state") == "all" else "open"
    rows = reads.invoices(state)
    context = {
        "here": "invoices",
        "rows": rows[: reads.SHOWN],
        "has_more": len(rows) > reads.SHOWN,
        "state": state,
        "states": [("open", pgettext("not settled", "Open")), ("all", _("All"))],
        **more,
    }
    return render(request, "operator/invoices.html", context, status=code)
