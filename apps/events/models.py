"""The event log."""

from django.db import models

from apps.core.models import TenantManager, TenantModel, TenantRow


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


class EventSubscription(TenantRow):
    """A kind of event that somebody in the organization wants to be told of."""

    pk = models.CompositePrimaryKey("organization_id", "kind")
    kind = models.CharField(max_length=60)

    objects = TenantManager()

    class Meta:
        db_table = "event_subscription"
        base_manager_name = "objects"


class WaitingEvent(TenantRow):
    """An event of a subscribed kind until it is relayed: the outbox.

    Written by the statement that writes the event. Order of commits, not of ids, decides when it
    is seen, so a cursor over the log would pass over what commits late.
    """

    pk = models.CompositePrimaryKey("organization_id", "event_id")
    event_id = models.UUIDField()

    objects = TenantManager()

    class Meta:
        db_table = "waiting_event"
        base_manager_name = "objects"
