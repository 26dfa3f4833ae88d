"""What the pages of plan and usage show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils import timezone
from django.utils.dates import MONTHS
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.billing import usage
from apps.billing.models import NO_WORKSPACE, Invoice, Subscription
from apps.billing.money import format_bytes, format_records
from apps.billing.plans import NAMES, PRICES, Period, price
from apps.billing.services import find_subscription
from apps.billing.standing import Pace, Standing, pace, standing_in
from apps.billing.usage import Used
from apps.console.providers import spent_this_month, total
from apps.core.charts import HALF, WIDE
from apps.core.columns import Column, column_chart, meter
from apps.core.tenancy import current
from apps.llms.budgets import standing_of
from apps.organizations.models import Invitation, Membership, Organization
from apps.organizations.volume import RECORD_LIMITS

MANY_INVOICES = 24


@dataclass(frozen=True, slots=True)
class Card:
    """A plan that can be chosen; ``lasts`` says for how long, at this month's pace."""

    plan: str
    name: str
    limit: int
    cents: int
    is_present: bool
    is_chosen: bool
    is_too_small: bool
    lasts: date | None


@dataclass(frozen=True, slots=True)
class Volume:
    """Where the organization stands, how fast it grows, and the last twelve months."""

    standing: Standing
    pace: Pace
    months: Sequence[Used]

    @property
    def reached_on(self) -> date | None:
        return self.pace.reaches(self.standing.limit)

    @property
    def meter(self) -> SafeString:
        limit = self.standing.limit
        return meter(self.standing.records, limit) if limit is not None else SafeString("")

    @property
    def chart(self) -> SafeString:
        """Records at the end of each month, the present ones last."""
        last = self.months[-1]
        title = _("Records stored at the end of each month; now %(n)s") % {
            "n": format_records(last.records)
        }
        return column_chart(
            [Column(letter(row.month), row.records, _last_text(row, last)) for row in self.months],
            title=title,
            show=lambda value: format_records(int(value)),
            limit=self.standing.limit,
            width=WIDE,
        )


def _last_text(row: Used, last: Used) -> str:
    return format_records(row.records) if row is last else ""


def letter(month: date) -> str:
    """The first letter of the month's name."""
    return str(MONTHS[month.month])[:1]


def volume_of(organization: Organization, rows: Sequence[Used], last: Used) -> Volume:
    """``rows`` are kept months, ``last`` is the present one as it is counted now."""
    standing, now = standing_in(organization), timezone.now()
    months = [*usage.by_month(rows, last.month)[:-1], last]
    is_known = months[-2].month in {row.month for row in rows}
    is_older = organization.inserted_at.date() < last.month
    before = standing.records if is_older and not is_known else months[-2].records
    grows = pace(held=standing.records, before=before, now=now, since=organization.inserted_at)
    return Volume(standing, grows, months)


def plan_context(member: Membership, period: str, chosen: str) -> dict[str, Any]:
    """Of the plan page. About a dozen queries."""
    organization, present = member.organization, find_subscription()
    month = usage.month_of(timezone.now().date())
    rows = usage.kept_since(usage.month_after(month, -11), month)
    places = usage.held_by_workspace()
    held = sum(n for _name, n in places)
    usd = total(spent_this_month(member)).usd
    now = Used(month, NO_WORKSPACE, "", held, 0, usd, usage.bytes_kept(month))
    volume = volume_of(organization, rows, now)
    period = period if period in Period.values else (present.period if present else Period.MONTHLY)
    return {
        "here": "plan",
        "volume": volume,
        "standing": volume.standing,
        "subscription": present,
        "next": next_invoice(present),
        "plan_name": NAMES[organization.plan],  # type: ignore[index]
        "is_unlimited": organization.plan not in PRICES,
        "period": period,
        "cards": cards(organization, present, volume, period, chosen),
        "places": places,
        "month": now,
        "budget": standing_of(current()),
        "seats": Membership.objects.active().count(),
        "invited": Invitation.objects.waiting().count(),
        "invoices": list(Invoice.objects.visible_to(member).newest_first()[:MANY_INVOICES]),
    }


def next_invoice(present: Subscription | None) -> tuple[date, int] | None:
    """When the next one is issued, and what it comes to."""
    if present is None:
        return None
    due = price(present.plan, present.period) - present.balance_cents
    return present.ends_on, max(due, 0)


def cards(
    organization: Organization, present: Subscription | None, volume: Volume, period: str, plan: str
) -> list[Card]:
    """The plans by size; the chosen one is marked, else the present one."""
    here = (organization.plan, present.period if present else Period.MONTHLY)
    marked = plan if plan in PRICES else organization.plan
    return [
        Card(
            plan=name,
            name=str(NAMES[name]),  # type: ignore[index]
            limit=limit,
            cents=price(name, period),
            is_present=(name, period) == here,
            is_chosen=name == marked,
            is_too_small=volume.standing.records > limit,
            lasts=volume.pace.reaches(limit),
        )
        for name, limit in ((name, RECORD_LIMITS[name] or 0) for name in PRICES)
    ]


def usage_rows() -> list[Used]:
    """Twelve months by workspace, the newest and largest first; the first is of this month."""
    month = usage.month_of(timezone.now().date())
    rows = [*usage.kept_since(usage.month_after(month, -11), month), *usage.count_now(month)]
    return sorted(rows, key=lambda row: (row.month, row.records), reverse=True)


def usage_context(member: Membership) -> dict[str, Any]:
    """Of the usage page: by month, by workspace and month, and what stands against a limit."""
    rows = usage_rows()
    month = rows[0].month
    months = usage.by_month(rows, month)
    told = [row for row in rows if row.is_of_a_place]
    begun = min(month, usage.month_of(member.organization.inserted_at.date()))
    volume = volume_of(member.organization, rows, months[-1])
    return {
        "here": "usage",
        "volume": volume,
        "standing": volume.standing,
        "answers_chart": _chart(months, "answers", _("Answers submitted in each month")),
        "spend_chart": _chart(months, "usd", _("Model spend in each month, in USD")),
        "calls_chart": _chart(months, "api_calls", _("API calls in each month")),
        "bytes_chart": _chart(months, "bytes", _("Storage at the end of each month")),
        "month": months[-1],
        "months": [row for row in reversed(months) if row.month >= begun],
        "rows": told,
        "places": [row for row in told if row.month == month],
        "budget": standing_of(current()),
        "invited": Invitation.objects.waiting().count(),
    }


def _chart(months: Sequence[Used], name: str, title: str) -> SafeString:
    shows: dict[str, Callable[[float], str]] = {
        "usd": lambda value: f"${value:g}",
        "bytes": lambda value: format_bytes(int(value)),
    }
    return column_chart(
        [Column(letter(row.month), float(getattr(row, name))) for row in months],
        title=title,
        show=shows.get(name, lambda value: format_records(int(value))),
        width=HALF,
    )


def day(value: date) -> str:
    """``9 December``, with the year where it is another one."""
    same = value.year == timezone.now().year
    return date_format(value, "MONTH_DAY_FORMAT" if same else "DATE_FORMAT")
