"""Reviewers' decisions on records: the adjudicated answers."""

from typing import Any
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.v1.lookups import find_record
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.errors import NotFoundError
from apps.organizations.models import Scope
from apps.quality.decisions import Ruling, decide
from apps.quality.models import Adjudication
from apps.workspaces.permissions import Action


class AdjudicationValue(Schema):
    value: Any


class AdjudicationBody(Schema):
    """``values`` by question, as in a response; ``ambiguous`` names what cannot be decided."""

    values: dict[str, AdjudicationValue] = Field(default_factory=dict)
    ambiguous: list[str] = Field(default_factory=list)
    note: str = Field(default="", max_length=10_000)


class RecordAdjudication(ApiView):
    write_scope = Scope.ANNOTATE

    def get(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """The decision that exports use; 404 while there is none."""
        record = find_record(self.member, record_id, Action.REVIEW)
        found = Adjudication.objects.filter(record=record).first()
        if found is None:
            raise NotFoundError(f"Adjudication of record with id `{record_id}` not found")
        return ApiResponse(adjudication_json(found))

    def put(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """Decide; those who answered get feedback, and the record leaves the review queue."""
        body = self.read_body(AdjudicationBody)
        record = find_record(self.member, record_id, Action.REVIEW)
        values = {name: {"value": answer.value} for name, answer in body.values.items()}
        ruling = Ruling(values, body.ambiguous, body.note)
        return ApiResponse(
            adjudication_json(decide(record=record, reviewer=self.member, ruling=ruling))
        )


def adjudication_json(one: Adjudication) -> dict[str, Any]:
    return {
        "record_id": one.record_id,
        "reviewer_id": one.reviewer_id,
        "values": one.values,
        "ambiguous": one.ambiguous,
        "note": one.note,
        "accepted": one.accepted,
        "decided_at": one.decided_at,
    }


urlpatterns = [path("records/<record_id>/adjudication", RecordAdjudication.as_view())]
