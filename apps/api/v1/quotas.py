"""How many answers each person is asked for in a dataset."""

from typing import Annotated, Any
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.annotation import quotas
from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.errors import NotFoundError
from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.workspaces.permissions import Action, may

OwnQuota = Annotated[int, Field(ge=0, le=2_147_483_647)]


class PersonQuotasUpdate(Schema):
    """Null leaves the dataset's quota in force; 0 asks the person for nothing."""

    daily_quota: OwnQuota | None
    total_quota: OwnQuota | None


def person_document(person: quotas.Person) -> dict[str, Any]:
    return {
        "user_id": person.member.id,
        "username": person.member.username,
        "submitted": person.submitted,
        "submitted_today": person.submitted_today,
        "daily_quota": person.daily_quota,
        "total_quota": person.total_quota,
    }


class DatasetQuotas(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """The dataset's quotas, and those of everybody who answered or has their own."""
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        return ApiResponse(
            {
                "daily_quota": dataset.daily_quota,
                "total_quota": dataset.total_quota,
                "users": [person_document(row) for row in quotas.people(dataset=dataset)],
            }
        )


class PersonQuotas(ApiView):
    def put(self, request: ApiRequest, dataset_id: UUID, user_id: UUID) -> ApiResponse:
        """Set a person's own quotas. They stop the hand-out of records, never an answer."""
        body = self.read_body(PersonQuotasUpdate)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_DATASET)
        annotator = find_annotator(dataset, user_id)
        place = quotas.set_quotas(dataset=dataset, annotator=annotator, **body.model_dump())
        return ApiResponse({"daily_quota": place.daily_quota, "total_quota": place.total_quota})


def find_annotator(dataset: Dataset, user_id: UUID) -> Membership:
    """A member who may answer the dataset; a stranger does not exist."""
    member = Membership.objects.active().filter(pk=user_id).first()
    if member is None or not may(member, Action.ANSWER, dataset.workspace_id):
        raise NotFoundError(f"User with id `{user_id}` not found")
    return member


urlpatterns = [
    path("datasets/<dataset_id>/quotas", DatasetQuotas.as_view()),
    path("datasets/<dataset_id>/users/<user_id>/quotas", PersonQuotas.as_view()),
]
