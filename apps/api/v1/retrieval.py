"""Retrieval sets, made and taken out in the forms that training and measuring want; and what
pairwise preferences come to."""

from dataclasses import asdict
from itertools import chain
from tempfile import SpooledTemporaryFile
from uuid import UUID

from django.http import FileResponse, StreamingHttpResponse
from django.urls import path
from django.utils.http import content_disposition_header
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.v1.datasets import dataset_document
from apps.api.v1.export import JSON_LINES, ExportQuery
from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.tenancy import current
from apps.exchange.exports import tell_of_export
from apps.exchange.retrieval import IN_MEMORY, triplet_pages, write_beir
from apps.pipelines.retrieval_sets import MOST, create_retrieval_set
from apps.pipelines.win_rates import win_rates
from apps.records.models import RecordStatus
from apps.workspaces.permissions import Action

ARCHIVE = "application/zip"


class SetBody(Schema):
    name: str = Field(min_length=1, max_length=200)
    negatives: int = Field(default=3, ge=0, le=MOST)


class RatesQuery(Schema):
    """``agent`` is the judge; without one all count."""

    agent: str | None = Field(default=None, max_length=200)


class RetrievalSets(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """A dataset beside this one, for the queries that its documents answer; 409 for a name
        that is taken."""
        body = self.read_body(SetBody)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        made = create_retrieval_set(
            workspace=dataset.workspace,
            name=body.name,
            negatives=body.negatives,
            author=self.member,
        )
        return ApiResponse(dataset_document(made), status=201)


class Triplets(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> StreamingHttpResponse:
        """A line for each negative of each query: ``anchor``, ``positive``, ``negative``."""
        query = self.read_query(ExportQuery)
        dataset = find_dataset(self.member, dataset_id, Action.EXPORT_RECORDS)
        pages = triplet_pages(
            organization_id=current(),
            dataset_id=dataset.id,
            statuses=query.status or RecordStatus.values,
        )
        tell_of_export(dataset, "triplets")
        first = next(pages, None)  # what goes wrong so far gets an answer of its own
        return StreamingHttpResponse(
            (page.lines for page in chain([first] if first else [], pages)),
            content_type=JSON_LINES,
            headers=_named("triplets.jsonl"),
        )


class Beir(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> FileResponse:
        """An archive with corpus, queries and relevance, as BEIR and MTEB read it."""
        query = self.read_query(ExportQuery)
        dataset = find_dataset(self.member, dataset_id, Action.EXPORT_RECORDS)
        tell_of_export(dataset, "beir")
        archive = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (the answer closes it)
        write_beir(
            archive,
            organization_id=current(),
            dataset_id=dataset.id,
            statuses=query.status or RecordStatus.values,
        )
        archive.seek(0)
        return FileResponse(archive, content_type=ARCHIVE, headers=_named("beir.zip"))


class Preferences(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """How often each model's responses win, by the comparisons noted on the records."""
        query = self.read_query(RatesQuery)
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_ALL_RESPONSES)
        rates = win_rates(dataset, agent=query.agent)
        models = [asdict(standing) for standing in rates.models]
        return ApiResponse({"models": models, "pairs": rates.pairs})


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": str(content_disposition_header(True, name))}


urlpatterns = [
    path("datasets/<dataset_id>/retrieval-sets", RetrievalSets.as_view()),
    path("datasets/<dataset_id>/triplets.jsonl", Triplets.as_view()),
    path("datasets/<dataset_id>/beir.zip", Beir.as_view()),
    path("datasets/<dataset_id>/preferences", Preferences.as_view()),
]
