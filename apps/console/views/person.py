"""One member: their workspaces, their open work, their quotas, and letting them go."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.annotation import quotas
from apps.annotation.handover import hand_over, let_go, open_work
from apps.console.member_forms import INHERITED, as_places, place_rows, read_places
from apps.console.members import member_rows, quota_rows
from apps.console.views.members import find_active
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.labeling.forms import QuotaForm
from apps.labeling.http import LabelingRequest, for_members
from apps.organizations.models import Membership, Role
from apps.workspaces import people, permissions
from apps.workspaces.models import Workspace, WorkspaceMembership


@never_cache
@require_GET
@for_members
def person(request: LabelingRequest, membership_id: UUID) -> HttpResponse:
    """What there is to know and to change about a member."""
    return _show(request, find_active(request, membership_id))


@require_POST
@for_members
def set_places(request: LabelingRequest, membership_id: UUID) -> HttpResponse:
    """Let the member into workspaces, each with a role of its own or theirs."""
    member = find_active(request, membership_id)
    chosen = read_places(request.POST, _workspaces(request))
    try:
        people.change_places(actor=request.member, member=member, places=as_places(chosen))
    except InvalidError as error:
        return _show(request, member, problem=error.message, code=422)
    return _back(member)


@require_POST
@for_members
def set_quota(request: LabelingRequest, membership_id: UUID) -> HttpResponse:
    """Set what the member is asked for in the dataset that is named."""
    member = find_active(request, membership_id)
    dataset = _find_dataset(request, member)
    form = QuotaForm(request.POST, least=0)
    if not form.is_valid():
        return _show(request, member, wrong=(dataset.id, form), code=422)
    quotas.set_quotas(dataset=dataset, annotator=member, **form.cleaned_data)
    return _back(member)


@require_POST
@for_members
def hand_over_work(request: LabelingRequest, membership_id: UUID) -> HttpResponse:
    """Give what the member holds and has drafted to another, or back to everybody."""
    member = find_active(request, membership_id)
    moved = hand_over(actor=request.member, giver=member, heir=_find_heir(request, member))
    address = reverse("console:member", args=[member.id])
    return redirect(f"{address}?leases={moved.leases}&drafts={moved.drafts}")


@require_POST
@for_members
def deactivate(request: LabelingRequest, membership_id: UUID) -> HttpResponse:
    """Let the member go, once their name was typed; their answers stay."""
    member = find_active(request, membership_id)
    if request.POST.get("name", "").strip() != member.username:
        return _show(request, member, misspelt=True, code=422)
    try:
        let_go(actor=request.member, member=member, heir=_find_heir(request, member))
    except InvalidError as error:
        return _show(request, member, problem=error.message, code=422)
    return redirect(f"{reverse('console:members')}?saved=1")


def _find_heir(request: LabelingRequest, giver: Membership) -> Membership | None:
    text = request.POST.get("heir", "")
    if not text:
        return None
    try:
        id = UUID(text)
    except ValueError as error:
        raise Http404 from error
    found: Membership = get_object_or_404(Membership.objects.active().exclude(pk=giver.pk), pk=id)
    return found


def _find_dataset(request: LabelingRequest, member: Membership) -> Dataset:
    """One that the actor manages and the member answers."""
    text = request.POST.get("dataset", "")
    for row in quota_rows(request.member, member):
        if str(row.dataset.id) == text:
            return row.dataset
    raise Http404


def _workspaces(request: LabelingRequest) -> list[Workspace]:
    return list(Workspace.objects.visible_to(request.member).order_by("name"))


def _back(member: Membership) -> HttpResponse:
    return redirect(f"{reverse('console:member', args=[member.id])}?saved=1")


def _show(
    request: LabelingRequest, member: Membership, *, code: int = 200, **more: Any
) -> HttpResponse:
    held = WorkspaceMembership.objects.filter(membership=member)
    chosen = {row.workspace_id: row.role or INHERITED for row in held}
    (row,) = member_rows(request.member, [member])
    workspaces = _workspaces(request)
    permissions.remember_roles(request.member)
    others = Membership.objects.active().exclude(pk=member.pk).order_by("first_name", "username")
    context = {
        "here": "members",
        "row": row,
        "them": member,
        "is_self": member.pk == request.member.pk,
        "may_change": people.may_change(request.member, member),
        "places": []
        if member.role == Role.OWNER
        else place_rows(request.member, workspaces, chosen),
        "work": open_work(member=member),
        "others": others[:500],
        "quotas": quota_rows(request.member, member),
        "is_saved": "saved" in request.GET,
        "moved": _moved(request),
        **more,
    }
    return render(request, "console/member.html", context, status=code)


def _moved(request: LabelingRequest) -> tuple[int, int] | None:
    given = [request.GET.get(name, "") for name in ("leases", "drafts")]
    if not all(text.isdecimal() and len(text) < 9 for text in given):
        return None
    return int(given[0]), int(given[1])
