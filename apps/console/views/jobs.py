"""The jobs of a dataset."""

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
def jobs(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """The newest jobs of the dataset."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    return render(request, "console/jobs.html", {"dataset": dataset, "here": "jobs"})
