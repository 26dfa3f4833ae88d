"""The annotate page: which record it shows, and its hold on it."""

from urllib.parse import parse_qsl
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.annotation import distribution, history
from apps.core.ids import read_id
from apps.datasets.models import Dataset
from apps.labeling import queue
from apps.labeling.http import LabelingRequest, for_members, is_fragment
from apps.labeling.narrowing import ALL
from apps.labeling.pages import AnnotatePage
from apps.records.models import Record
from apps.search.asked import MAX_ADDRESS
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


@never_cache
@require_GET
@for_members
def annotate(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The next record of the queue, one's own answers by ``status``, or one ``record``.

    Words, filters and a sort in the address choose among them (``narrowing.py``).

    ``undone`` names an act that was taken back: the form begins with what it had answered.
    """
    dataset = find_dataset(request, dataset_id)
    status = _status(request)
    told = [code for code in request.GET.getlist("told") if code in AnnotatePage.told_codes]
    record_id = read_id(request.GET.get("record", ""))
    undone = read_id(request.GET.get("undone", ""))
    page = AnnotatePage(dataset, request.member, status, told=told, pairs=asked_pairs(request))
    if record_id is None:
        return show(request, page, fill=True)
    turn = queue.open_record(dataset, request.member, record_id)
    if undone is not None:
        return show_undone(request, page, turn, undone)
    if turn.response and page.status != ALL:
        page.status = turn.response.status
    page.turn = turn
    return show(request, page)


@never_cache
@require_GET
@for_members
def choose(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """What a queue can be filtered by, with counts; a script gets it without the frame."""
    dataset = find_dataset(request, dataset_id)
    page = AnnotatePage(dataset, request.member, _status(request), pairs=asked_pairs(request))
    name = "_annotate_filter" if is_fragment(request) else "annotate_filter"
    context = {"page": page, "dataset": dataset, "narrowing": page.part}
    return render(request, f"labeling/{name}.html", context)


@never_cache
@require_GET
@for_members
def ahead(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The next records as fragments, leased, before they are asked for.

    ``have`` names the records that the page has at hand, or whose answers it has yet to send.
    """
    dataset = find_dataset(request, dataset_id)
    at_hand = {id for id in map(read_id, request.GET.getlist("have")[:100]) if id}
    asked = AnnotatePage(dataset, request.member, pairs=asked_pairs(request))
    coming, held = queue.claim_ahead(dataset, request.member, at_hand, asked.narrowing)
    pages = [AnnotatePage(dataset, request.member, turn=turn, is_ahead=True) for turn in coming]
    for page in pages:
        page.overview, page.narrowing = asked.overview, asked.narrowing
    context = {"pages": pages, "held": held, "dataset": dataset}
    return render(request, "labeling/_ahead.html", context)


@never_cache
@require_GET
@for_members
def previous(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """To the answer given last."""
    dataset = find_dataset(request, dataset_id)
    response = queue.last_answer(dataset, request.member)
    page = AnnotatePage(dataset, request.member, pairs=asked_pairs(request))
    if response is None:
        return redirect(page.queue_url)
    return redirect(page.url_of(response.status, response.record_id))


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
    get_object_or_404(Record.objects.filter(dataset=dataset), pk=record_id)
    queue.give_back(request.member, record_id, request.POST.get("until", ""))
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
            queue.next_pending(page.dataset, page.member, page.narrowing)
            if page.status == queue.PENDING
            else queue.open_answer(page.dataset, page.member, page.status, page.narrowing)
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
        return redirect(page.url_of(page.status, after, told=told))
    if after is None:
        return show(request, page, fill=True)
    page.turn = queue.open_record(page.dataset, request.member, after)
    return show(request, page)


def asked_pairs(request: LabelingRequest) -> list[tuple[str, str]]:
    """What is asked of the queue: in the address, or in the form of a page that shows it."""
    if request.method == "POST":
        return parse_qsl(request.POST.get("query", "")[:MAX_ADDRESS])
    return [(name, text) for name, given in request.GET.lists() for text in given]


def _status(request: LabelingRequest) -> str:
    status = request.GET.get("status", queue.PENDING)
    return status if status in queue.QUEUES else queue.PENDING
