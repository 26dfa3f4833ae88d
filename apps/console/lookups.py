"""What a page is about, as far as the member may see it; a stranger's id is a 404."""

from uuid import UUID

from django.shortcuts import get_object_or_404

from apps.datasets.models import Dataset
from apps.jobs.models import Job
from apps.labeling.http import LabelingRequest
from apps.workspaces import permissions
from apps.workspaces.permissions import Action


def find_dataset(request: LabelingRequest, dataset_id: UUID, action: Action) -> Dataset:
    """The dataset with its workspace. Raises ``NotAllowedError`` unless the member may do this."""
    visible = Dataset.objects.visible_to(request.member).select_related("workspace")
    dataset = get_object_or_404(visible, pk=dataset_id)
    permissions.check(request.member, action, dataset.workspace_id)
    return dataset


def find_job(dataset: Dataset, job_id: UUID) -> Job:
    """A job of the dataset."""
    return get_object_or_404(Job.objects.of_dataset(dataset.id), pk=job_id)
