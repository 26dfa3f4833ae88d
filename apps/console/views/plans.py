"""The plan, what a change comes to, and the invoices."""

from base64 import b64encode
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from apps.billing import services, stripe
from apps.billing.collectors import CollectionError, get_collector
from apps.billing.models import Invoice, InvoiceState
from apps.console.plan_page import plan_context
from apps.core.errors import ConflictError, DomainError, InvalidError
from apps.labeling.http import LabelingRequest, for_members
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

MAX_MESSAGE = 256 * 1024  # bytes of a webhook


@never_cache
@require_GET
@for_members
def plan(request: LabelingRequest) -> HttpResponse:
    """The plan with its cards; with ``?plan=`` and ``period`` what a change would come to."""
    permissions.check(request.member, Action.MANAGE_PLAN)
    chosen, period = request.GET.get("plan", ""), request.GET.get("period", "")
    if not chosen:
        return _show(request, period=period, is_changed="changed" in request.GET)
    return _offer(request, chosen, period)


@require_POST
@for_members
def change(request: LabelingRequest) -> HttpResponse:
    """Change it, at the sum that the form has shown (``cents``)."""
    permissions.check(request.member, Action.MANAGE_PLAN)
    chosen, period = request.POST.get("plan", ""), request.POST.get("period", "")
    cents = request.POST.get("cents", "")
    try:
        made = services.change_plan(
            organization=request.member.organization,
            plan=chosen,
            period=period,
            expected_cents=int(cents) if cents.isascii() and cents.isdecimal() else -1,
        )
    except ConflictError:
        return _offer(request, chosen, period, code=409)
    except InvalidError as error:
        return _show(request, period=period, problem=error.message, code=422)
    response = redirect("console:invoice", made.id)
    response["Location"] += "?new=1"
    return response


@never_cache
@require_GET
@for_members
def invoice(request: LabelingRequest, invoice_id: UUID) -> HttpResponse:
    """One invoice, as it is printed."""
    found = _find(request, invoice_id)
    return _show_invoice(request, found, is_new="new" in request.GET)


@never_cache
@require_GET
@for_members
def invoice_file(request: LabelingRequest, invoice_id: UUID) -> HttpResponse:
    """The invoice as a file of its own, which needs nothing else to be read or printed."""
    found = _find(request, invoice_id)
    style = Path(str(finders.find("css/invoice.css"))).read_bytes()
    context = _invoice_context(found) | {
        "style": "data:text/css;base64," + b64encode(style).decode(),
    }
    page = render_to_string("console/_invoice_file.html", context)
    response = HttpResponse(page)
    response["Content-Disposition"] = f'attachment; filename="{found.name}.html"'
    return response


@require_POST
@for_members
def pay(request: LabelingRequest, invoice_id: UUID) -> HttpResponse:
    """Ask the collector where to pay; the page then leads there by a link."""
    found = _find(request, invoice_id)
    back = request.build_absolute_uri(reverse("console:invoice", args=[found.id]))
    try:
        is_open = found.state == InvoiceState.OPEN
        url = get_collector().pay_url(found, back=back) if is_open else None
    except CollectionError as error:
        return _show_invoice(request, found, problem=error.message, code=502)
    return _show_invoice(request, found, pay_url=url)


@csrf_exempt
@require_POST
def receive_from_stripe(request: HttpRequest) -> HttpResponse:
    """A webhook of Stripe's; whatever is signed is answered with 200, or it would come again."""
    if settings.COLLECTOR != "stripe":
        return HttpResponse(status=404)
    length = request.headers.get("Content-Length", "")
    if not length.isascii() or not length.isdecimal() or int(length[:12]) > MAX_MESSAGE:
        return HttpResponse(status=413)
    try:
        stripe.receive(body=request.body, signature=request.headers.get("Stripe-Signature", ""))
    except DomainError as error:
        return HttpResponse(error.message, status=400, content_type="text/plain")
    return HttpResponse(status=200)


def _find(request: LabelingRequest, invoice_id: UUID) -> Invoice:
    found: Invoice = get_object_or_404(Invoice.objects.all(), pk=invoice_id)
    permissions.check(request.member, Action.MANAGE_PLAN)
    return found


def _offer(request: LabelingRequest, chosen: str, period: str, code: int = 200) -> HttpResponse:
    organization = request.member.organization
    try:
        offer = services.make_quote(organization=organization, plan=chosen, period=period)
    except InvalidError as error:
        return _show(request, period=period, problem=error.message, code=422)
    return _show(
        request, period=period, chosen=chosen, offer=offer, has_changed=code == 409, code=code
    )


def _show(
    request: LabelingRequest, *, period: str, chosen: str = "", code: int = 200, **more: Any
) -> HttpResponse:
    context = plan_context(request.member, period, chosen)
    return render(request, "console/plan.html", context | more, status=code)


def _invoice_context(found: Invoice) -> dict[str, Any]:
    return {
        "here": "plan",
        "invoice": found,
        "lines": list(found.lines.in_order()),
        "issuer": settings.INVOICE_ISSUER,
    }


def _show_invoice(
    request: LabelingRequest, found: Invoice, *, code: int = 200, **more: Any
) -> HttpResponse:
    context = _invoice_context(found) | {"is_online": settings.COLLECTOR == "stripe"} | more
    return render(request, "console/invoice.html", context, status=code)
