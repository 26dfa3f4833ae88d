"""Datasets as a whole."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps.core.errors import ArchivedError, ConflictError, InvalidError, NotFoundError
from apps.core.prepared import fetch_one
from apps.datasets.models import (
    Dataset,
    DatasetStatus,
    Field,
    GuidelinesVersion,
    Question,
    QueueOrder,
)
from apps.datasets.schema import DatasetSchema, load_schema
from apps.events.log import changes as difference
from apps.events.log import emit
from apps.jobs.services import delete_dataset_jobs
from apps.organizations.models import Membership
from apps.webhooks.models import WebhookEvent
from apps.webhooks.services import announce, describe
from apps.workspaces.models import Workspace


@transaction.atomic
def create_dataset(
    *,
    workspace: Workspace,
    name: str,
    guidelines: str | None = None,
    allow_extra_metadata: bool = True,
    min_submitted: int = 1,
    metadata: Mapping[str, Any] | None = None,
    queue_order: str = QueueOrder.OLDEST_FIRST,
    daily_quota: int | None = None,
    total_quota: int | None = None,
    author: Membership | None = None,
) -> Dataset:
    """Create a draft; ``author`` is named on the guidelines' first version.

    The caller makes the record counter as well (``records.services.prepare_dataset``).
    Raises ``ConflictError`` when the workspace has a dataset of this name.
    """
    with _unique_dataset_name(name, workspace):
        dataset = Dataset.objects.create(
            workspace=workspace,
            name=name,
            guidelines=guidelines,
            guidelines_version=1 if guidelines else 0,
            allow_extra_metadata=allow_extra_metadata,
            min_submitted=min_submitted,
            metadata=metadata,
            queue_order=queue_order,
            daily_quota=daily_quota,
            total_quota=total_quota,
        )
    if guidelines:
        _keep_guidelines(dataset, author)
    _emit("dataset.created", dataset, {"name": name, "workspace_id": str(workspace.id)})
    return dataset


@transaction.atomic
def update_dataset(
    *, dataset: Dataset, changes: Mapping[str, Any], author: Membership | None = None
) -> Dataset:
    """Change the columns named in ``changes``; every update counts as activity.

    Changed guidelines become a new version, with ``author``. After a changed ``min_submitted``
    (compared under ``lock_dataset``) the caller brings the records in line
    (``annotation.recompute.recompute_dataset``).
    Raises ``ConflictError`` when the workspace has another dataset of the new name.
    """
    dataset = lock_dataset(dataset)
    guidelines = dataset.guidelines
    before = {**dataset.__dict__}
    for name, value in changes.items():
        setattr(dataset, name, value)
    if dataset.guidelines != guidelines:
        dataset.guidelines_version += 1
        _keep_guidelines(dataset, author)
    dataset.last_activity_at = timezone.now()
    with _unique_dataset_name(dataset.name, dataset.workspace):
        dataset.save()
    # Guidelines are kept in versions: the numbers are enough.
    told = [name for name in changes if name in before and name != "guidelines"]
    after = {name: getattr(dataset, name) for name in [*told, "guidelines_version"]}
    payload = {"name": dataset.name, "changed": sorted(changes), **difference(before, after)}
    _emit("dataset.updated", dataset, payload)
    return dataset


@transaction.atomic
def publish_dataset(*, dataset: Dataset) -> Dataset:
    """Make a draft ready for records; there is no way back.

    Raises ``InvalidError`` when it is published already, has no field, or no required question.
    """
    dataset = lock_dataset(dataset)
    if dataset.status == DatasetStatus.READY:
        raise InvalidError(gettext("Dataset is already published"))
    if not Field.objects.filter(dataset=dataset).exists():
        raise InvalidError(gettext("Dataset cannot be published without fields"))
    if not Question.objects.filter(dataset=dataset, required=True).exists():
        raise InvalidError(gettext("Dataset cannot be published without required questions"))
    dataset.status = DatasetStatus.READY
    dataset.last_activity_at = timezone.now()
    dataset.save()
    _emit("dataset.published", dataset)
    return dataset


@transaction.atomic
def delete_dataset(*, dataset: Dataset) -> None:
    """Delete a dataset with all that belongs to it; the database cascades.

    The caller gives the records back to the plan's volume: ``lock_dataset`` against records,
    count, delete, and ``organizations.volume.count_records`` as the transaction's last statement.
    """
    dataset = lock_dataset(dataset, even_archived=True)
    told = dataset.trashed_at is not None  # when it was thrown away
    described = {} if told else describe(WebhookEvent.DATASET_DELETED, [dataset.id])
    delete_dataset_jobs(dataset_id=dataset.id)
    Dataset.objects.filter(pk=dataset.pk).delete()
    payload = {"name": dataset.name, "workspace_id": str(dataset.workspace_id)}
    _emit("dataset.deleted", dataset, payload)
    announce(WebhookEvent.DATASET_DELETED, list(described.values()))


@transaction.atomic
def archive_dataset(*, dataset: Dataset) -> Dataset:
    """Make the dataset read-only and take it out of everybody's queue. Twice is fine."""
    dataset = lock_dataset(dataset, even_archived=True)
    return _put_away(dataset, "archived", archived_at=dataset.archived_at or timezone.now())


