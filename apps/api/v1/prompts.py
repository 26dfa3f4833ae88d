"""Prompt versions: saved, previewed, kept up with the guidelines; what models suggested so far."""

from typing import Any, Literal
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.job_json import job_json
from apps.api.v1.lookups import find_dataset, find_record
from apps.api.views import LEFT_OUT, ApiRequest, ApiView, Schema
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import load_schema
from apps.llms.models import Provider
from apps.organizations.models import Membership
from apps.pipelines.history import suggestion_history
from apps.pipelines.models import PromptVersion, SuggestionVersion
from apps.pipelines.orders import Budget, RunOrder, split_params
from apps.pipelines.previews import Preview, preview_prompts
from apps.pipelines.recipes.registry import load
from apps.pipelines.reprompt import TRIED, Affected, affected_prompts, reprompt, try_again
from apps.pipelines.selection import Selection
from apps.pipelines.versions import (
    delete_prompt,
    prompt_now,
    rebase_prompt,
    save_prompt,
    staleness,
    update_prompt,
)
from apps.workspaces.permissions import Action, check

Strategy = Literal["nearest", "random", "errors"]


class PromptBody(Schema):
    """``params`` are the recipe's and the model's together, as for a run."""

    recipe: str = Field(default="suggest", max_length=60)
    question: str | None = Field(default=None, max_length=200)
    template: str = Field(default="", max_length=50_000)
    shots: int = Field(default=0, ge=0, le=50)
    strategy: Strategy = "nearest"
    provider_id: UUID | None = None
    model: str = Field(default="", max_length=200)
    params: dict[str, Any] = Field(default_factory=dict)
    parent_id: UUID | None = None
    note: str = Field(default="", max_length=2_000)


class PromptChange(Schema):
    """What is not named stays; of a version that has been used, only the note may change."""

    template: str = Field(default=LEFT_OUT, max_length=50_000)
    shots: int = Field(default=LEFT_OUT, ge=0, le=50)
    strategy: Strategy = LEFT_OUT
    provider_id: UUID = LEFT_OUT
    model: str = Field(default=LEFT_OUT, max_length=200)
    params: dict[str, Any] = LEFT_OUT
    note: str = Field(default=LEFT_OUT, max_length=2_000)


class PromptsQuery(Schema):
    question: str | None = None


class PreviewBody(Schema):
    """The prompts of ``count`` of the selected records; nothing is asked of a model."""

    question: str = Field(max_length=200)
    template: str | None = Field(default=None, max_length=50_000)
    guidelines: str | None = Field(default=None, max_length=200_000)
    prompt_version_id: UUID | None = None
    shots: int | None = Field(default=None, ge=0, le=50)
    strategy: Strategy | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    selection: Selection = Selection()
    count: int = Field(default=5, ge=1, le=20)


class TrialBody(Schema):
    """``guidelines`` are tried before they are saved; without them, the dataset's."""

    guidelines: str | None = Field(default=None, max_length=200_000)
    count: int = Field(default=TRIED, ge=1, le=20)


class RepromptBody(Schema):
    budget: Budget = Budget()


class HistoryQuery(Schema):
    question: str


def prompt_json(version: PromptVersion, dataset: Dataset) -> dict[str, Any]:
    """``stale`` names what has changed since: ``guidelines``, ``question``."""
    question = version.question
    return {
        "id": version.id,
        "dataset_id": version.dataset_id,
        "question": question.name if question else None,
        "recipe": version.recipe,
        "number": version.number,
        "template": version.template,
        "guidelines": version.guidelines,
        "guidelines_version": version.guidelines_version,
        "shots": version.shots,
        "strategy": version.strategy,
        "provider_id": version.provider_id,
        "model": version.model,
        "params": {**version.asking, **version.params},
        "parent_id": version.parent_id,
        "note": version.note,
        "used_at": version.used_at,
        "stale": staleness(version, dataset, question),
        "inserted_at": version.inserted_at,
        "updated_at": version.updated_at,
    }


