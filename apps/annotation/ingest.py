"""Records that come with answers: the one way in for the API, files and samples."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from apps.annotation.services import clean_responses, import_responses
from apps.core.errors import DomainError, InvalidError
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.organizations.models import Membership
from apps.records.bulk import UpsertedRecord, upsert_records
from apps.records.inputs import RecordInput, ResponseInput
from apps.records.models import Record


@transaction.atomic
def log_records(
    *,
    dataset: Dataset,
    items: Sequence[RecordInput],
    schema: DatasetSchema | None = None,
) -> list[UpsertedRecord]:
    """Upsert records with suggestions, vectors, metadata and responses, all or nothing.

    Returns what became of each, in input order. Raises ``InvalidError`` naming the first bad
    position.
    """
    schema = schema or load_schema(dataset)
    rows = upsert_records(dataset=dataset, items=items, schema=schema)
    if any(item.responses for item in items):
        import_responses(dataset=dataset, responses=_cleaned(schema, items, rows))
    return rows


def _cleaned(
    schema: DatasetSchema, items: Sequence[RecordInput], rows: Sequence[UpsertedRecord]
) -> list[tuple[UUID, ResponseInput]]:
    """The responses in stored form; an update without fields is checked against the stored."""
    users = {given.user_id for item in items for given in item.responses}
    known = set(Membership.objects.filter(id__in=users).values_list("id", flat=True))
    absent = [row.id for item, row in zip(items, rows, strict=True) if item.fields is None]
    rows_of_absent = Record.objects.filter(id__in=absent).values_list("id", "fields")
    stored = dict(rows_of_absent) if absent else {}
    pairs = []
    for position, (item, row) in enumerate(zip(items, rows, strict=True)):
        try:
            cleaned = clean_responses(
                schema=schema,
                responses=item.responses,
                fields=item.fields if item.fields is not None else stored[row.id],
                known_users=known,
            )
        except DomainError as error:
            raise InvalidError(
                f"Record at position {position} is not valid because {error.message}"
            ) from error
        pairs += [(row.id, response) for response in cleaned]
    return pairs
