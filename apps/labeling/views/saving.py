"""What the annotate page saves: answers, and what is taken back or done again."""

from collections.abc import Mapping
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from apps.annotation import history
from apps.annotation.models import Response
from apps.annotation.services import SavedResponse, delete_response, save_response
from apps.core.errors import InvalidError, NotFoundError
from apps.core.ids import read_id
from apps.labeling import queue
from apps.labeling.answers import Answer, read_answer, read_strays
from apps.labeling.http import (
    LabelingRequest,
    for_members,
    is_fragment,
    read_given,
    wants_receipt,
)
from apps.labeling.pages import AnnotatePage, annotate_url
from apps.labeling.views.annotate import (
    asked_pairs,
    find_dataset,
    go_on,
    show,
    show_undone,
)
from apps.records.models import Record


@require_POST
@for_members
def save(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Submit, draft or discard; then the next record, or this one with what is wrong (422).

    A script that has gone on already gets a receipt instead of the next record.
    """
    page = _page(request, dataset_id)
    record = Record.objects.filter(dataset=page.dataset, pk=record_id).first()
    if record is None:
        return _show_gone(request, page)
    return _save(request, page, record)


def _page(request: LabelingRequest, dataset_id: UUID) -> AnnotatePage:
    dataset = find_dataset(request, dataset_id)
    status = request.POST.get("status", queue.PENDING)
    status = status if status in queue.QUEUES else queue.PENDING
    return AnnotatePage(dataset, request.member, status, pairs=asked_pairs(request))


def _save(request: LabelingRequest, page: AnnotatePage, record: Record) -> HttpResponse:
    record.dataset = page.dataset
    answer = read_answer(page.schema, request.POST, record.fields)
    if answer.errors:
        return _show_again(request, page, record, answer, answer.errors, code=422)
    after = _find_following(page, record)
    try:
        saved = save_response(
            record=record,
            annotator=request.member,
            status=answer.status,
            values=answer.values,
            request_key=answer.request_key,
            schema=page.schema,
        )
    except NotFoundError:  # deleted since it was looked up
        return _show_gone(request, page)
    except InvalidError:  # the questions were changed since they were read
        newer = _page(request, page.dataset.id)
        if newer.dataset.schema_version == page.dataset.schema_version:
            raise
        return _save(request, newer, record)
    page.strays = read_strays(page.schema, request.POST)
    page.told, page.is_new = _tell(request, page, saved), saved.created
    return _receipt(request, page) if wants_receipt(request) else go_on(request, page, after)


@require_POST
@for_members
def skip(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Leave the record to others and go on."""
    dataset = find_dataset(request, dataset_id)
    page = AnnotatePage(dataset, request.member, pairs=asked_pairs(request))
    queue.skip(dataset, request.member, record_id, page.narrowing)
    if wants_receipt(request):
        return _receipt(request, page)
    if page.narrowing is not None:
        page.narrowing.passed = [*page.narrowing.passed, record_id]
        if not is_fragment(request):
            return redirect(f"{annotate_url(dataset.id)}?{page.passed}")
    return go_on(request, page)


@require_POST
@for_members
def return_to_pending(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Take one's answer back; the record may be handed out again."""
    dataset = find_dataset(request, dataset_id)
    own = Response.objects.filter(dataset=dataset, user=request.member)
    response = get_object_or_404(own, record_id=record_id)
    status = queue.ALL if request.POST.get("status") == queue.ALL else response.status
    page = AnnotatePage(dataset, request.member, status, pairs=asked_pairs(request))
    after = queue.following(dataset, request.member, status, record_id, page.narrowing)
    delete_response(response=response, request_key=page.request_key)
    return go_on(request, page, after)


@require_POST
@for_members
def undo(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Take back the act that ``act`` names, else the last one, and show its record again."""
    dataset = find_dataset(request, dataset_id)
    page = AnnotatePage(dataset, request.member, pairs=asked_pairs(request))
    key = read_id(request.POST.get("act", "")) or (page.last_act and page.last_act.request_key)
    undone = key and history.undo(
        dataset=dataset, annotator=request.member, request_key=key, hold=True
    )
    if not key or not undone or not undone.record_ids:
        return _nothing_to_do(request, page)
    record_id = undone.record_ids[0]
    if not is_fragment(request):
        more = {"undone": str(key), "told": "undone"}
        return redirect(page.url_of(queue.PENDING, record_id, **more))
    page.told = ["undone"]
    return show_undone(request, page, queue.open_record(dataset, request.member, record_id), key)


@require_POST
@for_members
def redo(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Do again what was taken back last, or what ``act`` names, and go on."""
    dataset = find_dataset(request, dataset_id)
    page = AnnotatePage(dataset, request.member, pairs=asked_pairs(request))
    key = read_id(request.POST.get("act", "")) or (
        page.last_undone and page.last_undone.request_key
    )
    done = key and history.redo(dataset=dataset, annotator=request.member, request_key=key)
    if not done or not done.record_ids:
        return _nothing_to_do(request, page)
    page.told, page.is_new = ["redone"], True
    if not wants_receipt(request):
        return go_on(request, page)
    answer = _receipt(request, page)
    answer["X-Record"] = str(done.record_ids[0])
    return answer


def _nothing_to_do(request: LabelingRequest, page: AnnotatePage) -> HttpResponse:
    if is_fragment(request):
        return HttpResponse(status=204)
    return redirect(page.url_of(queue.PENDING, told="nothing"))


def _tell(request: LabelingRequest, page: AnnotatePage, saved: SavedResponse) -> list[str]:
    """What the person has to know of an answer that was saved otherwise than they may think."""
    told = []
    if saved.extra:
        told.append("extra")
    replaced = saved.replaced_at.isoformat() if saved.replaced_at else ""
    if replaced and replaced != request.POST.get("seen", replaced):
        told.append("replaced")
    if page.strays:
        told.append("changed")
    return told


def _receipt(request: LabelingRequest, page: AnnotatePage) -> HttpResponse:
    return render(request, "labeling/_receipt.html", {"page": page})


def _find_following(page: AnnotatePage, record: Record) -> UUID | None:
    if page.status == queue.PENDING:
        return None
    return queue.following(page.dataset, page.member, page.status, record.id, page.narrowing)


def _show_gone(request: LabelingRequest, page: AnnotatePage) -> HttpResponse:
    """The record was deleted meanwhile: what was answered is shown, to be copied."""
    titles = {name: rule.question.title for name, rule in page.schema.questions.items()}
    given = {titles.get(name, name): text for name, text in read_given(request).items()}
    template = "labeling/_gone.html" if is_fragment(request) else "labeling/gone.html"
    context = {"page": page, "dataset": page.dataset, "given": given}
    return render(request, template, context, status=404)


def _show_again(
    request: LabelingRequest,
    page: AnnotatePage,
    record: Record,
    answer: Answer,
    errors: Mapping[str, str],
    *,
    code: int,
) -> HttpResponse:
    """The same record with everything kept; the summary of errors says what to do."""
    page.turn = queue.at_hand(request.member, record)
    page.values, page.errors = answer.values, errors
    return show(request, page, code)
