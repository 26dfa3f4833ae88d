"""Records and the rows beside them."""

from typing import Any

from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q
from pgvector.django import VectorField

from apps.core.constraints import one_of
from apps.core.fields import TenantKey, TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.datasets.models import Dataset, Question, VectorSettings
from apps.organizations.models import Membership


class RecordStatus(models.TextChoices):
    """Completed once ``min_submitted`` people have submitted an answer."""

    PENDING = "pending"
    COMPLETED = "completed"


class SuggestionType(models.TextChoices):
    MODEL = "model"
    HUMAN = "human"


class RecordQuerySet(models.QuerySet["Record"]):
    def visible_to(self, member: Membership) -> "RecordQuerySet":
        return self.filter(dataset__in=Dataset.objects.visible_to(member))

    def in_order(self) -> "RecordQuerySet":
        """As they were inserted: ids ascend with time."""
        return self.order_by("id")


class Record(TenantModel):
    """One thing to label."""

    dataset = TenantLink(Dataset, related_name="records")
    external_id = models.TextField(db_collation="C")
    fields = models.JSONField()
    metadata = models.JSONField(null=True, default=dict)
    status = models.CharField(max_length=10, choices=RecordStatus, default=RecordStatus.PENDING)
    updated_at = models.DateTimeField()

    objects = TenantManager.from_queryset(RecordQuerySet)()

    class Meta:
        db_table = "record"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "dataset", "external_id"], name="record_external_id_unique"
            ),
            one_of("status", RecordStatus, name="record_status_known"),
        ]
        indexes = [
            models.Index(fields=["organization", "dataset", "id"], name="record_feed"),
            models.Index(
                fields=["organization", "dataset", "status", "id"], name="record_feed_status"
            ),
        ]

    def __str__(self) -> str:
        return self.external_id


class RecordTask(TenantRow):
    """The hot counters of a record, kept off its wide row.

    ``open_slots`` = min_submitted − submitted − live leases, never below 0. A ``settled`` record
    has its answer without people: no slot is open, and it counts as completed. ``certainty`` is
    the lowest score among the record's suggestions, 0 when there is none, −1 when the record was
    picked to be labelled first.
    """

    record = TenantKey(Record, related_name="task")
    dataset = TenantLink(Dataset, related_name="+", constrained=False)
    submitted = models.PositiveSmallIntegerField(default=0)
    open_slots = models.PositiveSmallIntegerField()
    settled = models.BooleanField(default=False, db_default=False)
    certainty = models.FloatField(default=0)

    objects = TenantManager()

    class Meta:
        db_table = "record_task"
        base_manager_name = "objects"
        indexes = [
            models.Index(
                fields=["organization", "dataset", "record"],
                condition=Q(open_slots__gt=0),
                name="record_task_open",
            ),
            models.Index(
                fields=["organization", "dataset", "certainty", "record"],
                condition=Q(open_slots__gt=0),
                name="record_task_uncertain",
            ),
        ]


class RecordMetadata(TenantRow):
    """A declared metadata value in the form that can be filtered by; ``ordinal`` counts terms."""

    pk = models.CompositePrimaryKey("organization_id", "record_id", "number", "ordinal")
    record = TenantLink(Record, related_name="+")
    number = models.PositiveSmallIntegerField()
    ordinal = models.PositiveSmallIntegerField(default=0)
    dataset_id = models.UUIDField()
    term = models.TextField(db_collation="C", null=True)
    value = models.FloatField(null=True)

    objects = TenantManager()

    class Meta:
        db_table = "record_metadata"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(term__isnull=False) ^ Q(value__isnull=False),
                name="record_metadata_term_or_value",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "dataset_id", "number", "term", "record"],
                condition=Q(term__isnull=False),
                name="record_metadata_term",
            ),
            models.Index(
                fields=["organization", "dataset_id", "number", "value", "record"],
                condition=Q(value__isnull=False),
                name="record_metadata_value",
            ),
        ]


class RecordVector(TenantRow):
    """A record's vector; (dimensions,) float32.

    By record alone the key is read by skip scan, since an organization has few settings.
    """

    pk = models.CompositePrimaryKey("organization_id", "settings_id", "record_id")
    settings = TenantLink(VectorSettings, related_name="+")
    record = TenantLink(Record, related_name="vectors")
    embedding: Any = VectorField()

    objects = TenantManager()

    class Meta:
        db_table = "record_vector"
        base_manager_name = "objects"


class SearchDocument(TenantRow):
    """The words of a record's text; read only through the definer functions of ``search``."""

    record = TenantKey(Record, related_name="+")
    dataset_id = models.UUIDField()
    document = SearchVectorField()

    objects = TenantManager()

    class Meta:
        db_table = "record_search"
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["organization", "dataset_id", "record"], name="record_search_feed")
        ]


class SuggestionQuerySet(models.QuerySet["Suggestion"]):
    def visible_to(self, member: Membership) -> "SuggestionQuerySet":
        return self.filter(record__in=Record.objects.visible_to(member))


class Suggestion(TenantModel):
    """A proposed answer to one question; ``value_key`` is its filterable form."""

    record = TenantLink(Record, related_name="suggestions")
    question = TenantLink(Question, related_name="+")
    dataset_id = models.UUIDField()
    value = models.JSONField()
    value_key = models.TextField(db_collation="C", null=True)
    score = models.JSONField(null=True)
    certainty = models.FloatField(null=True)
    agent = models.CharField(max_length=200, null=True, blank=True)
    type = models.CharField(max_length=10, choices=SuggestionType, null=True)
    updated_at = models.DateTimeField()

    objects = TenantManager.from_queryset(SuggestionQuerySet)()

    class Meta:
        db_table = "suggestion"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "record", "question"], name="suggestion_unique_per_question"
            ),
            models.CheckConstraint(
                condition=Q(type__isnull=True) | Q(type__in=SuggestionType.values),
                name="suggestion_type_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "dataset_id", "question", "value_key", "record"],
                condition=Q(value_key__isnull=False),
                name="suggestion_value",
            ),
            models.Index(
                fields=["organization", "dataset_id", "question", "certainty", "record"],
                condition=Q(certainty__isnull=False),
                name="suggestion_certainty",
            ),
            models.Index(
                fields=["organization", "dataset_id", "question", "agent"], name="suggestion_agent"
            ),
        ]


class DatasetCounter(TenantRow):
    """How many records a dataset holds, and how many of them are completed.

    ``reopened_at``: when a slot last became free, so that an idle queue is looked at again;
    ``last_activity_at``: the last answer, kept here because every answer writes this row anyway.
    """

    dataset = TenantKey(Dataset, related_name="counter")
    records = models.BigIntegerField(default=0)
    completed = models.BigIntegerField(default=0)
    reopened_at = models.DateTimeField(null=True)
    last_activity_at = models.DateTimeField(null=True)

    objects = TenantManager()

    class Meta:
        db_table = "dataset_counter"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(completed__gte=0) & Q(completed__lte=F("records")),
                name="dataset_counter_completed_within_records",
            ),
        ]
