"""Records that come with answers: the one way in for the API, files and samples."""

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from apps.annotation import slots
from apps.annotation.services import clean_responses, import_responses
from apps.core.errors import DomainError, InvalidError
from apps.datasets.models import Dataset
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import hold_schema
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
    must_be_new: bool = False,
) -> list[UpsertedRecord]:
    """Upsert records with suggestions, vectors, metadata and responses, all or nothing.

    Returns what became of each, in input order. Raises ``InvalidError`` naming the first bad
    position, or with ``must_be_new`` the external ids that are there.
    """
    users = {given.user_id for item in items for given in item.responses}
    schema = hold_schema(dataset) if users else schema or load_schema(dataset)
    known = _members(users)
    if known:  # places come before records, and the upsert ends with the dataset's counter
        slots.lock_places(dataset.id, known)
    rows = upsert_records(dataset=dataset, items=items, schema=schema, must_be_new=must_be_new)
    if users:
        responses = _cleaned(schema, items, rows, known_users=known)
        import_responses(dataset=dataset, responses=responses)
    return rows


def _members(ids: set[UUID]) -> set[UUID]:
    found = Membership.objects.filter(id__in=ids) if ids else Membership.objects.none()
    return set(found.values_list("id", flat=True))


def _cleaned(
    schema: DatasetSchema,
    items: Sequence[RecordInput],
    rows: Sequence[UpsertedRecord],
    *,
    known_users: set[UUID],
) -> list[tuple[UUID, ResponseInput]]:
    """The responses in stored form; an update without fields is checked against the stored."""
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
                known_users=known_users,
            )
        except DomainError as error:
            raise InvalidError(
                f"Record at position {position} is not valid because {error.message}"
            ) from error
        pairs += [(row.id, response) for response in cleaned]
    return pairs
