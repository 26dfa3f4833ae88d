"""drafts"""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.console.lookups import find_dataset
from apps.labeling.http import LabelingRequest, for_members
from apps.workspaces.permissions import Action


@never_cache
@require_GET
@for_members
def drafts(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """drafts"""
    dataset = find_dataset(request, dataset_id, Action.MANAGE_RECORDS)
    return render(request, "console/drafts.html", {"dataset": dataset, "here": "drafts"})
