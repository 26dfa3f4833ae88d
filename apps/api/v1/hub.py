"""Datasets of the Hugging Face Hub, in and out: each starts a job (202)."""

from typing import Annotated
from uuid import UUID

from django.urls import path
from pydantic import Field, StringConstraints
from rest_framework.response import Response as ApiResponse

from apps.api.v1.jobs import report_json
from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView, Schema
from apps.exchange.hub.services import Mapping, Pair, Place, start_export, start_import
from apps.workspaces.permissions import Action

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Token = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[\x21-\x7e]+$")]


class PairBody(Schema):
    """A column of the source, and the field, question or property that it goes to."""

    source: Name
    target: Name


Pairs = Annotated[list[PairBody], Field(max_length=500)]


class MappingBody(Schema):
    """Beside the contract's keys: ``vectors``; a suggestion's target may be ``Q.score`` too."""

    fields: Annotated[list[PairBody], Field(min_length=1, max_length=500)]
    metadata: Pairs | None = None
    suggestions: Pairs | None = None
    vectors: Pairs | None = None
    external_id: Name | None = None

    def mapping(self) -> Mapping:
        return Mapping(
            fields=_pairs(self.fields),
            metadata=_pairs(self.metadata),
            suggestions=_pairs(self.suggestions),
            vectors=_pairs(self.vectors),
            external_id=self.external_id,
        )


def _pairs(given: list[PairBody] | None) -> list[Pair]:
    return [Pair(pair.source, pair.target) for pair in given or []]


class ImportBody(Schema):
    """``token`` is for datasets that are not public."""

    name: Name
    subset: Name
    split: Name
    mapping: MappingBody
    token: Token | None = None


class ExportBody(Schema):
    name: Name
    subset: Name = "default"
    split: Name = "train"
    private: bool = False
    token: Token


class DatasetImport(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Import a split of a dataset on the Hub; what cannot be read fails the job."""
        body = self.read_body(ImportBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        job = start_import(
            dataset=dataset,
            place=Place(body.name, body.subset, body.split),
            mapping=body.mapping.mapping(),
            token=body.token,
            created_by=self.member,
        )
        return ApiResponse(report_json(job), status=202)


class DatasetExport(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Export the dataset to the Hub; 422 when it has no records."""
        body = self.read_body(ExportBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        job = start_export(
            dataset=dataset,
            place=Place(body.name, body.subset, body.split),
            private=body.private,
            token=body.token,
            created_by=self.member,
        )
        return ApiResponse(report_json(job), status=202)


urlpatterns = [
    path("datasets/<dataset_id>/import", DatasetImport.as_view()),
    path("datasets/<dataset_id>/export", DatasetExport.as_view()),
]
