"""The one task that runs every job, and the sweeps: for what nobody runs, for what is over."""

from uuid import UUID

from celery import Task, shared_task
from celery.signals import worker_shutting_down

from apps.jobs import doorbell, engine, upkeep
from apps.jobs.models import Queue


@shared_task(name="jobs.run", bind=True)
def run(task: "Task[..., None]", organization_id: str, job_id: str) -> None:
    """Run a slice of a job, then queue up again behind the others if there is more to do."""
    organization, job = UUID(organization_id), UUID(job_id)
    if engine.run_slice(organization_id=organization, job_id=job):
        came = task.request.delivery_info
        queue = Queue(str(came["routing_key"])) if came else Queue.BULK
        doorbell.ring(organization_id=organization, job_id=job, queue=queue)


@shared_task(name="jobs.ring_waiting")
def ring_waiting() -> None:
    """Ring for the jobs that wait: Redis was emptied, a worker died, a retry is due."""
    doorbell.ring_waiting()


@shared_task(name="jobs.prune", ignore_result=True)
def prune() -> int:
    """Forget the jobs of upkeep that ended some time ago; returns how many."""
    return upkeep.prune()


@worker_shutting_down.connect
def _close(**_: object) -> None:
    """A worker told to stop must not sit out its slices."""
    engine.close()
