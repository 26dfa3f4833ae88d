"""The annotate page: which record it shows, and its hold on it."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.annotation import distribution, history
from apps.datasets.models import Dataset
from apps.labeling import queue
from apps.labeling.http import LabelingRequest, for_members, is_fragment
from apps.labeling.pages import AnnotatePage, annotate_url
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


@never_cache
@require_GET
@for_members
def annotate(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The next record of the queue, one's own answers by ``status``, or one ``record``.

    ``undone`` names an act that was taken back: the form begins with what it had answered.
    """
    dataset = find_dataset(request, dataset_id)
    status = request.GET.get("status", queue.PENDING)
    if status not in queue.QUEUES:
        status = queue.PENDING
    told = [code for code in request.GET.getlist("told") if code in AnnotatePage.told_codes]
    record_id, undone = (
        read_id(request.GET.get("record", "")),
        read_id(request.GET.get("undone", "")),
    )
    if record_id is None:
        return show(request, AnnotatePage(dataset, request.member, status, told=told), fill=True)
    turn = queue.open_record(dataset, request.member, record_id)
    if undone is not None:
        return show_undone(request, AnnotatePage(dataset, request.member, told=told), turn, undone)
    status = turn.response.status if turn.response else status
    return show(request, AnnotatePage(dataset, request.member, status, turn, told=told))


@never_cache
@require_GET
@for_members
def ahead(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The next records as fragments, leased, before they are asked for.

    ``have`` names the records that the page has at hand, or whose answers it has yet to send.
    """
    dataset = find_dataset(request, dataset_id)
    at_hand = {id for id in map(read_id, request.GET.getlist("have")[:100]) if id}
    coming, held = queue.claim_ahead(dataset, request.member, at_hand)
    pages = [AnnotatePage(dataset, request.member, turn=turn) for turn in coming]
    for page in pages[1:]:
        page.overview = pages[0].overview
    context = {"pages": pages, "held": held, "dataset": dataset}
    return render(request, "labeling/_ahead.html", context)


@never_cache
@require_GET
@for_members
def previous(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """To the answer given last."""
    dataset = find_dataset(request, dataset_id)
    response = queue.last_answer(dataset, request.member)
    if response is None:
        return redirect(annotate_url(dataset.id))
    return redirect(annotate_url(dataset.id, response.status, response.record_id))


@require_POST
@for_members
def renew(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Keep the record for as long as the page is open, until when; 410 when it was given away."""
    find_dataset(request, dataset_id)
    expires_at = distribution.renew(record_id=record_id, annotator=request.member)
    if expires_at is None:
        return HttpResponse(status=410)
    return HttpResponse(expires_at.isoformat(), content_type="text/plain")


@require_POST
@for_members
def release(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Give the record back when the page closes."""
    dataset = find_dataset(request, dataset_id)
    queue.give_back(dataset, request.member, record_id, request.POST.get("until", ""))
    return HttpResponse(status=204)


def find_dataset(request: LabelingRequest, dataset_id: UUID) -> Dataset:
    """The dataset, which the member may answer; a stranger's does not exist."""
    visible = Dataset.objects.visible_to(request.member).select_related("workspace")
    dataset = get_object_or_404(visible, pk=dataset_id)
    permissions.check(request.member, Action.ANSWER, dataset.workspace_id)
    return dataset


def show(
    request: LabelingRequest, page: AnnotatePage, code: int = 200, *, fill: bool = False
) -> HttpResponse:
    """The page, or its fragment for a script; ``fill`` puts the queue's first record on it."""
    if fill:
        page.turn = (
            queue.next_pending(page.dataset, page.member)
            if page.status == queue.PENDING
            else queue.open_answer(page.dataset, page.member, page.status)
        )
    template = "labeling/_work.html" if is_fragment(request) else "labeling/annotate.html"
    return render(request, template, {"page": page, "dataset": page.dataset}, status=code)


def show_undone(
    request: LabelingRequest, page: AnnotatePage, turn: queue.Turn, key: UUID
) -> HttpResponse:
    """The record of an act that was taken back, with what it had answered."""
    page.turn = turn
    page.values = history.undone_values(
        annotator=page.member, record_id=turn.record.id, request_key=key
    )
    return show(request, page)


def go_on(request: LabelingRequest, page: AnnotatePage, after: UUID | None = None) -> HttpResponse:
    """To the next record; a script gets it at once, a browser is sent there.

    A list of own answers ends in the pending queue, except drafts, which start over.
    """
    page.status = page.status if after or page.status == "draft" else queue.PENDING
    if not is_fragment(request):
        told = page.told[0] if page.told else ""
        return redirect(annotate_url(page.dataset.id, page.status, after, told=told))
    if after is None:
        return show(request, page, fill=True)
    page.turn = queue.open_record(page.dataset, request.member, after)
    return show(request, page)


def read_id(text: str) -> UUID | None:
    """The id in a query or form; None for anything else."""
    try:
        return UUID(text)
    except ValueError:
        return None
