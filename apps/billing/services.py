"""Writes: a plan is changed, a term renewed, an invoice issued and settled."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext

from apps.billing.models import (
    Invoice,
    InvoiceLine,
    InvoiceState,
    LineKind,
    PaymentEvent,
    Subscription,
    SubscriptionState,
)
from apps.billing.plans import PRICES, Period, Quote, Term, quote, term_of
from apps.billing.plans import price as price_of
from apps.core.errors import ConflictError, InvalidError
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.events.log import emit
from apps.organizations.models import Organization, Plan
from apps.organizations.volume import GRACE, close_at, set_plan

DAYS_TO_PAY: Final = timedelta(days=14)


def find_subscription() -> Subscription | None:
    """The one in force. One query."""
    return Subscription.objects.in_force().first()


def make_quote(*, organization: Organization, plan: str, period: str) -> Quote:
    """What a change to this plan would come to today.

    Raises ``InvalidError`` for what cannot be chosen.
    """
    present = find_subscription()
    if organization.plan == Plan.SELF_HOSTED:
        raise InvalidError(gettext("This organization has no limits; its operator sets its plan."))
    if plan not in PRICES or period not in Period.values:
        raise InvalidError(gettext("There is no such plan."))
    if present and (present.plan, present.period) == (plan, period):
        raise InvalidError(gettext("This is the present plan."))
    return _quote(present, plan, period)


def _quote(present: Subscription | None, plan: str, period: str) -> Quote:
    today = timezone.now().date()
    newest = present or Subscription.objects.newest_first().first()
    return quote(
        plan=plan,
        period=period,
        today=today,
        former=present.term if present else None,
        balance=newest.balance_cents if newest else 0,
    )


@transaction.atomic
def change_plan(
    *, organization: Organization, plan: str, period: str, expected_cents: int
) -> Invoice:
    """Begin a term of another plan at once, and issue its invoice.

    ``expected_cents`` is the sum that the person has seen. Raises ``ConflictError`` when it is no
    longer the one, ``InvalidError`` for what cannot be chosen.
    """
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    offer = make_quote(organization=organization, plan=plan, period=period)
    if offer.due != expected_cents:
        raise ConflictError(gettext("The sum has changed meanwhile: look at it again."))
    return _begin(organization, find_subscription(), offer)


@transaction.atomic
def begin_subscription(*, organization: Organization, period: str = Period.MONTHLY) -> None:
    """Bring the subscription in line with the plan where the operator set it; else does nothing."""
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    present = find_subscription()
    if organization.plan not in PRICES:
        Subscription.objects.in_force().update(state=SubscriptionState.ENDED)
    elif present is None or present.plan != organization.plan:
        _begin(organization, present, _quote(present, organization.plan, period))


def _begin(organization: Organization, present: Subscription | None, offer: Quote) -> Invoice:
    Subscription.objects.in_force().update(state=SubscriptionState.ENDED)
    Subscription.objects.exclude(balance_cents=0).update(balance_cents=0)  # the offer has it
    term = offer.term
    new = Subscription.objects.create(
        plan=term.plan,
        period=term.period,
        state=SubscriptionState.ACTIVE,
        anchored_on=term.starts_on,
        starts_on=term.starts_on,
        ends_on=term.ends_on,
        term_cents=term.cents,
        balance_cents=offer.kept,
        customer=present.customer if present else "",
        payment_method=present.payment_method if present else "",
    )
    if organization.plan != term.plan:
        set_plan(organization=organization, plan=term.plan)
    before = [present.plan, present.period] if present else None
    emit(
        "subscription.changed",
        object_id=new.id,
        payload={"changes": {"plan": [before, [term.plan, term.period]]}},
    )
    return _issue(organization, new, offer)


@transaction.atomic
def renew(*, subscription: Subscription) -> Invoice | None:
    """Begin the present term of a subscription whose term is over, and issue its invoice.

    Terms that went by meanwhile, as the organization was suspended or the host away, cost nothing.
    None when the term is not over, or was renewed by somebody else.
    """
    row = Subscription.objects.select_for_update().get(pk=subscription.pk)
    today = timezone.now().date()
    if row.state == SubscriptionState.ENDED or row.ends_on > today:
        return None
    starts_on, ends_on = term_of(row.anchored_on, row.period, today)
    cents = price_of(row.plan, row.period)
    offer = Quote(Term(row.plan, row.period, starts_on, ends_on, cents), balance=row.balance_cents)
    row.starts_on, row.ends_on, row.term_cents = starts_on, ends_on, cents
    row.balance_cents = offer.kept
    row.save()
    return _issue(Organization.objects.get(), row, offer)


def _issue(organization: Organization, subscription: Subscription, offer: Quote) -> Invoice:
    today = timezone.now().date()
    paid = offer.due == 0
    made = Invoice.objects.create(
        subscription=subscription,
        recipient=organization.name,
        total_cents=offer.due,
        issued_on=today,
        due_on=today if paid else today + DAYS_TO_PAY,
        state=InvoiceState.PAID if paid else InvoiceState.OPEN,
        settled_at=timezone.now() if paid else None,
    )
    for position, line in enumerate(_lines(offer), start=1):
        line.invoice, line.position = made, position
        line.save(force_insert=True)
    emit(
        "invoice.issued",
        object_id=made.id,
        payload={"number": made.name, "cents": made.total_cents},
    )
    return made


def _lines(offer: Quote) -> list[InvoiceLine]:
    term = offer.term
    found = [_line(LineKind.TERM, term, offer.charge)]
    if offer.former is not None and offer.unused:
        former = offer.former
        left = Term(former.plan, former.period, term.starts_on, former.ends_on, 0)
        found.append(_line(LineKind.UNUSED, left, -offer.unused))
    if offer.balance:
        found.append(_line(LineKind.BALANCE, term, -offer.balance))
    if offer.kept:
        found.append(_line(LineKind.KEPT, term, offer.kept))
    return found


def _line(kind: LineKind, term: Term, cents: int) -> InvoiceLine:
    return InvoiceLine(
        kind=kind,
        plan=term.plan,
        period=term.period,
        starts_on=term.starts_on,
        ends_on=term.ends_on,
        cents=cents,
    )


@transaction.atomic
def settle_invoice(*, invoice: Invoice, state: str, reference: str = "") -> bool:
    """Mark an open invoice as paid or void; False when it was settled already.

    What a void invoice had used up of earlier payments is kept for later invoices again, and one
    of the present term leaves nothing to give back for its unused days. Raises ``ConflictError``
    for one that would be void although its unused days were given back.
    """
    row = Invoice.objects.select_for_update().get(pk=invoice.pk)
    if row.state != InvoiceState.OPEN or state == InvoiceState.OPEN:
        return False
    if state == InvoiceState.VOID and _is_given_back(row):
        told = gettext("Unused days of %s were given back by a later invoice: it cannot be void.")
        raise ConflictError(told % row.name)
    row.state, row.settled_at, row.reference = state, timezone.now(), reference[:255]
    row.save()
    if state == InvoiceState.VOID:
        _take_back(row)
    emit(
        f"invoice.{state}",
        object_id=row.id,
        payload={"number": row.name, "changes": {"state": [InvoiceState.OPEN, state]}},
    )
    settle_standing()
    return True


def _is_given_back(invoice: Invoice) -> bool:
    """Whether a change of plan ended its term early. Two queries."""
    term = invoice.lines.get(kind=LineKind.TERM)
    later = InvoiceLine.objects.filter(
        kind=LineKind.UNUSED, invoice__number__gt=invoice.number, ends_on=term.ends_on
    )
    return later.filter(plan=term.plan, period=term.period).exists()


def _take_back(invoice: Invoice) -> None:
    """Undo what the invoice made of the customer's money, of whichever term it is."""
    lines = list(invoice.lines.in_order())
    used = -sum(line.cents for line in lines if line.kind != LineKind.TERM)
    in_force = Subscription.objects.in_force().filter(pk=invoice.subscription_id)
    in_force.filter(starts_on=lines[0].starts_on).update(term_cents=0)
    newest = Subscription.objects.newest_first()[:1]
    Subscription.objects.filter(pk__in=newest.values("pk")).update(
        balance_cents=F("balance_cents") + used
    )


