"""Evaluations against gold sets: started, read, compared, and what follows from them."""

from typing import Any
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.gold_sets import find_gold
from apps.api.v1.job_json import job_json
from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.errors import InvalidError, NotFoundError
from apps.datasets.models import Dataset
from apps.evaluation.models import Evaluation, Split
from apps.evaluation.reading import cell_records, compare, disagreements
from apps.evaluation.services import (
    delete_evaluation,
    evaluate,
    evaluate_agent,
    finish,
    finish_all,
    promote,
    send_to_review,
)
from apps.organizations.models import Membership
from apps.pipelines.models import PromptVersion
from apps.pipelines.orders import Budget
from apps.pipelines.selection import Selection
from apps.workspaces.permissions import Action, check

MOST = 500


class EvaluationBody(Schema):
    """Either ``prompt_version_id``, which is asked anew, or ``agent``, whose suggestions are there.

    ``with_test`` measures the test split too, which is a look at it.
    """

    gold_set_id: UUID
    prompt_version_id: UUID | None = None
    agent: str | None = Field(default=None, min_length=1, max_length=200)
    with_test: bool = False
    provider_id: UUID | None = None
    model: str | None = Field(default=None, max_length=200)
    budget: Budget = Budget()


class CompareBody(Schema):
    a: UUID
    b: UUID
    split: Split = Split.DEV


class CellQuery(Schema):
    """``true`` is needed; ``answered`` left out is for no valid answer."""

    true: str | None = None
    answered: str | None = None


class ReviewBody(Schema):
    record_ids: list[UUID] | None = Field(default=None, max_length=5_000)


class PromoteBody(Schema):
    selection: Selection = Selection()
    provider_id: UUID | None = None
    model: str | None = Field(default=None, max_length=200)
    budget: Budget = Budget()


def evaluation_json(one: Evaluation) -> dict[str, Any]:
    return {
        "id": one.id,
        "gold_set_id": one.gold_set_id,
        "prompt_version_id": one.prompt_version_id,
        "agent": one.agent,
        "job_id": one.job_id,
        "state": "measured" if one.measured_at else one.job.state if one.job else "measured",
        "look": one.look,
        "reports": one.reports,
        "measured_at": one.measured_at,
        "inserted_at": one.inserted_at,
    }


