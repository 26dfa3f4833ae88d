"""Records: bulk, list, get, change, delete."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, TypeVar
from uuid import UUID

from django.urls import path
from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from rest_framework.response import Response as ApiResponse

from apps.annotation.ingest import log_records
from apps.api import wire
from apps.api.v1.lookups import find_dataset, find_record, uuids
from apps.api.v1.record_json import (
    EVERYTHING,
    Viewer,
    inserted_json,
    parse_include,
    record_json,
    records_json,
)
from apps.api.v1.values import Numbers, SuggestionBody, UserResponseBody
from apps.api.views import MEGABYTE, ApiRequest, ApiView, Schema
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, DatasetStatus
from apps.records.bulk import UpsertedRecord
from apps.records.inputs import RecordInput, keeps_digits
from apps.records.models import DatasetCounter, Record
from apps.records.services import delete_records, update_record
from apps.workspaces.permissions import Action

MAX_BULK = 500
MAX_DELETE = 100


def _whole(given: Any) -> Any:
    if not keeps_digits(given):
        raise ValueError("an id of more than 53 bits is a text, not a number")
    return given


ExternalId = Annotated[str, Field(coerce_numbers_to_str=True), BeforeValidator(_whole)]


class RecordBody(Schema):
    """One record of a bulk."""

    fields: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    external_id: ExternalId | None = None
    responses: list[UserResponseBody] | None = None
    suggestions: list[SuggestionBody] | None = None
    vectors: dict[str, Numbers] | None = None

    @model_validator(mode="after")
    def one_response_a_person(self) -> "RecordBody":
        if self.responses and len({r.user_id for r in self.responses}) < len(self.responses):
            raise ValueError("found several responses for the same user")
        return self

    def to_input(self) -> RecordInput:
        return RecordInput(
            fields=self.fields,
            metadata=self.metadata,
            external_id=self.external_id,
            suggestions=[given.to_input() for given in self.suggestions or ()],
            vectors=self.vectors or {},
            responses=[given.to_input() for given in self.responses or ()],
            sets_metadata="metadata" in self.model_fields_set,
        )


class RecordCreateBody(RecordBody):
    fields: dict[str, Any]


class RecordUpsertBody(RecordBody):
    id: UUID | None = None

    def to_input(self) -> RecordInput:
        given = super().to_input()
        given.id = self.id
        return given


_Record = TypeVar("_Record", RecordCreateBody, RecordUpsertBody)


def _each_once(items: list[_Record]) -> list[_Record]:
    names = [item.external_id for item in items if item.external_id is not None]
    if len(set(names)) < len(names):
        raise ValueError("found several records with the same external id")
    return items


_Items = Annotated[
    list[_Record], Field(min_length=1, max_length=MAX_BULK), AfterValidator(_each_once)
]


class BulkCreateBody(Schema):
    items: _Items[RecordCreateBody]


class BulkUpsertBody(Schema):
    items: _Items[RecordUpsertBody]


class RecordUpdateBody(Schema):
    fields: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    suggestions: list[SuggestionBody] | None = None
    vectors: dict[str, Numbers] | None = None


class PageQuery(Schema):
    after: UUID | None = None
    offset: int = Field(default=0, ge=0, le=2**31 - 1)
    limit: int = Field(default=50, ge=1, le=1000)
    include: list[str] = Field(default_factory=list)


class DeleteQuery(Schema):
    ids: str


class RecordList(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """A page in the order of insertion, of the records ``after`` the one with this id.

        ``next`` is the ``after`` of the next page, null on the last one: pages found this way cost
        the same at any depth, while ``offset`` counts its way there. Nine queries with all
        relations.
        """
        page = self.read_query(PageQuery)
        include = parse_include(page.include)
        dataset = find_dataset(self.member, dataset_id, Action.LIST_RECORDS)
        rows = Record.objects.filter(dataset=dataset).in_order()
        if page.after:
            rows = rows.filter(id__gt=page.after)
        found = list(rows[page.offset : page.offset + page.limit + 1])
        records, more = found[: page.limit], found[page.limit :]
        counter = DatasetCounter.objects.filter(dataset=dataset).first()
        items = records_json(records, include, Viewer.of(self.member, dataset))
        return ApiResponse(
            {
                "items": items,
                "total": counter.records if counter else 0,
                "next": records[-1].id if more else None,
            }
        )

    def delete(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Delete up to 100 records; unknown ids are skipped."""
        query = self.read_query(DeleteQuery)
        ids = uuids(query.ids, at_most=MAX_DELETE)
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        delete_records(dataset=dataset, ids=ids)
        return ApiResponse(status=204)


