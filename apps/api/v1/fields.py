"""The fields of a dataset."""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework.response import Response as ApiResponse

from apps.api.etags import tagged, tagged_unless_known
from apps.api.v1.lookups import find_dataset
from apps.api.v1.parts import Name, Title, find_part, find_part_to_change, part_document
from apps.api.views import LEFT_OUT, ApiRequest, ApiViewSet, Schema
from apps.datasets.models import Field
from apps.datasets.services import create_field, delete_field, update_field
from apps.datasets.settings import FieldChange, FieldSettings
from apps.workspaces.permissions import Action


class FieldCreate(Schema):
    """``required: null`` means no."""

    name: Name
    title: Title
    required: bool | None = None
    settings: FieldSettings


class FieldUpdate(Schema):
    """Either may be left out; neither may be null."""

    title: Title = LEFT_OUT
    settings: FieldChange = LEFT_OUT


def field_document(field: Field) -> dict[str, Any]:
    return part_document(field, required=field.required, settings=field.settings)


class DatasetFields(ApiViewSet):
    def list(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_DATASET)
        fields = Field.objects.filter(dataset=dataset).in_order()
        return ApiResponse({"items": [field_document(field) for field in fields]})

    def create(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        body = self.read_body(FieldCreate)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        field = create_field(
            dataset=dataset,
            name=body.name,
            title=body.title,
            required=bool(body.required),
            settings=body.settings,
        )
        return tagged(field_document(field), status=201)


class Fields(ApiViewSet):
    def retrieve(self, request: ApiRequest, field_id: UUID) -> ApiResponse:
        field = find_part(Field.objects.all(), self.member, field_id, Action.VIEW_DATASET)
        return tagged_unless_known(request, field_document(field))

    def update(self, request: ApiRequest, field_id: UUID) -> ApiResponse:
        body = self.read_body(FieldUpdate)
        field = self._find(field_id)
        field = update_field(field=field, title=body.title, settings=body.settings)
        return tagged(field_document(field))

    def destroy(self, request: ApiRequest, field_id: UUID) -> ApiResponse:
        field = self._find(field_id)
        delete_field(field=field)
        return ApiResponse(field_document(field))

    def _find(self, field_id: UUID) -> Field:
        return find_part_to_change(self.request, Field.objects.all(), field_id, field_document)


urlpatterns = [
    path(
        "datasets/<dataset_id>/fields",
        DatasetFields.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "fields/<field_id>",
        Fields.as_view({"get": "retrieve", "patch": "update", "delete": "destroy"}),
    ),
]
