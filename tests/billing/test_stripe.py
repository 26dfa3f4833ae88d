"""Stripe as a collector, against a server that plays its endpoints."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.db import DataError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.billing import tasks
from apps.billing.collectors import CollectionError, get_collector
from apps.billing.models import Invoice, Subscription
from apps.billing.services import begin_subscription
from apps.billing.stripe import receive
from apps.core.errors import InvalidError
from apps.core.tenancy import current, enter
from apps.organizations.models import Organization
from apps.organizations.volume import count_records, set_plan
from tests import factories
from tests.billing.conftest import bill
from tests.meanwhile import meanwhile

SECRET = "whsec_of_the_tests"
KEY = "sk_test_of_the_tests"


class Stripe(ThreadingHTTPServer):
    """Answers Checkout sessions and payment intents; one idempotency key is one object."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.keys: list[str] = []
        self.think: Callable[[], object] = lambda: None  # before it answers
        self.made: dict[str, dict[str, Any]] = {}
        self.status, self.body = 200, b""
        self.refuses = False
        self.charged = "succeeded"  # the status of a payment intent

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Stripe

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.server.asked.append((self.path, form))
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.server.think()
        if self.headers["Authorization"] != f"Bearer {KEY}":
            self.answer(401, b"{}")
        elif self.server.status != 200 or self.server.body:
            self.answer(self.server.status, self.server.body)
        elif self.path == "/v1/payment_intents" and self.server.refuses:
            self.answer(402, b'{"error": {"code": "card_declined"}}')
        else:
            key = self.headers["Idempotency-Key"]
            number = len(self.server.made) + 1
            made = {"id": f"pi_{number}", "status": self.server.charged}
            if self.path == "/v1/checkout/sessions":
                made = {"id": f"cs_{number}", "url": f"https://checkout.example/cs_{number}"}
            self.answer(200, json.dumps(self.server.made.setdefault(key, made)).encode())

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {}))
        intents = {f"/v1/payment_intents/{one['id']}": one for one in self.server.made.values()}
        found = intents.get(self.path)
        self.answer(200 if found else 404, json.dumps(found).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def stripe(settings: Any) -> Iterator[Stripe]:
    with Stripe() as server:
        settings.COLLECTOR, settings.STRIPE_API_URL = "stripe", server.url
        settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, SECRET
        settings.OUTBOUND_ALLOW = [("127.0.0.1", server.server_address[1])]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def message(kind: str, invoice: Invoice, event_id: str = "evt_1", **about: Any) -> bytes:
    named = {"organization": str(invoice.organization_id), "invoice": str(invoice.id)}
    object = {"id": "cs_1", "currency": "eur", "metadata": named, **about}
    return json.dumps({"id": event_id, "type": kind, "data": {"object": object}}).encode()


def signed(body: bytes, *, at: float | None = None, secret: str = SECRET) -> str:
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256)
    return f"t={stamp},v1=00ff,v1={digest.hexdigest()}"


def paid(invoice: Invoice, id: str = "evt_1", amount: int | None = None) -> bytes:
    amount = invoice.total_cents if amount is None else amount
    return message(
        "checkout.session.completed", invoice, id, payment_status="paid", amount_total=amount
    )


def state(invoice: Invoice) -> str:
    return str(Invoice.objects.get(pk=invoice.pk).state)


def test_checkout_asks_for_the_whole_sum_and_keeps_the_method(
    stripe: Stripe, billed: Invoice
) -> None:
    url = get_collector().pay_url(billed, back="https://acme.example/settings/plan/")
    assert url == "https://checkout.example/cs_1"
    assert get_collector().pay_url(billed, back="https://acme.example/") == url
    path, form = stripe.asked[0]
    assert path == "/v1/checkout/sessions"
    assert form["mode"] == "payment"
    assert form["line_items[0][price_data][unit_amount]"] == "24000"
    assert form["line_items[0][price_data][currency]"] == "eur"
    assert form["line_items[0][price_data][product_data][name]"] == billed.name
    assert form["payment_intent_data[setup_future_usage]"] == "off_session"
    assert form["payment_intent_data[metadata][invoice]"] == str(billed.id)
    assert form["metadata[organization]"] == str(current())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (400, b"{}"),
        (200, b"no json"),
        (200, b"[]"),
        (200, b'{"url": "javascript:x"}'),
    ],
)
def test_what_stripe_cannot_answer_is_said_and_nothing_is_paid(
    stripe: Stripe, billed: Invoice, status: int, body: bytes
) -> None:
    stripe.status, stripe.body = status, body
    with pytest.raises(CollectionError):
        get_collector().pay_url(billed, back="https://acme.example/")
    assert state(billed) == "open"


