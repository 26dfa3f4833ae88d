"""What a copy from another server has done so far, and datasets that are being made."""

from django.db import models

from apps.core.constraints import one_of
from apps.core.fields import LineField, TenantLink
from apps.core.models import TenantManager, TenantModel, TenantRow
from apps.datasets.models import Dataset
from apps.exchange.formats import FileFormat
from apps.jobs.models import Job
from apps.organizations.models import Membership


class CopiedKind(models.TextChoices):
    WORKSPACE = "workspace"
    USER = "user"
    DATASET = "dataset"


class CopiedObject(TenantRow):
    """What an object of another server became here, by its id there.

    ``target_id`` may name something that was deleted since; then the object is copied anew.
    ``progress`` of a dataset: how many of its records were passed, what they held and how much of
    it was left out (``argilla.copies.Progress``); it moves in the transaction that stores them.
    """

    pk = models.CompositePrimaryKey("organization_id", "kind", "source_id")
    kind = models.CharField(max_length=10, choices=CopiedKind)
    source_id = models.UUIDField()
    target_id = models.UUIDField()
    progress = models.JSONField(default=dict)

    objects = TenantManager()

    class Meta:
        db_table = "copied_object"
        base_manager_name = "objects"
        constraints = [one_of("kind", CopiedKind, name="copied_object_kind_known")]


class SketchSource(models.TextChoices):
    UPLOAD = "upload"
    PASTE = "paste"
    DATASET = "dataset"
    EMPTY = "empty"


class SketchQuerySet(models.QuerySet["DatasetSketch"]):
    def visible_to(self, member: Membership) -> "SketchQuerySet":
        """Those that the member draws."""
        return self.filter(author=member)

    def unfinished(self) -> "SketchQuerySet":
        """No dataset was made of them yet; the last one touched first."""
        return self.filter(is_finished=False).order_by("-updated_at", "id")


class DatasetSketch(TenantModel):
    """A dataset that somebody is about to make.

    ``content`` is what was decided so far (``creation.content.SketchContent``); ``file_name``,
    ``format`` and ``size`` (bytes) are those of what was uploaded or pasted, which lies in the
    data directory under the sketch's id. ``dataset`` and ``job`` are what became of it.
    """

    author = TenantLink(Membership, related_name="+")
    source = models.CharField(max_length=10, choices=SketchSource)
    file_name = LineField(max_length=200, default="")
    format = models.CharField(max_length=10, choices=FileFormat, null=True)
    size = models.BigIntegerField(default=0)
    content = models.JSONField(default=dict)
    is_finished = models.BooleanField(default=False)
    dataset = TenantLink(Dataset, null=True, database_delete="SET NULL", related_name="+")
    job = TenantLink(Job, null=True, database_delete="SET NULL", related_name="+")

    objects = TenantManager.from_queryset(SketchQuerySet)()

    class Meta:
        db_table = "dataset_sketch"
        base_manager_name = "objects"
        constraints = [
            one_of("source", SketchSource, name="dataset_sketch_source_known"),
            one_of("format", FileFormat, name="dataset_sketch_format_known"),
        ]
        indexes = [
            models.Index(fields=["organization", "author", "updated_at"], name="sketch_author")
        ]
