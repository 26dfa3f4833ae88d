"""Writes to single records, and what a dataset needs before its first one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.core.errors import NotFoundError
from apps.core.prepared import raw_cursor
from apps.datasets import content
from apps.datasets.models import Dataset, MetadataProperty
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import (
    delete_dataset,
    hold_schema,
    lock_dataset,
    refuse_archived,
)
from apps.events.log import emit
from apps.organizations.volume import count_records
from apps.records.bulk import clean_record, clean_suggestion
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import (
    DatasetCounter,
    Record,
    RecordMetadata,
    RecordStatus,
    Suggestion,
)
from apps.records.search_document import (
    DATASET_LEXEME,
    DOCUMENT,
    GIVEN_BODIES,
    WEIGHTS,
    Bodies,
)
from apps.records.side_rows import SideRows
from apps.webhooks.models import WebhookEvent
from apps.webhooks.services import announce, describe


def prepare_dataset(*, dataset: Dataset) -> None:
    """Make the counter row of a new dataset."""
    DatasetCounter.objects.create(dataset=dataset)


INDEXED_AT_ONCE: Final = 5_000
_VALUES_AFTER = """
SELECT id, metadata -> %(name)s::text FROM record
WHERE organization_id = %(o)s AND dataset_id = %(d)s AND id > %(after)s
ORDER BY id LIMIT %(limit)s
"""


@transaction.atomic
def index_property(*, property: MetadataProperty) -> None:
    """Make the values that records hold already filterable; others than the property's are not.

    In the transaction that declares the property, so that a filter finds either nothing by that
    name or all of it; writers of records wait meanwhile, about a second for 100,000 values.
    """
    dataset = Dataset.objects.get(pk=property.dataset_id)
    side_rows = SideRows(raw_cursor(), dataset, load_schema(dataset), timezone.now())
    facts = {"o": dataset.organization_id, "d": dataset.id, "name": property.name}
    after = UUID(int=0)
    rows: list[Any] = [None]
    while rows:
        page = {**facts, "after": after, "limit": INDEXED_AT_ONCE}
        rows = raw_cursor().execute(_VALUES_AFTER, page).fetchall()
        side_rows.write_metadata(
            (id, {property.name: json.loads(value)})
            for id, value in rows
            if value is not None and content.suits(property, json.loads(value))
        )
        after = rows[-1][0] if rows else after


def forget_property(*, dataset: Dataset, number: int) -> None:
    """Drop a deleted property's filterable values; the records keep theirs."""
    RecordMetadata.objects.filter(dataset_id=dataset.id, number=number).delete()


@transaction.atomic
def update_record(
    *,
    record: Record,
    fields: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    sets_metadata: bool = False,
    suggestions: Sequence[SuggestionInput] | None = None,
    vectors: Mapping[str, Any] | None = None,
) -> Record:
    """Change one record; what is not given stays.

    ``suggestions`` replace the record's whole set, vectors are upserted one by one.
    Raises ``InvalidError`` with the reason.
    """
    schema, record = _hold(record)
    item = RecordInput(
        fields=record.fields if fields is None else fields,
        metadata=metadata if sets_metadata else None,
        external_id=record.external_id,
        suggestions=suggestions or (),
        vectors=vectors or {},
        sets_metadata=sets_metadata,
    )
    clean_record(schema, item)
    if fields is None and not sets_metadata and suggestions is None and not vectors:
        return record
    record.fields = dict(item.fields or {})
    record.metadata = item.metadata if sets_metadata else record.metadata
    record.updated_at = timezone.now()
    record.save(update_fields=["fields", "metadata", "updated_at"])
    side_rows = SideRows(raw_cursor(), record.dataset, schema, record.updated_at)
    _write_beside(side_rows, record, item, sets_suggestions=suggestions is not None)
    if fields is not None:
        _write_search_document(record, Bodies(schema.fields).of(record.fields))
    emit("record.updated", dataset_id=record.dataset_id, payload={"records": [str(record.id)]})
    return record


def _hold(record: Record) -> tuple[DatasetSchema, Record]:
    """The questions and the record as they are now, kept until the transaction ends.

    Raises ``NotFoundError`` when the record was deleted meanwhile.
    """
    schema = hold_schema(record.dataset)
    rows = Record.objects.select_for_update(of=("self",)).select_related("dataset")
    held = rows.filter(pk=record.pk).first()
    if held is None:
        raise NotFoundError(f"Record with id `{record.pk}` not found")
    return schema, held


