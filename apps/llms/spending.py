"""The tables of what was asked, answered and paid: attempts, responses, the ledger, budgets."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Count, Q, Sum

from apps.core.constraints import one_of
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.organizations.models import Membership, Role
from apps.workspaces.models import Workspace


class LLMResponse(TenantRow):
    """An answer that was paid for, under the key of its request: the cache of the organization.

    ``key`` is the SHA-256 of the request's canonical JSON (``keys.py``); ``usd`` is what it cost.
    """

    pk = models.CompositePrimaryKey("organization_id", "key")
    key = models.BinaryField()
    inserted_at = models.DateTimeField()
    model = models.CharField(max_length=200)
    text = models.TextField()
    raw = models.JSONField()
    finish_reason = models.CharField(max_length=50, null=True)
    prompt_tokens = models.PositiveIntegerField()
    completion_tokens = models.PositiveIntegerField()
    cached_tokens = models.PositiveIntegerField()
    usd = models.DecimalField(max_digits=14, decimal_places=8)
    latency_ms = models.PositiveIntegerField()

    objects = TenantManager()

    class Meta:
        db_table = "llm_response"
        base_manager_name = "objects"


class LLMAttempt(TenantRow):
    """A call that is about to be made, or was when its worker died.

    Written before the call and gone with its outcome, which is a row of the ledger with the same
    id. At most one call of an organization asks for the same ``key``. ``seq`` and ``attempt`` name
    the job's item and how often it was taken; ``usd`` and ``tokens`` are the most it may cost, and
    are reserved in the budgets if ``is_metered``.
    """

    pk = models.CompositePrimaryKey("organization_id", "id")
    id = models.UUIDField()
    inserted_at = models.DateTimeField()
    key = models.BinaryField()
    job_id = models.UUIDField(null=True)
    workspace_id = models.UUIDField(null=True)
    seq = models.PositiveIntegerField(null=True)
    attempt = models.PositiveIntegerField()
    provider_id = models.UUIDField()
    model = models.CharField(max_length=200)
    usd = models.DecimalField(max_digits=14, decimal_places=8)
    tokens = models.PositiveIntegerField()
    is_metered = models.BooleanField()

    objects = TenantManager()

    class Meta:
        db_table = "llm_attempt"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "key"], name="llm_attempt_one_at_a_time"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "job_id", "seq"], name="llm_attempt_item"),
            models.Index(fields=["inserted_at"], name="llm_attempt_age"),
        ]


class EntryKind(models.TextChoices):
    """How an attempt ended: paid, free from the cache, not answered, or nobody knows."""

    CALL = "call"
    HIT = "hit"
    FAILED = "failed"
    UNKNOWN_OUTCOME = "unknown_outcome"


class LedgerEntryQuerySet(models.QuerySet["LedgerEntry"]):
    def visible_to(self, member: Membership) -> "LedgerEntryQuerySet":
        """What was spent in the member's workspaces; an owner sees everything."""
        if member.role == Role.OWNER:
            return self.all()
        return self.filter(workspace_id__in=Workspace.objects.visible_to(member).values("id"))

    def newest_first(self) -> "LedgerEntryQuerySet":
        return self.order_by("-id")

    def of_job(self, job_id: UUID) -> "LedgerEntryQuerySet":
        return self.filter(job_id=job_id)

    def totals(self) -> dict[str, Any]:
        """How often each kind of entry is there, with tokens, USD and USD saved. One query.

        E.g. ``{"call": 80, "hit": 20, "failed": 1, "unknown_outcome": 0, "prompt_tokens": 900,
        "completion_tokens": 400, "usd": Decimal("0.02"), "saved_usd": Decimal("0.005")}``.
        """
        sums = ("prompt_tokens", "completion_tokens", "usd", "saved_usd")
        counts = {kind.value: Count("id", filter=Q(kind=kind)) for kind in EntryKind}
        added = {f"sum_{name}": Sum(name) for name in sums}
        found = self.aggregate(**counts, **added)
        return {name.removeprefix("sum_"): value or 0 for name, value in found.items()}