class DatasetPrompts(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The dataset's prompt versions, the newest first; of one question where it is named."""
        query = self.read_query(PromptsQuery)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        rows = PromptVersion.objects.of(dataset.id).select_related("question").newest_first()
        if query.question is not None:
            rows = rows.filter(question__name=query.question)
        return ApiResponse({"items": [prompt_json(row, dataset) for row in rows[:1_000]]})

    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Save a prompt with the guidelines as they are now (201); the same again is the same."""
        body = self.read_body(PromptBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        question = None if body.question is None else _question(dataset, body.question)
        params, asking = split_params(load(body.recipe), body.params)
        _check_provider(self.member, body.provider_id)
        version = save_prompt(
            schema=load_schema(dataset),
            question=question,
            prompt=prompt_now(
                dataset,
                question,
                template=body.template,
                shots=body.shots,
                strategy=body.strategy,
            ),
            recipe=body.recipe,
            provider_id=body.provider_id,
            model=body.model,
            params=params,
            asking=asking,
            parent=_parent(dataset, body.parent_id),
            note=body.note,
            author=self.member,
        )
        return ApiResponse(prompt_json(version, dataset), status=201)


class OnePrompt(ApiView):
    def get(self, request: ApiRequest, prompt_version_id: UUID) -> ApiResponse:
        version, dataset = _find(self.member, prompt_version_id)
        return ApiResponse(prompt_json(version, dataset))

    def patch(self, request: ApiRequest, prompt_version_id: UUID) -> ApiResponse:
        """Change a version that has not been used (409 else), or its note."""
        body = self.read_body(PromptChange)
        version, dataset = _find(self.member, prompt_version_id)
        changes = {name: getattr(body, name) for name in body.model_fields_set}
        if "params" in changes:
            params, asking = split_params(load(version.recipe), changes["params"])
            stored = asking.model_dump(exclude={"salt"})
            changes |= {"params": params, "asking": stored}
        _check_provider(self.member, changes.get("provider_id"))
        changed = update_prompt(version=version, schema=load_schema(dataset), changes=changes)
        return ApiResponse(prompt_json(changed, dataset))

    def delete(self, request: ApiRequest, prompt_version_id: UUID) -> ApiResponse:
        """Delete a version that has not been used (409 else)."""
        version, dataset = _find(self.member, prompt_version_id)
        document = prompt_json(version, dataset)
        delete_prompt(version=version)
        return ApiResponse(document)


class PromptRebase(ApiView):
    def post(self, request: ApiRequest, prompt_version_id: UUID) -> ApiResponse:
        """The same prompt with the guidelines and the question as they are now (201)."""
        version, dataset = _find(self.member, prompt_version_id)
        renewed = rebase_prompt(version=version, schema=load_schema(dataset), author=self.member)
        return ApiResponse(prompt_json(renewed, dataset), status=201)


class PromptTrial(ApiView):
    def post(self, request: ApiRequest, prompt_version_id: UUID) -> ApiResponse:
        """Ask again about some of the version's records with new guidelines, as a dry run (202)."""
        body = self.read_body(TrialBody)
        version, dataset = _find(self.member, prompt_version_id)
        check(self.member, Action.USE_PROVIDERS, dataset.workspace_id)
        job = try_again(
            dataset=dataset,
            version=version,
            guidelines=body.guidelines,
            count=body.count,
            created_by=self.member,
        )
        return ApiResponse(job_json(job), status=202)


class PromptReprompt(ApiView):
    def post(self, request: ApiRequest, prompt_version_id: UUID) -> ApiResponse:
        """Bring the version up to date and ask again about all its records (202)."""
        body = self.read_body(RepromptBody)
        version, dataset = _find(self.member, prompt_version_id)
        check(self.member, Action.USE_PROVIDERS, dataset.workspace_id)
        job = reprompt(dataset=dataset, version=version, budget=body.budget, created_by=self.member)
        return ApiResponse(job_json(job), status=202)


class AffectedPrompts(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The versions whose suggestions are in force, how many, and what has changed since."""
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        found = affected_prompts(dataset)
        return ApiResponse({"items": [_affected_json(one, dataset) for one in found]})


class PromptPreview(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The prompts that some records would get; nothing is saved, nothing is asked."""
        body = self.read_body(PreviewBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        order = RunOrder(recipe="suggest", **body.model_dump(exclude={"count", "selection"}))
        order = order.model_copy(update={"selection": body.selection, "dry_run": body.count})
        previews = preview_prompts(dataset=dataset, order=order, member=self.member)
        return ApiResponse({"items": [_preview_json(one) for one in previews]})


class RecordHistory(ApiView):
    def get(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """What each agent has suggested to a question of the record, the newest first."""
        record = find_record(self.member, record_id, Action.RUN_JOBS)
        query = self.read_query(HistoryQuery)
        question = _question(record.dataset, query.question)
        rows = suggestion_history(record_id=record.id, question_id=question.id)
        return ApiResponse({"items": [_history_json(row) for row in rows]})


def _find(member: Membership, version_id: UUID) -> tuple[PromptVersion, Dataset]:
    rows = PromptVersion.objects.select_related("question")
    version = find(rows, version_id)
    return version, find_dataset(member, version.dataset_id, Action.RUN_JOBS)


def _question(dataset: Dataset, name: str) -> Question:
    question: Question | None = Question.objects.filter(dataset=dataset, name=name).first()
    if question is None:
        raise InvalidError(f"Question not found filtering by name={name}, dataset_id={dataset.id}")
    return question


def _parent(dataset: Dataset, parent_id: UUID | None) -> PromptVersion | None:
    if parent_id is None:
        return None
    found: PromptVersion | None = PromptVersion.objects.of(dataset.id).filter(id=parent_id).first()
    if found is None:
        raise InvalidError(f"This dataset has no prompt version {parent_id}.")
    return found


def _check_provider(member: Membership, provider_id: UUID | None) -> None:
    known = Provider.objects.visible_to(member)
    if provider_id is not None and not known.filter(id=provider_id).exists():
        raise InvalidError(f"There is no provider {provider_id}.")


def _affected_json(one: Affected, dataset: Dataset) -> dict[str, Any]:
    return {
        "prompt": prompt_json(one.version, dataset),
        "agent": one.agent,
        "suggestions": one.suggestions,
        "pending": one.pending,
        "stale": list(one.stale),
    }


def _preview_json(one: Preview) -> dict[str, Any]:
    return {
        "record_id": one.record_id,
        "messages": [dict(message) for message in one.messages],
        "characters": one.characters,
        "error": one.error,
    }


def _history_json(row: SuggestionVersion) -> dict[str, Any]:
    return {
        "agent": row.agent or None,
        "type": row.type,
        "value": row.value,
        "score": row.score,
        "job_id": row.job_id,
        "prompt_version_id": row.prompt_version_id,
        "guidelines_version": row.guidelines_version,
        "details": row.details,
        "inserted_at": row.inserted_at,
        "updated_at": row.updated_at,
    }


urlpatterns = [
    path("datasets/<dataset_id>/prompts", DatasetPrompts.as_view()),
    path("datasets/<dataset_id>/prompts/affected", AffectedPrompts.as_view()),
    path("datasets/<dataset_id>/prompts/preview", PromptPreview.as_view()),
    path("prompts/<prompt_version_id>", OnePrompt.as_view()),
    path("prompts/<prompt_version_id>/rebase", PromptRebase.as_view()),
    path("prompts/<prompt_version_id>/trial", PromptTrial.as_view()),
    path("prompts/<prompt_version_id>/reprompt", PromptReprompt.as_view()),
    path("records/<record_id>/suggestions/history", RecordHistory.as_view()),
]
