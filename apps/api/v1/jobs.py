"""Background jobs: start, watch, cancel, resume; and the suggester that learns.

A job has two addresses. ``/jobs/{id}`` is the contract's: ``id`` and ``status`` in its words for
any admin, everything else for those who may run jobs in the workspace.
"""

from typing import Any, Final, Literal
from uuid import UUID

from django.urls import path, reverse
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.errors import InvalidRequestError
from apps.api.lookup import find
from apps.api.v1.job_json import job_json
from apps.api.v1.lookups import find_dataset
from apps.api.v1.parts import find_part
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.datasets.models import Dataset, Question
from apps.jobs.models import Job, JobItem, JobReject, JobState
from apps.jobs.services import cancel_job, pause_job, resume_job, retry_failed
from apps.organizations.models import Membership, Role
from apps.pipelines.dry_runs import extrapolation
from apps.pipelines.orders import (
    RunOrder,
    RunRequest,
    estimate_order,
    split_params,
    start_run,
)
from apps.pipelines.recipes.base import Recipe
from apps.pipelines.recipes.registry import load, names
from apps.pipelines.reprompt import Change, changes_of
from apps.pipelines.runs import read_params
from apps.quality.models import SuggesterSettings
from apps.quality.services import configure_suggester, start_picking, start_suggestions
from apps.workspaces.permissions import Action, check, may

MAX_JOBS = 100
# The contract's words; a paused job may go on, one that is being cancelled will not.
_STATUSES: Final = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "started",
    JobState.PAUSED: "deferred",
    JobState.CANCELLING: "stopped",
    JobState.CANCELLED: "canceled",
    JobState.DONE: "finished",
    JobState.FAILED: "failed",
}
_ACTIONS = {
    "cancel": cancel_job,
    "pause": pause_job,
    "resume": resume_job,
    "retry": retry_failed,
}


class JobBody(RunRequest):
    """``suggest_few_shot`` trains on the answers to a question and suggests for pending records;
    ``pick_records`` moves the ``count`` records that would teach most to the front. Any other
    kind is a recipe, which asks a model (``GET /recipes``).

    ``overwrite`` and ``limit`` are those of ``suggest_few_shot``; a recipe has its own in
    ``params``, with ``temperature``, ``top_p``, ``max_tokens``, ``seed`` and ``n``.
    """

    kind: str = Field(max_length=60)
    overwrite: bool = False
    limit: int | None = Field(default=None, ge=1)
    count: int = Field(default=100, ge=1, le=100_000)

    @property
    def order(self) -> RunOrder:
        given = {name: getattr(self, name) for name in RunRequest.model_fields}
        return RunOrder(recipe=self.kind, **given)


class ItemsQuery(Schema):
    state: Literal["pending", "leased", "done", "failed", "cancelled"] | None = None
    offset: int = Field(default=0, ge=0, le=2**31)
    limit: int = Field(default=50, ge=1, le=1000)


class SuggesterBody(Schema):
    enabled: bool
    every: int = Field(default=20, ge=1, le=1_000_000)
    limit: int = Field(default=10_000, ge=1, le=10_000_000)


def status_json(job: Job) -> dict[str, Any]:
    """What the contract says of a job."""
    return {"id": job.id, "status": _STATUSES[JobState(job.state)]}


def report_json(job: Job) -> dict[str, Any]:
    """A job with how far it is: ``total`` null while nobody knows it; ``skipped`` were left out.

    ``report_url`` is the address of what was left out.
    """
    return {
        **job_json(job),
        **status_json(job),
        "processed": job.done + job.failed,
        "total": job.total or None,
        "skipped": job.failed,
        "report_url": reverse("job-rejects", args=[job.id]),
    }


_LEARNING: Final = {"suggest_few_shot", "pick_records"}


class Page(Schema):
    offset: int = Field(default=0, ge=0, le=2**63 - 1)
    limit: int = Field(default=50, ge=1, le=1000)


class OneJob(ApiView):
    def get(self, request: ApiRequest, job: str) -> ApiResponse:
        """The job; 404 also for what is no id, before anything else."""
        found = _find_any_job(job)
        if _may_run(self.member, found):
            return ApiResponse(report_json(found))
        if self.member.role not in {Role.OWNER, Role.ADMIN}:
            raise NotAllowedError
        return ApiResponse(status_json(found))


