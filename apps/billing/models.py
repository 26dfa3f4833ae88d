"""Subscriptions, invoices, and what was used by month."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.billing.plans import CURRENCY, Period, Term
from apps.core.constraints import one_of
from apps.core.fields import LineField, TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.core.prepared import raw_cursor
from apps.organizations.models import Membership, Plan
from apps.workspaces.permissions import Action, may

NO_WORKSPACE = UUID(int=0)  # of what belongs to none


class SubscriptionState(models.TextChoices):
    """Another one came after; in force; in force, but an invoice is overdue."""

    ENDED = "ended", _("Ended")
    ACTIVE = "active", _("Active")
    PAST_DUE = "past_due", _("Payment overdue")


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def visible_to(self, member: Membership) -> "SubscriptionQuerySet":
        return self if may(member, Action.MANAGE_PLAN) else self.none()

    def in_force(self) -> "SubscriptionQuerySet":
        return self.exclude(state=SubscriptionState.ENDED)

    def newest_first(self) -> "SubscriptionQuerySet":
        """Begins with the one in force, or with the last one that was."""
        return self.order_by("-id")


class Subscription(TenantModel):
    """A plan as it is paid for; a change of plan ends it and begins the next one.

    Its present term is from ``starts_on`` until before ``ends_on`` and was charged ``term_cents``;
    terms are counted from ``anchored_on``. ``balance_cents`` is kept for later invoices, and goes
    on to the subscription that comes next.
    ``customer`` and ``payment_method`` are the collector's names of who pays and how.
    """

    plan = models.CharField(max_length=20, choices=Plan)
    period = models.CharField(max_length=10, choices=Period)
    state = models.CharField(max_length=10, choices=SubscriptionState)
    anchored_on = models.DateField()
    starts_on = models.DateField()
    ends_on = models.DateField()
    term_cents = models.BigIntegerField(default=0)
    balance_cents = models.BigIntegerField(default=0)
    customer = models.CharField(max_length=255, blank=True)
    payment_method = models.CharField(max_length=255, blank=True)

    objects = TenantManager.from_queryset(SubscriptionQuerySet)()

    class Meta:
        db_table = "subscription"
        base_manager_name = "objects"
        constraints = [
            one_of("plan", Plan, name="subscription_plan_known"),
            one_of("period", Period, name="subscription_period_known"),
            one_of("state", SubscriptionState, name="subscription_state_known"),
            models.UniqueConstraint(
                fields=["organization"],
                condition=~Q(state="ended"),
                name="subscription_one_in_force",
            ),
            models.CheckConstraint(
                condition=Q(ends_on__gte=F("starts_on"), starts_on__gte=F("anchored_on")),
                name="subscription_days_in_order",
            ),
            models.CheckConstraint(
                condition=Q(term_cents__gte=0, balance_cents__gte=0),
                name="subscription_cents_not_negative",
            ),
        ]

    @property
    def term(self) -> Term:
        return Term(self.plan, self.period, self.starts_on, self.ends_on, self.term_cents)


def take_number() -> int:
    """The next number of the host. Whoever wants the one after it waits for this transaction."""
    rows = raw_cursor().execute("SELECT take_invoice_number()").fetchall()
    return int(rows[0][0])


class InvoiceState(models.TextChoices):
    OPEN = "open", pgettext_lazy("not settled", "Open")
    PAID = "paid", _("Paid")
    VOID = "void", _("Void")


class InvoiceQuerySet(models.QuerySet["Invoice"]):
    def visible_to(self, member: Membership) -> "InvoiceQuerySet":
        return self if may(member, Action.MANAGE_PLAN) else self.none()

    def newest_first(self) -> "InvoiceQuerySet":
        return self.order_by("-number")

    def open(self) -> "InvoiceQuerySet":
        return self.filter(state=InvoiceState.OPEN)

    def overdue(self, today: date) -> "InvoiceQuerySet":
        """Open beyond its day, or refused by the payer's bank."""
        return self.open().filter(Q(due_on__lt=today) | Q(failed_on__isnull=False))


def invoice_name(number: int) -> str:
    """As it is printed: ``INV-000042``."""
    return f"INV-{number:06d}"


