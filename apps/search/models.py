"""Searches that people keep."""

from django.db import models
from django.db.models import Q

from apps.core.fields import LineField, TenantLink
from apps.core.models import TenantManager, TenantModel
from apps.datasets.models import Dataset
from apps.organizations.models import Membership


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def visible_to(self, member: Membership) -> "SavedViewQuerySet":
        """One's own, and those that others share."""
        visible = self.filter(dataset__in=Dataset.objects.visible_to(member))
        return visible.filter(Q(owner=member) | Q(is_shared=True))

    def in_order(self) -> "SavedViewQuerySet":
        return self.order_by("name", "id")


class SavedView(TenantModel):
    """A search over a dataset under a name; ``query`` is its text (``asked.py``)."""

    dataset = TenantLink(Dataset, related_name="+")
    owner = TenantLink(Membership, related_name="+")
    name = LineField(max_length=100)
    query = models.TextField(blank=True)
    is_shared = models.BooleanField(default=False)

    objects = TenantManager.from_queryset(SavedViewQuerySet)()

    class Meta:
        db_table = "saved_view"
        base_manager_name = "objects"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "dataset", "owner", "name"], name="saved_view_name_unique"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="saved_view_name_given"),
        ]

    def __str__(self) -> str:
        return self.name
