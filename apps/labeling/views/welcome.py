"""The first steps of a new owner: an organization, a workspace, records to label."""

from dataclasses import replace

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.core.errors import ConflictError, DomainError, InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.exchange.demo.datasets import DATASETS
from apps.exchange.demo.load import load_sample
from apps.labeling import checklist, http
from apps.labeling.hosts import address_of
from apps.labeling.http import LabelingRequest, for_members
from apps.organizations import directory
from apps.organizations.models import Organization, Role
from apps.organizations.services import create_member, create_organization
from apps.workspaces import permissions
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Action
from apps.workspaces.services import add_workspace_member, create_workspace

SAMPLE = replace(DATASETS[0], min_submitted=1)
TEMPLATE = "labeling/welcome.html"


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def welcome(request: LabelingRequest) -> HttpResponseBase:
    """The step that is next; a step's form is sent here too."""
    if directory.find_memberships(request.user.id):
        return _go_on(request)
    if settings.SIGNUP != "open":
        return redirect("labeling:organizations")
    return _found(request)


def _found(request: LabelingRequest) -> HttpResponse:
    """Step 1: the organization, which the person owns."""
    name = request.POST.get("name", "").replace("\0", "").strip()
    if request.method == "GET":
        return _show(request, 1, name="")
    try:
        organization = _create_organization(name)
    except DomainError as error:
        return _show(request, 1, name=name, problem=_words(error))
    with enter(organization.id):
        create_member(
            username=(request.user.email or "owner").partition("@")[0],
            role=Role.OWNER,
            email=request.user.email,
        )
    http.enter_organization(request, organization.id)
    return redirect("labeling:welcome")


def _create_organization(name: str) -> Organization:
    """Its slug is made of the name, with a number where that is taken."""
    if not 1 <= len(name) <= 200:
        raise ConflictError(_("A name has 1 to 200 characters."))
    slug = slugify(name)[:50].strip("-") or "team"
    for number in range(1, 20):
        try:
            wanted = slug if number == 1 else f"{slug}-{number}"
            return create_organization(name=name, slug=wanted, plan=settings.SIGNUP_PLAN)
        except (ConflictError, InvalidError):  # taken, or reserved
            continue
    raise ConflictError(_("Too many organizations are called so. Choose another name."))


@for_members
def _go_on(request: LabelingRequest) -> HttpResponse:
    """Steps 2 and 3, for who may make workspaces."""
    permissions.check(request.member, Action.MANAGE_WORKSPACES)
    workspace = Workspace.objects.order_by("inserted_at", "id").first()
    if workspace is None:
        return _settle(request)
    if request.method == "POST" and request.POST.get("source") == "sample":
        return _load(request, workspace)
    return _show(request, 3, workspace=workspace)


def _settle(request: LabelingRequest) -> HttpResponse:
    """Step 2: a workspace, in which the owner is a member."""
    name = request.POST.get("name", "").replace("\0", "").strip()
    if request.method == "GET":
        return _show(request, 2, name="team")
    try:
        workspace = create_workspace(name=name)
    except DomainError as error:
        return _show(request, 2, name=name, problem=_words(error))
    add_workspace_member(workspace=workspace, member=request.member)
    return redirect("labeling:welcome")


def _load(request: LabelingRequest, workspace: Workspace) -> HttpResponse:
    """Step 3: the sample, and on to its first record."""
    load_sample(demo=SAMPLE, workspace=workspace, author=request.member)
    dataset = Dataset.objects.get(workspace=workspace, name=SAMPLE.name)
    return redirect("labeling:annotate", dataset.id)


def _words(error: DomainError) -> str:
    if isinstance(error, ConflictError):
        return str(error.message)
    return _("Up to 200 letters, digits, dashes and underscores.")


def _show(request: LabelingRequest, step: int, **context: object) -> HttpResponse:
    member = getattr(request, "member", None)
    context["left"] = checklist.find_checklist(member) if member else checklist.nothing_done()
    context["site"] = address_of(request, member.organization) if member else ""
    context["step"] = step
    return render(request, TEMPLATE, context, status=422 if context.get("problem") else 200)
