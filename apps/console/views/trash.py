"""What was thrown away, for a while: restored, or deleted for good."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.core.errors import ConflictError, NotAllowedError
from apps.datasets.models import Dataset
from apps.datasets.services import restore_dataset
from apps.labeling.http import LabelingRequest, for_members
from apps.records.services import delete_with_records
from apps.records.trash import KEPT
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


@never_cache
@require_GET
@for_members
def trash(request: LabelingRequest) -> HttpResponse:
    """The datasets in the trash that the member may restore."""
    return _show(request)


@require_POST
@for_members
def restore(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    dataset = _find(request, dataset_id)
    name = request.POST.get("name", "").replace("\0", "").strip()[:200]
    try:
        restore_dataset(dataset=dataset, name=name or None)
    except ConflictError as error:
        return _show(request, refused={dataset.id: error.message}, code=409)
    return redirect("console:settings_tab", dataset.id, "general")


@require_POST
@for_members
def delete(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """For good, once the name is typed."""
    dataset = _find(request, dataset_id)
    if request.POST.get("name") != dataset.name:
        return _show(request, misspelt=dataset.id, code=422)
    delete_with_records(dataset=dataset)
    return redirect("console:trash")


def _find(request: LabelingRequest, dataset_id: UUID) -> Dataset:
    rows = Dataset.objects.trashed(request.member).select_related("workspace")
    dataset: Dataset = get_object_or_404(rows, pk=dataset_id)
    permissions.check(request.member, Action.MANAGE_DATASET, dataset.workspace_id)
    return dataset


def _show(request: LabelingRequest, *, code: int = 200, **more: Any) -> HttpResponse:
    if not permissions.may_somewhere(request.member, Action.MANAGE_DATASET):
        raise NotAllowedError
    permissions.remember_roles(request.member)
    found = Dataset.objects.trashed(request.member).select_related("workspace", "counter")
    rows = [
        (dataset, dataset.trashed_at + KEPT)
        for dataset in found.order_by("-trashed_at")
        if dataset.trashed_at
        and permissions.may(request.member, Action.MANAGE_DATASET, dataset.workspace_id)
    ]
    refused = more.pop("refused", {})
    context = {"here": "trash", "rows": rows, "problems": refused, **more}
    context["problem"] = next(iter(refused.values()), "")
    return render(request, "console/trash.html", context, status=code)
