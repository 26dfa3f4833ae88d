"""The named vectors that records of a dataset may carry."""

from typing import Annotated, Any, Final
from uuid import UUID

import pydantic
from django.urls import path
from rest_framework.response import Response as ApiResponse

from apps.api.etags import tagged, tagged_unless_known
from apps.api.v1.lookups import find_dataset
from apps.api.v1.parts import Title, find_part, find_part_to_change, part_document
from apps.api.views import ApiRequest, ApiViewSet, Schema
from apps.datasets.models import VectorSettings
from apps.datasets.services import (
    create_vector_settings,
    delete_vector_settings,
    update_vector_settings,
)
from apps.workspaces.permissions import Action

MAX_DIMENSIONS: Final = 4_096


class VectorSettingsCreate(Schema):
    """The name's pattern is the client's: it cannot read records with any other."""

    name: Annotated[str, pydantic.StringConstraints(max_length=200, pattern=r"^[a-zA-Z0-9_-]+$")]
    title: Title
    dimensions: Annotated[int, pydantic.Field(ge=1, le=MAX_DIMENSIONS)]


class VectorSettingsUpdate(Schema):
    title: Title


def vector_settings_document(settings: VectorSettings) -> dict[str, Any]:
    return part_document(settings, dimensions=settings.dimensions)


class DatasetVectorsSettings(ApiViewSet):
    def list(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_DATASET)
        rows = VectorSettings.objects.filter(dataset=dataset).in_order()
        return ApiResponse({"items": [vector_settings_document(row) for row in rows]})

    def create(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        body = self.read_body(VectorSettingsCreate)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        settings = create_vector_settings(dataset=dataset, **body.model_dump())
        return tagged(vector_settings_document(settings), status=201)


class VectorsSettings(ApiViewSet):
    def retrieve(self, request: ApiRequest, vector_settings_id: UUID) -> ApiResponse:
        rows = VectorSettings.objects.all()
        settings = find_part(rows, self.member, vector_settings_id, Action.VIEW_DATASET)
        return tagged_unless_known(request, vector_settings_document(settings))

    def update(self, request: ApiRequest, vector_settings_id: UUID) -> ApiResponse:
        body = self.read_body(VectorSettingsUpdate)
        settings = update_vector_settings(settings=self._find(vector_settings_id), title=body.title)
        return tagged(vector_settings_document(settings))

    def destroy(self, request: ApiRequest, vector_settings_id: UUID) -> ApiResponse:
        settings = self._find(vector_settings_id)
        delete_vector_settings(settings=settings)
        return ApiResponse(vector_settings_document(settings))

    def _find(self, vector_settings_id: UUID) -> VectorSettings:
        rows = VectorSettings.objects.all()
        document = vector_settings_document
        return find_part_to_change(self.request, rows, vector_settings_id, document)


urlpatterns = [
    path(
        "datasets/<dataset_id>/vectors-settings",
        DatasetVectorsSettings.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "vectors-settings/<vector_settings_id>",
        VectorsSettings.as_view({"get": "retrieve", "patch": "update", "delete": "destroy"}),
    ),
]
