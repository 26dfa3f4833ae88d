"""The tables of calls that are handed in as a file and answered within a day, at a lower price."""

from decimal import Decimal

from django.db import models
from django.db.models import Q

from apps.core.constraints import one_of
from apps.core.fields import TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow


class BatchState(models.TextChoices):
    """Waiting: not handed in yet. Sent: the provider has it. Failed: it was never answered.

    Cancelled: nobody wanted it any more; what was answered before is booked.
    """

    WAITING = "waiting"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_OPEN = (BatchState.WAITING, BatchState.SENT)
_CLOSED = (BatchState.DONE, BatchState.FAILED, BatchState.CANCELLED)


class Batch(TenantModel):
    """Calls to one model that are asked for together; ``job_id`` is whom they are for.

    ``remote_id`` is the provider's name for it, written before it is first asked for.
    ``tries`` counts beginnings to hand it in: after the first the provider is asked whether it has
    the batch already. Somebody looks after it at ``next_look_at``, or has it in hand until then.

    From ``withdrawn_at`` on nobody wants the answers, and the provider is to stop. When it leaves
    us before, ``base_url`` and ``sealed_key`` say where the batch was handed in and how to get
    there, until it is closed. ``input``, ``output`` and ``cached_input`` are what a million tokens
    cost in it, in USD. ``unanswered`` calls came back without an answer; ``unclaimed_usd`` is what
    the others cost and the job has not been told yet.
    """

    provider = TenantLink(
        "llms.Provider", null=True, database_delete="SET NULL", related_name="batches"
    )
    model = models.CharField(max_length=200)
    job_id = models.UUIDField(null=True)
    state = models.CharField(max_length=10, choices=BatchState, default=BatchState.WAITING)
    remote_id = models.CharField(max_length=200, null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    next_look_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=600, null=True)
    withdrawn_at = models.DateTimeField(null=True)
    base_url = models.CharField(max_length=2000, null=True)
    sealed_key = models.BinaryField(null=True)
    input = models.DecimalField(max_digits=16, decimal_places=8, default=Decimal(0))
    output = models.DecimalField(max_digits=16, decimal_places=8, default=Decimal(0))
    cached_input = models.DecimalField(max_digits=16, decimal_places=8, default=Decimal(0))
    unanswered = models.PositiveIntegerField(default=0)
    unclaimed_usd = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))

    objects = TenantManager()

    class Meta:
        db_table = "llm_batch"
        base_manager_name = "objects"
        constraints = [
            one_of("state", BatchState, name="llm_batch_state_known"),
            models.CheckConstraint(
                condition=~Q(state=BatchState.SENT) | Q(remote_id__isnull=False),
                name="llm_batch_sent_has_name",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=_OPEN, next_look_at__isnull=True)
                & ~Q(state__in=_CLOSED, next_look_at__isnull=False),
                name="llm_batch_open_is_looked_after",
            ),
            models.CheckConstraint(
                condition=Q(sealed_key__isnull=True) | Q(next_look_at__isnull=False),
                name="llm_batch_closed_has_no_key",
            ),
            models.CheckConstraint(
                condition=Q(input__gte=0, output__gte=0, cached_input__gte=0, unclaimed_usd__gte=0),
                name="llm_batch_not_negative",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_look_at"],
                condition=Q(next_look_at__isnull=False),
                name="llm_batch_due",
            ),
            models.Index(
                fields=["organization", "job_id"],
                condition=Q(unclaimed_usd__gt=0),
                name="llm_batch_unclaimed",
            ),
            models.Index(fields=["organization", "job_id"], name="llm_batch_job"),
        ]

    @property
    def was_begun(self) -> bool:
        """Whether the provider may have it."""
        return self.state != BatchState.WAITING or self.tries > 0

    @property
    def key_context(self) -> str:
        """What the key is sealed for."""
        return f"llm_batch {self.organization_id} {self.id}"


class BatchCall(TenantRow):
    """A call of a batch that is not settled yet; ``attempt_id`` is its open attempt."""

    pk = models.CompositePrimaryKey("organization_id", "batch_id", "attempt_id")
    batch = TenantLink(Batch, related_name="calls")
    attempt_id = models.UUIDField()
    workspace_id = models.UUIDField(null=True)
    seq = models.PositiveIntegerField(null=True)
    attempt = models.PositiveIntegerField()
    request = models.JSONField()

    objects = TenantManager()

    class Meta:
        db_table = "llm_batch_call"
        base_manager_name = "objects"