class JobRejects(ApiView):
    def get(self, request: ApiRequest, job: str) -> ApiResponse:
        """What the job left out, by number, and why."""
        page = self.read_query(Page)
        found = _find_any_job(job)
        if not _may_run(self.member, found):
            raise NotAllowedError
        rejects = JobReject.objects.filter(job=found)
        rows = rejects.in_order()[page.offset : page.offset + page.limit]
        items = [{"row": row.number, "reason": row.reason} for row in rows]
        return ApiResponse({"items": items, "total": rejects.count()})


def _find_any_job(text: str) -> Job:
    try:
        job: Job | None = Job.objects.filter(id=UUID(text)).first()
    except ValueError:
        job = None
    if job is None:
        raise NotFoundError(f"Job with id `{text[:100]}` not found")
    return job


def _may_run(member: Membership, job: Job) -> bool:
    if job.workspace_id is None:
        return member.role == Role.OWNER
    return may(member, Action.RUN_JOBS, job.workspace_id)


class DatasetJobs(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The last hundred jobs, newest first."""
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        jobs = Job.objects.of_dataset(dataset.id).newest_first()[:MAX_JOBS]
        return ApiResponse({"items": [job_json(job) for job in jobs]})

    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Start a job (202); 409 while one of its kind works on the question."""
        body = self.read_body(JobBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        if body.kind not in _LEARNING:
            return ApiResponse(self._start(dataset, body.order), status=202)
        if body.question is None:
            raise InvalidRequestError.at("body", "question", type="missing", msg="Field required")
        question = self._question(dataset, body.question)
        if body.kind == "pick_records":
            job = start_picking(question=question, count=body.count, created_by=self.member)
        else:
            job = start_suggestions(
                question=question,
                created_by=self.member,
                overwrite=body.overwrite,
                limit=body.limit,
            )
        return ApiResponse(job_json(job), status=202)

    def _start(self, dataset: Dataset, order: RunOrder) -> dict[str, Any]:
        """Start a recipe: what it will take is said before it begins."""
        _check_may_order(self.member, dataset, order)
        dataset = Dataset.objects.select_related("workspace").get(id=dataset.id)
        job = start_run(dataset=dataset, order=order, created_by=self.member)
        return {**job_json(job), "estimate": job.params["estimate"]}

    def _question(self, dataset: Dataset, name: str) -> Question:
        rows = Question.objects.filter(dataset=dataset, name=name)
        question: Question | None = rows.select_related("dataset__workspace").first()
        if question is None:
            raise InvalidError(
                f"Question not found filtering by name={name}, dataset_id={dataset.id}"
            )
        return question


def _check_may_order(member: Membership, dataset: Dataset, order: RunOrder) -> None:
    """What asks a model spends the organization's money."""
    if load(order.recipe).needs_model(_params_of(order)):
        check(member, Action.USE_PROVIDERS, dataset.workspace_id)


def _params_of(order: RunOrder) -> Any:
    recipe = load(order.recipe)
    return read_params(recipe, split_params(recipe, order.params)[0])


class JobEstimate(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """What a run would take; nothing is started, and no model is asked."""
        body = self.read_body(JobBody)
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        _check_may_order(self.member, dataset, body.order)
        estimate = estimate_order(dataset=dataset, order=body.order, member=self.member)
        return ApiResponse(estimate.as_json())


class JobItems(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID, job_id: UUID) -> ApiResponse:
        """The job's items by number, those of a state where it is named."""
        query = self.read_query(ItemsQuery)
        job = find_job(self.member, dataset_id, job_id)
        items = JobItem.objects.filter(job=job).order_by("seq")
        if query.state is not None:
            items = items.filter(state=query.state)
        page = items[query.offset : query.offset + query.limit]
        return ApiResponse({"items": [_item_json(item) for item in page], "total": items.count()})


class JobDryRun(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID, job_id: UUID) -> ApiResponse:
        """What a dry run has found so far, and what all items would take, going by these."""
        job = find_job(self.member, dataset_id, job_id)
        changes = changes_of(job)
        total = extrapolation(job, [change.item for change in changes])
        items = [_change_json(change) for change in changes]
        return ApiResponse({"items": items, "extrapolation": total.as_json()})


class Recipes(ApiView):
    def get(self, request: ApiRequest) -> ApiResponse:
        """The recipes that can be started as jobs, with the parameters of each."""
        return ApiResponse({"items": [_recipe_json(load(name)) for name in names()]})


def _item_json(item: JobItem) -> dict[str, Any]:
    return {
        "seq": item.seq,
        "state": item.state,
        "payload": item.payload,
        "attempts": item.attempts,
        "error": item.error,
    }


def _change_json(change: Change) -> dict[str, Any]:
    item = change.item
    return {
        "seq": item.seq,
        "record_id": item.record_id,
        "calls": item.calls,
        "result": item.shown,
        "gold": item.gold,
        "before": change.before,
        "before_agent": change.before_agent,
        "changed": change.is_changed,
        "prompt_tokens": item.prompt_tokens,
        "completion_tokens": item.completion_tokens,
        "usd": float(item.usd),
        "cached": item.from_cache,
        "error": item.error,
    }


def _recipe_json(recipe: Recipe[Any, Any]) -> dict[str, Any]:
    return {
        "kind": recipe.name,
        "title": recipe.title,
        "paper": recipe.paper,
        "needs_question": recipe.needs_question,
        "question_types": None if recipe.question_types is None else sorted(recipe.question_types),
        "write_modes": list(recipe.write_modes),
        "params": recipe.Params.model_json_schema(),
    }


class DatasetJob(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID, job_id: UUID) -> ApiResponse:
        return ApiResponse(job_json(find_job(self.member, dataset_id, job_id)))


class DatasetJobAction(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID, job_id: UUID, action: str) -> ApiResponse:
        """Cancel, pause, resume or retry what failed; 409 where the state forbids it."""
        job = find_job(self.member, dataset_id, job_id)
        return ApiResponse(job_json(_ACTIONS[action](job=job)))


def find_job(member: Membership, dataset_id: UUID, job_id: UUID) -> Job:
    dataset = find_dataset(member, dataset_id, Action.RUN_JOBS)
    return find(Job.objects.of_dataset(dataset.id), job_id)


class QuestionSuggester(ApiView):
    def get(self, request: ApiRequest, question_id: UUID) -> ApiResponse:
        question = find_part(Question.objects.all(), self.member, question_id, Action.VIEW_DATASET)
        settings = SuggesterSettings.objects.filter(question=question).first()
        return ApiResponse(_suggester_json(settings))

    def put(self, request: ApiRequest, question_id: UUID) -> ApiResponse:
        """Turn suggestions while people label on or off."""
        body = self.read_body(SuggesterBody)
        question = find_part(Question.objects.all(), self.member, question_id, Action.RUN_JOBS)
        settings = configure_suggester(
            question=question, enabled=body.enabled, every=body.every, limit=body.limit
        )
        return ApiResponse(_suggester_json(settings))


def _suggester_json(settings: SuggesterSettings | None) -> dict[str, Any]:
    if settings is None:
        return {"enabled": False, "every": None, "limit": None}
    return {"enabled": settings.enabled, "every": settings.every, "limit": settings.limit}


urlpatterns = [
    path("jobs/<job>", OneJob.as_view()),
    path("jobs/<job>/rejects", JobRejects.as_view(), name="job-rejects"),
    path("datasets/<dataset_id>/jobs", DatasetJobs.as_view()),
    path("datasets/<dataset_id>/jobs/estimate", JobEstimate.as_view()),
    path("datasets/<dataset_id>/jobs/<job_id>", DatasetJob.as_view()),
    path("datasets/<dataset_id>/jobs/<job_id>/items", JobItems.as_view()),
    path("datasets/<dataset_id>/jobs/<job_id>/dry-run", JobDryRun.as_view()),
    path("recipes", Recipes.as_view()),
    *(
        path(
            f"datasets/<dataset_id>/jobs/<job_id>/{action}",
            DatasetJobAction.as_view(),
            {"action": action},
        )
        for action in _ACTIONS
    ),
    path("questions/<question_id>/suggester", QuestionSuggester.as_view()),
]
