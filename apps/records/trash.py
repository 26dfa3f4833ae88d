"""The trash: datasets that somebody threw away, until they are deleted for good."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.records.services import delete_with_records

KEPT: Final = timedelta(days=30)


def empty_trash() -> int:
    """Delete what has lain there for ``KEPT``, of every organization; returns how many."""
    places = find(
        "SELECT organization_id, id AS dataset_id FROM dataset WHERE trashed_at <= %s",
        [timezone.now() - KEPT],
    )
    return sum(for_each(places, _delete))


def _delete(organization_id: UUID, dataset_id: UUID) -> bool:
    with enter(organization_id):
        old = Dataset.objects.filter(id=dataset_id, trashed_at__lte=timezone.now() - KEPT)
        dataset = old.select_for_update().first()
        if dataset is None:  # just restored
            return False
        delete_with_records(dataset=dataset)
        return True
