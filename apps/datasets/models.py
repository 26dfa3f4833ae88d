"""Datasets and what they are made of."""

from datetime import datetime
from typing import Any, TypeVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from apps.core.constraints import one_of
from apps.core.fields import LineField, TenantLink
from apps.core.models import TenantManager, TenantModel
from apps.organizations.models import Membership
from apps.workspaces.models import Workspace

_Part = TypeVar("_Part", bound=models.Model)


def known_type(types: type[models.TextChoices], *, name: str) -> models.CheckConstraint:
    """A CHECK that ``settings`` name one of ``types``; a missing type would pass as NULL."""
    given = Q(settings__has_key="type")
    return models.CheckConstraint(condition=given & Q(settings__type__in=types.values), name=name)


class DatasetStatus(models.TextChoices):
    DRAFT = "draft"
    READY = "ready"


class FieldType(models.TextChoices):
    TEXT = "text"
    IMAGE = "image"
    CHAT = "chat"
    CUSTOM = "custom"


class QuestionType(models.TextChoices):
    TEXT = "text"
    RATING = "rating"
    LABEL = "label_selection"
    MULTI_LABEL = "multi_label_selection"
    RANKING = "ranking"
    SPAN = "span"


class PropertyType(models.TextChoices):
    TERMS = "terms"
    INTEGER = "integer"
    FLOAT = "float"


class QueueOrder(models.TextChoices):
    """In which order records are handed out."""

    OLDEST_FIRST = "oldest_first"
    LEAST_CERTAIN_FIRST = "least_certain_first"


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def visible_to(self, member: Membership) -> "DatasetQuerySet":
        """Those of the member's workspaces that are not in the trash."""
        return self.there().filter(workspace__in=Workspace.objects.visible_to(member))

    def with_last_answer(self) -> "DatasetQuerySet":
        """With ``last_answer_at``."""
        return self.annotate(last_answer_at=F("counter__last_activity_at"))  # type: ignore[no-redef]

    def there(self) -> "DatasetQuerySet":
        return self.filter(trashed_at__isnull=True)

    def trashed(self, member: Membership) -> "DatasetQuerySet":
        """What lies in the trash of the member's workspaces."""
        mine = self.filter(workspace__in=Workspace.objects.visible_to(member))
        return mine.filter(trashed_at__isnull=False)

    def in_use(self) -> "DatasetQuerySet":
        """Neither archived nor in the trash."""
        return self.there().filter(archived_at__isnull=True)


class Dataset(TenantModel):
    """A collection of records of one shape, with the questions asked of each.

    ``schema_version`` moves with every change of a field, question, property or vector setting.
    ``daily_quota`` and ``total_quota`` are how many answers each person is asked for. An archived
    dataset is read-only and in nobody's queue; one in the trash is seen by nobody, its name is
    free, and it is deleted for good after ``trash.KEPT``. ``answers_rewritten_at`` is when an edit
    of the questions last rewrote answers.
    """

    workspace = TenantLink(Workspace, related_name="datasets")
    name = LineField(max_length=200)
    status = models.CharField(max_length=10, choices=DatasetStatus, default=DatasetStatus.DRAFT)
    guidelines = models.TextField(null=True, blank=True)
    guidelines_version = models.PositiveIntegerField(default=0)
    allow_extra_metadata = models.BooleanField(default=True)
    min_submitted = models.PositiveSmallIntegerField(default=1)
    queue_order = models.CharField(
        max_length=20, choices=QueueOrder, default=QueueOrder.OLDEST_FIRST
    )
    daily_quota = models.PositiveIntegerField(null=True, blank=True)
    total_quota = models.PositiveIntegerField(null=True, blank=True)
    metadata = models.JSONField(null=True, blank=True)
    schema_version = models.PositiveIntegerField(default=0)
    last_property_number = models.PositiveSmallIntegerField(default=0)
    last_activity_at = models.DateTimeField(default=timezone.now)
    answers_rewritten_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)
    trashed_at = models.DateTimeField(null=True)

    objects = TenantManager.from_queryset(DatasetQuerySet)()

    # Set by whoever reads the dataset's counter along with it.
    last_answer_at: datetime | None = None

    class Meta:
        db_table = "dataset"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "workspace", "name"],
                condition=Q(trashed_at__isnull=True),
                name="dataset_name_unique",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="dataset_name_given"),
            models.CheckConstraint(
                condition=Q(min_submitted__gte=1), name="dataset_min_submitted_positive"
            ),
            models.CheckConstraint(
                condition=Q(daily_quota__isnull=True) | Q(daily_quota__gte=1),
                name="dataset_daily_quota_positive",
            ),
            models.CheckConstraint(
                condition=Q(total_quota__isnull=True) | Q(total_quota__gte=1),
                name="dataset_total_quota_positive",
            ),
            one_of("status", DatasetStatus, name="dataset_status_known"),
            one_of("queue_order", QueueOrder, name="dataset_queue_order_known"),
        ]

    def __str__(self) -> str:
        return self.name


