"""Stripe as a collector, over plain HTTP: Checkout for the first payment, the kept method later.

Each invoice of ours is one payment of theirs; no plan, price or tax is known to Stripe. What
became of a payment is told by webhooks, whose signature covers the body and its time: forged and
old ones are refused, one that comes twice is acted upon once.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote, urlencode
from uuid import UUID

import orjson
from django.conf import settings
from django.db import transaction

from apps.billing.collectors import CollectionError
from apps.billing.models import Invoice, InvoiceState, Subscription
from apps.billing.services import (
    find_subscription,
    is_new_event,
    note_failure,
    note_payment,
    remember_payer,
    settle_invoice,
)
from apps.core import outbound
from apps.core.errors import DomainError, InvalidError
from apps.core.ids import read_id
from apps.core.tenancy import enter

TIMEOUT: Final = 15.0  # seconds
MAX_ANSWER: Final = 256 * 1024  # bytes
TOLERANCE: Final = 300  # seconds that a webhook may be old
_PAID: Final = {"checkout.session.completed", "checkout.session.async_payment_succeeded"}
_FAILED: Final = {"checkout.session.async_payment_failed", "payment_intent.payment_failed"}


class StripeCollector:
    def pay_url(self, invoice: Invoice, *, back: str) -> str | None:
        """Open a Checkout session of one payment, after which the method may be used again."""
        answer = _ask("checkout/sessions", _session(invoice, back), key=f"pay-{invoice.id}")
        url = answer.get("url")
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise CollectionError("Stripe answered without an address to pay at.")
        return url

    def collect(self, invoice: Invoice) -> None:
        """Charge the payment method that was used before; without one, nothing.

        A payment that is on its way already is asked after instead: a debit takes days. No
        transaction is open while Stripe thinks.
        """
        organization_id = cast(UUID, invoice.organization_id)  # every row has one
        with enter(organization_id):
            found = Invoice.objects.open().filter(pk=invoice.pk).first()
            payer = find_subscription()
        if found is None:
            return
        if found.reference:
            answer = _ask(f"payment_intents/{quote(found.reference, safe='')}")
        elif payer is not None and payer.payment_method:
            answer = _charge(found, payer)
        else:
            return
        with enter(organization_id):
            _note(found, answer)


def _note(invoice: Invoice, answer: Mapping[str, Any]) -> None:
    """What became of a payment that was asked for, or asked after."""
    status, payment = answer.get("status"), str(answer.get("id") or "")
    if status == "succeeded":
        settle_invoice(invoice=invoice, state=InvoiceState.PAID, reference=payment)
    elif status == "processing":
        note_payment(invoice=invoice, reference=payment)
    else:
        note_failure(invoice=invoice, reference=invoice.reference)


def _charge(invoice: Invoice, payer: Subscription) -> dict[str, Any]:
    form = {
        "amount": invoice.total_cents,
        "currency": invoice.currency.lower(),
        "customer": payer.customer,
        "payment_method": payer.payment_method,
        "off_session": "true",
        "confirm": "true",
        "description": invoice.name,
        **_metadata(invoice, "metadata"),
    }
    # The same for as long as nobody knows what became of it: what was taken is not taken again.
    key = f"collect-{invoice.id}-{invoice.updated_at.timestamp()}"
    return _ask("payment_intents", form, key=key, refused_is_answer=True)


def _session(invoice: Invoice, back: str) -> dict[str, object]:
    item = "line_items[0]"
    return {
        "mode": "payment",
        "success_url": back,
        "cancel_url": back,
        "client_reference_id": invoice.id,
        "customer_creation": "always",
        f"{item}[quantity]": 1,
        f"{item}[price_data][currency]": invoice.currency.lower(),
        f"{item}[price_data][unit_amount]": invoice.total_cents,
        f"{item}[price_data][product_data][name]": invoice.name,
        "payment_intent_data[setup_future_usage]": "off_session",
        **_metadata(invoice, "metadata"),
        **_metadata(invoice, "payment_intent_data[metadata]"),
    }


def _metadata(invoice: Invoice, name: str) -> dict[str, object]:
    return {f"{name}[organization]": invoice.organization_id, f"{name}[invoice]": invoice.id}


def _ask(
    path: str,
    form: Mapping[str, object] | None = None,
    *,
    key: str = "",
    refused_is_answer: bool = False,
) -> dict[str, Any]:
    """The object there, or what Stripe answers to the form; the key makes a repeated one the same.

    Raises ``CollectionError``.
    """
    url = f"{settings.STRIPE_API_URL}/v1/{path}"
    headers = {"Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}"}
    try:
        if form is None:
            answer = outbound.get(url, headers, timeout=TIMEOUT, max_bytes=MAX_ANSWER)
        else:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": key}
            body = urlencode(dict(form)).encode()
            answer = outbound.post(url, body, headers, timeout=TIMEOUT, max_bytes=MAX_ANSWER)
        found = orjson.loads(answer.body)
    except (DomainError, ValueError) as error:
        raise CollectionError("Stripe could not be asked; nothing was paid.") from error
    if answer.status == 402 and refused_is_answer:
        return {"status": "refused"}
    if answer.status != 200 or not isinstance(found, dict):
        raise CollectionError(f"Stripe refused the payment (status {answer.status}).")
    return found


def receive(*, body: bytes, signature: str) -> bool:
    """Act upon a webhook; False for what is none of ours or was acted upon already.

    Raises ``InvalidError`` for a wrong or old signature, and for what is not a message.
    """
    check_signature(body=body, signature=signature)
    try:
        event = orjson.loads(body)
        id, kind, about = event["id"], event["type"], event["data"]["object"]
        named = about.get("metadata") or {}
        organization, invoice = named.get("organization"), named.get("invoice")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidError("This is no message of Stripe's.") from error
    organization_id, invoice_id = read_id(str(organization)), read_id(str(invoice))
    if not organization_id or not invoice_id or not isinstance(id, str) or "\0" in id:
        return False
    with enter(organization_id), transaction.atomic():
        return _act(str(kind), about, id, invoice_id)


def _act(kind: str, about: Mapping[str, Any], event_id: str, invoice_id: UUID) -> bool:
    found = Invoice.objects.filter(pk=invoice_id).first()
    if found is None or not is_new_event(event_id):
        return False
    if kind in _PAID and about.get("payment_status") == "paid":
        _settle(found, about, "amount_total")
    elif kind == "payment_intent.succeeded":
        customer, method = about.get("customer"), about.get("payment_method")
        if customer and method:
            remember_payer(customer=str(customer), payment_method=str(method))
        _settle(found, about, "amount_received")
    elif kind == "payment_intent.processing":
        note_payment(invoice=found, reference=str(about.get("id")))
    elif kind in _FAILED:
        note_failure(invoice=found, reference=str(about.get("payment_intent") or about.get("id")))
    return True


def _settle(invoice: Invoice, about: Mapping[str, Any], amount: str) -> None:
    """Only the whole sum in the invoice's currency settles it."""
    currency = str(about.get("currency", "")).upper()
    if (about.get(amount), currency) == (invoice.total_cents, invoice.currency):
        settle_invoice(invoice=invoice, state=InvoiceState.PAID, reference=str(about.get("id")))


def check_signature(*, body: bytes, signature: str) -> None:
    """``t=<seconds>,v1=<hex>`` of HMAC-SHA256 over ``t.body``; raises ``InvalidError``."""
    parts = [part.partition("=") for part in signature[:2000].split(",")]
    stamps = [value for name, _, value in parts if name.strip() == "t"]
    given = [value for name, _, value in parts if name.strip() == "v1"]
    secret = settings.STRIPE_WEBHOOK_SECRET
    if not secret or len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdecimal():
        raise InvalidError("The signature is not valid.")
    message = stamps[0].encode() + b"." + body
    wanted = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest().encode()
    matches = [hmac.compare_digest(wanted, one.encode("utf-8", "replace")) for one in given]
    if not any(matches):
        raise InvalidError("The signature is not valid.")
    if abs(time.time() - int(stamps[0][:12])) > TOLERANCE:
        raise InvalidError("The message is too old.")
