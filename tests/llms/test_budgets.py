"""A month's budget: what it says of itself, and what it refuses to be."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from apps.core.errors import InvalidError
from apps.core.ids import uuid7
from apps.core.tenancy import enter
from apps.llms.budgets import (
    Amount,
    BudgetReachedError,
    Payer,
    reserve,
    set_budget,
    settle,
    standing_of,
    this_month,
)
from apps.llms.models import Budget, BudgetScope
from apps.organizations.models import Organization
from tests.factories import make_organization
from tests.meanwhile import overlapping

WORKSPACE = BudgetScope.WORKSPACE


def test_without_a_limit_nothing_is_counted(organization: Organization) -> None:
    found = standing_of(uuid7())
    assert (found.usd, found.tokens, found.percent) == (None, None, 0)
    assert found.taken == Amount()


def test_spent_and_reserved_count_together(organization: Organization) -> None:
    place = uuid7()
    set_budget(scope=WORKSPACE, subject_id=place, usd=Decimal(4), tokens=1000)
    payer = Payer(None, place)
    reserve(payer, Amount(Decimal(2), 900))
    settle(payer, reserved=Amount(Decimal(1), 500), spent=Amount(Decimal("0.5"), 300))
    found = standing_of(place)
    assert (found.spent, found.reserved) == (Amount(Decimal("0.5"), 300), Amount(Decimal(1), 400))
    assert found.percent == 70  # of the tokens, which are nearer to their end


def test_a_new_month_begins_anew(organization: Organization) -> None:
    place = uuid7()
    set_budget(scope=WORKSPACE, subject_id=place, usd=Decimal(1))
    reserve(Payer(None, place), Amount(Decimal(1), 0))
    settle(Payer(None, place), reserved=Amount(Decimal("0.8")), spent=Amount(Decimal("0.8")))
    Budget.objects.update(month=this_month() - timedelta(days=1))
    found = standing_of(place)
    assert (found.spent.usd, found.month) == (0, this_month())
    assert found.reserved.usd == Decimal("0.2")  # its calls are not settled yet


@pytest.mark.parametrize(("usd", "percent"), [(Decimal(0), 100), (Decimal(100), 0)])
def test_a_limit_of_nothing_is_reached(
    organization: Organization, usd: Decimal, percent: int
) -> None:
    place = uuid7()
    set_budget(scope=WORKSPACE, subject_id=place, usd=usd)
    assert standing_of(place).percent == percent
    if percent:
        with pytest.raises(BudgetReachedError, match="workspace's budget"):
            reserve(Payer(None, place), Amount(Decimal("0.01")))


@pytest.mark.parametrize(
    "limits",
    [{"usd": Decimal(-1)}, {"tokens": -1}, {"usd": Decimal(1_000_000)}, {"tokens": 10**16}],
)
def test_a_limit_has_its_limits(organization: Organization, limits: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match="A budget is"):
        set_budget(scope=WORKSPACE, subject_id=uuid7(), **limits)
    assert not Budget.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_set_the_first_limit_at_once_are_both_heard() -> None:
    acme = make_organization().id

    def limited(usd: int) -> Callable[[], object]:
        return partial(
            set_budget, scope=BudgetScope.ORGANIZATION, subject_id=acme, usd=Decimal(usd)
        )

    assert overlapping(acme, limited(5), limited(6)).exception() is None
    with enter(acme):
        assert Budget.objects.get().limit_usd == 6
