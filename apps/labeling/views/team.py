"""How far a dataset and its people are, and how many answers each is asked for."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.annotation import progress, quotas
from apps.datasets.models import Dataset
from apps.datasets.services import update_dataset
from apps.labeling.forms import QuotaForm
from apps.labeling.http import LabelingRequest, for_members
from apps.organizations.models import Membership
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


@never_cache
@require_GET
@for_members
def team(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The dataset's progress; everybody's for who may see all answers, else one's own."""
    return _show(request, _find_dataset(request, dataset_id))


@require_POST
@for_members
def set_quotas(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Set the dataset's quotas, or those of the one ``person`` that is named."""
    dataset = _find_dataset(request, dataset_id)
    permissions.check(request.member, Action.MANAGE_DATASET, dataset.workspace_id)
    person = _find_person(dataset, request.POST.get("person", ""))
    form = QuotaForm(request.POST, least=0 if person else 1)
    if not form.is_valid():
        return _show(request, dataset, wrong=(person.id if person else None, form), code=422)
    if person is None:
        update_dataset(dataset=dataset, changes=form.cleaned_data, author=request.member)
    else:
        quotas.set_quotas(dataset=dataset, annotator=person, **form.cleaned_data)
    return redirect("labeling:team", dataset.id)


def _find_dataset(request: LabelingRequest, dataset_id: UUID) -> Dataset:
    visible = Dataset.objects.visible_to(request.member).select_related("workspace")
    return get_object_or_404(visible, pk=dataset_id)


def _find_person(dataset: Dataset, text: str) -> Membership | None:
    """None when the form is the dataset's; who may not answer it does not exist."""
    if not text:
        return None
    try:
        person = Membership.objects.active().filter(pk=UUID(text)).first()
    except ValueError:
        person = None
    if person is None or not permissions.may(person, Action.ANSWER, dataset.workspace_id):
        raise Http404
    return person


def _show(
    request: LabelingRequest,
    dataset: Dataset,
    wrong: tuple[Any, QuotaForm] | None = None,
    code: int = 200,
) -> HttpResponse:
    member, workspace_id = request.member, dataset.workspace_id
    counted = progress.dataset_progress(dataset=dataset)
    people = quotas.people(dataset=dataset)
    if not permissions.may(member, Action.VIEW_ALL_RESPONSES, workspace_id):
        people = [person for person in people if person.member.id == member.id]
    mine = progress.my_progress(dataset=dataset, annotator=member)
    context = {
        "dataset": dataset,
        "counted": counted,
        "mine": mine,
        "people": people,
        "today": sum(person.submitted_today for person in people),
        "seconds": quotas.median_seconds(dataset=dataset, annotator=member),
        "days": quotas.days_left(dataset=dataset, progress=counted),
        "manages": permissions.may(member, Action.MANAGE_DATASET, workspace_id),
        "wrong": wrong,
    }
    return render(request, "labeling/team.html", context, status=code)
