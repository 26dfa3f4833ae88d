"""The jobs of a dataset: how far they are, what they cost, what went wrong."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.console.jobs import JobCard, JobPage
from apps.console.lookups import find_dataset, find_job
from apps.console.provider_form import JobBudgetForm
from apps.console.trials import tried_items
from apps.core.errors import ConflictError
from apps.jobs.models import Job
from apps.jobs.services import cancel_job, pause_job, resume_job, retry_failed
from apps.labeling.http import LabelingRequest, for_members, is_fragment
from apps.llms.budgets import set_budget
from apps.llms.models import BudgetScope
from apps.workspaces.permissions import Action

A_PAGE: Final = 50
_STEPS: Final[dict[str, Callable[..., Job]]] = {
    "pause": pause_job,
    "resume": resume_job,
    "cancel": cancel_job,
    "retry": retry_failed,
}


@never_cache
@require_GET
@for_members
def jobs(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The jobs of the dataset, newest first; a script gets the list alone."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    rows = Job.objects.of_dataset(dataset.id).select_related("created_by__user").newest_first()
    page = Paginator(rows, A_PAGE).get_page(request.GET.get("page"))
    cards = [JobCard(job) for job in page.object_list]
    context = {
        "dataset": dataset,
        "here": "jobs",
        "page": page,
        "cards": cards,
        "is_running": any(card.is_running for card in cards),
    }
    return render(request, _template(request, "jobs"), context)


@never_cache
@require_GET
@for_members
def job(request: LabelingRequest, dataset_id: UUID, job_id: UUID) -> HttpResponse:
    """One job; a script gets what changes alone."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    return show_job(request, dataset, JobPage(find_job(dataset, job_id)))


@require_POST
@for_members
def steer(request: LabelingRequest, dataset_id: UUID, job_id: UUID, step: str) -> HttpResponse:
    """Pause, resume, cancel or retry what failed; a job that has moved on is shown as it is."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    found = find_job(dataset, job_id)
    if step not in _STEPS:
        raise Http404
    return _take(request, dataset, found, step)


@require_POST
@for_members
def set_job_budget(request: LabelingRequest, dataset_id: UUID, job_id: UUID) -> HttpResponse:
    """Limit what the job may cost, or lift the limit; and let it go on, if so asked."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    page = JobPage(find_job(dataset, job_id))
    if not page.may_change_budget:
        return show_job(request, dataset, page, has_moved_on=True, code=409)
    form = JobBudgetForm(request.POST)
    if not form.is_valid():
        return show_job(request, dataset, page, form=form, code=422)
    set_budget(scope=BudgetScope.JOB, subject_id=page.job.id, **form.cleaned_data)
    if request.POST.get("then") == "go_on":
        return _take(request, dataset, page.job, "resume")
    return redirect("console:job", dataset.id, page.job.id)


def _take(request: LabelingRequest, dataset: Any, found: Job, step: str) -> HttpResponse:
    try:
        _STEPS[step](job=found)
    except ConflictError:
        page = JobPage(find_job(dataset, found.id))
        return show_job(request, dataset, page, has_moved_on=True, code=409)
    return redirect("console:job", dataset.id, found.id)


def show_job(
    request: LabelingRequest, dataset: Any, page: JobPage, *, code: int = 200, **more: Any
) -> HttpResponse:
    context = {
        "dataset": dataset,
        "here": "jobs",
        "page": page,
        "job": page.job,
        "tried": tried_items(dataset, page.tried),
        **more,
    }
    return render(request, _template(request, "job"), context, status=code)


def _template(request: LabelingRequest, name: str) -> str:
    return f"console/_{name}.html" if is_fragment(request) else f"console/{name}.html"
