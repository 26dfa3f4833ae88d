"""Limits on spending: reserved before a call, settled after it, never exceeded.

Reserving takes the rows of all budgets concerned in one order and adds the most that the calls
may cost; so whoever comes second sees what the first one took. What a call did not use comes back
when it is settled.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from apps.core.errors import InvalidError, LimitReachedError
from apps.core.ids import uuid7
from apps.core.prepared import fetch, raw_cursor
from apps.core.tenancy import current
from apps.events.log import changes, emit
from apps.llms.models import Budget, BudgetScope

_WORDS: Final = {
    BudgetScope.JOB: gettext_lazy("The job's budget"),
    BudgetScope.WORKSPACE: gettext_lazy("The workspace's budget of this month"),
    BudgetScope.ORGANIZATION: gettext_lazy("The organization's budget of this month"),
}

MOST_USD: Final = Decimal(999_999)  # a column holds six digits before the point
MOST_TOKENS: Final = 10**15


class BudgetReachedError(LimitReachedError):
    """The calls might cost more than a budget has left."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Money and tokens that go together."""

    usd: Decimal = Decimal(0)
    tokens: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.usd + other.usd, self.tokens + other.tokens)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose budgets a call counts for; the organization's always does."""

    job_id: UUID | None
    workspace_id: UUID | None

    def subjects(self) -> list[UUID]:
        return [id for id in (self.job_id, self.workspace_id, current()) if id is not None]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a workspace or the organization may spend in the month that begins at ``month``, or a
    job at all; what it has spent since the limit was set, and what open calls may still cost."""

    month: date
    usd: Decimal | None
    tokens: int | None
    spent: Amount
    reserved: Amount

    @property
    def taken(self) -> Amount:
        return self.spent + self.reserved

    @property
    def is_limited(self) -> bool:
        return self.usd is not None or self.tokens is not None

    @property
    def percent(self) -> int:
        """How much of the nearer limit is taken, at most 100; 0 without a limit."""
        shares = [
            100 if not limit else int(taken * 100 / limit)
            for limit, taken in ((self.usd, self.taken.usd), (self.tokens, self.taken.tokens))
            if limit is not None
        ]
        return min(max(shares, default=0), 100)


def standing_of(subject_id: UUID) -> Standing:
    """This month's, or the job's, with or without a limit. One query."""
    month = this_month()
    budget = Budget.objects.filter(subject_id=subject_id).first()
    if budget is None:
        return Standing(month, None, None, Amount(), Amount())
    counts = budget.month in {None, month}
    spent = Amount(budget.spent_usd, budget.spent_tokens) if counts else Amount()
    reserved = Amount(budget.reserved_usd, budget.reserved_tokens)
    return Standing(month, budget.limit_usd, budget.limit_tokens, spent, reserved)


@transaction.atomic
def set_budget(
    *, scope: BudgetScope, subject_id: UUID, usd: Decimal | None = None, tokens: int | None = None
) -> Budget | None:
    """Limit what a job, or a workspace or the organization each month, may spend from now on.

    With neither limit the budget is lifted; None where there was none. Lowering it below what is
    spent already is allowed. Raises ``InvalidError`` for limits below 0, or beyond what can be
    counted.
    """
    _check_limits(usd, tokens)
    found = Budget.objects.select_for_update(of=("self",)).filter(subject_id=subject_id)
    budget = found.first()
    if usd is None and tokens is None and budget is None:
        return None
    if budget is None:
        month = None if scope == BudgetScope.JOB else this_month()
        budget = Budget(id=uuid7(), scope=scope, subject_id=subject_id, month=month)
        Budget.objects.bulk_create([budget], ignore_conflicts=True)
        budget = found.get()  # this one, or that of whoever was first just now
    before = _limits(budget)
    budget.limit_usd, budget.limit_tokens = usd, tokens
    budget.save()
    told = {"scope": scope, **changes(before, _limits(budget))}
    emit("budget.set", object_id=subject_id, payload=told)
    return budget


def _check_limits(usd: Decimal | None, tokens: int | None) -> None:
    if (usd is not None and usd < 0) or (tokens is not None and tokens < 0):
        raise InvalidError(gettext("A budget is not below 0."))
    if usd is not None and usd > MOST_USD:
        raise InvalidError(gettext("A budget is at most %s USD.") % f"{MOST_USD:,}")
    if tokens is not None and tokens > MOST_TOKENS:
        raise InvalidError(gettext("A budget is at most %s tokens.") % f"{MOST_TOKENS:,}")


def _limits(budget: Budget) -> dict[str, object]:
    usd = budget.limit_usd
    return {"usd": None if usd is None else f"{usd:.2f}", "tokens": budget.limit_tokens}


_LOCKED = "t.subject_id = ANY(%(subjects)s) ORDER BY t.subject_id FOR UPDATE"

_CHANGE = """
UPDATE llm_budget SET
    reserved_usd = greatest(reserved_usd + %(reserved_usd)s, 0),
    reserved_tokens = greatest(reserved_tokens + %(reserved_tokens)s, 0),
    spent_usd = CASE WHEN month < %(month)s THEN 0 ELSE spent_usd END + %(spent_usd)s,
    spent_tokens = CASE WHEN month < %(month)s THEN 0 ELSE spent_tokens END + %(spent_tokens)s,
    month = CASE WHEN month < %(month)s THEN %(month)s ELSE month END,
    updated_at = statement_timestamp()