def _write_beside(
    side_rows: SideRows, record: Record, item: RecordInput, *, sets_suggestions: bool
) -> None:
    """Metadata, vectors and suggestions; the set of suggestions is replaced when it is given."""
    if sets_suggestions:
        Suggestion.objects.filter(record=record).delete()
    side_rows.write([], [(record.id, item)])
    if sets_suggestions and not item.suggestions:
        side_rows.refresh_certainty([record.id])


_CHANGE_DOCUMENT = f"""
UPDATE record_search SET document = {DOCUMENT}
FROM (SELECT {GIVEN_BODIES}) given
WHERE organization_id = %(o)s AND record_id = %(r)s
"""


def _write_search_document(record: Record, texts: Sequence[str | None]) -> None:
    lexeme = DATASET_LEXEME.format(record.dataset_id.hex)
    facts = {"o": record.organization_id, "r": record.id, "lexeme": lexeme}
    raw_cursor().execute(_CHANGE_DOCUMENT, {**facts, **dict(zip(WEIGHTS, texts, strict=True))})


@transaction.atomic
def delete_records(*, dataset: Dataset, ids: Iterable[UUID]) -> int:
    """Delete the records with everything about them; unknown ids are skipped. Returns how many."""
    refuse_archived(dataset)
    ids = list(ids)
    described = describe(WebhookEvent.RECORD_DELETED, ids)
    rows = raw_cursor().execute(
        "DELETE FROM record WHERE organization_id = %(o)s AND dataset_id = %(d)s"
        " AND id = ANY(%(ids)s) RETURNING id, status",
        {"o": dataset.organization_id, "d": dataset.id, "ids": ids},
    )
    deleted = rows.fetchall()
    if not deleted:
        return 0
    emit(
        "record.deleted",
        dataset_id=dataset.id,
        payload={"records": [str(record_id) for record_id, _ in deleted]},
    )
    announce(
        WebhookEvent.RECORD_DELETED,
        [described[record_id] for record_id, _ in deleted if record_id in described],
    )
    completed = sum(status == RecordStatus.COMPLETED for _, status in deleted)
    DatasetCounter.objects.filter(dataset=dataset).update(
        records=F("records") - len(deleted), completed=F("completed") - completed
    )
    count_records(-len(deleted))
    return len(deleted)


@transaction.atomic
def upsert_suggestion(*, record: Record, given: SuggestionInput) -> tuple[Suggestion, bool]:
    """Store the suggestion for its question; the second value says whether it is new.

    A replaced suggestion takes value, score, agent and type from ``given`` and keeps its id.
    Raises ``InvalidError``.
    """
    schema, record = _hold(record)
    clean_suggestion(schema, given, record.fields, strict=True)
    item = RecordInput(fields=None, sets_metadata=False, suggestions=[given])
    before = Suggestion.objects.filter(record=record, question_id=given.question_id).exists()
    side_rows = SideRows(raw_cursor(), record.dataset, schema, timezone.now())
    side_rows.write([], [(record.id, item)])
    emit("record.updated", dataset_id=record.dataset_id, payload={"records": [str(record.id)]})
    suggestion = Suggestion.objects.get(record_id=record.id, question_id=given.question_id)
    return suggestion, not before


@transaction.atomic
def delete_suggestions(*, record: Record, ids: Iterable[UUID]) -> int:
    """Delete suggestions of the record; unknown ids are skipped. Returns how many."""
    schema, record = _hold(record)
    count, _ = Suggestion.objects.filter(record=record, id__in=list(ids)).delete()
    if count:
        side_rows = SideRows(raw_cursor(), record.dataset, schema, timezone.now())
        side_rows.refresh_certainty([record.id])
        emit("record.updated", dataset_id=record.dataset_id, payload={"records": [str(record.id)]})
    return count


@transaction.atomic
def delete_with_records(*, dataset: Dataset) -> None:
    """Delete a dataset for good; its records no longer count against the plan.

    Raises ``NotFoundError`` when it was restored or thrown away meanwhile.
    """
    seen = dataset
    dataset = lock_dataset(seen, against_records=True, even_archived=True)
    if dataset.trashed_at != seen.trashed_at:
        raise NotFoundError(f"Dataset with id `{dataset.pk}` not found")
    counter = DatasetCounter.objects.filter(dataset=dataset).first()
    delete_dataset(dataset=dataset)
    if counter and counter.records:
        count_records(-counter.records)
