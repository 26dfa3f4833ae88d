"""Runs whose calls were handed in as batches: on they go, what they cost, what nobody wants."""

from typing import Final
from uuid import UUID

from celery import shared_task

from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.jobs.doorbell import ring
from apps.jobs.services import add_cost, hasten
from apps.llms.batching import claim_cost
from apps.llms.withdrawal import withdraw

_ANSWERED: Final = """
SELECT job.organization_id, job.id AS job_id FROM job
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

# A job that was deleted, with its dataset or its workspace, has ended, too.
_UNWANTED: Final = """
SELECT DISTINCT batch.organization_id, batch.job_id FROM llm_batch batch
WHERE batch.next_look_at IS NOT NULL AND batch.withdrawn_at IS NULL AND batch.job_id IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM job
    WHERE job.organization_id = batch.organization_id AND job.id = batch.job_id
      AND job.state IN ('queued', 'running', 'paused'))
LIMIT 100
"""

_UNCLAIMED: Final = """
SELECT DISTINCT organization_id, job_id FROM llm_batch
WHERE unclaimed_usd > 0 AND job_id IS NOT NULL LIMIT 100
"""


@shared_task(name="pipelines.wake_batches")
def wake_batches() -> None:
    """Let the runs of all organizations go on whose batches are done."""
    for_each(find(_ANSWERED), _wake)


@shared_task(name="pipelines.withdraw_batches")
def withdraw_batches() -> None:
    """Have the batches cancelled whose runs were cancelled, failed or deleted."""
    for_each(find(_UNWANTED), _withdraw)


@shared_task(name="pipelines.charge_batches")
def charge_batches() -> None:
    """Add what batches cost to the cost of their runs, which may have ended by now."""
    for_each(find(_UNCLAIMED), _charge)


def _wake(organization_id: UUID, job_id: UUID) -> None:
    with enter(organization_id):
        hasten(job_id=job_id)
    ring(organization_id=organization_id, job_id=job_id)


def _withdraw(organization_id: UUID, job_id: UUID) -> None:
    with enter(organization_id):
        withdraw(job_id=job_id)


def _charge(organization_id: UUID, job_id: UUID) -> None:
    with enter(organization_id):
        add_cost(job_id=job_id, usd=claim_cost(job_id=job_id))