WHERE organization_id = %(o)s AND subject_id = ANY(%(subjects)s)
"""


def reserve(payer: Payer, amount: Amount) -> Sequence[Budget]:
    """Set the amount aside in every budget of the payer; returns these, lifted ones too.

    Inside the organization, last before the end of the transaction. One statement without
    budgets, else two. Raises ``BudgetReachedError``, and reserves nothing, when one has less left.
    """
    budgets = _lock(payer.subjects())
    for budget in budgets:
        _refuse_beyond(budget, amount)
    if budgets:
        _change(payer.subjects(), reserved=amount)
    return budgets


def settle(payer: Payer, *, reserved: Amount, spent: Amount) -> None:
    """Give back what was set aside and add what was spent, in every budget of the payer."""
    subjects = payer.subjects()
    _lock(subjects)
    _change(subjects, reserved=Amount(-reserved.usd, -reserved.tokens), spent=spent)


def this_month() -> date:
    """The first day of the month, in UTC."""
    return timezone.now().date().replace(day=1)


def _lock(subjects: Collection[UUID]) -> Sequence[Budget]:
    return fetch(Budget, _LOCKED, subjects=list(subjects))


def _change(subjects: Collection[UUID], *, reserved: Amount, spent: Amount = Amount()) -> None:
    values = {
        "o": current(),
        "subjects": list(subjects),
        "reserved_usd": reserved.usd,
        "reserved_tokens": reserved.tokens,
        "spent_usd": spent.usd,
        "spent_tokens": spent.tokens,
        "month": this_month(),
    }
    raw_cursor().execute(_CHANGE, values)


def _refuse_beyond(budget: Budget, amount: Amount) -> None:
    is_over = budget.month is not None and budget.month < this_month()
    spent = Amount() if is_over else Amount(budget.spent_usd, budget.spent_tokens)
    taken = spent + Amount(budget.reserved_usd, budget.reserved_tokens)
    wanted = taken + amount
    whose = _WORDS[BudgetScope(budget.scope)]
    if budget.limit_usd is not None and wanted.usd > budget.limit_usd:
        told = gettext(
            "%(budget)s is reached: %(spent)s of %(limit)s USD are spent,"
            " and the next call may cost more."
        )
        usd = {"spent": f"{spent.usd:.4f}", "limit": f"{budget.limit_usd:.4f}"}
        raise BudgetReachedError(told % {"budget": whose, **usd})
    if budget.limit_tokens is not None and wanted.tokens > budget.limit_tokens:
        told = gettext(
            "%(budget)s is reached: %(spent)s of %(limit)s tokens are spent,"
            " and the next call may take more."
        )
        tokens = {"spent": spent.tokens, "limit": budget.limit_tokens}
        raise BudgetReachedError(told % {"budget": whose, **tokens})
