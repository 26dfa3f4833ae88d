"""Prompt versions, what models have suggested so far, and the results of dry runs."""

from decimal import Decimal
from uuid import UUID

from django.db import models
from django.db.models import Q

from apps.core.fields import TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.datasets.models import Dataset, Question
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.records.models import Record


class PromptVersionQuerySet(models.QuerySet["PromptVersion"]):
    def visible_to(self, member: Membership) -> "PromptVersionQuerySet":
        return self.filter(dataset__in=Dataset.objects.visible_to(member))

    def of(self, dataset_id: UUID, question_id: UUID | None = None) -> "PromptVersionQuerySet":
        """Those of a dataset, or of one of its questions."""
        found = self.filter(dataset_id=dataset_id)
        return found if question_id is None else found.filter(question_id=question_id)

    def newest_first(self) -> "PromptVersionQuerySet":
        return self.order_by("-id")


class PromptVersion(TenantModel):
    """All that a model is told and how it is asked, once and for all.

    ``number`` counts within the question. ``guidelines`` are those of the dataset's version
    ``guidelines_version`` (0: none), and ``asked`` is the question as it was then:
    ``{"title", "description", "settings"}``. ``shots`` answered records are shown as examples,
    chosen by ``strategy``. ``params`` are the recipe's, ``asking`` how the model is asked.
    Once ``used_at`` is set, the database changes nothing of it but ``note``.
    """

    dataset = TenantLink(Dataset, related_name="prompt_versions")
    question = TenantLink(Question, null=True, related_name="prompt_versions")
    recipe = models.CharField(max_length=60, default="suggest")
    number = models.PositiveIntegerField()
    template = models.TextField(blank=True)
    guidelines = models.TextField(blank=True)
    guidelines_version = models.PositiveIntegerField(default=0)
    asked = models.JSONField(default=dict)
    shots = models.PositiveSmallIntegerField(default=0)
    strategy = models.CharField(max_length=20, default="nearest")
    provider_id = models.UUIDField(null=True)
    model = models.CharField(max_length=200, blank=True)
    params = models.JSONField(default=dict)
    asking = models.JSONField(default=dict)
    parent = TenantLink("self", null=True, database_delete="SET NULL", related_name="+")
    note = models.TextField(blank=True)
    author = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")
    used_at = models.DateTimeField(null=True)

    objects = TenantManager.from_queryset(PromptVersionQuerySet)()

    class Meta:
        db_table = "prompt_version"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "dataset", "question", "number"],
                nulls_distinct=False,
                name="prompt_version_number_unique",
            ),
            models.CheckConstraint(condition=Q(shots__lte=50), name="prompt_version_shots_few"),
        ]

    def __str__(self) -> str:
        return f"v{self.number}"


class SuggestionVersion(TenantModel):
    """The newest answer of one agent to one question about one record.

    One of them is the record's suggestion; the others were replaced, and stay here. ``details``
    says how it came about: ``{"rationale", "prompt_tokens", "completion_tokens", "usd",
    "cache_hit"}``, as far as a model made it.
    """

    record = TenantLink(Record, related_name="+")
    question = TenantLink(Question, related_name="+")
    dataset = TenantLink(Dataset, related_name="+")
    agent = models.CharField(max_length=200, blank=True)
    type = models.CharField(max_length=10, null=True)
    value = models.JSONField()
    score = models.JSONField(null=True)
    job_id = models.UUIDField(null=True)
    prompt_version = TenantLink(
        PromptVersion, null=True, database_delete="SET NULL", related_name="+"
    )
    guidelines_version = models.PositiveIntegerField(null=True)
    details = models.JSONField(default=dict)

    objects = TenantManager["SuggestionVersion"]()

    class Meta:
        db_table = "suggestion_version"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "record", "question", "agent"],
                name="suggestion_version_unique_per_agent",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "dataset", "prompt_version", "agent"],
                name="suggestion_version_prompt",
            ),
        ]


class DryRunItem(TenantRow):
    """One item of a dry run, as a person looks at it before anything is written.

    ``calls`` are ``[{"messages", "answer"}]`` in the order they were made, ``shown`` is what the
    recipe makes of them, ``gold`` what people answered. ``error`` says why there is no result.
    """

    pk = models.CompositePrimaryKey("organization_id", "job_id", "seq")
    job = TenantLink(Job, related_name="dry_run_items")
    seq = models.PositiveIntegerField()
    record_id = models.UUIDField(null=True)
    calls = models.JSONField(default=list)
    shown = models.JSONField(null=True)
    gold = models.JSONField(null=True)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    usd = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))
    from_cache = models.BooleanField(default=False)
    error = models.TextField(blank=True)

    objects = TenantManager["DryRunItem"]()

    class Meta:
        db_table = "dry_run_item"
        base_manager_name = "objects"
