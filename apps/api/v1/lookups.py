"""Look-ups of records and their datasets: 404 for what is not there, 403 for what one may not."""

from typing import Any
from uuid import UUID

from apps.core.errors import InvalidError, NotFoundError
from apps.core.prepared import build, columns, raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.records.models import Record
from apps.workspaces.permissions import Action, check, remember_role

_OF_MEMBER = """
LEFT JOIN workspace_membership w ON w.organization_id = d.organization_id
    AND w.workspace_id = d.workspace_id AND w.membership_id = %(member)s
"""
_DATASET = f"""
SELECT w.id IS NOT NULL, w.role, {columns(Dataset, "d")} FROM dataset d {_OF_MEMBER}
WHERE d.organization_id = %(organization)s AND d.id = %(id)s AND d.trashed_at IS NULL
"""
_RECORD = f"""
SELECT w.id IS NOT NULL, w.role, {columns(Dataset, "d")}, {columns(Record, "r")} FROM record r
JOIN dataset d ON d.organization_id = r.organization_id AND d.id = r.dataset_id {_OF_MEMBER}
WHERE r.organization_id = %(organization)s AND r.id = %(id)s AND d.trashed_at IS NULL
"""
_DATASET_COLUMNS = len(Dataset._meta.concrete_fields)


def find_dataset(member: Membership, dataset_id: UUID, action: Action) -> Dataset:
    """The dataset, if the member may do ``action`` in its workspace. One statement."""
    row = _find(_DATASET, member, dataset_id)
    if row is None:
        raise NotFoundError(f"Dataset with id `{dataset_id}` not found")
    return _checked(member, row, action)


def find_record(member: Membership, record_id: UUID, action: Action) -> Record:
    """The record with its dataset, if the member may do ``action`` there. One statement."""
    row = _find(_RECORD, member, record_id)
    if row is None:
        raise NotFoundError(f"Record with id `{record_id}` not found")
    record = build(Record, row[2 + _DATASET_COLUMNS :])
    record.dataset = _checked(member, row, action)
    return record


def _find(statement: str, member: Membership, id: UUID) -> tuple[Any, ...] | None:
    facts = {"organization": current(), "id": id, "member": member.id}
    return raw_cursor().execute(statement, facts).fetchone()


def _checked(member: Membership, row: tuple[Any, ...], action: Action) -> Dataset:
    belongs, role, *rest = row
    dataset = build(Dataset, rest[:_DATASET_COLUMNS])
    remember_role(member, dataset.workspace_id, belongs=belongs, role=role)
    check(member, action, dataset.workspace_id)
    return dataset


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