@transaction.atomic
def unarchive_dataset(*, dataset: Dataset) -> Dataset:
    dataset = lock_dataset(dataset, even_archived=True)
    return _put_away(dataset, "unarchived", archived_at=None)


@transaction.atomic
def trash_dataset(*, dataset: Dataset) -> Dataset:
    """Hide the dataset from everybody for ``trash.KEPT``; its name is free at once.

    Its jobs stop. Its records count against the plan until it is deleted for good. To webhooks it
    is deleted now, and created again if it is restored.
    """
    dataset = lock_dataset(dataset, even_archived=True)
    if dataset.trashed_at is not None:
        return dataset
    described = describe(WebhookEvent.DATASET_DELETED, [dataset.id])
    delete_dataset_jobs(dataset_id=dataset.id)
    dataset = _put_away(dataset, "trashed", trashed_at=timezone.now())
    announce(WebhookEvent.DATASET_DELETED, list(described.values()))
    return dataset


@transaction.atomic
def restore_dataset(*, dataset: Dataset, name: str | None = None) -> Dataset:
    """Take the dataset out of the trash, under another ``name`` where its own is taken.

    Raises ``ConflictError`` when the workspace has another dataset of the name.
    """
    dataset = lock_dataset(dataset, even_archived=True)
    dataset.name = name or dataset.name
    with _unique_dataset_name(dataset.name, dataset.workspace):
        return _put_away(dataset, "restored", trashed_at=None, name=dataset.name)


def _put_away(dataset: Dataset, verb: str, **values: Any) -> Dataset:
    before = Dataset.objects.filter(pk=dataset.pk).values(*values).get()
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.save(update_fields=[*values, "updated_at"])
    changes = {name: [_plain(before[name]), _plain(values[name])] for name in values}
    changes = {name: both for name, both in changes.items() if both[0] != both[1]}
    _emit(f"dataset.{verb}", dataset, {"name": dataset.name, "changes": changes})
    return dataset


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def lock_dataset(
    dataset: Dataset, *, against_records: bool = False, even_archived: bool = False
) -> Dataset:
    """The dataset as it is now, locked until the transaction ends.

    Others who change the dataset or its parts wait. Writers of its records do so only
    ``against_records``: what is counted then stays true. Raises ``NotFoundError`` when the dataset
    was deleted meanwhile, ``ArchivedError`` for an archived one unless ``even_archived``.
    """
    # Records hold their dataset's key by foreign key: only a lock of the key concerns them.
    rows = Dataset.objects.select_for_update(of=("self",), no_key=not against_records)
    locked = rows.select_related("workspace").filter(pk=dataset.pk).first()
    if locked is None:
        raise NotFoundError(f"Dataset with id `{dataset.pk}` not found")
    if not even_archived:
        refuse_archived(locked)
    return locked


def hold_schema(dataset: Dataset) -> DatasetSchema:
    """What answers are checked against; nobody edits or archives it until the transaction ends.

    Writers of answers and suggestions begin with it, before they take places or records: so an
    edit of the questions finds what they wrote, or they find the edit. Raises as
    ``refuse_archived``. Cost: 1 statement.
    """
    now = fetch_one(Dataset, "id = %(d)s FOR SHARE", d=dataset.pk)
    if now is None:
        raise NotFoundError(f"Dataset with id `{dataset.pk}` not found")
    refuse_archived(now)
    return load_schema(now)


def refuse_archived(dataset: Dataset) -> None:
    """Raises ``ArchivedError`` for an archived dataset, ``NotFoundError`` for one in the trash."""
    if dataset.trashed_at is not None:
        raise NotFoundError(f"Dataset with id `{dataset.pk}` not found")
    if dataset.archived_at is not None:
        raise ArchivedError


def _keep_guidelines(dataset: Dataset, author: Membership | None) -> None:
    GuidelinesVersion.objects.create(
        dataset=dataset,
        number=dataset.guidelines_version,
        text=dataset.guidelines or "",
        author=author,
    )


@contextmanager
def _unique_dataset_name(name: str, workspace: Workspace) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise ConflictError(
            gettext("Dataset with name `%(name)s` already exists for workspace with id `%(id)s`")
            % {"name": name, "id": workspace.id}
        ) from error


def _emit(kind: str, dataset: Dataset, payload: Mapping[str, object] | None = None) -> None:
    emit(kind, dataset_id=dataset.id, object_id=dataset.id, payload=payload)
