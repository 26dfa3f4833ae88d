"""Searching the records of a dataset."""

from typing import Any, Final
from uuid import UUID

from django.urls import path
from rest_framework.response import Response as ApiResponse

from apps.api.v1.lookups import find_dataset
from apps.api.v1.record_json import Viewer, parse_include, records_json
from apps.api.v1.search_body import NO_FILTERS, NO_QUERY, HybridBody, SearchBody, SearchPage
from apps.api.views import ApiRequest, ApiView
from apps.core.errors import InvalidError
from apps.core.prepared import fetch
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.organizations.models import Scope
from apps.quality.embeddings import DIMENSIONS, embed
from apps.records.models import Record
from apps.search.options import suggestion_agents
from apps.search.query import EVERYBODY, Similar, Viewpoint, Words
from apps.search.search import Found, Fusion, MissingVectorError, Page, search_records
from apps.workspaces.permissions import Action

MISSING_VECTOR: Final = "missing_vector"


class SearchView(ApiView):
    """A search over a dataset that the caller may ``action``."""

    write_scope = Scope.READ  # the condition comes in a body, but nothing is written

    def _search(self, dataset_id: UUID, action: Action, *, own: bool) -> ApiResponse:
        body = self.read_body(SearchBody)
        page = self.read_query(SearchPage)
        include = parse_include(page.include)
        dataset = find_dataset(self.member, dataset_id, action)
        viewer = Viewer.of(self.member, dataset, own_responses=own)
        schema = load_schema(dataset)
        try:
            found = search_records(
                **_asked(schema, body),
                schema=schema,
                viewpoint=_viewpoint(viewer, schema) if own else EVERYBODY,
                shuffled_for=self.member.id if own else None,
                page=Page(page.offset, page.limit),
            )
        except MissingVectorError as error:
            return ApiResponse({"code": MISSING_VECTOR, "message": error.message}, status=422)
        records = records_json(_in_order(dataset, found), include, viewer)
        scores = dict(found.hits)
        items = [{"record": record, "query_score": scores[record["id"]]} for record in records]
        return ApiResponse({"items": items, "total": found.total})


class DatasetSearch(SearchView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """A page of the records that match. Five queries, and one for each relation."""
        return self._search(dataset_id, Action.LIST_RECORDS, own=False)


class MySearch(SearchView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """As everybody may search: with one's own responses alone, in an order of one's own."""
        return self._search(dataset_id, Action.VIEW_DATASET, own=True)


class SuggestionOptions(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Each question with the agents that made suggestions to it."""
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_DATASET)
        agents = suggestion_agents(dataset)
        items: list[dict[str, Any]] = [
            {"question": {"id": rule.id, "name": rule.name}, "agents": agents.get(rule.id, [])}
            for rule in load_schema(dataset).questions.values()
        ]
        return ApiResponse({"items": items})


def _asked(schema: DatasetSchema, body: SearchBody) -> dict[str, Any]:
    """What is searched for, as ``search_records`` takes it."""
    query = body.query or NO_QUERY
    return {
        "words": query.text.to_words() if query.text else None,
        "similar": query.vector.to_similar() if query.vector else None,
        "fusion": _fusion(schema, query.hybrid) if query.hybrid else None,
        "filters": [one.to_filter() for one in (body.filters or NO_FILTERS).all_of or ()],
        "sort": [one.to_sort() for one in body.sort or ()],
    }


def _fusion(schema: DatasetSchema, hybrid: HybridBody) -> Fusion:
    similar = hybrid.vector.to_similar() if hybrid.vector else None
    if hybrid.phrase is not None:
        similar = Similar(_embeddable(schema), embed([hybrid.phrase])[0])
    return Fusion(Words(hybrid.text), similar)


def _embeddable(schema: DatasetSchema) -> str:
    """The vector that texts are embedded for: the only one of the model's length."""
    names = [name for name, vector in schema.vectors.items() if vector.dimensions == DIMENSIONS]
    if len(names) != 1:
        raise InvalidError(
            f"a phrase needs a dataset with one vector of {DIMENSIONS} dimensions,"
            f" found {len(names)}"
        )
    return names[0]


def _viewpoint(viewer: Viewer, schema: DatasetSchema) -> Viewpoint:
    hidden = () if viewer.sees_everything else set(schema.properties) - viewer.shown_metadata
    return Viewpoint(viewer.member.id, frozenset(hidden))


def _in_order(dataset: Dataset, found: Found) -> list[Record]:
    """The records of the hits. One query."""
    ids = [id for id, _ in found.hits]
    if not ids:
        return []
    condition = "dataset_id = %(dataset)s AND id = ANY(%(ids)s)"
    records = {one.id: one for one in fetch(Record, condition, dataset=dataset.id, ids=ids)}
    return [records[id] for id in ids if id in records]


urlpatterns = [
    path("datasets/<dataset_id>/records/search", DatasetSearch.as_view()),
    path("me/datasets/<dataset_id>/records/search", MySearch.as_view()),
    path("datasets/<dataset_id>/records/search/suggestions/options", SuggestionOptions.as_view()),
]
