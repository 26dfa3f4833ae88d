"""The gate: drafts of records are looked at, accepted, discarded, and taken back."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.console.drafts import DraftsPage
from apps.console.lookups import find_dataset
from apps.core.errors import ConflictError, LimitReachedError
from apps.core.ids import read_id
from apps.datasets.models import Dataset
from apps.drafts.asked import Asked
from apps.drafts.comparing import compare_drafts
from apps.drafts.models import DraftQuerySet
from apps.drafts.services import accept_drafts, discard_drafts, restore_drafts
from apps.labeling.http import LabelingRequest, for_members
from apps.workspaces import permissions
from apps.workspaces.permissions import Action

_DECISIONS = {"accept": accept_drafts, "discard": discard_drafts}


@never_cache
@require_GET
@for_members
def drafts(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Drafts as the address asks; ``?decided=`` is the decision that was just taken, ``?edited=``
    the draft that was just changed."""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_RECORDS)
    decision = read_id(request.GET.get("decided", ""))
    just = Asked(decision=decision).of(dataset) if decision else None
    return _show(request, dataset, request.GET, just=just)


@require_POST
@for_members
def decide(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Accept or discard: one (``one=accept:<id>``), the marked, or all that match.

    ``do`` is ``accept`` or ``discard``, with ``-all`` for all that match (``after`` a draft), of
    which the form says how many it has shown (``expected``).
    """
    dataset = find_dataset(request, dataset_id, Action.MANAGE_RECORDS)
    query = QueryDict(request.POST.get("query", "")[:2000])
    one, _colon, id = request.POST.get("one", "").partition(":")
    do, _dash, scope = request.POST.get("do", "").partition("-")
    verb = one or do
    if verb not in _DECISIONS:
        raise Http404
    page = DraftsPage(dataset, query)
    if scope and not one and request.POST.get("expected") != str(page.waiting):
        return _show(request, dataset, query, code=409, has_changed=True)
    ids = [id] if one else request.POST.getlist("draft")
    chosen = page.matching if scope and not one else _named(dataset, ids)
    after = read_id(request.POST.get("after", ""))
    try:
        outcome = _DECISIONS[verb](
            dataset=dataset, drafts=chosen, member=request.member, after=after
        )
    except LimitReachedError as error:
        return _show(request, dataset, query, code=422, problem=error.message)
    if outcome.refused or not outcome.taken:
        just = Asked(decision=outcome.decision).of(dataset)
        return _show(request, dataset, query, just=just, outcome=outcome)
    return _back(dataset, query, outcome.decision)


@require_POST
@for_members
def undo(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Take a decision back; records that people have worked on stay."""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_RECORDS)
    query = QueryDict(request.POST.get("query", "")[:2000])
    decision = read_id(request.POST.get("decision", ""))
    if decision is None:
        raise Http404
    chosen = Asked(decision=decision).of(dataset)
    outcome = restore_drafts(dataset=dataset, drafts=chosen)
    return _show(request, dataset, query, restored=outcome)


@require_POST
@for_members
def compare(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Mark the drafts that nearly repeat a record, as a job."""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_RECORDS)
    permissions.check(request.member, Action.RUN_JOBS, dataset.workspace_id)
    try:
        job = compare_drafts(dataset=dataset, created_by=request.member)
    except ConflictError:  # one is at work
        return redirect("console:jobs", dataset.id)
    return redirect("console:job", dataset.id, job.id)


def _named(dataset: Dataset, texts: list[str]) -> DraftQuerySet:
    ids = [id for text in texts[:1000] if (id := read_id(text)) is not None]
    return Asked(ids=ids).of(dataset)


def _back(dataset: Dataset, query: QueryDict, decision: UUID) -> HttpResponse:
    kept = query.copy()
    kept["decided"] = str(decision)
    kept.pop("page", None)
    return redirect(f"{reverse('console:drafts', args=[dataset.id])}?{kept.urlencode()}")


def _show(
    request: LabelingRequest,
    dataset: Dataset,
    query: QueryDict,
    *,
    code: int = 200,
    just: DraftQuerySet | None = None,
    **more: Any,
) -> HttpResponse:
    page = DraftsPage(dataset, query)
    first = just.first() if just is not None else None
    context = {
        "dataset": dataset,
        "here": "drafts",
        "drafts": page,
        "page": page.page,
        "just": first,
        "edited": read_id(query.get("edited", "")),
        "just_count": just.count() if just is not None and first else 0,
        "may_run": permissions.may(request.member, Action.RUN_JOBS, dataset.workspace_id),
        **more,
    }
    return render(request, "console/drafts.html", context, status=code)