@transaction.atomic
def note_payment(*, invoice: Invoice, reference: str) -> None:
    """A payment is on its way, for days perhaps: until it fails nobody begins another."""
    Invoice.objects.open().filter(pk=invoice.pk).update(reference=reference[:255])


@transaction.atomic
def note_failure(*, invoice: Invoice, reference: str = "") -> None:
    """A collection was refused: the grace begins with the first time.

    If it is the payment that was on its way, or the one that was tried (without a reference), the
    invoice may be collected anew, which its ``updated_at`` shows.
    """
    unpaid = Invoice.objects.open().filter(pk=invoice.pk)
    unpaid.filter(reference=reference[:255]).update(reference="", updated_at=timezone.now())
    if unpaid.filter(failed_on=None).update(failed_on=timezone.now().date()):
        emit("invoice.failed", object_id=invoice.id, payload={"number": invoice.name})
    settle_standing()


@transaction.atomic
def settle_standing() -> None:
    """Bring the subscription's state, and when records are closed, in line with open invoices."""
    today = timezone.now().date()
    rows = Invoice.objects.overdue(today).values_list("due_on", "failed_on")
    since = min((_overdue_since(due, failed) for due, failed in rows), default=None)
    state = SubscriptionState.ACTIVE if since is None else SubscriptionState.PAST_DUE
    Subscription.objects.in_force().exclude(state=state).update(state=state)
    close_at(since + GRACE if since else None)


def _overdue_since(due_on: date, failed_on: date | None) -> datetime:
    day = min(filter(None, (failed_on, due_on + timedelta(days=1))))
    return datetime.combine(day, time(), UTC)


def is_new_event(event_id: str) -> bool:
    """Whether a collector's message is seen for the first time; remembers it. One statement."""
    rows = raw_cursor().execute(
        "INSERT INTO payment_event (organization_id, event_id, received_at)"
        " VALUES (%s, %s, statement_timestamp()) ON CONFLICT DO NOTHING RETURNING 1",
        [current(), event_id[: PaymentEvent._meta.get_field("event_id").max_length]],
    )
    return rows.fetchone() is not None


def remember_payer(*, customer: str, payment_method: str) -> None:
    """Whom the collector may ask again without the person, and how."""
    Subscription.objects.in_force().update(
        customer=customer[:255], payment_method=payment_method[:255]
    )