class RecordBulk(ApiView):
    body_limit: ClassVar[int] = 32 * MEGABYTE

    def post(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Insert records; an external id that exists is refused."""
        body = self.read_body(BulkCreateBody)
        dataset = self._ready_dataset(dataset_id)
        items = [item.to_input() for item in body.items]
        rows = log_records(dataset=dataset, items=items, must_be_new=True)
        return ApiResponse({"items": self._answer(dataset, items, rows)}, status=201)

    def put(self, request: ApiRequest, dataset_id: UUID) -> ApiResponse:
        """Insert records, or update those known by id or external id."""
        body = self.read_body(BulkUpsertBody)
        dataset = self._ready_dataset(dataset_id)
        items = [item.to_input() for item in body.items]
        rows = log_records(dataset=dataset, items=items)
        updated = [row.id for row in rows if not row.inserted]
        return ApiResponse(
            {"items": self._answer(dataset, items, rows), "updated_item_ids": updated}
        )

    def _ready_dataset(self, dataset_id: UUID) -> Dataset:
        dataset = find_dataset(self.member, dataset_id, Action.MANAGE_RECORDS)
        if dataset.status != DatasetStatus.READY:
            raise InvalidError("records cannot be created for a non published dataset")
        return dataset

    def _answer(
        self, dataset: Dataset, items: Sequence[RecordInput], rows: Sequence[UpsertedRecord]
    ) -> list[dict[str, Any]]:
        """Every record with its relations; only those that were there before are read again."""
        again = [
            row.id
            for row, item in zip(rows, items, strict=True)
            if not row.inserted or item.responses
        ]
        stored = {}
        if again:
            records = list(Record.objects.filter(id__in=again))
            viewer = Viewer.of(self.member, dataset)
            stored = {item["id"]: item for item in records_json(records, EVERYTHING, viewer)}
        dataset_id, now = str(dataset.id), wire.timestamp(rows[0].at)
        return [stored.get(row.id) or inserted_json(row, dataset_id, now) for row in rows]


class RecordDetail(ApiView):
    def get(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """The record with everything the caller may see of it."""
        record = find_record(self.member, record_id, Action.VIEW_DATASET)
        return ApiResponse(self._full(record))

    def patch(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """Replace fields, metadata and the set of suggestions; upsert vectors."""
        body = self.read_body(RecordUpdateBody)
        record = find_record(self.member, record_id, Action.MANAGE_RECORDS)
        suggestions = None
        if body.suggestions is not None:
            suggestions = [given.to_input() for given in body.suggestions]
        fields = body.fields
        record = update_record(
            record=record,
            fields=fields,
            metadata=body.metadata,
            sets_metadata="metadata" in body.model_fields_set,
            suggestions=suggestions,
            vectors=body.vectors,
        )
        return ApiResponse(self._full(record))

    def delete(self, request: ApiRequest, record_id: UUID) -> ApiResponse:
        """Delete the record; the answer is what it was."""
        record = find_record(self.member, record_id, Action.MANAGE_RECORDS)
        delete_records(dataset=record.dataset, ids=[record.id])
        return ApiResponse(record_json(record))

    def _full(self, record: Record) -> dict[str, Any]:
        viewer = Viewer.of(self.member, record.dataset)
        return records_json([record], EVERYTHING, viewer)[0]


urlpatterns = [
    path("datasets/<dataset_id>/records", RecordList.as_view()),
    path("datasets/<dataset_id>/records/bulk", RecordBulk.as_view()),
    path("records/<record_id>", RecordDetail.as_view()),
]
