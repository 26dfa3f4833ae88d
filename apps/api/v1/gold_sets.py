"""Gold sets: what people are sure of, frozen and split."""

from typing import Any
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, Question
from apps.evaluation.gold import freeze_gold, is_intact
from apps.evaluation.models import GoldSet
from apps.organizations.models import Membership
from apps.workspaces.permissions import Action

MOST = 1_000


class GoldBody(Schema):
    """``min_answers`` null is as many as the dataset asks for."""

    question: str = Field(max_length=200)
    test_percent: int = Field(default=50, ge=0, le=100)
    min_answers: int | None = Field(default=None, ge=1, le=1_000)
    note: str = Field(default="", max_length=2_000)


def gold_json(gold: GoldSet) -> dict[str, Any]:
    return {
        "id": gold.id,
        "dataset_id": gold.dataset_id,
        "question": gold.question.name,
        "number": gold.number,
        "size": gold.size,
        "dev_size": gold.size - gold.test_size,
        "test_size": gold.test_size,
        "test_percent": gold.test_percent,
        "test_looks": gold.test_looks,
        "digest": gold.digest,
        "note": gold.note,
        "inserted_at": gold.inserted_at,
    }


class DatasetGoldSets(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The dataset's gold sets, the newest first."""
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        rows = GoldSet.objects.filter(dataset=dataset).select_related("question").newest_first()
        return ApiResponse({"items": [gold_json(row) for row in rows[:MOST]]})

    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Freeze what is certain now (201); 409 when nothing has changed since the last one."""
        body = self.read_body(GoldBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        gold = freeze_gold(
            question=find_question(dataset, body.question),
            test_percent=body.test_percent,
            min_answers=body.min_answers,
            note=body.note.replace("\0", ""),
            created_by=self.member,
        )
        return ApiResponse(gold_json(gold), status=201)


class OneGoldSet(ApiView):
    def get(self, request: ApiRequest, gold_set_id: UUID) -> ApiResponse:
        """The set; ``is_intact`` tells whether all that was frozen is still there."""
        gold = find_gold(self.member, gold_set_id)
        return ApiResponse({**gold_json(gold), "is_intact": is_intact(gold)})


def find_gold(member: Membership, gold_set_id: UUID) -> GoldSet:
    """The set with its question and dataset, if the member may run jobs there."""
    rows = GoldSet.objects.select_related("question__dataset", "dataset__workspace")
    gold = find(rows, gold_set_id)
    find_dataset(member, gold.dataset_id, Action.RUN_JOBS)
    return gold


def find_question(dataset: Dataset, name: str | None) -> Question:
    """The dataset's question. Raises ``InvalidError`` when there is none, or none was named."""
    if name is None:
        raise InvalidError("Name a question")
    rows = Question.objects.filter(dataset=dataset, name=name)
    question: Question | None = rows.select_related("dataset__workspace").first()
    if question is None:
        raise InvalidError(f"Question not found filtering by name={name}, dataset_id={dataset.id}")
    return question


urlpatterns = [
    path("datasets/<dataset_id>/gold-sets", DatasetGoldSets.as_view()),
    path("gold-sets/<gold_set_id>", OneGoldSet.as_view()),
]
