"""What a copy from another server has done so far."""

from django.db import models

from apps.core.constraints import one_of
from apps.core.models import TenantManager, TenantRow


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
