"""Jobs that started by themselves are forgotten: while people label, many do."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.jobs import kinds
from apps.jobs.models import Job

KEPT: Final = timedelta(days=7)  # after the end
BATCH: Final = 500  # jobs, each with its items, in one transaction


def prune() -> int:
    """Forget what has been kept long enough, of all organizations; returns how many jobs."""
    places = find(
        "SELECT DISTINCT organization_id FROM job"
        " WHERE created_by_id IS NULL AND kind = ANY(%s) AND finished_at < %s",
        [kinds.of_upkeep(), timezone.now() - KEPT],
    )
    return sum(for_each(places, _prune))


def _prune(organization_id: UUID) -> int:
    """In batches, each a transaction, so that nobody waits for long."""
    until, pruned = timezone.now() - KEPT, 0
    while True:
        with enter(organization_id):
            by_itself = Job.objects.filter(created_by__isnull=True, kind__in=kinds.of_upkeep())
            old = by_itself.filter(finished_at__lt=until)
            gone, _ = Job.objects.filter(id__in=old.values("id")[:BATCH]).delete()
        pruned += gone
        if gone < BATCH:
            return pruned
