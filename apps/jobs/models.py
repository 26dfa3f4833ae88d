"""Jobs and their items."""

from decimal import Decimal
from uuid import UUID

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from apps.core.constraints import one_of
from apps.core.fields import TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.organizations.models import Membership, Organization, Role
from apps.workspaces.models import Workspace


class JobState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    DONE = "done"
    FAILED = "failed"


class Queue(models.TextChoices):
    """Where a job waits: behind other bulk work, or with workers of its own for those who wait."""

    BULK = "bulk"
    INTERACTIVE = "interactive"


ENDED = (JobState.CANCELLED, JobState.DONE, JobState.FAILED)
WAITING = (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING)
UNFINISHED = (*WAITING, JobState.PAUSED)


class ItemState(models.TextChoices):
    PENDING = "pending"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (ItemState.PENDING, ItemState.LEASED)


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, member: Membership) -> "JobQuerySet":
        """The jobs of the member's workspaces; an owner sees those without one too."""
        if member.role == Role.OWNER:
            return self.all()
        return self.filter(workspace__in=Workspace.objects.visible_to(member))

    def of_dataset(self, dataset_id: UUID) -> "JobQuerySet":
        return self.filter(dataset_id=dataset_id)

    def unfinished(self) -> "JobQuerySet":
        return self.filter(state__in=UNFINISHED)

    def newest_first(self) -> "JobQuerySet":
        return self.order_by("-id")

    def unclaimed(self) -> "JobQuerySet":
        """No run holds them, or the run's heartbeat has stopped."""
        return self.filter(Q(run_until__isnull=True) | Q(run_until__lt=Now()))

    def of_open_organizations(self) -> "JobQuerySet":
        """Jobs of a suspended organization wait, in whatever state, until it is open again."""
        suspended = Organization.objects.filter(suspended_at__isnull=False)
        return self.filter(~Exists(suspended.filter(id=OuterRef("organization_id"))))


