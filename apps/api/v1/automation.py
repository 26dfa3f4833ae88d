"""Work without people or models: sure answers accepted, near-duplicates marked."""

from typing import Any
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.evaluations import find_evaluation
from apps.api.v1.job_json import job_json
from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView, Schema
from apps.evaluation.automation import automate, plan_automation
from apps.quality.acceptance import undo_acceptance
from apps.quality.models import Acceptance
from apps.quality.near.clusters import MEANING, WORDS
from apps.quality.near.job import find_near_duplicates
from apps.workspaces.permissions import Action

MOST = 500


class TargetQuery(Schema):
    """The precision that accepted answers shall have."""

    target: float = Field(default=0.97, gt=0, lt=1)


class AutomationBody(Schema):
    """``target`` is the precision that accepted answers shall have."""

    target: float = Field(default=0.97, gt=0, lt=1)


class DuplicatesBody(Schema):
    """``fields`` null compares all texts; ``vector`` null takes the built-in embedding."""

    fields: list[str] | None = Field(default=None, min_length=1, max_length=100)
    vector: str | None = Field(default=None, max_length=200)
    words: float = Field(default=WORDS, gt=0, le=1)
    meaning: float = Field(default=MEANING, gt=0, le=1)


def acceptance_json(one: Acceptance) -> dict[str, Any]:
    return {
        "id": one.id,
        "dataset_id": one.dataset_id,
        "question": one.question.name,
        "agent": one.agent,
        "threshold": one.threshold,
        "basis": one.basis,
        "count": one.count,
        "job_id": one.job_id,
        "inserted_at": one.inserted_at,
        "undone_at": one.undone_at,
    }


class EvaluationAutomation(ApiView):
    def get(self, request: ApiRequest, evaluation_id: UUID) -> ApiResponse:
        """Which threshold keeps the precision, and what it would accept today."""
        query = self.read_query(TargetQuery)
        found = find_evaluation(self.member, evaluation_id)
        return ApiResponse(plan_automation(found, target=query.target).as_json())

    def post(self, request: ApiRequest, evaluation_id: UUID) -> ApiResponse:
        """Accept what is sure enough, by a job (202); 409 where the gold set does not bear it."""
        body = self.read_body(AutomationBody)
        found = find_evaluation(self.member, evaluation_id)
        acceptance, _ = automate(evaluation=found, target=body.target, created_by=self.member)
        return ApiResponse(acceptance_json(acceptance), status=202)


class DatasetAcceptances(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """What was accepted without a look, the newest first."""
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        rows = Acceptance.objects.filter(dataset=dataset).select_related("question")
        found = rows.order_by("-id")[:MOST]
        return ApiResponse({"items": [acceptance_json(row) for row in found]})


class AcceptanceUndo(ApiView):
    def post(self, request: ApiRequest, acceptance_id: UUID) -> ApiResponse:
        """Take it back: the records go to people. 409 when it was taken back already."""
        found = find(Acceptance.objects.select_related("question"), acceptance_id)
        find_dataset(self.member, found.dataset_id, Action.RUN_JOBS)
        returned = undo_acceptance(acceptance=found)
        return ApiResponse({**acceptance_json(found), "returned": returned})


class DatasetDuplicates(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Mark near-duplicates in the records' metadata, by a job without a model (202)."""
        body = self.read_body(DuplicatesBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        job = find_near_duplicates(
            dataset=dataset,
            fields=body.fields,
            vector=body.vector,
            words=body.words,
            meaning=body.meaning,
            created_by=self.member,
        )
        return ApiResponse(job_json(job), status=202)


urlpatterns = [
    path("evaluations/<evaluation_id>/automation", EvaluationAutomation.as_view()),
    path("datasets/<dataset_id>/acceptances", DatasetAcceptances.as_view()),
    path("acceptances/<acceptance_id>/undo", AcceptanceUndo.as_view()),
    path("datasets/<dataset_id>/duplicates", DatasetDuplicates.as_view()),
]
