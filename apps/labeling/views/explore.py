"""The explore page: find, then answer many."""

from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Dataset
from apps.jobs.models import Job
from apps.jobs.services import cancel_job
from apps.labeling.explore import ExplorePage, job_of
from apps.labeling.explore_answers import BulkForm, read_bulk_form
from apps.labeling.explore_jobs import with_undo
from apps.labeling.http import LabelingRequest, for_members, is_fragment
from apps.search import bulk_answers
from apps.search.asked import MAX_ADDRESS
from apps.search.bulk_answers import Selection, dry_run
from apps.search.models import SavedView
from apps.search.services import delete_view, save_view
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


@never_cache
@require_GET
@for_members
def explore(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """What matches the search in the address; a script gets it without the frame."""
    dataset = _find_dataset(request, dataset_id)
    page = ExplorePage(dataset, request.member, _pairs(request), request.GET.get("at", ""))
    return _show(request, page)


def _show(request: LabelingRequest, page: ExplorePage, code: int = 200) -> HttpResponse:
    page.matcher.near  # noqa: B018  (what is wrong with the search is known from here on)
    template = "labeling/_explore.html" if is_fragment(request) else "labeling/explore.html"
    return render(request, template, {"page": page, "dataset": page.dataset}, status=code)


@require_POST
@for_members
def answer(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Say what an answer would do; do it once the person has seen just that."""
    dataset = _find_dataset(request, dataset_id)
    page = ExplorePage(dataset, request.member, _posted_pairs(request))
    form = read_bulk_form(page.schema, request.POST)
    context: dict[str, Any] = {
        "page": page,
        "dataset": dataset,
        "form": form,
        "is_asked": _asks(request),
    }
    if form.picked is None and page.problems:
        form.problems.append(page.problems[0])
    if form.problems:
        return _effect(request, context, code=200 if _asks(request) else 422)
    try:
        selection = _selection(page, form)
        matcher = selection.matcher(page.schema, request.member, page.viewpoint)
        context["effect"] = effect = dry_run(matcher, request.member, form.answer)
    except InvalidError as error:
        form.problems.append(error.message)
        return _effect(request, context, code=422)
    if _asks(request) or form.expected is None:
        return _effect(request, context)
    if form.expected != effect.answered or not effect.answered:
        context["has_changed"] = True
        return _effect(request, context, code=409)
    bulk_answers.start(
        dataset=dataset,
        member=request.member,
        selection=selection,
        answer=form.answer,
        expected=effect.answered,
    )
    return _done(request, page.url)


def _asks(request: LabelingRequest) -> bool:
    return request.POST.get("do") == "check"


def _selection(page: ExplorePage, form: BulkForm) -> Selection:
    if form.picked is not None:
        return Selection(page.asked, picked=form.picked)
    return Selection(page.asked, upto=form.upto or page.upto, phrase=page.phrase)


def _effect(request: LabelingRequest, context: dict[str, Any], code: int = 200) -> HttpResponse:
    name = "_explore_effect" if is_fragment(request) else "explore_check"
    context["posted"] = [
        (key, value)
        for key, values in request.POST.lists()
        if key not in {"csrfmiddlewaretoken", "do", "expected"}
        for value in values
    ]
    return render(request, f"labeling/{name}.html", context, status=code)


def _done(request: LabelingRequest, url: str) -> HttpResponse:
    """Back to the list; a script is told where."""
    if is_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return redirect(url)


@never_cache
@require_GET
@for_members
def job(request: LabelingRequest, dataset_id: UUID, job_id: UUID) -> HttpResponse:
    """How far a bulk answer is, and what it left out; a script gets the note alone."""
    dataset = _find_dataset(request, dataset_id)
    found = with_undo(_find_job(request, dataset, job_id), request.member)
    template = "labeling/_explore_job.html" if is_fragment(request) else "labeling/explore_job.html"
    return render(request, template, {"job": found, "dataset": dataset, "is_alone": True})


@require_POST
@for_members
def cancel(request: LabelingRequest, dataset_id: UUID, job_id: UUID) -> HttpResponse:
    """Stop it; what is stored stays, and can be taken back."""
    dataset = _find_dataset(request, dataset_id)
    found = _find_job(request, dataset, job_id)
    with suppress(ConflictError):  # it has ended meanwhile, which the page says
        cancel_job(job=found)
    return redirect("labeling:explore_job", dataset.id, found.id)


@require_POST
@for_members
def undo(request: LabelingRequest, dataset_id: UUID, job_id: UUID) -> HttpResponse:
    """Take its answers back."""
    dataset = _find_dataset(request, dataset_id)
    found = _find_job(request, dataset, job_id)
    if with_undo(found, request.member).may_undo:
        with suppress(ConflictError):  # somebody was quicker, or it is too late: the page says so
            bulk_answers.undo(job=found, member=request.member)
    return redirect("labeling:explore_job", dataset.id, found.id)


@require_POST
@for_members
def keep_view(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Keep the search under a name, for oneself or for all who see the dataset."""
    dataset = _find_dataset(request, dataset_id)
    page = ExplorePage(dataset, request.member, _posted_pairs(request))
    try:
        save_view(
            dataset=dataset,
            owner=request.member,
            name=request.POST.get("name", ""),
            query=page.asked.text,
            is_shared=request.POST.get("shared") == "1",
        )
    except InvalidError as error:
        page.problems.append(error.message)
        return _show(request, page, code=422)
    return _done(request, page.url)


@require_POST
@for_members
def forget_view(request: LabelingRequest, dataset_id: UUID, saved_view_id: UUID) -> HttpResponse:
    """Forget one's own view, or as a manager anybody's."""
    dataset = _find_dataset(request, dataset_id)
    visible = SavedView.objects.visible_to(request.member).filter(dataset=dataset)
    view = get_object_or_404(visible, pk=saved_view_id)
    if view.owner_id != request.member.id:
        permissions.check(request.member, Action.MANAGE_DATASET, dataset.workspace_id)
    delete_view(view=view)
    query = request.POST.get("query", "")[:MAX_ADDRESS]
    path = reverse("labeling:explore", args=[dataset.id])
    return _done(request, f"{path}?{query}" if query else path)


def _pairs(request: LabelingRequest) -> list[tuple[str, str]]:
    return [(name, text) for name, given in request.GET.lists() for text in given]


def _posted_pairs(request: LabelingRequest) -> list[tuple[str, str]]:
    return parse_qsl(request.POST.get("query", "")[:MAX_ADDRESS])


def _find_dataset(request: LabelingRequest, dataset_id: UUID) -> Dataset:
    visible = Dataset.objects.visible_to(request.member).select_related("workspace")
    dataset = get_object_or_404(visible, pk=dataset_id)
    permissions.check(request.member, Action.ANSWER, dataset.workspace_id)
    return dataset


def _find_job(request: LabelingRequest, dataset: Dataset, job_id: UUID) -> Job:
    found = job_of(dataset, request.member, job_id)
    if found is None or found.kind != bulk_answers.KIND:
        raise Http404
    return found