class PartQuerySet(models.QuerySet[_Part]):
    """Fields, questions, properties and vector settings: parts of a dataset."""

    def visible_to(self, member: Membership) -> "PartQuerySet[_Part]":
        return self.filter(dataset__in=Dataset.objects.visible_to(member))

    def in_order(self) -> "PartQuerySet[_Part]":
        """As they were added, which is how they are shown."""
        return self.order_by("inserted_at", "id")


PartManager = TenantManager.from_queryset(PartQuerySet)


class QuestionQuerySet(PartQuerySet["Question"]):
    def in_order(self) -> "QuestionQuerySet":
        """As somebody has arranged them, else as they were added."""
        return self.order_by("position", "inserted_at", "id")


class AskedManager(TenantManager.from_queryset(QuestionQuerySet)):  # type: ignore[misc]
    """The questions that are asked; those that an edit has retired are in ``every``."""

    def get_queryset(self) -> QuestionQuerySet:
        asked: QuestionQuerySet = super().get_queryset().filter(retired_at__isnull=True)
        return asked


class Field(TenantModel):
    """A part of a record that people read."""

    dataset = TenantLink(Dataset, related_name="fields")
    name = LineField(max_length=200)
    title = LineField(max_length=500)
    required = models.BooleanField(default=False)
    settings = models.JSONField()

    objects = PartManager()

    class Meta:
        db_table = "field"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "dataset", "name"], name="field_name_unique"
            ),
            known_type(FieldType, name="field_type_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def type(self) -> str:
        return str(self.settings["type"])


class Question(TenantModel):
    """What people and models answer about a record.

    ``position`` orders the questions once somebody arranged them. A retired question is asked no
    more: an edit merged it into another one, and can be undone.
    """

    dataset = TenantLink(Dataset, related_name="questions")
    name = LineField(max_length=200)
    title = LineField(max_length=500)
    description = LineField(max_length=1000, null=True, blank=True)
    required = models.BooleanField(default=False)
    settings = models.JSONField()
    position = models.PositiveIntegerField(default=0)
    retired_at = models.DateTimeField(null=True)

    objects = AskedManager()
    every = TenantManager.from_queryset(QuestionQuerySet)()

    class Meta:
        db_table = "question"
        base_manager_name = "every"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "dataset", "name"],
                condition=Q(retired_at__isnull=True),
                name="question_name_unique",
            ),
            known_type(QuestionType, name="question_type_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def type(self) -> str:
        return str(self.settings["type"])

    @property
    def options(self) -> list[dict[str, Any]]:
        """The options to choose from; empty for text questions."""
        return list(self.settings.get("options", ()))


class PropertyQuerySet(PartQuerySet["MetadataProperty"]):
    def visible_to(self, member: Membership) -> "PropertyQuerySet":
        """Those shown to annotators, and all where one is more than an annotator."""
        visible = self.filter(dataset__in=Dataset.objects.visible_to(member))
        reviewed = Workspace.objects.reviewed_by(member)
        return visible.filter(Q(visible_for_annotators=True) | Q(dataset__workspace__in=reviewed))

    def shown(self) -> "PropertyQuerySet":
        return self.filter(visible_for_annotators=True)


class MetadataProperty(TenantModel):
    """A declared metadata key, which can be filtered and sorted by.

    ``number`` identifies the property in the side table; it is never used twice in a dataset.
    """

    dataset = TenantLink(Dataset, related_name="metadata_properties")
    number = models.PositiveSmallIntegerField()
    name = LineField(max_length=200)
    title = LineField(max_length=500)
    settings = models.JSONField()
    visible_for_annotators = models.BooleanField(default=True)

    objects = TenantManager.from_queryset(PropertyQuerySet)()

    class Meta:
        db_table = "metadata_property"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "dataset", "name"], name="metadata_property_name_unique"
            ),
            models.UniqueConstraint(
                fields=["organization", "dataset", "number"],
                name="metadata_property_number_unique",
            ),
            known_type(PropertyType, name="metadata_property_type_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def type(self) -> str:
        return str(self.settings["type"])


class VectorSettings(TenantModel):
    """A named vector that records may carry."""

    dataset = TenantLink(Dataset, related_name="vectors_settings")
    name = LineField(max_length=200)
    title = LineField(max_length=500)
    dimensions = models.PositiveIntegerField()

    objects = PartManager()

    class Meta:
        db_table = "vector_settings"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "dataset", "name"], name="vector_settings_name_unique"
            ),
            models.CheckConstraint(
                condition=Q(dimensions__gte=1), name="vector_settings_dimensions_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class GuidelinesVersion(TenantModel):
    """The guidelines as they read from one moment on; versions are never changed."""

    updated_at = None  # type: ignore[assignment]
    dataset = TenantLink(Dataset, related_name="guidelines_versions")
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    author = TenantLink(Membership, null=True, database_delete="SET NULL", related_name="+")

    objects = PartManager()

    class Meta:
        db_table = "guidelines_version"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "dataset", "number"],
                name="guidelines_version_number_unique",
            ),
        ]
