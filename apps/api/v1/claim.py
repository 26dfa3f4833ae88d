"""The queue for API clients: claim the next records, renew or release a lease."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.annotation import distribution
from apps.annotation.models import Lease
from apps.api.v1.lookups import find_queue, find_record
from apps.api.v1.record_json import Include, Viewer, records_json
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.errors import ConflictError
from apps.datasets.models import Dataset
from apps.datasets.services import refuse_archived
from apps.organizations.models import Membership, Scope
from apps.workspaces.permissions import Action

MAX_CLAIM = 50


class ClaimQuery(Schema):
    limit: int = Field(default=1, ge=1, le=MAX_CLAIM)


class Claim(ApiView):
    write_scope = Scope.ANNOTATE

    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Lease up to ``limit`` records; those the caller holds already come first.

        409 for an archived dataset.
        """
        query = self.read_query(ClaimQuery)
        dataset, turn = find_queue(self.member, dataset_id)
        refuse_archived(dataset)
        leases = distribution.claim(
            dataset=dataset, annotator=self.member, limit=query.limit, turn=turn
        )
        return ApiResponse({"items": claimed_json(self.member, dataset, leases)})


def claimed_json(
    member: Membership, dataset: Dataset, leases: Sequence[Lease]
) -> list[dict[str, Any]]:
    """Each leased record, as the member may see it, with its lease."""
    viewer = Viewer.of(member, dataset)
    records = records_json([lease.record for lease in leases], Include(suggestions=True), viewer)
    return [
        {"record": record, "lease": {"expires_at": lease.expires_at}}
        for record, lease in zip(records, leases, strict=True)
    ]


class LeaseDetail(ApiView):
    write_scope = Scope.ANNOTATE

    def put(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """Keep the record for another while; 409 when the lease is lost."""
        record = find_record(self.member, record_id, Action.ANSWER)
        expires_at = distribution.renew(record_id=record.id, annotator=self.member)
        if expires_at is None:
            raise ConflictError(f"The lease of record with id `{record.id}` has ended")
        return ApiResponse({"expires_at": expires_at})

    def delete(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """Give the record back unanswered."""
        record = find_record(self.member, record_id, Action.ANSWER)
        distribution.release(record_id=record.id, annotator=self.member)
        return ApiResponse(status=204)


urlpatterns = [
    path("me/datasets/<dataset_id>/claim", Claim.as_view()),
    path("me/records/<record_id>/lease", LeaseDetail.as_view()),
]
