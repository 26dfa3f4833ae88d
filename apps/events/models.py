"""The event log, the seals over it, and how the checks of them went."""

from django.db import models
from django.db.models import Q

from apps.core.models import TenantManager, TenantModel, TenantRow

_TRANSACTION = "pg_current_xact_id()::text::bigint"


class TransactionNumber(models.Func):
    """The number of the transaction that writes the row, which the database gives."""

    template = _TRANSACTION
    output_field = models.BigIntegerField()


class Event(TenantModel):
    """One thing that happened, e.g. ``response.created``; a bulk write names all its records.

    ``actor_id`` is the membership that acted or ordered the job, ``key_id`` the API key,
    ``support_id`` the operator's support access in which it was done. ``xact`` numbers the
    transaction. ``payload["changes"]`` is ``{field: [before, after]}``. Nothing of it ever changes:
    the database refuses, and seals show it if somebody makes the database.
    """

    updated_at = None  # type: ignore[assignment]  # an event never changes
    kind = models.CharField(max_length=60)
    actor_id = models.UUIDField(null=True, blank=True)
    key_id = models.UUIDField(null=True, blank=True)
    support_id = models.UUIDField(null=True, blank=True)
    address = models.CharField(max_length=64, null=True, blank=True)
    request_id = models.CharField(max_length=128, null=True, blank=True)
    xact = models.BigIntegerField(db_default=TransactionNumber(), editable=False)
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
            models.Index(fields=["organization", "xact", "id"], name="event_xact"),
        ]


class EventSeal(TenantRow):
    """The events of the transactions after the seal before, up to ``up_to``, in one digest.

    ``hash`` is the SHA-256 of the hash before and of each event in the order (xact, id), in hex;
    ``signature`` that of the hash under a key which only the settings hold. Seals stay when their
    events are no longer kept.
    """

    pk = models.CompositePrimaryKey("organization_id", "number")
    number = models.BigIntegerField()
    up_to = models.BigIntegerField()
    count = models.PositiveIntegerField()
    hash = models.CharField(max_length=64)
    signature = models.CharField(max_length=80)
    sealed_at = models.DateTimeField()

    objects = TenantManager()

    class Meta:
        db_table = "event_seal"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(fields=["organization", "up_to"], name="event_seal_up_to_once"),
            models.CheckConstraint(condition=Q(count__gt=0), name="event_seal_covers_something"),
        ]


class EventCheck(TenantRow):
    """A check of all seals: how many events there were, and what was wrong, empty for nothing."""

    pk = models.CompositePrimaryKey("organization_id", "checked_at")
    checked_at = models.DateTimeField()
    events = models.BigIntegerField()
    problem = models.CharField(max_length=300, blank=True, default="")

    objects = TenantManager()

    class Meta:
        db_table = "event_check"
        base_manager_name = "objects"


class EventRetention(TenantRow):
    """For how many days events are kept from ``set_at`` on; None for ever. The newest counts."""

    pk = models.CompositePrimaryKey("organization_id", "set_at")
    set_at = models.DateTimeField()
    days = models.PositiveIntegerField(null=True)

    objects = TenantManager()

    class Meta:
        db_table = "event_retention"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=Q(days__isnull=True) | Q(days__gte=30), name="event_retention_a_month"
            )
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
