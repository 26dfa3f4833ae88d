"""Look-ups of records and their datasets: 404 for what is not there, 403 for what one may not."""

from uuid import UUID

from apps.core.errors import InvalidError, NotFoundError
from apps.core.prepared import fetch_one
from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.workspaces.permissions import Action, check


def find_dataset(member: Membership, dataset_id: UUID, action: Action) -> Dataset:
    """The dataset, if the member may do ``action`` in its workspace. Two prepared statements."""
    dataset = fetch_one(Dataset, "id = %(id)s", id=dataset_id)
    if dataset is None:
        raise NotFoundError(f"Dataset with id `{dataset_id}` not found")
    check(member, action, dataset.workspace_id)
    return dataset


def find_record(member: Membership, record_id: UUID, action: Action) -> Record:
    """The record with its dataset, if the member may do ``action``. Three prepared statements."""
    record = fetch_one(Record, "id = %(id)s", id=record_id)
    if record is None:
        raise NotFoundError(f"Record with id `{record_id}` not found")
    record.dataset = find_dataset(member, record.dataset_id, action)
    return record


def uuids(text: str, *, at_most: int) -> list[UUID]:
    """The ids of a comma-joined query parameter. Raises ``InvalidError``."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise InvalidError("No ids were given")
    if len(parts) > at_most:
        raise InvalidError(f"Cannot delete more than {at_most} items at once")
    try:
        return [UUID(part) for part in parts]
    except ValueError as error:
        raise InvalidError("badly formed hexadecimal UUID string in `ids`") from error