def test_nobody_listening_is_said(stripe: Stripe, billed: Invoice, settings: Any) -> None:
    settings.STRIPE_API_URL = "http://127.0.0.1:9"
    with pytest.raises(CollectionError, match="could not be asked"):
        get_collector().pay_url(billed, back="https://acme.example/")


def test_a_paid_session_settles_its_invoice_once(stripe: Stripe, billed: Invoice) -> None:
    body = paid(billed)
    assert receive(body=body, signature=signed(body))
    settled = Invoice.objects.get(pk=billed.pk)
    assert (settled.state, settled.reference) == ("paid", "cs_1")
    assert not receive(body=body, signature=signed(body)), "the same message again"


@pytest.mark.parametrize("amount", [23_999, 0, 24_001])
def test_another_sum_settles_nothing(stripe: Stripe, billed: Invoice, amount: int) -> None:
    body = paid(billed, amount=amount)
    receive(body=body, signature=signed(body))
    assert state(billed) == "open"


def test_another_currency_settles_nothing(stripe: Stripe, billed: Invoice) -> None:
    body = paid(billed).replace(b'"eur"', b'"jpy"')
    receive(body=body, signature=signed(body))
    assert state(billed) == "open"


def test_a_session_that_is_not_paid_yet_waits(stripe: Stripe, billed: Invoice) -> None:
    body = paid(billed).replace(b'"paid"', b'"unpaid"')
    receive(body=body, signature=signed(body))
    assert state(billed) == "open"
    later = paid(billed, "evt_2").replace(b"session.completed", b"session.async_payment_succeeded")
    receive(body=later, signature=signed(later))
    assert state(billed) == "paid"


@pytest.mark.parametrize("age", [-301, 301, 86_400])
def test_a_replayed_message_is_refused(stripe: Stripe, billed: Invoice, age: int) -> None:
    body = paid(billed)
    with pytest.raises(InvalidError, match="too old"):
        receive(body=body, signature=signed(body, at=time.time() - age))
    assert state(billed) == "open"


@pytest.mark.parametrize(
    "signature",
    ["", "t=1", "v1=00", "t=x,v1=00", "t=²,v1=00", "t=1,t=2,v1=00", "t=-1,v1=00", "\ud800", ",,="],
)
def test_a_broken_signature_is_refused(stripe: Stripe, billed: Invoice, signature: str) -> None:
    with pytest.raises(InvalidError, match="signature"):
        receive(body=paid(billed), signature=signature)


def test_a_forged_message_is_refused(stripe: Stripe, billed: Invoice, settings: Any) -> None:
    body = paid(billed)
    with pytest.raises(InvalidError, match="signature"):
        receive(body=body, signature=signed(body, secret="guessed"))
    with pytest.raises(InvalidError, match="signature"):
        receive(body=body + b" ", signature=signed(body))
    settings.STRIPE_WEBHOOK_SECRET = ""
    with pytest.raises(InvalidError, match="signature"):
        receive(body=body, signature=signed(body, secret=""))
    assert state(billed) == "open"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"id": 1, "data": {"object": 3}}'])
def test_what_is_signed_and_no_message_is_refused(stripe: Stripe, body: bytes, db: None) -> None:
    with pytest.raises(InvalidError):
        receive(body=body, signature=signed(body))


def test_messages_about_others_change_nothing(stripe: Stripe, billed: Invoice) -> None:
    body = message("customer.created", billed, metadata=None)
    assert not receive(body=body, signature=signed(body))
    body = paid(billed).replace(str(billed.id).encode(), b"0198a000-0000-7000-8000-000000000000")
    assert not receive(body=body, signature=signed(body))
    assert state(billed) == "open"


