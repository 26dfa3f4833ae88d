"""Suggestions of a record."""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.lookups import find_record, uuids
from apps.api.v1.record_json import suggestion_json
from apps.api.v1.values import SuggestionBody
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.errors import InvalidError
from apps.datasets.models import Question
from apps.records.models import Suggestion
from apps.records.services import delete_suggestions, upsert_suggestion
from apps.workspaces.permissions import Action, check

MAX_DELETE = 100


class DeleteQuery(Schema):
    ids: str


class RecordSuggestions(ApiView):
    def get(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        record = find_record(self.member, record_id, Action.VIEW_DATASET)
        rows = Suggestion.objects.filter(record=record).order_by("id")
        items: list[dict[str, Any]] = [suggestion_json(row) for row in rows]
        return ApiResponse({"items": items})

    def put(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """Create (201) or replace (200) the suggestion for its question."""
        body = self.read_body(SuggestionBody)
        record = find_record(self.member, record_id, Action.MANAGE_RECORDS)
        if not Question.objects.filter(dataset=record.dataset, id=body.question_id).exists():
            raise InvalidError(
                f"Question with id `{body.question_id}` not found"
                f" for dataset with id `{record.dataset_id}`"
            )
        suggestion, created = upsert_suggestion(record=record, given=body.to_input())
        return ApiResponse(suggestion_json(suggestion), status=201 if created else 200)

    def delete(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """Delete up to 100 suggestions; unknown ids are skipped."""
        query = self.read_query(DeleteQuery)
        ids = uuids(query.ids, at_most=MAX_DELETE)
        record = find_record(self.member, record_id, Action.MANAGE_RECORDS)
        delete_suggestions(record=record, ids=ids)
        return ApiResponse(status=204)


class SuggestionDetail(ApiView):
    def delete(self, request: ApiRequest, suggestion_id: UUID) -> ApiResponse:
        suggestion = find(Suggestion.objects.select_related("record__dataset"), suggestion_id)
        record = suggestion.record
        check(self.member, Action.MANAGE_RECORDS, record.dataset.workspace_id)
        delete_suggestions(record=record, ids=[suggestion.id])
        return ApiResponse(suggestion_json(suggestion))


urlpatterns = [
    path("records/<record_id>/suggestions", RecordSuggestions.as_view()),
    path("suggestions/<suggestion_id>", SuggestionDetail.as_view()),
]
