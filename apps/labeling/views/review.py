"""The review page: what waits, the answers side by side, and the decision."""

from dataclasses import replace
from uuid import UUID

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.annotation.models import Response
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.ids import read_id
from apps.datasets.models import Dataset
from apps.labeling.answers import read_answer
from apps.labeling.http import LabelingRequest, for_members, is_fragment
from apps.labeling.review_page import Asked, ReviewPage, read_seen, review_url
from apps.labeling.review_questions import AGREED, AMBIGUOUS, EDIT
from apps.quality import review as service
from apps.quality.decisions import ChangedMeanwhileError, Ruling, decide, send_back
from apps.quality.models import ReviewItem, ReviewReason
from apps.records.models import Record
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


def find_reviewed(
    request: LabelingRequest, dataset_id: UUID, action: Action = Action.REVIEW
) -> Dataset:
    """The dataset, which the member may review; a stranger's does not exist."""
    visible = Dataset.objects.visible_to(request.member).select_related("workspace")
    dataset = get_object_or_404(visible, pk=dataset_id)
    permissions.check(request.member, action, dataset.workspace_id)
    return dataset


@never_cache
@require_GET
@for_members
def review(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The next record that waits, under the filters, or the one of ``record``.

    ``ahead`` asks for what follows the record of ``after`` once that one is settled: 204 if nothing
    does.
    """
    dataset = find_reviewed(request, dataset_id)
    filters = read_filters(request.GET)
    page = ReviewPage(dataset, request.member, filters)
    page.blind = page.settings.blind or request.GET.get("blind") == "1"
    wanted = read_id(request.GET.get("record", ""))
    if wanted is not None:
        page.record = get_object_or_404(Record.objects.filter(dataset=dataset), pk=wanted)
        page.item = _take(page.record, request)
    else:
        after = read_id(request.GET.get("after", ""))
        page.settled = after if request.GET.get("ahead") == "1" else None
        page.item = service.take_next(
            dataset=dataset,
            reviewer=request.member,
            filters=filters,
            after=after,
            is_ahead=page.settled is not None,
        )
        if page.settled and page.item is None:
            return HttpResponse(status=204)
        page.record = page.item.record if page.item else None
    done = read_id(request.GET.get("done", ""))
    page.done = Record.objects.filter(dataset=dataset, pk=done).first() if done else None
    return _show(request, page)


@require_POST
@for_members
def judge(request: LabelingRequest, dataset_id: UUID, record_id: UUID) -> HttpResponse:
    """Decide, or send an answer back; then the next record, or this one with what is wrong."""
    dataset = find_reviewed(request, dataset_id)
    record = get_object_or_404(Record.objects.filter(dataset=dataset), pk=record_id)
    record.dataset = dataset
    page = ReviewPage(dataset, request.member, read_filters(request.POST), record)
    page.blind = page.settings.blind or request.POST.get("blind") == "1"
    page.asked = _read(page, request)
    if page.asked.problem or page.asked.errors:
        return _show_again(request, page, 422)
    try:
        if request.POST.get("do") == "return":
            _send_back(page, request)
        else:
            _decide(page, request)
    except ChangedMeanwhileError as error:
        return _show_again(request, page, 409, _told(page, error), error)
    except ConflictError as error:
        return _show_again(request, page, 409, error.message)
    except InvalidError as error:
        return _show_again(request, page, 422, error.message)
    except NotFoundError as error:
        raise Http404(error.message) from error
    url = review_url(dataset.id, page.filters, blind=page.blind, done=record.id)
    if is_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return redirect(url)


@require_POST
@for_members
def configure(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """How much is drawn by chance, what counts as uncertain, and whether names are hidden."""
    dataset = find_reviewed(request, dataset_id, Action.MANAGE_DATASET)
    page = ReviewPage(dataset, request.member, service.Filters())
    try:
        service.configure_review(
            dataset=dataset,
            random_percent=_number(request.POST.get("random_percent", "")),
            least_certain=_number(request.POST.get("least_certain", "")) / 100,
            blind="blind" in request.POST,
        )
    except InvalidError as error:
        page.asked = Asked(problem=error.message)
        return _show(request, page, 422)
    return redirect("labeling:review", dataset.id)


@require_POST
@for_members
def refresh(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Look through the dataset again, in the background."""
    dataset = find_reviewed(request, dataset_id)
    service.start_refresh(dataset=dataset, created_by=request.member)
    return redirect("labeling:review", dataset.id)


def read_filters(given: QueryDict) -> service.Filters:
    """Unknown reasons and ids are none."""
    reason = given.get("reason", "")
    return service.Filters(
        reason=reason if reason in ReviewReason.values else "",
        question_id=read_id(given.get("question", "")),
        person_id=read_id(given.get("person", "")),
    )


def _number(text: str) -> float:
    """Raises ``InvalidError``; a comma counts as a point."""
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise InvalidError(_("Write a number.")) from error


def _take(record: Record, request: LabelingRequest) -> ReviewItem | None:
    """The record's place in the queue, held if nobody else holds it; None when it does not wait."""
    item = ReviewItem.objects.filter(record=record).select_related("held_by").first()
    return service.hold(item=item, reviewer=request.member) if item else None


def _show(request: LabelingRequest, page: ReviewPage, code: int = 200) -> HttpResponse:
    may_manage = permissions.may(request.member, Action.MANAGE_DATASET, page.dataset.workspace_id)
    context = {"page": page, "dataset": page.dataset, "may_manage": may_manage}
    template = "labeling/review.html" if page.record else "labeling/review_queue.html"
    return render(request, template, context, status=code)


def _show_again(
    request: LabelingRequest,
    page: ReviewPage,
    code: int,
    problem: str = "",
    error: ChangedMeanwhileError | None = None,
) -> HttpResponse:
    """The same record as it is now, with the decision as far as it was made."""
    changed = frozenset(person.id for person in error.people) if error else frozenset()
    page.asked = replace(page.asked, problem=problem or page.asked.problem, changed=changed)
    page.__dict__.pop("responses", None)
    page.__dict__.pop("adjudication", None)
    page.__dict__.pop("questions", None)
    page.__dict__.pop("seen", None)
    page.__dict__.pop("people", None)
    if page.record is not None:
        page.item = ReviewItem.objects.filter(record=page.record).select_related("held_by").first()
    return _show(request, page, code)


def _told(page: ReviewPage, error: ChangedMeanwhileError) -> str:
    """What has changed, in words that keep names hidden where they are."""
    parts = []
    if error.decided_by is not None:
        name = error.decided_by.display_name
        parts.append(_("%(name)s decided this record meanwhile.") % {"name": name})
    if error.people:
        names = ", ".join(page.name_of(person) for person in error.people)
        parts.append(_("Changed since you opened the page: %(names)s.") % {"names": names})
    if not parts:
        parts.append(_("An answer or a decision was taken back meanwhile."))
    parts.append(_("Look again, then decide. What you wrote is kept."))
    return " ".join(parts)


def _read(page: ReviewPage, request: LabelingRequest) -> Asked:
    """The form; what is not decided on a question that people answered is an error."""
    post, fields = request.POST, page.record.fields if page.record else {}
    edited = read_answer(page.schema, post, fields).values
    chosen = {name: post.get(f"d.{name}", "") for name in page.schema.questions}
    asked = Asked(chosen, edited, post.get("note", "").replace("\0", ""))
    gone = [name for name in post.getlist("asked") if name not in page.schema.questions]
    if gone:
        words = {"names": ", ".join(gone)}
        return replace(asked, problem=_("Taken out of the dataset meanwhile: %(names)s.") % words)
    if post.get("do") == "return":
        missing = not asked.note.strip()
        return replace(asked, problem=_("Say what to look at again.") if missing else "")
    errors = {
        one.card.name: _("Choose, or say that it can’t be decided.")
        for one in page.questions
        if one.choices and not chosen[one.card.name]
    }
    errors |= {
        name: _("Give your own answer.")
        for name, choice in chosen.items()
        if choice == EDIT and name not in edited
    }
    return replace(asked, errors=errors)


def _decide(page: ReviewPage, request: LabelingRequest) -> None:
    if page.record is None:
        raise NotFoundError("Record not found")
    decide(
        record=page.record,
        reviewer=request.member,
        ruling=_ruling(page),
        seen=read_seen(request.POST.get("seen", "")),
    )


def _ruling(page: ReviewPage) -> Ruling:
    """Codes of choices become values; one of an answer that is gone stays out, and is seen to."""
    asked, values, ambiguous = page.asked, {}, []
    for one in page.questions:
        name, code = one.card.name, asked.chosen.get(one.card.name, "")
        found = [c for c in one.choices if c.code == code or (code == AGREED and c.is_agreed)]
        if code == AMBIGUOUS:
            ambiguous.append(name)
        elif code == EDIT:
            values[name] = asked.edited[name]
        elif found:
            values[name] = {"value": found[0].value}
    return Ruling(values, ambiguous, asked.note)


def _send_back(page: ReviewPage, request: LabelingRequest) -> None:
    response_id = read_id(request.POST.get("back", ""))
    rows = Response.objects.filter(record=page.record).select_related("record__dataset", "user")
    response = rows.filter(id=response_id).first() if response_id else None
    if response is None:
        raise ConflictError(_("This answer was taken back meanwhile."))
    send_back(
        response=response,
        reviewer=request.member,
        note=page.asked.note,
        seen=read_seen(request.POST.get("seen", "")),
    )