class Job(TenantModel):
    """A piece of background work, cut into items.

    ``total``, ``done`` and ``failed`` count units, e.g. records: an item has ``size`` of them.
    ``error_sample`` holds the first errors, ``[{"seq": 3, "error": "…"}]``; ``cost`` is in USD.
    ``dataset_id`` is no foreign key, as datasets lie above: who deletes one calls
    ``services.delete_dataset_jobs``. At most one unfinished job of a kind has the same
    ``subject``. ``run`` counts the runs; the newest holds the job until ``run_until``.
    ``queue`` says which workers run it. ``secret`` is sealed (``apps.core.sealing``) and forgotten
    when the job ends.
    """

    kind = models.CharField(max_length=60)
    queue = models.CharField(max_length=11, choices=Queue, default=Queue.BULK)
    workspace = TenantLink(Workspace, null=True, related_name="+")
    dataset_id = models.UUIDField(null=True)
    subject = models.CharField(max_length=100, null=True)
    params = models.JSONField(default=dict)
    secret = models.BinaryField(null=True)
    state = models.CharField(max_length=10, choices=JobState, default=JobState.QUEUED)
    total = models.PositiveIntegerField(default=0)
    done = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    error_sample = models.JSONField(default=list)
    cost = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))
    created_by = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")
    run = models.PositiveIntegerField(default=0)
    run_until = models.DateTimeField(null=True)
    planned_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = TenantManager.from_queryset(JobQuerySet)()

    class Meta:
        db_table = "job"
        base_manager_name = "objects"
        constraints = [
            one_of("state", JobState, name="job_state_known"),
            one_of("queue", Queue, name="job_queue_known"),
            models.CheckConstraint(
                condition=Q(total__gte=F("done") + F("failed")), name="job_counters_within_total"
            ),
            models.CheckConstraint(
                condition=Q(state__in=ENDED, finished_at__isnull=False)
                | (~Q(state__in=ENDED) & Q(finished_at__isnull=True)),
                name="job_ended_has_finished_at",
            ),
            models.CheckConstraint(
                condition=Q(secret__isnull=True) | ~Q(state__in=ENDED),
                name="job_ended_has_no_secret",
            ),
            models.UniqueConstraint(
                fields=["organization", "kind", "subject"],
                condition=Q(state__in=UNFINISHED, subject__isnull=False),
                name="job_one_unfinished_per_subject",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "dataset_id", "id"], name="job_dataset"),
            models.Index(fields=["organization", "workspace", "id"], name="job_workspace"),
            models.Index(fields=["run_until"], condition=Q(state__in=WAITING), name="job_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def counters(self) -> dict[str, int]:
        """Units in all, done and failed, e.g. ``{"total": 500, "done": 80, "failed": 1}``."""
        return {"total": self.total, "done": self.done, "failed": self.failed}

    @property
    def seconds(self) -> float | None:
        """From the first run to the end; None before the end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class JobItemQuerySet(models.QuerySet["JobItem"]):
    def open(self) -> "JobItemQuerySet":
        """Neither done nor failed nor cancelled."""
        return self.filter(state__in=OPEN)

    def free(self, *, run: int) -> "JobItemQuerySet":
        """What a run may lease: due items, and those that an earlier run left behind."""
        due = Q(available_at__isnull=True) | Q(available_at__lte=Now())
        return self.filter(
            (Q(state=ItemState.PENDING) & due) | Q(state=ItemState.LEASED, run__lt=run)
        )


class JobItem(TenantRow):
    """A part of a job that is done, failed and repeated on its own.

    A leased item belongs to the run number ``run`` of its job and is lost when that run's
    heartbeat stops. ``attempts`` counts leases, ``failures`` those that ended with an error,
    ``waits`` those after which it was to be tried later, and ``losses`` those whose worker died. A
    pending item waits until ``available_at``.
    """

    pk = models.CompositePrimaryKey("organization_id", "job_id", "seq")
    job = TenantLink(Job, related_name="items")
    seq = models.PositiveIntegerField()
    payload = models.JSONField()
    size = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=ItemState, default=ItemState.PENDING)
    run = models.PositiveIntegerField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    waits = models.PositiveIntegerField(default=0)
    losses = models.PositiveSmallIntegerField(default=0)
    available_at = models.DateTimeField(null=True)
    error = models.TextField(null=True)

    objects = TenantManager.from_queryset(JobItemQuerySet)()

    class Meta:
        db_table = "job_item"
        base_manager_name = "objects"
        constraints = [
            one_of("state", ItemState, name="job_item_state_known"),
            models.CheckConstraint(
                condition=Q(state=ItemState.LEASED, run__isnull=False)
                | (~Q(state=ItemState.LEASED) & Q(run__isnull=True)),
                name="job_item_leased_has_run",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "job", "seq"],
                condition=Q(state__in=OPEN),
                name="job_item_open",
            ),
            models.Index(
                fields=["organization", "job", "seq"],
                condition=Q(state=ItemState.FAILED),
                name="job_item_failed",
            ),
        ]


class JobRejectQuerySet(models.QuerySet["JobReject"]):
    def in_order(self) -> "JobRejectQuerySet":
        return self.order_by("number")


class JobReject(TenantRow):
    """A unit of a job, e.g. a row of an import, that was left out, and why.

    ``number`` counts from 0 in the order of the source; of a file, from 1, and may be that of a
    line. ``original`` is the row as it stood in its file, where there was one.
    """

    pk = models.CompositePrimaryKey("organization_id", "job_id", "number")
    job = TenantLink(Job, related_name="rejects")
    number = models.PositiveBigIntegerField()
    reason = models.TextField()
    original = models.TextField(default="")

    objects = TenantManager.from_queryset(JobRejectQuerySet)()

    class Meta:
        db_table = "job_reject"
        base_manager_name = "objects"
