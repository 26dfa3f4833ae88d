"""Look-ups of records and their datasets: 404 for what is not there, 403 for what one may not."""

from typing import Any
from uuid import UUID

from apps.annotation.slots import locking_answer
from apps.annotation.turns import Turn
from apps.core.errors import InvalidError, NotFoundError
from apps.core.prepared import build, columns, execute
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
SELECT w.id IS NOT NULL, w.role, {columns(Dataset, "d")}, c.last_activity_at FROM dataset d
LEFT JOIN dataset_counter c ON c.organization_id = d.organization_id AND c.dataset_id = d.id
{_OF_MEMBER}
WHERE d.organization_id = %(organization)s AND d.id = %(id)s AND d.trashed_at IS NULL
"""
_RECORD = f"""
SELECT w.id IS NOT NULL, w.role, {columns(Dataset, "d")}, {columns(Record, "r")} FROM record r
JOIN dataset d ON d.organization_id = r.organization_id AND d.id = r.dataset_id {_OF_MEMBER}
WHERE r.organization_id = %(organization)s AND r.id = %(id)s AND d.trashed_at IS NULL
"""
_QUEUE = f"""
SELECT w.id IS NOT NULL, w.role, {columns(Dataset, "d")}, {Turn.COLUMNS} FROM dataset d
JOIN annotator a ON a.organization_id = d.organization_id AND a.dataset_id = d.id
    AND a.user_id = %(member)s {_OF_MEMBER}
WHERE d.organization_id = %(organization)s AND d.id = %(id)s AND d.trashed_at IS NULL
FOR NO KEY UPDATE OF a
"""
_TO_ANSWER = locking_answer(
    f"w.id IS NOT NULL, w.role, {columns(Dataset, 'd')}, {columns(Record, 'r')}", _OF_MEMBER
)
_DATASET_COLUMNS = len(Dataset._meta.concrete_fields)


def find_dataset(member: Membership, dataset_id: UUID, action: Action) -> Dataset:
    """The dataset, if the member may do ``action`` in its workspace. One statement.

    It has its ``last_answer_at``.
    """
    row = _find(_DATASET, member, dataset_id)
    if row is None:
        raise NotFoundError(f"Dataset with id `{dataset_id}` not found")
    dataset = _checked(member, row, action)
    dataset.last_answer_at = row[-1]
    return dataset


def find_queue(member: Membership, dataset_id: UUID) -> tuple[Dataset, Turn | None]:
    """The dataset, if the member may answer there, and their turn, taken unless it is their first.

    One statement, two at the first time.
    """
    row = _find(_QUEUE, member, dataset_id)
    if row is None:
        return find_dataset(member, dataset_id, Action.ANSWER), None
    dataset = _checked(member, row, Action.ANSWER)
    return dataset, Turn.of(dataset, member, row[2 + _DATASET_COLUMNS :])


def find_record(member: Membership, record_id: UUID, action: Action) -> Record:
    """The record with its dataset, if the member may do ``action`` there. One statement."""
    row = _find(_RECORD, member, record_id)
    if row is None:
        raise NotFoundError(f"Record with id `{record_id}` not found")
    return _record(member, row, action)


def find_record_to_answer(member: Membership, record_id: UUID) -> tuple[Record, bool]:
    """The record, if the member may answer it, and whether what an answer locks is locked.

    That is so unless the answer is their first one in the dataset. One statement, then two.
    """
    facts = {"o": current(), "r": record_id, "u": member.id, "member": member.id}
    row = execute(_TO_ANSWER, facts).fetchone()
    record = _record(member, row, Action.ANSWER) if row else None
    if record is None or record.dataset.trashed_at is not None:
        return find_record(member, record_id, Action.ANSWER), False
    return record, True


def _find(statement: str, member: Membership, id: UUID) -> tuple[Any, ...] | None:
    facts = {"organization": current(), "id": id, "member": member.id}
    return execute(statement, facts).fetchone()


def _record(member: Membership, row: tuple[Any, ...], action: Action) -> Record:
    record = build(Record, row[2 + _DATASET_COLUMNS :])
    record.dataset = _checked(member, row, action)
    return record


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
