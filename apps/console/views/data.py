"""The organization's data: all of it as a file, and the end of it."""

from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import ConflictError, InvalidError
from apps.exchange.organization import deletion, job
from apps.exchange.organization.tables import BLANKED, LEFT_OUT
from apps.jobs.models import Job
from apps.labeling.http import LabelingRequest, for_members, works_while_suspended
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


@never_cache
@require_GET
@for_members
def data(request: LabelingRequest) -> HttpResponse:
    """Exports, and the way to delete the organization."""
    return _show(request)


@never_cache
@require_POST
@for_members
def start_export(request: LabelingRequest) -> HttpResponse:
    """Begin an export, as a job."""
    permissions.check(request.member, Action.MANAGE_ORGANIZATION)
    try:
        job.start_organization_export(created_by=request.member)
    except ConflictError:
        return _show(request, told=_("An export is running already."), code=409)
    return redirect("console:data")


@never_cache
@require_GET
@for_members
def download(request: LabelingRequest, job_id: str) -> HttpResponseBase:
    """The file of an export."""
    permissions.check(request.member, Action.MANAGE_ORGANIZATION)
    found = get_object_or_404(Job.objects.visible_to(request.member), id=job_id)
    path = job.find_file(found)
    if path is None:
        raise Http404
    name = f"{request.member.organization.slug}-{found.inserted_at:%Y-%m-%d}.zip"
    return FileResponse(path.open("rb"), as_attachment=True, filename=name)


@never_cache
@require_POST
@for_members
def delete(request: LabelingRequest) -> HttpResponse:
    """Freeze the organization, to be gone in 30 days."""
    permissions.check(request.member, Action.MANAGE_ORGANIZATION)
    name = request.POST.get("name", "")
    try:
        deletion.ask_for_deletion(organization=request.member.organization, typed_name=name)
    except InvalidError:
        return _show(request, misspelt=name[:200], code=422)
    return redirect("labeling:home")


@never_cache
@require_POST
@for_members
@works_while_suspended
def keep(request: LabelingRequest) -> HttpResponse:
    """Take the wish back."""
    permissions.check(request.member, Action.MANAGE_ORGANIZATION)
    try:
        deletion.keep_organization(organization=request.member.organization)
    except ConflictError:
        return redirect("labeling:home")
    return redirect("console:data")


def _show(
    request: LabelingRequest, *, told: str = "", misspelt: str | None = None, code: int = 200
) -> HttpResponse:
    permissions.check(request.member, Action.MANAGE_ORGANIZATION)
    exports = [(one, job.find_file(one) is not None) for one in job.newest_exports(10)]
    context = {
        "here": "data",
        "exports": exports,
        "is_running": any(not one.has_ended for one, _file in exports),
        "left_out": sorted({table.replace("_", " ") for table in {**LEFT_OUT, **BLANKED}}),
        "told": told,
        "misspelt": misspelt,
        "days": deletion.WAIT.days,
    }
    return render(request, "console/data.html", context, status=code)
