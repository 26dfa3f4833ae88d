"""Workspaces: made, renamed, deleted by owners; who is in each, as what, and its budget."""

from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.console.member_forms import INHERITED, place_choices
from apps.console.members import PAGE, newcomers, people_of, person_rows, workspace_rows
from apps.console.provider_form import WorkspaceBudgetForm, limits_of
from apps.console.providers import spent_this_month, total
from apps.console.views.members import find_active
from apps.core.errors import ConflictError, DomainError, InvalidError
from apps.labeling.http import LabelingRequest, for_members
from apps.llms.budgets import set_budget, standing_of
from apps.llms.models import BudgetScope
from apps.workspaces import people, permissions
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Action
from apps.workspaces.services import create_workspace, delete_workspace, rename_workspace


@never_cache
@require_http_methods(["GET", "POST"])
@for_members
def workspaces(request: LabelingRequest) -> HttpResponse:
    """Those that the member sees; a POST by an owner makes one."""
    permissions.check(request.member, Action.MANAGE_PEOPLE)
    if request.method == "GET":
        return _list(request)
    permissions.check(request.member, Action.MANAGE_WORKSPACES)
    try:
        made = create_workspace(name=_name(request))
    except DomainError as error:
        return _list(request, name=_name(request), wrong=_wrong(error), code=422)
    return _back(made)


@never_cache
@require_GET
@for_members
def workspace(request: LabelingRequest, workspace_id: UUID) -> HttpResponse:
    """The people in it, and those who can be let in."""
    return _show(request, _find(request, workspace_id))


@require_POST
@for_members
def set_place(request: LabelingRequest, workspace_id: UUID) -> HttpResponse:
    """Let a person in, give them another role here, or take them out (no role)."""
    found = _find(request, workspace_id)
    member = find_active(request, _person(request))
    role = request.POST.get("role", "")[:20]
    places = {found.id: None if role == INHERITED else role} if role else {}
    try:
        people.change_place(
            actor=request.member, member=member, workspace_id=found.id, places=places
        )
    except InvalidError as error:
        return _show(request, found, problem=error.message, code=422)
    return _back(found)


@require_POST
@for_members
def set_workspace_budget(request: LabelingRequest, workspace_id: UUID) -> HttpResponse:
    """Limit what models may cost in it a month, or lift the limit."""
    found = _find(request, workspace_id)
    permissions.check(request.member, Action.MANAGE_BUDGETS, found.id)
    form = WorkspaceBudgetForm(request.POST)
    if not form.is_valid():
        return _show(request, found, form=form, code=422)
    limits = form.cleaned_data
    set_budget(
        scope=BudgetScope.WORKSPACE,
        subject_id=found.id,
        usd=limits["usd"],
        tokens=limits["tokens"],
    )
    return _back(found)


@require_POST
@for_members
def rename(request: LabelingRequest, workspace_id: UUID) -> HttpResponse:
    """Call it otherwise."""
    found = _find(request, workspace_id)
    permissions.check(request.member, Action.MANAGE_WORKSPACES)
    try:
        rename_workspace(workspace=found, name=_name(request))
    except DomainError as error:
        return _show(request, found, name=_name(request), wrong=_wrong(error), code=422)
    return _back(found)


@require_POST
@for_members
def delete(request: LabelingRequest, workspace_id: UUID) -> HttpResponse:
    """Delete it, once it holds no dataset."""
    found = _find(request, workspace_id)
    permissions.check(request.member, Action.MANAGE_WORKSPACES)
    try:
        delete_workspace(workspace=found)
    except ConflictError:
        problem = _("It still holds datasets; those in the trash count.")
        return _show(request, found, problem=problem, code=409)
    return redirect(f"{reverse('console:workspaces')}?deleted=1")


def _find(request: LabelingRequest, workspace_id: UUID) -> Workspace:
    visible = Workspace.objects.visible_to(request.member)
    found: Workspace = get_object_or_404(visible, pk=workspace_id)
    permissions.check(request.member, Action.MANAGE_PEOPLE)
    return found


def _person(request: LabelingRequest) -> UUID:
    try:
        return UUID(request.POST.get("member", ""))
    except ValueError as error:
        raise Http404 from error


def _name(request: LabelingRequest) -> str:
    return request.POST.get("name", "").replace("\0", "").strip()


def _wrong(error: DomainError) -> str:
    """What is wrong with a name; the services speak to programs."""
    if isinstance(error, ConflictError):
        return _("Another workspace is called so.")
    return _("Up to 200 letters, digits, dashes and underscores.")


def _back(workspace: Workspace) -> HttpResponse:
    return redirect(f"{reverse('console:workspace', args=[workspace.id])}?saved=1")


def _list(request: LabelingRequest, *, code: int = 200, **more: Any) -> HttpResponse:
    context = {
        "here": "workspaces",
        "rows": workspace_rows(request.member),
        "may_make": permissions.may(request.member, Action.MANAGE_WORKSPACES),
        "is_deleted": "deleted" in request.GET,
        **more,
    }
    return render(request, "console/workspaces.html", context, status=code)


def _show(
    request: LabelingRequest, workspace: Workspace, *, code: int = 200, **more: Any
) -> HttpResponse:
    pays = permissions.may(request.member, Action.MANAGE_BUDGETS, workspace.id)
    if pays:
        standing = standing_of(workspace.id)
        more.setdefault("form", WorkspaceBudgetForm(initial=limits_of(standing)))
        spent = total(spent_this_month(request.member, workspace_id=workspace.id))
        more |= {"budget": standing, "month": spent}
    page = Paginator(people_of(workspace), PAGE).get_page(request.GET.get("page"))
    context = {
        "here": "workspaces",
        "workspace": workspace,
        "name": workspace.name,
        "page": page,
        "rows": person_rows(workspace, request.member, page.object_list),
        "newcomers": newcomers(workspace, request.member),
        "choices": place_choices(request.member, workspace)[1:],
        "may_manage": permissions.may(request.member, Action.MANAGE_WORKSPACES),
        "is_saved": "saved" in request.GET,
        **more,
    }
    return render(request, "console/workspace.html", context, status=code)
