"""The sweeps over leases that ran out and versions that nobody goes back to."""

from uuid import UUID

from celery import shared_task
from django.db import connections
from django.utils import timezone

from apps.annotation.distribution import return_expired
from apps.annotation.history import KEPT
from apps.core.rounds import find, for_each
from apps.core.tenancy import enter


@shared_task(name="annotation.return_expired_leases", ignore_result=True)
def return_expired_leases() -> int:
    """Take back expired leases of every organization; returns how many."""
    places = find(
        "SELECT DISTINCT organization_id, dataset_id FROM lease WHERE expires_at <= %s",
        [timezone.now()],
    )
    return sum(for_each(places, _return_expired))


def _return_expired(organization_id: UUID, dataset_id: UUID) -> int:
    with enter(organization_id):
        return return_expired(dataset_id)


@shared_task(name="annotation.prune_versions", ignore_result=True)
def prune_versions() -> int:
    """Forget what answers were before; returns how many versions."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(
            "DELETE FROM response_version WHERE replaced_at <= %s", [timezone.now() - KEPT]
        )
        return int(cursor.rowcount)
