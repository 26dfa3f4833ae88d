"""Work in the background of all organizations, and what was given up."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.jobs.models import Job
from apps.jobs.services import cancel_job, pause_job, resume_job, retry_failed
from apps.operator import acts, reads
from apps.operator.access import OperatorRequest, for_operators
from apps.webhooks.models import WebhookDelivery
from apps.webhooks.services import resend

_STEPS: Final[dict[str, Callable[..., Job]]] = {
    "retry": retry_failed,
    "cancel": cancel_job,
    "pause": pause_job,
    "resume": resume_job,
}
# What may be done to a job in a state.
STEPS_OF: Final[dict[str, tuple[str, ...]]] = {
    "queued": ("cancel", "pause"),
    "running": ("cancel", "pause"),
    "paused": ("resume", "cancel"),
    "failed": ("retry",),
    "cancelled": ("resume",),
}


@for_operators
@require_GET
def jobs(request: OperatorRequest) -> HttpResponse:
    """What waits or runs, or what failed."""
    return _show_jobs(request)


@for_operators
@require_POST
def steer(request: OperatorRequest, organization_id: UUID, job_id: UUID, step: str) -> HttpResponse:
    """Requeue what failed, cancel, pause or resume; as if the organization had done it."""
    if step not in _STEPS:
        raise Http404
    with acts.inside(request, organization_id):
        job = acts.find(Job, job_id)
        problem, code = acts.refusal(lambda: _STEPS[step](job=job))
    if problem:
        return _show_jobs(request, problem=problem, code=code)
    return redirect("operator:jobs")


@for_operators
@require_GET
def deliveries(request: OperatorRequest) -> HttpResponse:
    """Webhook deliveries that were given up."""
    return _show_deliveries(request)


@for_operators
@require_POST
def send_again(
    request: OperatorRequest, organization_id: UUID, webhook_delivery_id: UUID
) -> HttpResponse:
    """With all its attempts before it."""
    with acts.inside(request, organization_id):
        delivery = acts.find(WebhookDelivery, webhook_delivery_id)
        problem, code = acts.refusal(lambda: resend(delivery=delivery))
    if problem:
        return _show_deliveries(request, problem=problem, code=code)
    return redirect("operator:deliveries")


def _show_jobs(request: OperatorRequest, *, code: int = 200, **more: Any) -> HttpResponse:
    state = request.GET.get("state", "waiting")
    state = state if state in {"waiting", "dead", "all"} else "waiting"
    rows = reads.jobs(state=state)
    for row in rows:
        row["steps"] = steps_of(row)
    context = {
        "here": "jobs",
        "rows": rows[: reads.SHOWN],
        "has_more": len(rows) > reads.SHOWN,
        "state": state,
        "states": [
            ("waiting", _("Waiting and running")),
            ("dead", _("Failed")),
            ("all", _("All")),
        ],
        **more,
    }
    return render(request, "operator/jobs.html", context, status=code)


def steps_of(row: dict[str, Any]) -> tuple[str, ...]:
    """What may be done to the job of the row."""
    if row["state"] == "done":
        return ("retry",) if row["failed"] else ()
    return STEPS_OF.get(row["state"], ())


def _show_deliveries(request: OperatorRequest, *, code: int = 200, **more: Any) -> HttpResponse:
    rows = reads.dead_deliveries()
    context = {
        "here": "deliveries",
        "rows": rows[: reads.SHOWN],
        "has_more": len(rows) > reads.SHOWN,
        **more,
    }
    return render(request, "operator/deliveries.html", context, status=code)
