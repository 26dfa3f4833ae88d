"""The event log."""

from django.db import models

from apps.core.models import TenantManager, TenantModel


class Event(TenantModel):
    """One thing that happened, e.g. ``response.created``; a bulk write names all its records."""

    updated_at = None  # type: ignore[assignment]  # an event never changes
    kind = models.CharField(max_length=60)
    actor_id = models.UUIDField(null=True, blank=True)
    dataset_id = models.UUIDField(null=True, blank=True)
    object_id = models.UUIDField(null=True, blank=True)
    payload = models.JSONField(default=dict)

    objects = TenantManager()

    class Meta:
        db_table = "event"
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["organization", "dataset_id", "id"], name="event_dataset"),
            models.Index(fields=["organization", "kind", "id"], name="event_kind"),
        ]
