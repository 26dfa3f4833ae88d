"""Background jobs: start, watch, cancel, resume; and the suggester that learns.

A job has two addresses. ``/jobs/{id}`` is the contract's: ``id`` and ``status`` in its words for
any admin, everything else for those who may run jobs in the workspace.
"""

from typing import Any, Final, Literal
from uuid import UUID

from django.urls import path, reverse
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.lookups import find_dataset
from apps.api.v1.parts import find_part
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.datasets.models import Dataset, Question
from apps.jobs.models import Job, JobReject, JobState
from apps.jobs.services import cancel_job, pause_job, resume_job, retry_failed
from apps.organizations.models import Membership, Role
from apps.quality.models import SuggesterSettings
from apps.quality.services import configure_suggester, start_picking, start_suggestions
from apps.workspaces.permissions import Action, may

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


class JobBody(Schema):
    """``suggest_few_shot`` trains on the answers to a question and suggests for pending records;
    ``pick_records`` moves the ``count`` records that would teach most to the front."""

    kind: Literal["suggest_few_shot", "pick_records"]
    question: str
    overwrite: bool = False
    limit: int | None = Field(default=None, ge=1)
    count: int = Field(default=100, ge=1, le=100_000)


class SuggesterBody(Schema):
    enabled: bool
    every: int = Field(default=20, ge=1, le=1_000_000)
    limit: int = Field(default=10_000, ge=1, le=10_000_000)


def job_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "params": job.params,
        "counters": job.counters,
        "cost_usd": float(job.cost),
        "errors": job.error_sample,
        "dataset_id": job.dataset_id,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "inserted_at": job.inserted_at,
        "updated_at": job.updated_at,
    }


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

    def _question(self, dataset: Dataset, name: str) -> Question:
        rows = Question.objects.filter(dataset=dataset, name=name)
        question: Question | None = rows.select_related("dataset__workspace").first()
        if question is None:
            raise InvalidError(
                f"Question not found filtering by name={name}, dataset_id={dataset.id}"
            )
        return question


class DatasetJob(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID, job_id: UUID) -> ApiResponse:
        return ApiResponse(job_json(_find_job(self.member, dataset_id, job_id)))


class DatasetJobAction(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID, job_id: UUID, action: str) -> ApiResponse:
        """Cancel, pause, resume or retry what failed; 409 where the state forbids it."""
        job = _find_job(self.member, dataset_id, job_id)
        return ApiResponse(job_json(_ACTIONS[action](job=job)))


def _find_job(member: Membership, dataset_id: UUID, job_id: UUID) -> Job:
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
    path("datasets/<dataset_id>/jobs/<job_id>", DatasetJob.as_view()),
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
