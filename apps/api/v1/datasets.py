"""Datasets. Beside the contract's keys: the order and the quotas of the annotators' queue."""

from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from django.urls import path
from pydantic import Field, StringConstraints
from rest_framework.response import Response as ApiResponse

from apps.annotation.recompute import recompute_dataset
from apps.api.etags import check_match, tagged, tagged_unless_known
from apps.api.v1.lookups import find_dataset
from apps.api.views import LEFT_OUT, ApiRequest, ApiView, ApiViewSet, Schema
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, DatasetStatus, QueueOrder
from apps.datasets.services import (
    create_dataset,
    lock_dataset,
    publish_dataset,
    update_dataset,
)
from apps.records.services import delete_with_records, prepare_dataset
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Action, check

DatasetName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Guidelines: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Quota: TypeAlias = Annotated[int, Field(ge=1, le=2_147_483_647)]


class Distribution(Schema):
    """How many people answer each record."""

    strategy: Literal["overlap"]
    min_submitted: Annotated[int, Field(ge=1, le=32_767)]


class DatasetCreate(Schema):
    name: DatasetName
    workspace_id: UUID
    guidelines: Guidelines | None = None
    allow_extra_metadata: bool = True
    distribution: Distribution = Distribution(strategy="overlap", min_submitted=1)
    metadata: dict[str, Any] | None = None
    queue_order: QueueOrder = QueueOrder.OLDEST_FIRST
    daily_quota: Quota | None = None
    total_quota: Quota | None = None


class DatasetUpdate(Schema):
    name: DatasetName = LEFT_OUT
    guidelines: Guidelines | None = None
    allow_extra_metadata: bool = LEFT_OUT
    distribution: Distribution = LEFT_OUT
    metadata: dict[str, Any] | None = None
    queue_order: QueueOrder = LEFT_OUT
    daily_quota: Quota | None = None
    total_quota: Quota | None = None


class DatasetFilters(Schema):
    workspace_id: UUID | None = None
    name: str | None = None
    status: DatasetStatus | None = None


def columns(body: DatasetCreate | DatasetUpdate, *, unset: bool) -> dict[str, Any]:
    """The body by column name; with ``unset`` the defaults as well."""
    values = body.model_dump(exclude_unset=not unset, exclude={"workspace_id", "distribution"})
    if unset or "distribution" in body.model_fields_set:
        values["min_submitted"] = body.distribution.min_submitted
    return values


def dataset_document(dataset: Dataset) -> dict[str, Any]:
    """The last activity is an answer's only where the dataset was read with its last one."""
    return {
        "id": dataset.id,
        "name": dataset.name,
        "guidelines": dataset.guidelines,
        "allow_extra_metadata": dataset.allow_extra_metadata,
        "status": dataset.status,
        "distribution": {"strategy": "overlap", "min_submitted": dataset.min_submitted},
        "metadata": dataset.metadata,
        "workspace_id": dataset.workspace_id,
        "last_activity_at": max(
            dataset.last_activity_at, dataset.last_answer_at or dataset.last_activity_at
        ),
        "inserted_at": dataset.inserted_at,
        "updated_at": dataset.updated_at,
        "queue_order": dataset.queue_order,
        "daily_quota": dataset.daily_quota,
        "total_quota": dataset.total_quota,
        "guidelines_version": dataset.guidelines_version,
    }


class MyDatasets(ApiView):
    def get(self, request: ApiRequest) -> ApiResponse:
        """Every dataset for an owner, else those of the caller's workspaces."""
        filters = self.read_query(DatasetFilters)
        if filters.workspace_id:
            check(self.member, Action.VIEW_DATASET, filters.workspace_id)
        wanted = filters.model_dump(exclude_none=True)
        datasets = Dataset.objects.visible_to(self.member).with_last_answer().filter(**wanted)
        items = [dataset_document(row) for row in datasets.order_by("inserted_at", "id")]
        return ApiResponse({"items": items})


class Datasets(ApiViewSet):
    def create(self, request: ApiRequest) -> ApiResponse:
        """A draft. Only an owner learns that a workspace does not exist: a broken rule (422)."""
        body = self.read_body(DatasetCreate)
        check(self.member, Action.MANAGE_DATASET, body.workspace_id)
        workspace = Workspace.objects.filter(pk=body.workspace_id).first()
        if workspace is None:
            raise InvalidError(f"Workspace with id `{body.workspace_id}` not found")
        dataset = create_dataset(
            workspace=workspace, author=self.member, **columns(body, unset=True)
        )
        prepare_dataset(dataset=dataset)
        return tagged(dataset_document(dataset), status=201)

    def retrieve(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_DATASET)
        document = dataset_document(dataset)
        settings = document | {"last_activity_at": dataset.last_activity_at}
        return tagged_unless_known(request, document, of=settings)  # answers are no change of it

    def update(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The changed dataset; records follow a new ``min_submitted``, if many then by a job."""
        body = self.read_body(DatasetUpdate)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        before = lock_dataset(dataset)
        check_match(request, dataset_document(before))
        dataset = update_dataset(
            dataset=dataset, changes=columns(body, unset=False), author=self.member
        )
        if dataset.min_submitted != before.min_submitted:
            recompute_dataset(dataset=dataset, created_by=self.member)
        return tagged(dataset_document(dataset))

    def publish(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        return tagged(dataset_document(publish_dataset(dataset=dataset)))

    def destroy(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The dataset as it was, gone for good; its records no longer count against the plan.

        The trash is for people: a script that deletes gets its volume and the name back at once.
        """
        found = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        dataset = lock_dataset(found, against_records=True, even_archived=True)
        check_match(request, dataset_document(dataset))
        dataset.last_answer_at = found.last_answer_at
        delete_with_records(dataset=dataset)
        return ApiResponse(dataset_document(dataset))


urlpatterns = [
    path("me/datasets", MyDatasets.as_view()),
    path("datasets", Datasets.as_view({"post": "create"})),
    path(
        "datasets/<dataset_id>",
        Datasets.as_view({"get": "retrieve", "patch": "update", "delete": "destroy"}),
    ),
    path("datasets/<dataset_id>/publish", Datasets.as_view({"put": "publish"})),
]
