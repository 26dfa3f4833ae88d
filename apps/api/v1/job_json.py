"""A job as it stands in answers."""

from typing import Any

from apps.jobs.models import Job


def job_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "params": _shown(job.params),
        "counters": job.counters,
        "cost_usd": float(job.cost),
        "errors": job.error_sample,
        "dataset_id": job.dataset_id,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "inserted_at": job.inserted_at,
        "updated_at": job.updated_at,
    }


def _shown(params: dict[str, Any]) -> dict[str, Any]:
    """Without what is long: the words of a prompt, and records named one by one, but their
    number as ``records``."""
    shown = {name: value for name, value in params.items() if name != "prompt"}
    selection = shown.get("selection")
    if isinstance(selection, dict) and selection.get("record_ids") is not None:
        chosen = {name: value for name, value in selection.items() if name != "record_ids"}
        shown["selection"] = {**chosen, "records": len(selection["record_ids"])}
    if "prompt" in params:
        shown["prompt_version_id"] = params["prompt"].get("version_id")
    return shown