class LedgerEntry(TenantRow):
    """What one call cost, or would have; never changed and never deleted.

    ``usd`` of an unknown outcome is the most the call may have cost. ``saved_usd`` is what the
    answer cost when it was paid.
    """

    pk = models.CompositePrimaryKey("organization_id", "id")
    id = models.UUIDField()
    inserted_at = models.DateTimeField()
    kind = models.CharField(max_length=15, choices=EntryKind)
    key = models.BinaryField()
    job_id = models.UUIDField(null=True)
    workspace_id = models.UUIDField(null=True)
    seq = models.PositiveIntegerField(null=True)
    provider_id = models.UUIDField()
    model = models.CharField(max_length=200)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    usd = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))
    saved_usd = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))
    error = models.CharField(max_length=500, null=True)

    objects = TenantManager.from_queryset(LedgerEntryQuerySet)()

    class Meta:
        db_table = "llm_ledger"
        base_manager_name = "objects"
        constraints = [
            one_of("kind", EntryKind, name="llm_ledger_kind_known"),
            models.CheckConstraint(
                condition=Q(kind__in=[EntryKind.CALL, EntryKind.UNKNOWN_OUTCOME]) | Q(usd=0),
                name="llm_ledger_only_calls_cost",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "job_id", "id"], name="llm_ledger_job"),
            models.Index(fields=["organization", "inserted_at"], name="llm_ledger_month"),
        ]


class BudgetScope(models.TextChoices):
    """Whose spending is limited; all but a job's begins anew each month (UTC)."""

    JOB = "job"
    WORKSPACE = "workspace"
    ORGANIZATION = "organization"


class BudgetQuerySet(models.QuerySet["Budget"]):
    def visible_to(self, member: Membership) -> "BudgetQuerySet":
        """An owner sees all; others those of their workspaces. A job's come with the job."""
        if member.role == Role.OWNER:
            return self.all()
        mine = Workspace.objects.visible_to(member).values("id")
        return self.filter(scope=BudgetScope.WORKSPACE, subject_id__in=mine)


class Budget(TenantModel):
    """A limit in USD or tokens or both, with what was spent and what is reserved by open calls.

    ``subject_id`` is the job's, workspace's or organization's id. ``month`` is the first day of
    the month that ``spent`` is about, None for jobs. What is reserved stays over the turn of the
    month and counts for the one in which it is settled.
    """

    scope = models.CharField(max_length=12, choices=BudgetScope)
    subject_id = models.UUIDField()
    month = models.DateField(null=True)
    limit_usd = models.DecimalField(max_digits=14, decimal_places=8, null=True)
    limit_tokens = models.PositiveBigIntegerField(null=True)
    spent_usd = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))
    spent_tokens = models.PositiveBigIntegerField(default=0)
    reserved_usd = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))
    reserved_tokens = models.PositiveBigIntegerField(default=0)

    objects = TenantManager.from_queryset(BudgetQuerySet)()

    class Meta:
        db_table = "llm_budget"
        base_manager_name = "objects"
        constraints = [
            one_of("scope", BudgetScope, name="llm_budget_scope_known"),
            models.UniqueConstraint(
                fields=["organization", "subject_id"], name="llm_budget_one_each"
            ),
            models.CheckConstraint(
                condition=Q(spent_usd__gte=0, reserved_usd__gte=0),
                name="llm_budget_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(scope=BudgetScope.JOB, month__isnull=True)
                | (~Q(scope=BudgetScope.JOB) & Q(month__isnull=False)),
                name="llm_budget_month_but_for_jobs",
            ),
        ]

    @property
    def is_limited(self) -> bool:
        return self.limit_usd is not None or self.limit_tokens is not None
