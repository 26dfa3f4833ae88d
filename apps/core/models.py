"""Abstract models of tenant tables."""

from typing import TypeVar

from django.db import models
from django.utils import timezone

from apps.core.fields import TenantLink
from apps.core.ids import uuid7
from apps.core.tenancy import current

_M = TypeVar("_M", bound=models.Model)


class TenantManager(models.Manager[_M]):
    """Filters by the entered organization; outside ``enter`` it raises instead of guessing.

    The filter states explicitly what the policy enforces: it lets PostgreSQL use the composite
    keys, and leaves the policy as the second wall.
    """

    def get_queryset(self) -> models.QuerySet[_M]:
        return super().get_queryset().filter(organization_id=current())


class TenantRow(models.Model):
    """A row of one organization; the base of leaf tables, which name their own composite key."""

    organization = TenantLink("organizations.Organization", related_name="+", default=current)

    class Meta:
        abstract = True
        base_manager_name = "objects"


class TenantModel(TenantRow):
    """A row with an id of its own: something with children, a wire id or a page."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    inserted_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
        base_manager_name = "objects"
