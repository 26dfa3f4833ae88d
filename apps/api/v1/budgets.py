"""What models may cost: in a workspace each month, or in a job at all."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.jobs import find_job
from apps.api.views import ApiRequest, ApiView, Schema
from apps.jobs.models import Job
from apps.llms.budgets import MOST_TOKENS, MOST_USD, Standing, set_budget, standing_of
from apps.llms.models import BudgetScope
from apps.organizations.models import Scope
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Action, check


class BudgetChange(Schema):
    """Both limits at once: one that is not given, or null, is lifted."""

    usd: Decimal | None = Field(default=None, ge=0, le=MOST_USD)
    tokens: int | None = Field(default=None, ge=0, le=MOST_TOKENS)

    def apply(self, scope: BudgetScope, subject_id: UUID) -> None:
        set_budget(scope=scope, subject_id=subject_id, usd=self.usd, tokens=self.tokens)


def _standing_json(found: Standing) -> dict[str, Any]:
    return {
        "usd": None if found.usd is None else float(found.usd),
        "tokens": found.tokens,
        "spent_usd": float(found.spent.usd),
        "spent_tokens": found.spent.tokens,
        "reserved_usd": float(found.reserved.usd),
        "reserved_tokens": found.reserved.tokens,
    }


class WorkspaceBudget(ApiView):
    write_scope = Scope.MANAGE

    def get(self, request: ApiRequest, workspace_id: UUID) -> ApiResponse:
        """This month's, counted since the limit was set; ``reserved`` are calls under way."""
        return self._answer(self._find(workspace_id))

    def put(self, request: ApiRequest, workspace_id: UUID) -> ApiResponse:
        body = self.read_body(BudgetChange)
        workspace = self._find(workspace_id)
        body.apply(BudgetScope.WORKSPACE, workspace.id)
        return self._answer(workspace)

    def _find(self, workspace_id: UUID) -> Workspace:
        check(self.member, Action.MANAGE_BUDGETS, workspace_id)
        return find(Workspace.objects.all(), workspace_id)

    def _answer(self, workspace: Workspace) -> ApiResponse:
        found = standing_of(workspace.id)
        told = {"workspace_id": workspace.id, "month": found.month.isoformat()}
        return ApiResponse(told | _standing_json(found))


class JobBudget(ApiView):
    """A job that its budget has paused goes on once it is raised and the job is resumed."""

    def get(self, request: ApiRequest, dataset_id: UUID, job_id: UUID) -> ApiResponse:
        """Counted since the limit was first set; ``reserved`` are calls under way."""
        return self._answer(find_job(self.member, dataset_id, job_id))

    def put(self, request: ApiRequest, dataset_id: UUID, job_id: UUID) -> ApiResponse:
        body = self.read_body(BudgetChange)
        job = find_job(self.member, dataset_id, job_id)
        body.apply(BudgetScope.JOB, job.id)
        return self._answer(job)

    def _answer(self, job: Job) -> ApiResponse:
        return ApiResponse({"job_id": job.id, **_standing_json(standing_of(job.id))})


urlpatterns = [
    path("workspaces/<workspace_id>/budget", WorkspaceBudget.as_view()),
    path("datasets/<dataset_id>/jobs/<job_id>/budget", JobBudget.as_view()),
]
