"""The gate for generated records: look at drafts, edit, accept or discard them, take it back."""

from typing import Any
from uuid import UUID

from django.urls import path
from pydantic import Field
from rest_framework.response import Response as ApiResponse

from apps.api.lookup import find
from apps.api.v1.job_json import job_json
from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView, Moment, Schema
from apps.core.errors import InvalidError
from apps.drafts.asked import Asked, summary
from apps.drafts.comparing import compare_drafts
from apps.drafts.editing import Edit, edit_draft
from apps.drafts.models import Draft, DraftState
from apps.drafts.provenance import provenance
from apps.drafts.services import Outcome, accept_drafts, discard_drafts, restore_drafts
from apps.workspaces.permissions import Action

MAX_IDS = 5_000


class Which(Schema):
    """All that is given must hold; ``keep`` false are those that a filter advises against."""

    job_id: UUID | None = None
    recipe: str | None = Field(default=None, max_length=60)
    agent: str | None = Field(default=None, max_length=200)
    prompt_version_id: UUID | None = None
    parent_id: UUID | None = None
    record_id: UUID | None = None
    decision: UUID | None = None
    group: str | None = Field(default=None, max_length=500)
    keep: bool | None = None
    alike: bool | None = None
    least_score: float | None = Field(default=None, ge=0, le=1)
    most_score: float | None = Field(default=None, ge=0, le=1)

    def asked(self, *, state: str | None = None, ids: list[UUID] | None = None) -> Asked:
        return Asked(
            state=state,
            ids=ids,
            job=self.job_id,
            recipe=self.recipe,
            agent=self.agent,
            prompt_version=self.prompt_version_id,
            parent=self.parent_id,
            record=self.record_id,
            decision=self.decision,
            group=self.group,
            keep=self.keep,
            alike=self.alike,
            least_score=self.least_score,
            most_score=self.most_score,
        )


class SummaryQuery(Which):
    """The same in a query."""


class Page(Which):
    """A page of the drafts, oldest first; ``after`` is the last id of the page before."""

    state: DraftState | None = None
    after: UUID | None = None
    limit: int = Field(default=50, ge=1, le=1000)


class Decided(Schema):
    """The drafts of these ids, those that match the filter, or those that do both; of these the
    ones ``after`` an id, as the ``last`` of the call before."""

    ids: list[UUID] | None = Field(default=None, min_length=1, max_length=MAX_IDS)
    filter: Which | None = None
    after: UUID | None = None

    def asked(self) -> Asked:
        """Raises ``InvalidError`` when nothing is named: all at once is ``{"filter": {}}``."""
        if self.ids is None and self.filter is None:
            raise InvalidError("Name the drafts by ids, or by a filter.")
        return (self.filter or Which()).asked(ids=self.ids)


class Suggested(Schema):
    """A suggested value; without a score, one that stays keeps its own."""

    question: str = Field(max_length=200)
    value: Any
    score: float | list[float] | None = None


class Edited(Schema):
    """Each part as a whole; what is not given stays. ``accept`` makes a record of it at once.

    ``edited_at`` as the draft had it when it was read guards against overwriting: 409 when
    somebody has changed it since.
    """

    fields: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    suggestions: list[Suggested] | None = Field(default=None, max_length=1_000)
    edited_at: Moment | None = None
    accept: bool = False

    def edit(self) -> Edit:
        rows = self.suggestions
        suggestions = None if rows is None else [row.model_dump(exclude_unset=True) for row in rows]
        return Edit(fields=self.fields, metadata=self.metadata, suggestions=suggestions)

    @property
    def version(self) -> str | None:
        """None where the client does not say which version it has read."""
        if "edited_at" not in self.model_fields_set:
            return None
        return self.edited_at.isoformat() if self.edited_at else ""


