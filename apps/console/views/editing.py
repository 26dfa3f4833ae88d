"""Changing a draft before it is let in."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.console.draft_form import DraftForm
from apps.console.drafts import DraftsPage
from apps.console.lookups import find_dataset
from apps.console.words import kind_words
from apps.core.errors import ConflictError, LimitReachedError
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.drafts.asked import Asked
from apps.drafts.editing import RefusedEditError, edit_draft, reasons_against
from apps.drafts.models import Draft, DraftState
from apps.drafts.services import accept_drafts
from apps.labeling.http import LabelingRequest, for_members
from apps.workspaces.permissions import Action


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def draft(request: LabelingRequest, dataset_id: UUID, draft_id: UUID) -> HttpResponse:
    """The draft in a form; saved, and with ``do=accept`` a record.

    The address's query is that of the page of drafts which one comes from, and goes back to.
    """
    dataset = find_dataset(request, dataset_id, Action.MANAGE_RECORDS)
    rows = Draft.objects.of_dataset(dataset).select_related("dataset", "edited_by")
    row = get_object_or_404(rows, pk=draft_id)
    form = DraftForm(load_schema(dataset), row, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        return _save(request, dataset, form)
    if row.state != DraftState.WAITING:
        return redirect(f"{_address(dataset)}?state={row.state}#draft-{row.id}")
    return _show(request, dataset, form)


def _save(request: LabelingRequest, dataset: Dataset, form: DraftForm) -> HttpResponse:
    edit = form.read()
    if form.errors:
        form.refuse(reasons_against(form.draft, edit))
        return _show(request, dataset, form, code=422)
    version = request.POST.get("version", "")
    try:
        row = edit_draft(draft=form.draft, edit=edit, member=request.member, version=version)
    except RefusedEditError as error:
        form.refuse(error.reasons)
        return _show(request, dataset, form, code=422)
    except ConflictError as error:
        return _show(request, dataset, form, code=409, problem=error.message)
    if request.POST.get("do") != "accept":
        return _back(request, dataset, row, edited=str(row.id), here=row)
    return _accept(request, dataset, row)


def _accept(request: LabelingRequest, dataset: Dataset, row: Draft) -> HttpResponse:
    """The changes are kept, also where the draft cannot be let in."""
    following = DraftsPage(dataset, request.GET).after(row)
    chosen = Asked(ids=[row.id]).of(dataset)
    try:
        outcome = accept_drafts(dataset=dataset, drafts=chosen, member=request.member)
    except LimitReachedError as error:
        kept = DraftForm(load_schema(dataset), row)
        return _show(request, dataset, kept, code=422, unaccepted=error.message)
    for reason in outcome.refused.values():
        kept = DraftForm(load_schema(dataset), row)
        return _show(request, dataset, kept, code=422, unaccepted=reason)
    return _back(request, dataset, row, decided=str(outcome.decision), here=following)


def _back(
    request: LabelingRequest, dataset: Dataset, row: Draft, *, here: Draft | None, **told: str
) -> HttpResponse:
    kept = _kept(request.GET)
    kept.update(told)
    place = f"#draft-{here.id}" if here else ""
    return redirect(f"{_address(dataset)}?{kept.urlencode()}{place}")


def _kept(query: QueryDict) -> QueryDict:
    """What the page of drafts was asked for, without what it told."""
    kept = query.copy()
    for name in ("edited", "decided"):
        kept.pop(name, None)
    return kept


def _address(dataset: Dataset) -> str:
    return reverse("console:drafts", args=[dataset.id])


def _show(
    request: LabelingRequest, dataset: Dataset, form: DraftForm, *, code: int = 200, **more: Any
) -> HttpResponse:
    query = _kept(request.GET)
    context = {
        "dataset": dataset,
        "here": "drafts",
        "form": form,
        "draft": form.draft,
        "recipe": kind_words(form.draft.recipe),
        "version": request.POST.get("version", form.draft.version),
        "back": f"{_address(dataset)}?{query.urlencode()}#draft-{form.draft.id}",
        **more,
    }
    if "unaccepted" in more:
        context["version"] = form.draft.version
    return render(request, "console/draft.html", context, status=code)