def test_a_message_names_its_own_organization_alone(stripe: Stripe, db: None) -> None:
    """An invoice of one organization is not settled under the name of another."""
    one, two = factories.make_organization(), factories.make_organization()
    with enter(one.id):
        _bill(one)
        invoice = Invoice.objects.get()
    body = paid(invoice).replace(str(one.id).encode(), str(two.id).encode())
    assert not receive(body=body, signature=signed(body))
    with enter(one.id):
        assert state(invoice) == "open"


def _bill(organization: Any) -> None:
    set_plan(organization=organization, plan="starter")
    begin_subscription(organization=organization)


def succeed(invoice: Invoice, id: str = "evt_pi") -> bytes:
    about = {
        "id": "pi_1",
        "amount_received": invoice.total_cents,
        "customer": "cus_1",
        "payment_method": "pm_1",
    }
    return message("payment_intent.succeeded", invoice, id, **about)


def test_the_next_invoice_is_collected_by_the_method_that_was_kept(
    stripe: Stripe, billed: Invoice
) -> None:
    get_collector().collect(billed)
    assert stripe.asked == [], "nobody has paid before"
    body = succeed(billed)
    receive(body=body, signature=signed(body))
    second = bill("yearly")
    get_collector().collect(second)
    path, form = stripe.asked[-1]
    assert path == "/v1/payment_intents"
    assert (form["amount"], form["customer"], form["payment_method"]) == (
        str(second.total_cents),
        "cus_1",
        "pm_1",
    )
    assert (form["off_session"], form["confirm"]) == ("true", "true")
    assert state(second) == "paid"


def test_a_refused_collection_begins_the_grace(stripe: Stripe, billed: Invoice) -> None:
    Subscription.objects.update(customer="cus_1", payment_method="pm_1")
    stripe.refuses = True
    get_collector().collect(billed)
    assert Invoice.objects.get().failed_on is not None
    assert Subscription.objects.get().state == "past_due"
    stripe.refuses = False
    get_collector().collect(billed)
    assert state(billed) == "paid"
    assert Subscription.objects.get().state == "active"


def test_a_debit_that_takes_days_is_not_charged_again(
    stripe: Stripe, billed: Invoice, today: Callable[[date], None]
) -> None:
    Subscription.objects.update(customer="cus_1", payment_method="pm_1")
    stripe.charged = "processing"
    day = timezone.now().date()
    for night in range(3):
        today(day + timedelta(days=night))
        tasks._collect(current())
    charge, look = "/v1/payment_intents", "/v1/payment_intents/pi_1"
    assert [path for path, _ in stripe.asked] == [charge, look, look]
    assert (state(billed), Invoice.objects.get().failed_on) == ("open", None)
    for made in stripe.made.values():
        made["status"] = "succeeded"
    tasks._collect(current())
    paid = Invoice.objects.get()
    assert (paid.state, paid.reference, len(stripe.made)) == ("paid", "pi_1", 1)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_debit_that_fails_after_days_is_charged_anew(
    stripe: Stripe, billed: Invoice, today: Callable[[date], None], is_told: bool
) -> None:
    """Whether Stripe tells it or is asked."""
    Subscription.objects.update(customer="cus_1", payment_method="pm_1")
    stripe.charged = "processing"
    tasks._collect(current())
    if is_told:
        other = message("payment_intent.payment_failed", billed, "evt_0", id="pi_0")
        receive(body=other, signature=signed(other))
        assert Invoice.objects.get().reference == "pi_1", "it is about another payment"
        body = message("payment_intent.payment_failed", billed, id="pi_1")
        receive(body=body, signature=signed(body))
    else:
        stripe.made[next(iter(stripe.made))]["status"] = "requires_payment_method"
        tasks._collect(current())
    failed = Invoice.objects.get()
    assert (failed.failed_on is not None, failed.reference) == (True, "")
    stripe.charged = "succeeded"
    today(timezone.now().date() + timedelta(days=1))
    tasks._collect(current())
    assert Invoice.objects.get().reference == "pi_2"


