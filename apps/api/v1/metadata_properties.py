"""The declared metadata keys of a dataset."""

from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min
from django.urls import path
from rest_framework.response import Response as ApiResponse

from apps.api.etags import tagged, tagged_unless_known
from apps.api.v1.lookups import find_dataset
from apps.api.v1.parts import Name, Title, find_part, find_part_to_change, part_document
from apps.api.views import LEFT_OUT, ApiRequest, ApiView, ApiViewSet, Schema
from apps.core.errors import NotAllowedError
from apps.datasets.models import MetadataProperty, PropertyType
from apps.datasets.services import create_property, delete_property, update_property
from apps.datasets.settings import MAX_TERMS, PropertySettings
from apps.organizations.models import Membership, Role
from apps.records.models import RecordMetadata
from apps.records.services import forget_property, index_property
from apps.workspaces.permissions import Action, role_in


class PropertyCreate(Schema):
    name: Name
    title: Title
    settings: PropertySettings
    visible_for_annotators: bool = True


class PropertyUpdate(Schema):
    """What is left out stays; the settings of a property never change."""

    title: Title = LEFT_OUT
    visible_for_annotators: bool = LEFT_OUT


def property_document(property: MetadataProperty) -> dict[str, Any]:
    return part_document(
        property,
        settings=property.settings,
        visible_for_annotators=property.visible_for_annotators,
    )


def sees_hidden(member: Membership, workspace_id: UUID) -> bool:
    """Whether hidden metadata is shown; annotators see only the visible one."""
    return role_in(member, workspace_id) != Role.ANNOTATOR


class MyProperties(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """All of them; for an annotator those shown to annotators."""
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_DATASET)
        properties = MetadataProperty.objects.filter(dataset=dataset)
        if not sees_hidden(self.member, dataset.workspace_id):
            properties = properties.shown()
        items = [property_document(property) for property in properties.in_order()]
        return ApiResponse({"items": items})


class DatasetProperties(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        body = self.read_body(PropertyCreate)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        property = create_property(
            dataset=dataset,
            name=body.name,
            title=body.title,
            settings=body.settings,
            visible_for_annotators=body.visible_for_annotators,
        )
        index_property(property=property)
        return tagged(property_document(property), status=201)


class Properties(ApiViewSet):
    def retrieve(self, request: ApiRequest, metadata_property_id: UUID) -> ApiResponse:
        property = _find_shown(self.member, metadata_property_id)
        return tagged_unless_known(request, property_document(property))

    def update(self, request: ApiRequest, metadata_property_id: UUID) -> ApiResponse:
        body = self.read_body(PropertyUpdate)
        property = update_property(
            property=self._find(metadata_property_id),
            title=body.title,
            visible_for_annotators=body.visible_for_annotators,
        )
        return tagged(property_document(property))

    def destroy(self, request: ApiRequest, metadata_property_id: UUID) -> ApiResponse:
        """The property as it was. Records keep their values, which no filter finds any more."""
        property = self._find(metadata_property_id)
        delete_property(property=property)
        forget_property(dataset=property.dataset, number=property.number)
        return ApiResponse(property_document(property))

    def _find(self, metadata_property_id: UUID) -> MetadataProperty:
        rows = MetadataProperty.objects.all()
        return find_part_to_change(self.request, rows, metadata_property_id, property_document)


class PropertyMetrics(ApiView):
    def get(self, request: ApiRequest, metadata_property_id: UUID) -> ApiResponse:
        """How often each term occurs, or the smallest and largest number."""
        property = _find_shown(self.member, metadata_property_id)
        if property.type == PropertyType.TERMS:
            return ApiResponse(_terms(property))
        return ApiResponse(_bounds(property))


def _find_shown(member: Membership, metadata_property_id: UUID) -> MetadataProperty:
    """The property, if the member may see it. Raises ``NotAllowedError`` where it is hidden."""
    rows = MetadataProperty.objects.all()
    property = find_part(rows, member, metadata_property_id, Action.VIEW_DATASET)
    shown = property.visible_for_annotators
    if not shown and not sees_hidden(member, property.dataset.workspace_id):
        raise NotAllowedError
    return property


def _terms(property: MetadataProperty) -> dict[str, Any]:
    """The most frequent terms first, as many as a filter takes; ``total`` counts all terms."""
    values = RecordMetadata.objects.filter(dataset_id=property.dataset_id, number=property.number)
    counted = values.values("term").annotate(count=Count("record_id", distinct=True))
    items = list(counted.order_by("-count", "term")[:MAX_TERMS])
    return {"type": property.type, "total": counted.count(), "values": items}


def _bounds(property: MetadataProperty) -> dict[str, Any]:
    """Null without values; floats to five places."""
    values = RecordMetadata.objects.filter(dataset_id=property.dataset_id, number=property.number)
    found = values.aggregate(min=Min("value"), max=Max("value"))
    integer = property.type == PropertyType.INTEGER
    return {"type": property.type} | {
        name: value if value is None else int(value) if integer else round(value, 5)
        for name, value in found.items()
    }


urlpatterns = [
    path("me/datasets/<dataset_id>/metadata-properties", MyProperties.as_view()),
    path("datasets/<dataset_id>/metadata-properties", DatasetProperties.as_view()),
    path(
        "metadata-properties/<metadata_property_id>",
        Properties.as_view({"get": "retrieve", "patch": "update", "delete": "destroy"}),
    ),
    path("metadata-properties/<metadata_property_id>/metrics", PropertyMetrics.as_view()),
]
