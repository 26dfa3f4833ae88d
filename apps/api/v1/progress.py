"""How far a dataset is, and its people in it."""

from uuid import UUID

from django.urls import path
from rest_framework.response import Response as ApiResponse

from apps.annotation import progress
from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView
from apps.workspaces.permissions import Action


class DatasetProgress(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Counted records, and everybody who ever answered."""
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_DATASET)
        counted = progress.dataset_progress(dataset=dataset)
        return ApiResponse(
            {
                "total": counted.total,
                "completed": counted.completed,
                "pending": counted.pending,
                "users": [{"username": name} for name in progress.annotators(dataset=dataset)],
            }
        )


class UsersProgress(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Each person's answers by their status and the record's."""
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_DATASET)
        people = progress.by_annotator(dataset=dataset)
        return ApiResponse(
            {"users": [{"username": name, **counts} for name, counts in people.items()]}
        )


class MyMetrics(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The caller's answers by status."""
        dataset = find_dataset(self.member, dataset_id, Action.VIEW_DATASET)
        mine = progress.my_progress(dataset=dataset, annotator=self.member)
        counts = {
            "total": mine.total,
            "submitted": mine.submitted,
            "discarded": mine.discarded,
            "draft": mine.draft,
            "pending": mine.pending,
        }
        today = {"submitted": mine.submitted_today, "daily_quota": mine.daily_quota}
        return ApiResponse({"responses": counts, "today": today, "total_quota": mine.total_quota})


urlpatterns = [
    path("datasets/<dataset_id>/progress", DatasetProgress.as_view()),
    path("datasets/<dataset_id>/users/progress", UsersProgress.as_view()),
    path("me/datasets/<dataset_id>/metrics", MyMetrics.as_view()),
]
