"""Ordering a run: a recipe, its form, what it would take, a try on a few records, the run."""

from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.console.inputs import Given
from apps.console.lookups import find_dataset, find_job
from apps.console.run_form import FEW, RunForm, given_of
from apps.console.trials import Trial
from apps.console.words import GROUPS, RECIPES, kind_words
from apps.core.errors import DomainError, InvalidError, NotAllowedError
from apps.core.ids import read_id
from apps.datasets.models import Dataset, Question
from apps.jobs.models import Job
from apps.labeling.http import LabelingRequest, for_members
from apps.llms.models import Budget, Provider
from apps.pipelines.estimates import Estimate
from apps.pipelines.orders import estimate_order, start_run
from apps.pipelines.recipes.registry import load
from apps.pipelines.retrieval_sets import create_retrieval_set
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

MARKED: Final = 50  # records that are taken along from another page


@never_cache
@require_GET
@for_members
def new_run(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The recipes there are."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    groups = [(title, [(name, RECIPES[name]) for name in names]) for title, names in GROUPS]
    context = {
        "dataset": dataset,
        "here": "new_run",
        "groups": groups,
        "query": request.GET.urlencode(),
        "has_providers": Provider.objects.visible_to(request.member).enabled().exists(),
        "manages_providers": permissions.may(request.member, Action.MANAGE_PROVIDERS),
    }
    return render(request, "console/runs.html", context)


@require_POST
@for_members
def choose(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """To the recipes, with the records that are marked on the explore page, else its search."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    kept = QueryDict(mutable=True)
    kept.setlist("record", request.POST.getlist("record")[:MARKED])
    if not request.POST.getlist("record"):
        kept["filter"] = request.POST.get("query", "")[:2_000]
    return redirect(f"{reverse('console:new_run', args=[dataset.id])}?{kept.urlencode()}")


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def run(request: LabelingRequest, dataset_id: UUID, recipe: str) -> HttpResponse:
    """The form of a recipe. It is filled from the run of ``?from=``, whose trial is shown.

    ``do`` says what is wanted of what was typed: to ``refresh`` the choices, an ``estimate``, to
    ``try`` it on a few records, or to ``run`` it.
    """
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    if recipe not in RECIPES:
        raise Http404
    if request.method == "POST":
        form = RunForm(dataset, request.member, load(recipe), _typed(request))
        return _do(request, form)
    found = _earlier(dataset, recipe, request.GET.get("from", ""))
    form = RunForm(dataset, request.member, load(recipe), _given(found) if found else None)
    form.take(request.GET)
    return _show(
        request, form, trial=Trial(dataset, found) if found and found.params["dry_run"] else None
    )


@never_cache
@require_GET
@for_members
def trial(request: LabelingRequest, dataset_id: UUID, job_id: UUID) -> HttpResponse:
    """What a dry run has found so far, for the script that looks again."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    job = find_job(dataset, job_id)
    if not job.params.get("dry_run"):
        raise Http404
    context = {"dataset": dataset, "trial": Trial(dataset, job)}
    return render(request, "console/_trial.html", context)


def _do(request: LabelingRequest, form: RunForm) -> HttpResponse:
    do = request.POST.get("do", "")
    if do == "refresh":
        return _show(request, form)
    try:
        _check_may_ask(request, form)
        _make_target(request, form)
        if do == "try":
            order = form.order(dry_run=FEW)
            job = start_run(dataset=form.dataset, order=order, created_by=request.member)
            address = reverse("console:run", args=[form.dataset.id, form.recipe.name])
            slow = "&in_batches=on" if form.in_batches.is_checked else ""
            return redirect(f"{address}?from={job.id}{slow}#trial")
        order = form.order()
        estimate = estimate_order(dataset=form.dataset, order=order, member=request.member)
        if do != "run":
            return _show(request, form, estimate=estimate)
        if request.POST.get("expected") != str(estimate.items_in_all):
            return _show(request, form, estimate=estimate, has_changed=True, code=409)
        job = start_run(dataset=form.dataset, order=order, created_by=request.member)
    except NotAllowedError:
        raise
    except DomainError as error:
        if not form.wrong:
            form.blame(InvalidError(error.message))
        return _show(request, form, code=422)
    return redirect("console:job", form.dataset.id, job.id)


def _check_may_ask(request: LabelingRequest, form: RunForm) -> None:
    """What asks a model spends the organization's money."""
    if form.asks_a_model:
        permissions.check(request.member, Action.USE_PROVIDERS, form.dataset.workspace_id)


def _make_target(request: LabelingRequest, form: RunForm) -> None:
    """The retrieval set that the form names."""
    name = form.new_target.text.strip()
    if form.recipe.name != "retrieval" or not name:
        return
    workspace = form.dataset.workspace
    permissions.check(request.member, Action.MANAGE_DATASET, workspace.id)
    made = create_retrieval_set(workspace=workspace, name=name, negatives=3, author=request.member)
    form.new_target.values = []
    for one in form.params:
        if one.name == "p.target":
            one.values = [str(made.id)]
            one.options = [*one.options, (str(made.id), made.name)]


def _typed(request: LabelingRequest) -> Given:
    return dict(request.POST.lists())


def _earlier(dataset: Dataset, recipe: str, text: str) -> Job | None:
    """A run of the recipe in the dataset."""
    if not text:
        return None
    id = read_id(text)
    if id is None:
        raise Http404
    job = find_job(dataset, id)
    if job.kind != recipe or "selection" not in job.params:
        raise Http404
    return job


def _given(job: Job) -> Given:
    rows = Question.objects.filter(id=job.params.get("question_id"))
    question = rows.values_list("name", flat=True).first() or ""
    return given_of(
        load(job.kind), job.params, question, Budget.objects.filter(subject_id=job.id).first()
    )


def _show(
    request: LabelingRequest,
    form: RunForm,
    *,
    code: int = 200,
    estimate: Estimate | None = None,
    **more: Any,
) -> HttpResponse:
    words = RECIPES[form.recipe.name]
    context = {
        "dataset": form.dataset,
        "here": "new_run",
        "form": form,
        "recipe": form.recipe,
        "title": kind_words(form.recipe.name),
        "about": words.about,
        "estimate": estimate,
        "few": FEW,
        **more,
    }
    return render(request, "console/run.html", context, status=code)
