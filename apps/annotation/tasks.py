"""The sweep over leases that ran out."""

from celery import shared_task
from django.db import connections
from django.utils import timezone

from apps.annotation.distribution import return_expired
from apps.core.tenancy import enter


@shared_task(name="annotation.return_expired_leases", ignore_result=True)
def return_expired_leases() -> int:
    """Take back expired leases of every organization; returns how many."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT organization_id, dataset_id FROM lease WHERE expires_at <= %s",
            [timezone.now()],
        )
        places = cursor.fetchall()
    returned = 0
    for organization_id, dataset_id in places:
        with enter(organization_id):
            returned += return_expired(dataset_id)
    return returned
