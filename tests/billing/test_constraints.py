"""What the database refuses of subscriptions, invoices and usage."""

from datetime import date
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connection, connections, transaction
from django.utils import timezone

from apps.billing.models import (
    Invoice,
    InvoiceLine,
    PaymentEvent,
    Subscription,
    UsageMonth,
)
from apps.billing.services import is_new_event
from tests.billing.conftest import bill

pytestmark = pytest.mark.usefixtures("organization")


@pytest.mark.parametrize(
    ("model", "values", "constraint"),
    [
        (Subscription, {"plan": "gold"}, "subscription_plan_known"),
        (Subscription, {"period": "daily"}, "subscription_period_known"),
        (Subscription, {"state": "odd"}, "subscription_state_known"),
        (Subscription, {"ends_on": date(2020, 1, 1)}, "subscription_days_in_order"),
        (Subscription, {"term_cents": -1}, "subscription_cents_not_negative"),
        (Subscription, {"balance_cents": -1}, "subscription_cents_not_negative"),
        (Invoice, {"state": "odd", "settled_at": timezone.now()}, "invoice_state_known"),
        (Invoice, {"total_cents": -1}, "invoice_total_not_negative"),
        (Invoice, {"due_on": date(2020, 1, 1)}, "invoice_due_after_issue"),
        (Invoice, {"state": "paid"}, "invoice_settled_with_its_time"),
        (InvoiceLine, {"kind": "odd"}, "invoice_line_kind_known"),
        (InvoiceLine, {"plan": "gold"}, "invoice_line_plan_known"),
        (InvoiceLine, {"period": "daily"}, "invoice_line_period_known"),
    ],
)
def test_a_wrong_value(billed: Invoice, model: Any, values: Any, constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        model.objects.update(**values)


def test_only_one_subscription_is_in_force(billed: Invoice) -> None:
    row = Subscription.objects.get()
    row.id = None  # type: ignore[assignment]
    with pytest.raises(IntegrityError, match="subscription_one_in_force"), transaction.atomic():
        Subscription(
            plan="base",
            period="monthly",
            state="active",
            anchored_on=row.anchored_on,
            starts_on=row.starts_on,
            ends_on=row.ends_on,
        ).save(force_insert=True)


def test_a_number_is_one_invoice(billed: Invoice) -> None:
    second = bill("yearly")
    with pytest.raises(IntegrityError, match="invoice_number_unique"), transaction.atomic():
        Invoice.objects.filter(pk=second.pk).update(number=billed.number)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"records": -1}, "usage_month_not_negative"),
        ({"month": date(2026, 1, 2)}, "usage_month_begins"),
    ],
)
def test_a_month(values: dict[str, Any], constraint: str) -> None:
    given = {"month": date(2026, 1, 1), "workspace_id": "0" * 32} | values
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        UsageMonth.objects.create(**given)


def test_a_message_is_acted_upon_once() -> None:
    assert [is_new_event("evt_1"), is_new_event("evt_1"), is_new_event("evt_2")] == [
        True,
        False,
        True,
    ]
    assert PaymentEvent.objects.count() == 2


def test_the_counter_of_invoices_is_one_row_and_not_the_applications() -> None:
    for statement in ("SELECT last FROM invoice_counter", "UPDATE invoice_counter SET last = 0"):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


@pytest.mark.django_db(databases=["default", "owner"])
def test_there_is_one_counter() -> None:
    with (
        pytest.raises(IntegrityError, match="invoice_counter_is_one"),
        transaction.atomic(using="owner"),
        connections["owner"].cursor() as cursor,
    ):
        cursor.execute("INSERT INTO invoice_counter (id, last) VALUES (2, 0)")
