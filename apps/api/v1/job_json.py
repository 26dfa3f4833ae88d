"""A job as it stands in answers."""

from typing import Any

from apps.jobs.models import Job


def job_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "params": job.params,
        "counters": job.counters,
        "cost_usd": float(job.cost),
        "errors": job.error_sample,
        "dataset_id": job.dataset_id,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "inserted_at": job.inserted_at,
        "updated_at": job.updated_at,
    }
