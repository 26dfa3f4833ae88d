"""Telling the workers that there is work; the job rows are what counts."""

from uuid import UUID

from apps.core import doorbell
from apps.core.rounds import find
from apps.jobs.models import Queue

RUN = "jobs.run"
SWEPT_SECONDS = 30  # a message of the sweeper is stale after this; the next sweep sends another

# A job waits when no run holds it and there is something to do: to plan, to cancel, an item that
# is due or was left behind, or only its end to be noted. While its organization is suspended it
# does not.
_WAITING = """
SELECT job.organization_id, job.id, job.queue FROM job
JOIN organization ON organization.id = job.organization_id AND organization.suspended_at IS NULL
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


def ring(
    *, organization_id: UUID, job_id: UUID, queue: Queue = Queue.BULK, expires: float | None = None
) -> bool:
    """Ask a worker of the queue to run the job; False when Redis is away: the sweeper will ring.

    ``expires`` in seconds. A message too many does no harm.
    """
    return doorbell.ring(RUN, organization_id, job_id, queue=queue.value, expires=expires)


def find_waiting(*, limit: int = 500) -> list[tuple[UUID, UUID, Queue]]:
    """``(organization id, job id, queue)`` of jobs with work and nobody at it, of everybody."""
    places = find(_WAITING, [limit])
    return [(place["organization_id"], place["id"], Queue(place["queue"])) for place in places]


def ring_waiting() -> int:
    """Ring for every waiting job; returns for how many. Stops when Redis is away."""
    rung = 0
    for organization, job, queue in find_waiting():
        if not ring(organization_id=organization, job_id=job, queue=queue, expires=SWEPT_SECONDS):
            break
        rung += 1
    return rung
