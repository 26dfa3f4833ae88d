"""Webhooks and what is delivered to them."""

from base64 import urlsafe_b64encode
from datetime import datetime
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from apps.core.constraints import one_of
from apps.core.fields import LineField, TenantLink
from apps.core.models import TenantManager, TenantModel
from apps.core.sealing import BrokenSealError, unseal
from apps.organizations.models import Membership
from apps.workspaces.permissions import Action, may


class WebhookEvent(models.TextChoices):
    """What a webhook can be told of. Clients of the contract know ``CONTRACT`` alone."""

    DATASET_CREATED = "dataset.created"
    DATASET_UPDATED = "dataset.updated"
    DATASET_DELETED = "dataset.deleted"
    DATASET_PUBLISHED = "dataset.published"
    RECORD_CREATED = "record.created"
    RECORD_UPDATED = "record.updated"
    RECORD_DELETED = "record.deleted"
    RECORD_COMPLETED = "record.completed"
    RESPONSE_CREATED = "response.created"
    RESPONSE_UPDATED = "response.updated"
    RESPONSE_DELETED = "response.deleted"
    MONITOR_RETRAIN_DUE = "monitor.retrain_due"


CONTRACT = frozenset(WebhookEvent) - {WebhookEvent.MONITOR_RETRAIN_DUE}


class DeliveryStatus(models.TextChoices):
    """Dead: given up after the last attempt, or with the webhook; it can be sent again."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def visible_to(self, member: Membership) -> "WebhookQuerySet":
        """All of them to those who manage them, else none."""
        return self.all() if may(member, Action.MANAGE_WEBHOOKS) else self.none()

    def enabled(self) -> "WebhookQuerySet":
        return self.filter(enabled=True)

    def wanting(self, type: str) -> "WebhookQuerySet":
        """The enabled ones that are to be told of events of the type."""
        return self.enabled().filter(events__contains=[type])

    def in_order(self) -> "WebhookQuerySet":
        return self.order_by("id")


class Webhook(TenantModel):
    """An address that is told of events.

    Secrets are base64 of 64 random bytes, sealed for the row. After a rotation the previous one
    signs too, until ``previous_secret_until``. ``failing_since`` is the first failure after the
    last success; ``resting_until`` spares an address that does not answer at all.
    """

    url = models.CharField(max_length=2000)
    events = ArrayField(models.CharField(max_length=30))
    description = LineField(max_length=1000, null=True)
    enabled = models.BooleanField(default=True)
    sealed_secret = models.BinaryField()
    sealed_previous_secret = models.BinaryField(null=True)
    previous_secret_until = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    resting_until = models.DateTimeField(null=True)
    disabled_reason = LineField(max_length=200, null=True)

    objects = TenantManager.from_queryset(WebhookQuerySet)()

    class Meta:
        db_table = "webhook"
        base_manager_name = "objects"
        constraints = [
            models.CheckConstraint(
                condition=~Q(events=[]) & Q(events__contained_by=WebhookEvent.values),
                name="webhook_events_known",
            ),
            models.CheckConstraint(
                condition=Q(sealed_previous_secret__isnull=True, previous_secret_until__isnull=True)
                | Q(sealed_previous_secret__isnull=False, previous_secret_until__isnull=False),
                name="webhook_previous_secret_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def secret(self) -> str:
        """The secret; empty when the key that sealed it is gone."""
        return _unsealed(self.sealed_secret, self.id)

    def secrets(self, now: datetime) -> list[str]:
        """Those that sign at the moment, the newest first; empty when none can be read."""
        sealed = [self.sealed_secret]
        if self.sealed_previous_secret is not None and self.previous_secret_until is not None:
            sealed += [self.sealed_previous_secret] if now < self.previous_secret_until else []
        return [secret for one in sealed if (secret := _unsealed(one, self.id))]


class DeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def visible_to(self, member: Membership) -> "DeliveryQuerySet":
        return self.filter(webhook__in=Webhook.objects.visible_to(member))

    def pending(self) -> "DeliveryQuerySet":
        return self.filter(status=DeliveryStatus.PENDING)

    def of_open_organizations(self) -> "DeliveryQuerySet":
        """Those of a suspended organization are kept, and wait until it is open again."""
        return self.filter(organization__suspended_at=None)

    def newest_first(self) -> "DeliveryQuerySet":
        return self.order_by("-id")


class WebhookDelivery(TenantModel):
    """One message to one webhook; ``body`` is sent as it is at every attempt.

    ``attempts`` counts all attempts and fences their results, ``failures`` those since it was
    sent (again). A pending one is due at ``next_attempt_at``; while a worker has it in hand,
    that is when the worker is believed dead.
    """

    webhook = TenantLink(Webhook, related_name="deliveries")
    type = models.CharField(max_length=30, choices=WebhookEvent)
    body = models.TextField()
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    failures = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=500, null=True)
    excerpt = models.CharField(max_length=1000, null=True)

    objects = TenantManager.from_queryset(DeliveryQuerySet)()

    class Meta:
        db_table = "webhook_delivery"
        base_manager_name = "objects"
        constraints = [
            one_of("status", DeliveryStatus, name="webhook_delivery_status_known"),
            one_of("type", WebhookEvent, name="webhook_delivery_type_known"),
            models.CheckConstraint(
                condition=Q(status=DeliveryStatus.PENDING, next_attempt_at__isnull=False)
                | (~Q(status=DeliveryStatus.PENDING) & Q(next_attempt_at__isnull=True)),
                name="webhook_delivery_pending_is_due",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "webhook", "next_attempt_at", "id"],
                condition=Q(status=DeliveryStatus.PENDING),
                name="webhook_delivery_due",
            ),
            models.Index(fields=["organization", "webhook", "id"], name="webhook_delivery_feed"),
        ]

    @property
    def message_id(self) -> str:
        """The same at every attempt."""
        return message_id(self.id)


def message_id(id: UUID) -> str:
    """``msg_`` and 22 characters."""
    return "msg_" + urlsafe_b64encode(id.bytes).decode().rstrip("=")


def _unsealed(sealed: bytes | memoryview, id: UUID) -> str:
    try:
        return unseal(bytes(sealed), context=str(id))
    except BrokenSealError:
        return ""
