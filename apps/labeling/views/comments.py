"""Talking about a record: comments, a flag for the reviewers, a gap in the guidelines."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.errors import ConflictError, InvalidError
from apps.core.ids import read_id
from apps.datasets.models import Dataset, Question
from apps.labeling import queue
from apps.labeling.fields import show_fields
from apps.labeling.http import LabelingRequest, for_members
from apps.labeling.review_page import ReviewPage
from apps.labeling.views.review import find_reviewed
from apps.quality import review, talk
from apps.quality.models import Flag, GuidelineGap, Mention
from apps.records.models import Record
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def comments(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """What was said about the record; a GET reads what one was told, a POST adds to it."""
    record = find_record(request, dataset_id, record_id)
    if request.method == "GET":
        talk.read_mentions(member=request.member, records=[record])
        return _show(request, record)
    try:
        talk.add_comment(record=record, author=request.member, text=request.POST.get("text", ""))
    except InvalidError as error:
        return _show(request, record, "comment", error.message)
    return _back(request, record)


@require_POST
@for_members
def flag(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Ask a reviewer to look, or no longer."""
    record = find_record(request, dataset_id, record_id)
    if request.POST.get("do") == "unflag":
        talk.unflag_record(record=record, member=request.member)
    else:
        note = request.POST.get("note", "")
        talk.flag_record(record=record, member=request.member, note=note)
    return _back(request, record)


@require_POST
@for_members
def report_gap(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Tell the admins what the guidelines do not say."""
    record = find_record(request, dataset_id, record_id)
    questions = Question.objects.filter(dataset=record.dataset_id)
    wanted = read_id(request.POST.get("question", ""))
    question = questions.filter(id=wanted).first() if wanted else None
    try:
        talk.report_gap(
            record=record,
            author=request.member,
            text=request.POST.get("text", ""),
            question=question,
        )
    except InvalidError as error:
        return _show(request, record, "gap", error.message)
    return _back(request, record)


@never_cache
@require_GET
@for_members
def gaps(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The gaps of the dataset's guidelines, open ones first."""
    dataset = find_reviewed(request, dataset_id)
    return _show_gaps(request, dataset)


@require_POST
@for_members
def resolve_gap(request: LabelingRequest, guideline_gap_id: UUID) -> HttpResponse:
    """Close a gap with what was done about it."""
    visible = GuidelineGap.objects.filter(
        dataset__in=Dataset.objects.visible_to(request.member)
    ).select_related("dataset__workspace")
    gap = get_object_or_404(visible, pk=guideline_gap_id)
    permissions.check(request.member, Action.MANAGE_DATASET, gap.dataset.workspace_id)
    resolution = request.POST.get("resolution", "")
    try:
        talk.resolve_gap(gap=gap, member=request.member, resolution=resolution)
    except ConflictError as error:
        return _show_gaps(request, gap.dataset, error.message)
    return redirect("labeling:gaps", gap.dataset_id)


def _show_gaps(request: LabelingRequest, dataset: Dataset, problem: str = "") -> HttpResponse:
    rows = GuidelineGap.objects.filter(dataset=dataset).order_by("-id")
    found = list(rows.select_related("record", "question", "author", "resolved_by")[:500])
    context = {
        "dataset": dataset,
        "open_gaps": [gap for gap in found if gap.resolved_at is None],
        "closed_gaps": [gap for gap in found if gap.resolved_at is not None],
        "may_manage": permissions.may(request.member, Action.MANAGE_DATASET, dataset.workspace_id),
        "problem": problem,
    }
    return render(request, "labeling/review_gaps.html", context, status=409 if problem else 200)


def find_record(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> Record:
    """One that the member answered, holds, may list, or was told of in a comment."""
    visible = Dataset.objects.visible_to(request.member).select_related("workspace")
    dataset = get_object_or_404(visible, pk=dataset_id)
    permissions.check(request.member, Action.ANSWER, dataset.workspace_id)
    record = get_object_or_404(Record.objects.filter(dataset=dataset), pk=record_id)
    record.dataset = dataset
    told = Mention.objects.filter(member=request.member, comment__record=record)
    if not told.exists():
        queue.open_record(dataset, request.member, record_id)  # raises when it is not theirs
    return record


def _show(
    request: LabelingRequest, record: Record, wrong: str = "", problem: str = ""
) -> HttpResponse:
    page = ReviewPage(record.dataset, request.member, review.Filters(), record)
    if not permissions.may(request.member, Action.VIEW_ALL_RESPONSES, record.dataset.workspace_id):
        page.responses = []
    page.blind = page.settings.blind
    context = {
        "page": page,
        "dataset": record.dataset,
        "fields": show_fields(page.schema, record.fields, [], record_id=record.id),
        "own_flag": Flag.objects.filter(record=record, member=request.member).first(),
        "wrong": wrong,
        "problem": problem,
        "text": request.POST.get("text", "") if wrong else "",
    }
    return render(request, "labeling/comments.html", context, status=422 if wrong else 200)


def _back(request: LabelingRequest, record: Record) -> HttpResponse:
    """To the page from which it was said, if that is here."""
    wanted = request.POST.get("next", "")
    here = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return redirect(
        wanted
        if here and wanted.startswith("/")
        else reverse("labeling:comments", args=[record.dataset_id, record.id])
    )
