"""An organization that pays for its plan, and a clock."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time

import pytest
from django.utils import timezone

from apps.billing.models import Invoice
from apps.billing.services import begin_subscription, change_plan, make_quote
from apps.organizations.models import Organization, Plan
from apps.organizations.volume import set_plan


@pytest.fixture
def hosted(organization: Organization) -> Organization:
    """On Starter, as its operator has set it; nothing is invoiced yet."""
    set_plan(organization=organization, plan=Plan.STARTER)
    return organization


@pytest.fixture
def billed(hosted: Organization) -> Invoice:
    """The first invoice of Starter, from today."""
    begin_subscription(organization=hosted)
    return Invoice.objects.get()


def bill(period: str = "monthly", plan: str = "starter") -> Invoice:
    """The invoice of a change, at the sum it comes to."""
    organization = Organization.objects.get()
    offer = make_quote(organization=organization, plan=plan, period=period)
    return change_plan(
        organization=organization, plan=plan, period=period, expected_cents=offer.due
    )


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> Callable[[date], None]:
    """Set the day, at noon, for all that asks Django for the time."""

    def set_day(day: date) -> None:
        moment = datetime.combine(day, time(12), UTC)
        monkeypatch.setattr(timezone, "now", lambda: moment)

    return set_day
