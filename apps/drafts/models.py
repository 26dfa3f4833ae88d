"""Drafts, with where they come from and what became of them."""

from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from apps.core.constraints import one_of
from apps.core.fields import TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.datasets.models import Dataset
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.records.models import Record


class DraftState(models.TextChoices):
    WAITING = "waiting"
    ACCEPTED = "accepted"
    DISCARDED = "discarded"


class DraftQuerySet(models.QuerySet["Draft"]):
    def visible_to(self, member: Membership) -> "DraftQuerySet":
        return self.filter(dataset__in=Dataset.objects.visible_to(member))

    def of_dataset(self, dataset: Dataset) -> "DraftQuerySet":
        return self.filter(dataset=dataset)

    def waiting(self) -> "DraftQuerySet":
        """Neither accepted nor discarded."""
        return self.filter(state=DraftState.WAITING)

    def standing(self) -> "DraftQuerySet":
        """Not discarded: those that another draft may repeat."""
        return self.exclude(state=DraftState.DISCARDED)

    def in_order(self) -> "DraftQuerySet":
        """As they were written: ids ascend with time."""
        return self.order_by("id")

    def beyond(self, last: UUID | None) -> "DraftQuerySet":
        """Those that come after one, or all."""
        return self if last is None else self.filter(id__gt=last)


class Draft(TenantModel):
    """A record-to-be.

    ``suggestions`` are ``[{"question": name, "value": …, "score": …}]``, ``metadata`` what the
    record shall have beside its provenance. ``parents`` are ids of the records or drafts that it
    was made from, ``group`` the class whose quota it counts for. ``seq`` and ``ordinal`` say which
    item of the job made it, and its place there; ``digest`` is of what the model said, as
    ``content`` folds it. ``like`` is the draft or record that it nearly repeats; it was looked for
    in the fields named in ``compared``, or in all. ``keep`` is a filter's verdict, and ``reasons``
    are ``[{"filter": …, "reason": …}]``.

    Once a person has changed it, ``written`` holds what the model wrote: ``{"fields": …,
    "metadata": …, "suggestions": …, "reasons": …}``.
    """

    dataset = TenantLink(Dataset, related_name="drafts")
    job = TenantLink(Job, null=True, database_delete="SET NULL", related_name="+")
    seq = models.PositiveIntegerField()
    ordinal = models.PositiveIntegerField(default=0)
    recipe = models.CharField(max_length=60)
    agent = models.CharField(max_length=200)
    prompt_version_id = models.UUIDField(null=True)
    parents = ArrayField(models.UUIDField(), default=list)
    group = models.CharField(max_length=500, blank=True, default="")
    fields = models.JSONField()
    metadata = models.JSONField(default=dict)
    suggestions = models.JSONField(default=list)
    digest = models.CharField(max_length=64)
    compared = ArrayField(models.TextField(), default=list)
    like = models.UUIDField(null=True)
    score = models.FloatField(null=True)
    keep = models.BooleanField(null=True)
    reasons = models.JSONField(default=list)
    state = models.CharField(max_length=10, choices=DraftState, default=DraftState.WAITING)
    decision = models.UUIDField(null=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")
    record = TenantLink(Record, null=True, database_delete="SET NULL", related_name="+")
    written = models.JSONField(null=True)
    edited_at = models.DateTimeField(null=True)
    edited_by = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")

    objects = TenantManager.from_queryset(DraftQuerySet)()

    class Meta:
        db_table = "draft"
        base_manager_name = "objects"
        constraints = [
            one_of("state", DraftState, name="draft_state_known"),
            models.UniqueConstraint(
                fields=["organization", "job", "seq", "ordinal"], name="draft_unique_in_job"
            ),
            models.UniqueConstraint(
                fields=["organization", "job", "digest"], name="draft_says_something_new"
            ),
            models.CheckConstraint(
                condition=Q(state=DraftState.WAITING, decision=None, decided_at=None)
                | (
                    ~Q(state=DraftState.WAITING)
                    & Q(decision__isnull=False, decided_at__isnull=False)
                ),
                name="draft_decided_has_decision",
            ),
            models.CheckConstraint(
                condition=Q(record=None) | Q(state=DraftState.ACCEPTED),
                name="draft_with_record_is_accepted",
            ),
            models.CheckConstraint(
                condition=Q(written__isnull=True, edited_at=None, edited_by=None)
                | Q(written__isnull=False, edited_at__isnull=False),
                name="draft_edited_keeps_what_was_written",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "dataset", "state", "id"], name="draft_feed"),
            models.Index(fields=["organization", "job", "group"], name="draft_quota"),
            models.Index(
                fields=["organization", "decision"],
                condition=Q(decision__isnull=False),
                name="draft_decision",
            ),
            models.Index(
                fields=["organization", "record"],
                condition=Q(record__isnull=False),
                name="draft_origin",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def version(self) -> str:
        """Another one after every edit; empty of what nobody has changed."""
        return self.edited_at.isoformat() if self.edited_at else ""


class DraftBand(TenantRow):
    """One of the numbers by which drafts that are nearly alike are found (``likeness``)."""

    pk = models.CompositePrimaryKey("organization_id", "dataset_id", "band", "draft_id")
    dataset_id = models.UUIDField()
    band = models.BigIntegerField()
    draft = TenantLink(Draft, related_name="+")

    objects = TenantManager()

    class Meta:
        db_table = "draft_band"
        base_manager_name = "objects"
        indexes = [models.Index(fields=["organization", "draft"], name="draft_band_of_draft")]
