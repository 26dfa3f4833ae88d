"""Plans are changed, terms renewed, invoices issued and settled."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone

from apps.billing import tasks
from apps.billing.models import Invoice, Subscription
from apps.billing.reconcile import reconcile_volume
from apps.billing.services import (
    begin_subscription,
    change_plan,
    find_subscription,
    make_quote,
    note_failure,
    renew,
    settle_invoice,
    settle_standing,
)
from apps.core.errors import ConflictError, InvalidError, LimitReachedError
from apps.core.tenancy import enter
from apps.events.models import Event
from apps.organizations.models import Organization, RecordVolume
from apps.organizations.volume import count_records, set_plan
from tests import factories
from tests.billing.conftest import bill
from tests.conftest import ALL_DATABASES

Today = Callable[[date], None]


def lines(invoice: Invoice) -> list[tuple[str, int]]:
    return [(line.kind, line.cents) for line in invoice.lines.in_order()]


def present() -> Subscription:
    found = find_subscription()
    assert found is not None
    return found


def test_what_the_operator_set_is_invoiced_from_now_on(hosted: Organization, today: Today) -> None:
    today(date(2026, 11, 21))
    begin_subscription(organization=hosted)
    begin_subscription(organization=hosted)
    made = Invoice.objects.get()
    assert (made.total_cents, made.recipient) == (24_000, hosted.name)
    assert (made.issued_on, made.due_on) == (date(2026, 11, 21), date(2026, 12, 5))
    assert lines(made) == [("term", 24_000)]
    assert (present().starts_on, present().ends_on) == (date(2026, 11, 21), date(2026, 12, 21))


def test_a_change_gives_the_unused_days_back(hosted: Organization, today: Today) -> None:
    today(date(2026, 11, 1))
    begin_subscription(organization=hosted)
    today(date(2026, 11, 21))
    made = bill("monthly", "base")
    assert lines(made) == [("term", 59_000), ("unused", -8_000)]  # ten of thirty days
    assert made.total_cents == 51_000
    assert (present().plan, present().starts_on) == ("base", date(2026, 11, 21))
    assert RecordVolume.objects.get().record_limit == 3_000_000
    assert Organization.objects.get().plan == "base"
    assert Subscription.objects.count() == 2
    changed = Event.objects.filter(kind="subscription.changed").order_by("id").last()
    assert changed is not None
    assert changed.payload["changes"] == {"plan": [["starter", "monthly"], ["base", "monthly"]]}


def test_a_smaller_plan_keeps_what_is_over_for_later(hosted: Organization, today: Today) -> None:
    today(date(2026, 1, 1))
    bill("yearly", "large")
    made = bill("monthly", "starter")
    assert lines(made) == [("term", 24_000), ("unused", -1_069_200), ("kept", 1_045_200)]
    assert (made.total_cents, made.state, present().balance_cents) == (0, "paid", 1_045_200)
    today(date(2026, 2, 1))
    renewed = renew(subscription=present())
    assert renewed is not None
    assert lines(renewed) == [("term", 24_000), ("balance", -1_045_200), ("kept", 1_021_200)]
    assert present().balance_cents == 1_021_200
    for invoice in Invoice.objects.all():
        assert sum(line.cents for line in invoice.lines.all()) == invoice.total_cents


def test_there_and_back_on_one_day_costs_nothing(billed: Invoice) -> None:
    settle_invoice(invoice=billed, state="paid")
    up = bill("yearly", "large")
    assert up.total_cents == 1_069_200 - 24_000
    down = bill("monthly", "starter")
    assert (down.total_cents, present().balance_cents) == (0, 1_069_200 - 24_000)


def test_the_sum_is_the_one_that_was_seen(billed: Invoice) -> None:
    organization = Organization.objects.get()
    offer = make_quote(organization=organization, plan="base", period="monthly")
    with pytest.raises(ConflictError):
        change_plan(
            organization=organization,
            plan="base",
            period="monthly",
            expected_cents=offer.due - 1,
        )
    assert (present().plan, Invoice.objects.count()) == ("starter", 1)


@pytest.mark.parametrize(
    ("plan", "period"),
    [("starter", "monthly"), ("gold", "monthly"), ("self_hosted", "monthly"), ("base", "daily")],
)
def test_what_cannot_be_chosen(billed: Invoice, plan: str, period: str) -> None:
    with pytest.raises(InvalidError):
        make_quote(organization=Organization.objects.get(), plan=plan, period=period)


def test_without_limits_there_is_nothing_to_choose(organization: Organization) -> None:
    with pytest.raises(InvalidError, match="no limits"):
        make_quote(organization=organization, plan="base", period="monthly")


def test_an_operator_who_lifts_all_limits_ends_the_subscription(billed: Invoice) -> None:
    organization = Organization.objects.get()
    set_plan(organization=organization, plan="self_hosted")
    begin_subscription(organization=organization)
    assert find_subscription() is None


def test_terms_are_renewed_once_and_on_their_day(hosted: Organization, today: Today) -> None:
    today(date(2026, 1, 31))
    begin_subscription(organization=hosted)
    assert renew(subscription=present()) is None
    today(date(2026, 3, 30))  # the host was away: one term is over, the next one is not
    made = renew(subscription=present())
    assert made is not None
    assert renew(subscription=present()) is None
    assert (present().starts_on, present().ends_on) == (date(2026, 2, 28), date(2026, 3, 31))
    today(date(2026, 3, 31))
    assert renew(subscription=present()) is not None
    assert present().ends_on == date(2026, 4, 30)


def test_an_unpaid_invoice_closes_after_its_grace_and_payment_opens_at_once(
    hosted: Organization, today: Today
) -> None:
    today(date(2026, 1, 1))
    begin_subscription(organization=hosted)
    made = Invoice.objects.get()
    today(date(2026, 1, 15))  # the last day
    settle_standing()
    assert (present().state, RecordVolume.objects.get().closes_at) == ("active", None)
    today(date(2026, 1, 16))
    settle_standing()
    closes_at = RecordVolume.objects.get().closes_at
    assert (present().state, closes_at) == ("past_due", datetime(2026, 2, 16, tzinfo=UTC))
    today(date(2026, 2, 15))
    count_records(1)
    today(date(2026, 2, 16))
    with pytest.raises(LimitReachedError, match="overdue"):
        count_records(1)
    assert settle_invoice(invoice=made, state="paid", reference="transfer 7")
    assert not settle_invoice(invoice=made, state="void")
    made.refresh_from_db()
    assert (made.state, made.reference) == ("paid", "transfer 7")
    assert present().state == "active"
    count_records(1)


def test_a_refused_payment_begins_the_grace_with_the_first_time(
    billed: Invoice, today: Today
) -> None:
    day = timezone.now().date()
    note_failure(invoice=billed)
    today(day + timedelta(days=3))
    note_failure(invoice=billed)
    billed.refresh_from_db()
    assert billed.failed_on == day
    closes_at = RecordVolume.objects.get().closes_at
    assert closes_at is not None
    assert closes_at.date() == day + timedelta(days=31)
    assert Event.objects.filter(kind="invoice.failed").count() == 1


def test_a_void_invoice_gives_nothing_back(billed: Invoice) -> None:
    settle_invoice(invoice=billed, state="void")
    assert present().term_cents == 0
    second = bill("monthly", "base")
    assert second.total_cents == 59_000


def test_a_void_invoice_gives_back_what_it_had_used(billed: Invoice) -> None:
    settle_invoice(invoice=billed, state="paid")
    second = bill("monthly", "base")
    settle_invoice(invoice=second, state="void")
    assert (present().term_cents, present().balance_cents) == (0, 24_000)
    third = bill("monthly", "large")
    assert third.total_cents == 99_000 - 24_000
    settle_invoice(invoice=third, state="void")
    assert present().balance_cents == 24_000


@pytest.mark.parametrize("is_over", ["renewed", "without a plan"])
def test_a_void_invoice_of_a_past_term_gives_back_what_it_had_used(
    hosted: Organization, today: Today, is_over: str
) -> None:
    today(date(2026, 1, 1))
    bill("monthly", "starter")
    Subscription.objects.update(balance_cents=10_000)
    today(date(2026, 2, 1))
    second = renew(subscription=present())
    assert second is not None
    assert (second.total_cents, present().balance_cents) == (14_000, 0)
    today(date(2026, 3, 1))
    if is_over == "renewed":
        renew(subscription=present())
    else:
        set_plan(organization=Organization.objects.get(), plan="self_hosted")
        begin_subscription(organization=hosted)
    assert settle_invoice(invoice=second, state="void")
    newest = Subscription.objects.newest_first()[0]
    assert (newest.balance_cents, newest.term_cents) == (10_000, 24_000), "its term is another one"


def test_what_is_kept_outlives_a_time_without_a_plan(hosted: Organization, today: Today) -> None:
    today(date(2026, 1, 1))
    bill("monthly", "base")
    Subscription.objects.update(balance_cents=100_000)
    first = bill("monthly", "starter")
    assert present().balance_cents == 135_000
    for plan in ("self_hosted", "starter"):
        set_plan(organization=Organization.objects.get(), plan=plan)
        begin_subscription(organization=hosted)
    second = Invoice.objects.newest_first()[0]
    assert second.number > first.number
    assert lines(second) == [("term", 24_000), ("balance", -135_000), ("kept", 111_000)]
    balances = Subscription.objects.newest_first().values_list("balance_cents", flat=True)
    assert list(balances) == [111_000, 0, 0], "it is there once"


def test_an_invoice_whose_days_were_given_back_is_not_void(
    hosted: Organization, today: Today
) -> None:
    """Else what nobody paid would be left for later invoices."""
    today(date(2026, 1, 1))
    unpaid = bill("yearly", "large")
    today(date(2026, 1, 2))
    bill("monthly", "base")
    kept = present().balance_cents
    assert kept > 0
    with pytest.raises(ConflictError, match="given back"):
        settle_invoice(invoice=unpaid, state="void")
    assert settle_invoice(invoice=unpaid, state="paid")
    assert present().balance_cents == kept


def test_an_invoice_of_a_term_that_was_used_up_is_void(hosted: Organization, today: Today) -> None:
    today(date(2026, 1, 1))
    first = bill("monthly", "starter")
    today(date(2026, 2, 1))
    assert renew(subscription=present()) is not None
    bill("monthly", "base")
    assert settle_invoice(invoice=first, state="void")


def test_a_suspended_organization_is_not_invoiced_and_pays_nothing_for_that_time(
    hosted: Organization, today: Today
) -> None:
    today(date(2026, 1, 1))
    begin_subscription(organization=hosted)
    Organization.objects.update(suspended_at=timezone.now())
    today(date(2026, 6, 15))
    tasks._renew(hosted.id)
    assert Invoice.objects.count() == 1
    Organization.objects.update(suspended_at=None)
    tasks._renew(hosted.id)
    tasks._renew(hosted.id)
    assert Invoice.objects.count() == 2
    assert (present().starts_on, present().ends_on) == (date(2026, 6, 1), date(2026, 7, 1))


@pytest.mark.django_db(transaction=True)
def test_numbers_have_no_gap_however_many_ask_and_fail() -> None:
    """Four organizations at once, of whose changes every third is taken back."""
    organizations = [factories.make_organization() for _ in range(4)]
    for organization in organizations:
        with enter(organization.id):
            set_plan(organization=organization, plan="starter")
    problems: list[BaseException] = []

    def change(organization: Organization) -> None:
        try:
            for number, plan in enumerate(["base", "large", "medium"] * 3):
                try:
                    with enter(organization.id):
                        bill("monthly", plan)
                        if number % 3 == 1:
                            raise InterruptedError
                except InterruptedError:
                    continue
        except BaseException as error:  # noqa: BLE001  (told by the test)
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=change, args=[one]) for one in organizations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert problems == []
    numbers: list[int] = []
    for organization in organizations:
        with enter(organization.id):
            numbers += Invoice.objects.values_list("number", flat=True)
    assert len(numbers) == 24
    assert sorted(numbers) == list(range(min(numbers), min(numbers) + len(numbers)))


def test_the_volume_is_corrected_by_the_records(organization: Organization) -> None:
    dataset = factories.make_dataset()
    factories.make_records(dataset, 3)
    assert reconcile_volume() == 0
    RecordVolume.objects.update(records=10)
    assert reconcile_volume() == -7
    assert RecordVolume.objects.get().records == 3
    RecordVolume.objects.update(records=0)
    assert reconcile_volume() == 3
    corrected = Event.objects.filter(kind="record_volume.corrected").order_by("id")
    assert [event.payload["changes"]["records"] for event in corrected] == [[10, 3], [0, 3]]


@pytest.mark.django_db(databases=ALL_DATABASES, transaction=True)
def test_every_night_each_organization_is_looked_after(monkeypatch: Any, caplog: Any) -> None:
    one, two = factories.make_organization(), factories.make_organization()
    for organization in (one, two):
        with enter(organization.id):
            set_plan(organization=organization, plan="starter")
            factories.make_records(factories.make_dataset(), 2)
            RecordVolume.objects.update(records=9)
    really = tasks.begin_subscription

    def fail_first(*, organization: Organization) -> None:
        if organization.id == one.id:
            raise RuntimeError("broken")
        really(organization=organization)

    monkeypatch.setattr(tasks, "begin_subscription", fail_first)
    tasks.count_usage()
    tasks.renew_subscriptions()
    assert "failed for organization" in caplog.text
    for organization, invoices in ((one, 0), (two, 1)):
        with enter(organization.id):
            assert RecordVolume.objects.get().records == 2
            assert Invoice.objects.count() == invoices


@pytest.mark.django_db(transaction=True)
def test_the_operator_settles_by_command() -> None:
    organization = factories.make_organization()
    with enter(organization.id):
        set_plan(organization=organization, plan="starter")
        begin_subscription(organization=organization)
        made = Invoice.objects.get()

    def command(*words: str) -> Any:
        out = StringIO()
        call_command("settle_invoice", "--json", *words, stdout=out)
        return json.loads(out.getvalue())

    given = ("--organization", organization.slug, "--number", str(made.number))
    answer = command(*given, "--reference", "transfer 9")
    assert answer == {"number": made.name, "state": "paid", "cents": 24_000}
    with pytest.raises(CommandError, match="settled already"):
        command(*given)
    with pytest.raises(CommandError, match="no invoice"):
        command("--organization", organization.slug, "--number", "999999999")
