"""The annotate page: a record and its questions, answer by answer."""

from collections.abc import Mapping
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.annotation import distribution
from apps.annotation.models import Response
from apps.annotation.services import delete_response, save_response
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Dataset
from apps.labeling import queue
from apps.labeling.answers import Answer, read_answer
from apps.labeling.http import LabelingRequest, for_members, is_fragment
from apps.labeling.pages import AnnotatePage, annotate_url
from apps.records.models import Record
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


@never_cache
@require_GET
@for_members
def annotate(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The next record of the queue, one's own answers by ``status``, or one ``record``."""
    dataset = _find_dataset(request, dataset_id)
    status = request.GET.get("status", queue.PENDING)
    if status not in queue.QUEUES:
        status = queue.PENDING
    record_id = _read_id(request.GET.get("record", ""))
    if record_id is not None:
        turn: queue.Turn | None = queue.open_record(dataset, request.member, record_id)
        status = turn.response.status if turn and turn.response else status
    else:
        turn = _open_queue(dataset, request, status)
    return _show(request, AnnotatePage(dataset, request.member, status, turn))


@require_POST
@for_members
def save(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Submit, draft or discard; then the next record, or this one with what is wrong (422)."""
    dataset = _find_dataset(request, dataset_id)
    record = get_object_or_404(Record.objects.filter(dataset=dataset), pk=record_id)
    record.dataset = dataset
    status = request.POST.get("status", queue.PENDING)
    page = AnnotatePage(dataset, request.member, status if status in queue.QUEUES else "pending")
    answer = read_answer(page.schema, request.POST, record.fields)
    if answer.errors:
        return _show_again(request, page, record, answer, answer.errors, code=422)
    after = _find_following(page, record)
    try:
        save_response(
            record=record,
            annotator=request.member,
            status=answer.status,
            values=answer.values,
            request_key=answer.request_key,
            schema=page.schema,
        )
    except InvalidError as error:
        return _show_again(request, page, record, answer, {"": error.message}, code=422)
    except ConflictError as error:
        return _show_again(request, page, record, answer, {"": error.message}, code=409)
    return _go_on(request, page, after)


@require_POST
@for_members
def skip(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Leave the record to others and go on."""
    dataset = _find_dataset(request, dataset_id)
    queue.skip(dataset, request.member, record_id)
    return _go_on(request, AnnotatePage(dataset, request.member), None)


@require_POST
@for_members
def return_to_pending(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Take one's answer back; the record may be handed out again."""
    dataset = _find_dataset(request, dataset_id)
    own = Response.objects.filter(dataset=dataset, user=request.member)
    response = get_object_or_404(own, record_id=record_id)
    page = AnnotatePage(dataset, request.member, response.status)
    after = queue.following(dataset, request.member, response.status, record_id)
    delete_response(response=response)
    return _go_on(request, page, after)


@never_cache
@require_GET
@for_members
def previous(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """To the answer given last."""
    dataset = _find_dataset(request, dataset_id)
    response = queue.last_answer(dataset, request.member)
    if response is None:
        return redirect(annotate_url(dataset.id))
    return redirect(annotate_url(dataset.id, response.status, response.record_id))


@require_POST
@for_members
def renew(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Keep the record for as long as the page is open, until when; 410 when it was given away."""
    _find_dataset(request, dataset_id)
    expires_at = distribution.renew(record_id=record_id, annotator=request.member)
    if expires_at is None:
        return HttpResponse(status=410)
    return HttpResponse(expires_at.isoformat(), content_type="text/plain")


@require_POST
@for_members
def release(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Give the record back when the page closes."""
    dataset = _find_dataset(request, dataset_id)
    queue.give_back(dataset, request.member, record_id, request.POST.get("until", ""))
    return HttpResponse(status=204)


def _find_dataset(request: LabelingRequest, dataset_id: UUID) -> Dataset:
    """The dataset, which the member may answer; a stranger's does not exist."""
    visible = Dataset.objects.visible_to(request.member).select_related("workspace")
    dataset = get_object_or_404(visible, pk=dataset_id)
    permissions.check(request.member, Action.ANSWER, dataset.workspace_id)
    return dataset


def _open_queue(dataset: Dataset, request: LabelingRequest, status: str) -> queue.Turn | None:
    if status == queue.PENDING:
        return queue.next_pending(dataset, request.member)
    return queue.open_answer(dataset, request.member, status)


def _find_following(page: AnnotatePage, record: Record) -> UUID | None:
    if page.status == queue.PENDING:
        return None
    return queue.following(page.dataset, page.member, page.status, record.id)


def _show(request: LabelingRequest, page: AnnotatePage, code: int = 200) -> HttpResponse:
    template = "labeling/_work.html" if is_fragment(request) else "labeling/annotate.html"
    return render(request, template, {"page": page, "dataset": page.dataset}, status=code)


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
    return _show(request, page, code)


def _go_on(request: LabelingRequest, page: AnnotatePage, after: UUID | None) -> HttpResponse:
    """To the next record; a script gets it at once, a browser is sent there.

    A list of own answers ends in the pending queue, except drafts, which start over.
    """
    status = page.status if after or page.status == "draft" else queue.PENDING
    if not is_fragment(request):
        return redirect(annotate_url(page.dataset.id, status, after), permanent=False)
    if after is not None:
        turn: queue.Turn | None = queue.open_record(page.dataset, request.member, after)
    else:
        turn = _open_queue(page.dataset, request, status)
    page.status, page.turn = status, turn
    return _show(request, page)


def _read_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