def test_a_debit_begun_in_checkout_is_not_charged_again(stripe: Stripe, billed: Invoice) -> None:
    Subscription.objects.update(customer="cus_1", payment_method="pm_1")
    stripe.made["pay"] = {"id": "pi_9", "status": "processing"}
    body = message("payment_intent.processing", billed, id="pi_9")
    receive(body=body, signature=signed(body))
    tasks._collect(current())
    assert [path for path, _ in stripe.asked] == ["/v1/payment_intents/pi_9"]


def test_a_failure_that_is_told_begins_the_grace(stripe: Stripe, billed: Invoice) -> None:
    body = message("payment_intent.payment_failed", billed)
    receive(body=body, signature=signed(body))
    assert Invoice.objects.get().failed_on is not None


def test_a_collector_that_cannot_be_asked_is_no_failure(
    stripe: Stripe, billed: Invoice, caplog: Any
) -> None:
    Subscription.objects.update(customer="cus_1", payment_method="pm_1")
    stripe.status = 500
    tasks._collect(current())
    assert "was not collected" in caplog.text
    assert Invoice.objects.get().failed_on is None


@pytest.fixture
def owing(db: None) -> Organization:
    """Owes two invoices, and has paid before; nobody has entered it."""
    organization = factories.make_organization()
    with enter(organization.id):
        _bill(organization)
        bill("yearly")
        Subscription.objects.in_force().update(customer="cus_1", payment_method="pm_1")
        assert Invoice.objects.open().count() == 2
    return organization


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_for_stripe(stripe: Stripe, owing: Organization) -> None:
    """Records are added while it thinks of the second invoice, after the first was refused."""
    stripe.refuses = True
    added: list[int] = []

    def add_record() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '5s'")
        count_records(1)
        added.append(len(stripe.asked))

    stripe.think = lambda: meanwhile(owing.id, add_record)
    tasks._collect(owing.id)
    assert added == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_what_was_paid_stays_paid_whatever_becomes_of_the_next(
    stripe: Stripe, owing: Organization
) -> None:
    def answer_nonsense() -> None:
        if len(stripe.asked) == 2:
            stripe.body = rb'{"status": "succeeded", "id": "pi_\u0000"}'

    stripe.think = answer_nonsense
    with pytest.raises(DataError, match="NUL"):
        tasks._collect(owing.id)
    with enter(owing.id):
        assert list(Invoice.objects.order_by("number").values_list("state", flat=True)) == [
            "paid",
            "open",
        ]


def test_what_nobody_knows_the_outcome_of_is_not_begun_anew(
    stripe: Stripe, billed: Invoice, today: Callable[[date], None]
) -> None:
    """Nor after midnight. What was refused is tried anew, though not under the same key."""
    Subscription.objects.update(customer="cus_1", payment_method="pm_1")
    day = timezone.now().date()
    stripe.status = 500
    for night in range(2):
        today(day + timedelta(days=night))
        tasks._collect(current())
    stripe.status, stripe.refuses = 200, True
    tasks._collect(current())
    stripe.refuses = False
    tasks._collect(current())
    unknown, again, refused, paid = stripe.keys
    assert unknown == again == refused != paid
    assert state(billed) == "paid"


def test_what_was_paid_meanwhile_is_not_collected(stripe: Stripe, billed: Invoice) -> None:
    Subscription.objects.update(customer="cus_1", payment_method="pm_1")
    body = paid(billed)
    receive(body=body, signature=signed(body))
    get_collector().collect(billed)
    assert stripe.asked == []


def test_the_webhook_answers_by_status(stripe: Stripe, billed: Invoice, settings: Any) -> None:
    path, client, body = reverse("console:stripe"), Client(enforce_csrf_checks=True), paid(billed)

    def send(signature: str, content: bytes = body) -> int:
        headers = {"Stripe-Signature": signature}
        answer = client.post(path, content, content_type="application/json", headers=headers)
        return int(answer.status_code)

    assert client.get(path).status_code == 405
    assert send("t=1,v1=00") == 400
    assert send(signed(body, at=0)) == 400
    assert send(signed(body)) == 200
    assert send(signed(body)) == 200
    large = b"x" * (256 * 1024 + 1)
    assert send(signed(large), large) == 413
    settings.COLLECTOR = "manual"
    assert send(signed(body)) == 404
