"""Gold sets and what was measured against them."""

from datetime import datetime
from decimal import Decimal

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.core.constraints import one_of
from apps.core.fields import TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.datasets.models import Dataset, Question
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.pipelines.models import PromptVersion
from apps.records.models import Record


class Split(models.TextChoices):
    """Dev is looked at, record by record; of test only sums are told."""

    DEV = "dev", _("Development")
    TEST = "test", _("Test")


class GoldSource(models.TextChoices):
    ADJUDICATED = "adjudicated", _("Decided by a reviewer")
    CONSENSUS = "consensus", _("People agree")


class GoldSetQuerySet(models.QuerySet["GoldSet"]):
    def visible_to(self, member: Membership) -> "GoldSetQuerySet":
        return self.filter(dataset__in=Dataset.objects.visible_to(member))

    def newest_first(self) -> "GoldSetQuerySet":
        return self.order_by("-id")


class GoldSet(TenantModel):
    """The right answers to a question as they were known one day; they never change.

    ``number`` counts within the question. ``digest`` is of all records and answers. Which split
    a record belongs to follows from its id alone, so it is the same in every version with the
    same ``test_percent``. ``test_looks`` counts the evaluations that were shown the test split.
    """

    dataset = TenantLink(Dataset, related_name="gold_sets")
    question = TenantLink(Question, related_name="gold_sets")
    number = models.PositiveIntegerField()
    test_percent = models.PositiveSmallIntegerField(default=50)
    size = models.PositiveIntegerField()
    test_size = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    test_looks = models.PositiveIntegerField(default=0)
    note = models.TextField(blank=True)
    created_by = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")

    objects = TenantManager.from_queryset(GoldSetQuerySet)()

    class Meta:
        db_table = "gold_set"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "question", "number"], name="gold_set_number_unique"
            ),
            models.CheckConstraint(
                condition=Q(size__gte=1) & Q(test_size__lte=F("size")),
                name="gold_set_test_within_size",
            ),
            models.CheckConstraint(
                condition=Q(test_percent__lte=100), name="gold_set_percent_known"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "dataset", "id"], name="gold_set_list"),
        ]

    def __str__(self) -> str:
        return f"gold v{self.number}"


class GoldAnswer(TenantRow):
    """The right answer to one record; ``people`` is what each person had answered, unnamed.

    It goes with its record, and the set then says how many are gone.
    """

    pk = models.CompositePrimaryKey("organization_id", "gold_set_id", "record_id")
    gold_set = TenantLink(GoldSet, related_name="answers")
    record = TenantLink(Record, related_name="+")
    split = models.CharField(max_length=4, choices=Split)
    source = models.CharField(max_length=11, choices=GoldSource)
    value = models.JSONField()
    people = models.JSONField(default=list)

    objects = TenantManager["GoldAnswer"]()

    class Meta:
        db_table = "gold_answer"
        base_manager_name = "objects"
        constraints = [
            one_of("split", Split, name="gold_answer_split_known"),
            one_of("source", GoldSource, name="gold_answer_source_known"),
        ]
        indexes = [
            models.Index(fields=["organization", "record"], name="gold_answer_record"),
        ]


class EvaluationQuerySet(models.QuerySet["Evaluation"]):
    def visible_to(self, member: Membership) -> "EvaluationQuerySet":
        return self.filter(gold_set__in=GoldSet.objects.visible_to(member))

    def of_dataset(self, dataset: Dataset) -> "EvaluationQuerySet":
        return self.filter(gold_set__dataset=dataset)

    def current(self) -> "EvaluationQuerySet":
        """Measured since their jobs ended, as ``is_current``."""
        ended = Q(job__isnull=True) | Q(job__finished_at__lte=F("measured_at"))
        return self.filter(ended, measured_at__isnull=False)

    def outdated(self) -> "EvaluationQuerySet":
        """All others."""
        gone_on = Q(job__finished_at__isnull=True) | Q(job__finished_at__gt=F("measured_at"))
        return self.filter(Q(measured_at__isnull=True) | Q(gone_on, job__isnull=False))

    def newest_first(self) -> "EvaluationQuerySet":
        return self.order_by("-id")


class Evaluation(TenantModel):
    """How a prompt version, or another agent, answered a gold set.

    ``reports`` is ``{"dev": …, "test": …}`` as far as was asked, each as ``quality.measures``
    makes it, from ``measured_at`` on: until then ``job`` is at work. A job that people let go on is
    measured again (``is_current``). ``look`` says which look at the test split this was; None where
    it was not looked at.
    """

    gold_set = TenantLink(GoldSet, related_name="evaluations")
    prompt_version = TenantLink(PromptVersion, null=True, related_name="evaluations")
    agent = models.CharField(max_length=200)
    job = TenantLink(Job, null=True, database_delete="SET NULL", related_name="+")
    look = models.PositiveIntegerField(null=True)
    reports = models.JSONField(default=dict)
    measured_at = models.DateTimeField(null=True)
    created_by = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")

    objects = TenantManager.from_queryset(EvaluationQuerySet)()

    class Meta:
        db_table = "prompt_evaluation"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(look__isnull=True) | Q(look__gte=1),
                name="prompt_evaluation_look_counts",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "gold_set", "id"], name="prompt_evaluation_list"),
            models.Index(fields=["organization", "job"], name="prompt_evaluation_job"),
        ]

    @property
    def is_current(self) -> bool:
        """Whether it was measured, and its job has done nothing since."""
        if self.measured_at is None or self.job is None:
            return self.measured_at is not None
        ended: datetime | None = self.job.finished_at
        return ended is not None and ended <= self.measured_at

    @property
    def splits(self) -> list[Split]:
        """Those that are measured."""
        return [Split.DEV] if self.look is None else [Split.DEV, Split.TEST]


class EvaluationAnswer(TenantRow):
    """What was answered to one record; no row where there was no valid answer."""

    pk = models.CompositePrimaryKey("organization_id", "evaluation_id", "record_id")
    evaluation = TenantLink(Evaluation, related_name="answers")
    record = TenantLink(Record, related_name="+")
    value = models.JSONField()
    confidence = models.FloatField(null=True)
    rationale = models.TextField(blank=True)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    usd = models.DecimalField(max_digits=14, decimal_places=8, default=Decimal(0))

    objects = TenantManager["EvaluationAnswer"]()

    class Meta:
        db_table = "evaluation_answer"
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["organization", "record"], name="evaluation_answer_record"),
        ]
