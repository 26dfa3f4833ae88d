"""Look-ups of records and their datasets: 404 for what is not there, 403 for what one may not."""

from uuid import UUID

from apps.api.lookup import find
from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.workspaces.permissions import Action, check


def find_dataset(member: Membership, dataset_id: UUID, action: Action) -> Dataset:
    """The dataset, if the member may do ``action`` in its workspace. Two queries."""
    dataset = find(Dataset.objects.all(), dataset_id)
    check(member, action, dataset.workspace_id)
    return dataset


def find_record(member: Membership, record_id: UUID, action: Action) -> Record:
    """The record with its dataset, if the member may do ``action`` there. Two queries."""
    record = find(Record.objects.select_related("dataset"), record_id)
    check(member, action, record.dataset.workspace_id)
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