def draft_json(draft: Draft) -> dict[str, Any]:
    return {
        "id": draft.id,
        "dataset_id": draft.dataset_id,
        "state": draft.state,
        "fields": draft.fields,
        "metadata": draft.metadata,
        "suggestions": draft.suggestions,
        "provenance": provenance(draft),
        "job_id": draft.job_id,
        "recipe": draft.recipe,
        "agent": draft.agent,
        "prompt_version_id": draft.prompt_version_id,
        "parents": draft.parents,
        "group": draft.group,
        "like": draft.like,
        "score": draft.score,
        "keep": draft.keep,
        "reasons": draft.reasons,
        "written": draft.written,
        "edited_at": draft.edited_at,
        "edited_by": draft.edited_by_id,
        "record_id": draft.record_id,
        "decision": draft.decision,
        "decided_at": draft.decided_at,
        "decided_by": draft.decided_by_id,
        "inserted_at": draft.inserted_at,
        "updated_at": draft.updated_at,
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "decision": outcome.decision,
        "taken": outcome.taken,
        "left": outcome.left,
        "last": outcome.last,
        "refused": [{"id": id, "reason": reason} for id, reason in outcome.refused.items()],
    }


class DatasetDrafts(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Drafts by where they come from and what filters say of them. Three queries."""
        page = self.read_query(Page)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        drafts = page.asked(state=page.state).of(dataset)
        rows = drafts.beyond(page.after).in_order()
        items = [draft_json(draft) for draft in rows[: page.limit]]
        return ApiResponse({"items": items, "total": drafts.count()})


class DraftSummary(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """How many wait, by group, and for how many there is a reason to discard them."""
        which = self.read_query(SummaryQuery)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        return ApiResponse(summary(which.asked().of(dataset)))


class OneDraft(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID, draft_id: UUID) -> ApiResponse:
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        return ApiResponse(draft_json(find(Draft.objects.of_dataset(dataset), draft_id)))

    def patch(self, request: ApiRequest, dataset_id: UUID, draft_id: UUID) -> ApiResponse:
        """Let a waiting draft say something else, and accept it where asked to; what the model
        wrote stays in ``written``. 409 for one that is decided or was changed meanwhile."""
        body = self.read_body(Edited)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        draft = find(Draft.objects.of_dataset(dataset), draft_id)
        draft = edit_draft(draft=draft, edit=body.edit(), member=self.member, version=body.version)
        if body.accept:
            chosen = Asked(ids=[draft.id]).of(dataset)
            outcome = accept_drafts(dataset=dataset, drafts=chosen, member=self.member)
            for reason in outcome.refused.values():
                raise InvalidError(reason)
            draft.refresh_from_db()
        return ApiResponse(draft_json(draft))


class DraftsAccept(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Make records of waiting drafts; of many the first 5,000, and ``left`` says how many
        come after the ``last`` of them, for another call ``after`` that."""
        asked = self.read_body(Decided)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        drafts = asked.asked().of(dataset)
        outcome = accept_drafts(
            dataset=dataset, drafts=drafts, member=self.member, after=asked.after
        )
        return ApiResponse(outcome_json(outcome))


class DraftsDiscard(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Set waiting drafts aside; nothing is deleted."""
        asked = self.read_body(Decided)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        drafts = asked.asked().of(dataset)
        outcome = discard_drafts(
            dataset=dataset, drafts=drafts, member=self.member, after=asked.after
        )
        return ApiResponse(outcome_json(outcome))


class DraftsRestore(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Let decided drafts wait again, as those of one ``decision``; the records of accepted
        ones are deleted, unless people have worked on them."""
        asked = self.read_body(Decided)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        drafts = asked.asked().of(dataset)
        outcome = restore_drafts(dataset=dataset, drafts=drafts, after=asked.after)
        return ApiResponse(outcome_json(outcome))


class DraftsCompare(ApiView):
    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Mark waiting drafts that nearly repeat a record, as a job (202); 409 while one runs."""
        dataset = find_dataset(self.member, dataset_id, Action.RUN_JOBS)
        return ApiResponse(job_json(compare_drafts(dataset=dataset, created_by=self.member)), 202)


urlpatterns = [
    path("datasets/<dataset_id>/drafts", DatasetDrafts.as_view()),
    path("datasets/<dataset_id>/drafts/summary", DraftSummary.as_view()),
    path("datasets/<dataset_id>/drafts/accept", DraftsAccept.as_view()),
    path("datasets/<dataset_id>/drafts/discard", DraftsDiscard.as_view()),
    path("datasets/<dataset_id>/drafts/restore", DraftsRestore.as_view()),
    path("datasets/<dataset_id>/drafts/compare", DraftsCompare.as_view()),
    path("datasets/<dataset_id>/drafts/<draft_id>", OneDraft.as_view()),
]
