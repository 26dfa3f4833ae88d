"""Runs whose calls were handed in as batches go on when these are answered."""

from typing import Final

from celery import shared_task
from django.db import connections

from apps.core.tenancy import enter
from apps.jobs.doorbell import ring
from apps.jobs.services import hasten

_ANSWERED: Final = """
SELECT job.organization_id, job.id FROM job
WHERE job.state = 'running' AND job.params @> '{"in_batches": true}'
  AND EXISTS (
    SELECT FROM job_item item
    WHERE item.organization_id = job.organization_id AND item.job_id = job.id
      AND item.state = 'pending' AND item.available_at > now() + interval '1 minute')
  AND NOT EXISTS (
    SELECT FROM llm_batch batch
    WHERE batch.organization_id = job.organization_id AND batch.job_id = job.id
      AND batch.next_look_at IS NOT NULL)
LIMIT 100
"""


@shared_task(name="pipelines.wake_batches")
def wake_batches() -> None:
    """Let the runs of all organizations go on whose batches are done."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(_ANSWERED)
        answered = cursor.fetchall()
    for organization_id, job_id in answered:
        with enter(organization_id):
            hasten(job_id=job_id)
        ring(organization_id=organization_id, job_id=job_id)
