"""Telling the workers that there is work; the job rows are what counts."""

import logging
from typing import Final
from uuid import UUID

from celery import current_app
from django.db import connections
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.pools import producers

RUN = "jobs.run"
SWEPT_SECONDS = 30  # a message of the sweeper is stale after this; the next sweep sends another

_IMPATIENT: Final = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

_logger = logging.getLogger(__name__)

# A job waits when no run holds it and there is something to do: to plan, to cancel, an item that
# is due or was left behind, or only its end to be noted.
_WAITING = """
SELECT job.organization_id, job.id FROM job
WHERE job.state IN ('queued', 'running', 'cancelling')
  AND (job.run_until IS NULL OR job.run_until < now())
  AND (job.planned_at IS NULL OR job.state = 'cancelling'
    OR EXISTS (
      SELECT FROM job_item item
      WHERE item.organization_id = job.organization_id AND item.job_id = job.id
        AND item.state IN ('pending', 'leased')
        AND (item.state = 'leased' OR item.available_at IS NULL OR item.available_at <= now()))
    OR NOT EXISTS (
      SELECT FROM job_item item
      WHERE item.organization_id = job.organization_id AND item.job_id = job.id
        AND item.state IN ('pending', 'leased')))
ORDER BY job.run_until NULLS FIRST, job.id LIMIT %s
"""


def ring(*, organization_id: UUID, job_id: UUID, expires: float | None = None) -> bool:
    """Ask a worker to run the job; False when Redis is away: the sweeper will ring.

    ``expires`` in seconds. A message too many does no harm.
    """
    message = [str(organization_id), str(job_id)]
    try:
        with producers[_impatient_connection()].acquire(block=True) as producer:
            current_app.send_task(
                RUN, args=message, expires=expires, producer=producer, retry_policy=_IMPATIENT
            )
    except OperationalError as error:
        _logger.warning("Job %s waits for the sweeper: %s", job_id, error)
        return False
    return True


def _impatient_connection() -> Connection:
    """The broker's connection without its seconds of patience: a request waits for this."""
    options = {**current_app.conf.broker_transport_options, **_IMPATIENT}
    return current_app.connection_for_write(transport_options=options)


def find_waiting(*, limit: int = 500) -> list[tuple[UUID, UUID]]:
    """``(organization id, job id)`` of jobs with work and nobody at it, of all organizations."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(_WAITING, [limit])
        return [(organization_id, job_id) for organization_id, job_id in cursor.fetchall()]


def ring_waiting() -> int:
    """Ring for every waiting job; returns for how many. Stops when Redis is away."""
    rung = 0
    for organization_id, job_id in find_waiting():
        if not ring(organization_id=organization_id, job_id=job_id, expires=SWEPT_SECONDS):
            break
        rung += 1
    return rung
