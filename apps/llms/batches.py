"""The tables of calls that are handed in as a file and answered within a day, at a lower price."""

from django.db import models
from django.db.models import Q

from apps.core.constraints import one_of
from apps.core.fields import TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow


class BatchState(models.TextChoices):
    """Waiting: not handed in yet. Sent: the provider has it. Failed: it was never answered."""

    WAITING = "waiting"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"


class Batch(TenantModel):
    """Calls to one model that are asked for together; ``job_id`` is whom they are for.

    ``remote_id`` is the provider's name for it, written before it is first asked for.
    ``tries`` counts beginnings to hand it in: after the first the provider is asked whether it has
    the batch already. Somebody looks after it at ``next_look_at``, or has it in hand until then.
    """

    provider = TenantLink("llms.Provider", related_name="batches")
    model = models.CharField(max_length=200)
    job_id = models.UUIDField(null=True)
    state = models.CharField(max_length=10, choices=BatchState, default=BatchState.WAITING)
    remote_id = models.CharField(max_length=200, null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    next_look_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=600, null=True)

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
                condition=~Q(
                    state__in=[BatchState.WAITING, BatchState.SENT], next_look_at__isnull=True
                )
                & ~Q(state__in=[BatchState.DONE, BatchState.FAILED], next_look_at__isnull=False),
                name="llm_batch_open_is_looked_after",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_look_at"],
                condition=Q(next_look_at__isnull=False),
                name="llm_batch_due",
            ),
            models.Index(fields=["organization", "job_id"], name="llm_batch_job"),
        ]


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
