"""The trash: datasets that somebody threw away, until they are deleted for good."""

from datetime import timedelta
from typing import Final

from django.db import connections
from django.utils import timezone

from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.records.services import delete_with_records

KEPT: Final = timedelta(days=30)


def empty_trash() -> int:
    """Delete what has lain there for ``KEPT``, of every organization; returns how many."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(
            "SELECT organization_id, id FROM dataset WHERE trashed_at <= %s",
            [timezone.now() - KEPT],
        )
        found = cursor.fetchall()
    for organization_id, dataset_id in found:
        with enter(organization_id):
            old = Dataset.objects.filter(id=dataset_id, trashed_at__lte=timezone.now() - KEPT)
            for dataset in old.select_for_update():  # what is just restored is not among them
                delete_with_records(dataset=dataset)
    return len(found)