class Invoice(TenantModel):
    """What a term costs. Numbers run without gaps through all organizations of the host.

    ``recipient`` is the organization's name as it was. ``failed_on`` is the day on which a
    collection was refused first. ``reference`` is the payment that settled it, or while it is open
    one that is on its way. An invoice never changes but for how it was settled.
    """

    subscription = TenantLink(Subscription, related_name="invoices")
    number = models.BigIntegerField(default=take_number)
    state = models.CharField(max_length=10, choices=InvoiceState, default=InvoiceState.OPEN)
    recipient = LineField(max_length=200)
    currency = models.CharField(max_length=3, default=CURRENCY)
    total_cents = models.BigIntegerField()
    issued_on = models.DateField()
    due_on = models.DateField()
    failed_on = models.DateField(null=True)
    settled_at = models.DateTimeField(null=True)
    reference = models.CharField(max_length=255, blank=True)

    objects = TenantManager.from_queryset(InvoiceQuerySet)()

    class Meta:
        db_table = "invoice"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "number"], name="invoice_number_unique"
            ),
            one_of("state", InvoiceState, name="invoice_state_known"),
            models.CheckConstraint(
                condition=Q(total_cents__gte=0), name="invoice_total_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(due_on__gte=F("issued_on")), name="invoice_due_after_issue"
            ),
            models.CheckConstraint(
                condition=Q(state="open", settled_at__isnull=True)
                | (~Q(state="open") & Q(settled_at__isnull=False)),
                name="invoice_settled_with_its_time",
            ),
        ]

    @property
    def name(self) -> str:
        return invoice_name(self.number)


class LineKind(models.TextChoices):
    """A term; unused days of the former one; a balance used; a balance kept for later."""

    TERM = "term", _("Plan")
    UNUSED = "unused", _("Unused days")
    BALANCE = "balance", _("Balance from before")
    KEPT = "kept", _("Kept for the next invoices")


class InvoiceLineQuerySet(models.QuerySet["InvoiceLine"]):
    def in_order(self) -> "InvoiceLineQuerySet":
        return self.order_by("position")


class InvoiceLine(TenantRow):
    """A line; ``ends_on`` is the day after. The lines of an invoice add up to its total."""

    pk = models.CompositePrimaryKey("organization_id", "invoice_id", "position")
    invoice = TenantLink(Invoice, related_name="lines")
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=10, choices=LineKind)
    plan = models.CharField(max_length=20, choices=Plan)
    period = models.CharField(max_length=10, choices=Period)
    starts_on = models.DateField()
    ends_on = models.DateField()
    cents = models.BigIntegerField()

    objects = TenantManager.from_queryset(InvoiceLineQuerySet)()

    class Meta:
        db_table = "invoice_line"
        base_manager_name = "objects"
        constraints = [
            one_of("kind", LineKind, name="invoice_line_kind_known"),
            one_of("plan", Plan, name="invoice_line_plan_known"),
            one_of("period", Period, name="invoice_line_period_known"),
        ]


class InvoiceCounter(models.Model):
    """The last number given on this host: one row, moved by ``take_invoice_number`` alone."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    last = models.BigIntegerField()

    class Meta:
        db_table = "invoice_counter"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="invoice_counter_is_one"),
        ]


class PaymentEvent(TenantRow):
    """A message of a collector that was acted upon; a second one of that id is not."""

    pk = models.CompositePrimaryKey("organization_id", "event_id")
    event_id = models.CharField(max_length=255)
    received_at = models.DateTimeField()

    objects = TenantManager["PaymentEvent"]()

    class Meta:
        db_table = "payment_event"
        base_manager_name = "objects"


class UsageMonthQuerySet(models.QuerySet["UsageMonth"]):
    def since(self, month: date) -> "UsageMonthQuerySet":
        return self.filter(month__gte=month).order_by("month", "workspace_name")


class UsageMonth(TenantRow):
    """A workspace's month (by its first day): records held at its end, answers submitted, USD paid.

    ``bytes`` are those of its records, suggestions, answers and vectors at its end.
    ``workspace_name`` is as it was, since the workspace may be gone. What belongs to none stands
    under ``NO_WORKSPACE``: USD of such calls, the members at the month's end, calls of the API.
    """

    pk = models.CompositePrimaryKey("organization_id", "month", "workspace_id")
    month = models.DateField()
    workspace_id = models.UUIDField()
    workspace_name = models.CharField(max_length=200, blank=True)
    records = models.BigIntegerField(default=0)
    answers = models.BigIntegerField(default=0)
    model_usd = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))
    bytes = models.BigIntegerField(default=0)
    seats = models.IntegerField(default=0)
    api_calls = models.BigIntegerField(default=0)

    objects = TenantManager.from_queryset(UsageMonthQuerySet)()

    class Meta:
        db_table = "usage_month"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(records__gte=0, answers__gte=0, model_usd__gte=0)
                & Q(bytes__gte=0, seats__gte=0, api_calls__gte=0),
                name="usage_month_not_negative",
            ),
            models.CheckConstraint(condition=Q(month__day=1), name="usage_month_begins"),
        ]