class DatasetEvaluations(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The dataset's evaluations, the newest first; those that have ended are measured."""
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        finish_all(dataset=dataset)
        rows = Evaluation.objects.of_dataset(dataset).select_related("job").newest_first()
        return ApiResponse({"items": [evaluation_json(row) for row in rows[:MOST]]})

    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Measure a prompt version, by a job (202), or what an agent suggested, at once (201)."""
        body = self.read_body(EvaluationBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        if (body.prompt_version_id is None) == (body.agent is None):
            raise InvalidError("Name either prompt_version_id or agent.")
        gold = find_gold(self.member, body.gold_set_id)
        _same_dataset(dataset, gold.dataset_id)
        if body.agent is not None:
            made = evaluate_agent(
                agent=body.agent, gold=gold, with_test=body.with_test, created_by=self.member
            )
            return ApiResponse(evaluation_json(made), status=201)
        check(self.member, Action.USE_PROVIDERS, dataset.workspace_id)
        made = evaluate(
            version=_version(dataset, body.prompt_version_id),
            gold=gold,
            with_test=body.with_test,
            provider_id=body.provider_id,
            model=body.model,
            budget=body.budget,
            created_by=self.member,
        )
        return ApiResponse(evaluation_json(made), status=202)


class DatasetComparison(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """B against A on the same gold set, by a paired test."""
        body = self.read_body(CompareBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        one, other = (find_evaluation(self.member, id) for id in (body.a, body.b))
        for evaluation in (one, other):
            _same_dataset(dataset, evaluation.gold_set.dataset_id)
        return ApiResponse(compare(one, other, split=body.split))


class OneEvaluation(ApiView):
    def get(self, request: ApiRequest, evaluation_id: UUID) -> ApiResponse:
        """The evaluation; its reports are there once its job has ended."""
        return ApiResponse(evaluation_json(find_evaluation(self.member, evaluation_id)))

    def delete(self, request: ApiRequest, evaluation_id: UUID) -> ApiResponse:
        """Delete it; looks at the test split stay counted."""
        found = find_evaluation(self.member, evaluation_id)
        document = evaluation_json(found)
        delete_evaluation(evaluation=found)
        return ApiResponse(document)


class EvaluationDisagreements(ApiView):
    def get(self, request: ApiRequest, evaluation_id: UUID) -> ApiResponse:
        """Where it differs from the development split, worst first."""
        found = find_evaluation(self.member, evaluation_id)
        return ApiResponse({"items": disagreements(found)})


class EvaluationCell(ApiView):
    def get(self, request: ApiRequest, evaluation_id: UUID) -> ApiResponse:
        """The records in a cell of the confusion, of the development split."""
        query = self.read_query(CellQuery)
        found = find_evaluation(self.member, evaluation_id)
        options = {str(one["value"]): one["value"] for one in found.gold_set.question.options}
        answered = None if query.answered is None else options.get(query.answered, query.answered)
        true = options.get(query.true or "", query.true)
        return ApiResponse({"record_ids": cell_records(found, true=true, answered=answered)})


class EvaluationReview(ApiView):
    def post(self, request: ApiRequest, evaluation_id: UUID) -> ApiResponse:
        """Put what it differs about into the review queue: all, or some of it."""
        body = self.read_body(ReviewBody)
        found = find_evaluation(self.member, evaluation_id)
        sent = send_to_review(evaluation=found, record_ids=body.record_ids)
        return ApiResponse({"sent": sent})


class PromptPromotion(ApiView):
    def post(self, request: ApiRequest, prompt_version_id: UUID) -> ApiResponse:
        """Let the version suggest from now on: a job writes its answers as suggestions (202)."""
        body = self.read_body(PromoteBody)
        version = find(PromptVersion.objects.select_related("dataset"), prompt_version_id)
        dataset = find_dataset(self.member, version.dataset_id, Action.RUN_JOBS)
        check(self.member, Action.USE_PROVIDERS, dataset.workspace_id)
        job = promote(
            version=version,
            selection=body.selection,
            provider_id=body.provider_id,
            model=body.model,
            budget=body.budget,
            created_by=self.member,
        )
        return ApiResponse(job_json(job), status=202)


def find_evaluation(member: Membership, evaluation_id: UUID) -> Evaluation:
    """The evaluation with what it is about, measured if its job has ended; if the member may run
    jobs there."""
    rows = Evaluation.objects.select_related("gold_set__question", "gold_set__dataset", "job")
    found = find(rows, evaluation_id)
    find_dataset(member, found.gold_set.dataset_id, Action.RUN_JOBS)
    return found if found.is_current else finish(evaluation=found)


def _version(dataset: Dataset, version_id: UUID | None) -> PromptVersion:
    rows = PromptVersion.objects.filter(dataset=dataset, id__in=[version_id])
    found: PromptVersion | None = rows.first()
    if found is None:
        raise InvalidError(f"This dataset has no prompt version {version_id}.")
    return found


def _same_dataset(dataset: Dataset, dataset_id: UUID) -> None:
    if dataset_id != dataset.id:
        raise NotFoundError(f"There is no such thing in the dataset with id `{dataset.id}`")


urlpatterns = [
    path("datasets/<dataset_id>/evaluations", DatasetEvaluations.as_view()),
    path("datasets/<dataset_id>/evaluations/compare", DatasetComparison.as_view()),
    path("evaluations/<evaluation_id>", OneEvaluation.as_view()),
    path("evaluations/<evaluation_id>/disagreements", EvaluationDisagreements.as_view()),
    path("evaluations/<evaluation_id>/cell", EvaluationCell.as_view()),
    path("evaluations/<evaluation_id>/review", EvaluationReview.as_view()),
    path("prompts/<prompt_version_id>/promote", PromptPromotion.as_view()),
]
