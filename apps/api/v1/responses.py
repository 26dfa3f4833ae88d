"""Responses: one's own, in bulk, and by id."""

from typing import Annotated, Any
from uuid import UUID

from django.db import transaction
from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.annotation.models import Response
from apps.annotation.services import delete_response, hold_answers, save_response
from apps.api.lookup import find
from apps.api.v1.claim import MAX_CLAIM, claimed_json
from apps.api.v1.lookups import find_record, find_record_to_answer
from apps.api.v1.record_json import response_json
from apps.api.v1.values import (
    DiscardedBody,
    DraftBody,
    ResponseBody,
    SubmittedBody,
)
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.errors import DomainError, NotAllowedError
from apps.organizations.models import Scope
from apps.workspaces.permissions import Action, check

MAX_BULK = 100


class MyDraftBody(DraftBody):
    record_id: UUID


class MyDiscardedBody(DiscardedBody):
    record_id: UUID


class MySubmittedBody(SubmittedBody):
    record_id: UUID


MyResponseBody = MyDraftBody | MyDiscardedBody | MySubmittedBody


class MyResponsesBody(Schema):
    items: list[Annotated[MyResponseBody, Field(discriminator="status")]] = Field(
        min_length=1, max_length=MAX_BULK
    )


class NextQuery(Schema):
    claim: int = Field(default=0, ge=0, le=MAX_CLAIM)


class RecordResponses(ApiView):
    write_scope = Scope.ANNOTATE

    def post(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """The caller's first answer to the record.

        With ``claim`` the answer's key ``claimed`` holds the next records of the caller's queue,
        as a claim gives them: one request for each record instead of two.
        """
        body, query = self.read_body(ResponseBody).root, self.read_query(NextQuery)
        record, is_locked = find_record_to_answer(self.member, record_id)
        saved = save_response(
            record=record,
            annotator=self.member,
            status=body.status,
            values=body.plain_values(),
            must_be_new=True,
            claim_next=query.claim,
            is_locked=is_locked,
        )
        answer = response_json(saved.response)
        if query.claim:
            answer["claimed"] = claimed_json(self.member, record.dataset, saved.claimed)
        return ApiResponse(answer, status=201)


class ResponseDetail(ApiView):
    write_scope = Scope.ANNOTATE

    def put(self, request: ApiRequest, response_id: UUID) -> ApiResponse:
        """Replace the values and the status."""
        body = self.read_body(ResponseBody).root
        response = self._find(response_id)
        saved = save_response(
            record=response.record,
            annotator=response.user,
            status=body.status,
            values=body.plain_values(),
        )
        return ApiResponse(response_json(saved.response))

    def delete(self, request: ApiRequest, response_id: UUID) -> ApiResponse:
        """Delete the answer; its record may go back to pending."""
        response = self._find(response_id)
        delete_response(response=response)
        return ApiResponse(response_json(response))

    def _find(self, response_id: UUID) -> Response:
        """The author's own, or any for those who manage records."""
        response = find(Response.objects.select_related("record__dataset", "user"), response_id)
        workspace_id = response.record.dataset.workspace_id
        own = response.user_id == self.member.id
        check(self.member, Action.ANSWER if own else Action.MANAGE_RECORDS, workspace_id)
        return response


class MyResponses(ApiView):
    write_scope = Scope.ANNOTATE

    def post(self, request: ApiRequest) -> ApiResponse:
        """Upsert up to 100 answers of the caller's; each succeeds or fails on its own."""
        body = self.read_body(MyResponsesBody)
        hold_answers(annotator=self.member, record_ids=[item.record_id for item in body.items])
        return ApiResponse({"items": [self._save(item) for item in body.items]})

    def _save(self, item: MyResponseBody) -> dict[str, Any]:
        try:
            with transaction.atomic():
                saved = save_response(
                    record=find_record(self.member, item.record_id, Action.ANSWER),
                    annotator=self.member,
                    status=item.status,
                    values=item.plain_values(),
                )
        except NotAllowedError as error:
            detail = f"argilla.api.errors::ForbiddenOperationError(detail={error.message})"
            return {"item": None, "error": {"detail": detail}}
        except DomainError as error:
            return {"item": None, "error": {"detail": error.message}}
        return {"item": response_json(saved.response), "error": None}


urlpatterns = [
    path("records/<record_id>/responses", RecordResponses.as_view()),
    path("responses/<response_id>", ResponseDetail.as_view()),
    path("me/responses/bulk", MyResponses.as_view()),
]
