"""Two who write to the same dataset at once: real commits, each on its own connection."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from apps.annotation.ingest import log_records
from apps.core.errors import NotFoundError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, VectorSettings
from apps.datasets.services import (
    create_vector_settings,
    delete_vector_settings,
    hold_schema,
    restore_dataset,
    trash_dataset,
)
from apps.records import trash
from apps.records.inputs import RecordInput
from apps.records.models import Record
from apps.records.services import delete_with_records
from tests.conftest import ALL_DATABASES
from tests.factories import make_dataset, make_organization, make_records
from tests.meanwhile import overlapping

pytestmark = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)


@pytest.fixture
def tenant() -> UUID:
    return make_organization().id


@pytest.fixture
def thrown_away(tenant: UUID) -> Dataset:
    """With three records, long enough in the trash to go."""
    with enter(tenant):
        dataset = make_dataset()
        make_records(dataset, 3)
        trash_dataset(dataset=dataset)
        past = timezone.now() - trash.KEPT - timedelta(days=1)
        Dataset.objects.update(trashed_at=past)
        dataset.refresh_from_db()
    return dataset


def test_what_is_just_restored_is_not_deleted_for_good(tenant: UUID, thrown_away: Dataset) -> None:
    deleted = overlapping(
        tenant,
        lambda: restore_dataset(dataset=thrown_away),
        lambda: delete_with_records(dataset=Dataset.objects.get(id=thrown_away.id)),
    )
    assert isinstance(deleted.exception(), NotFoundError)
    with enter(tenant):
        assert Record.objects.count() == 3


def test_the_sweep_leaves_what_is_just_restored(tenant: UUID, thrown_away: Dataset) -> None:
    swept = overlapping(tenant, lambda: restore_dataset(dataset=thrown_away), trash.empty_trash)
    swept.result()
    with enter(tenant):
        assert Dataset.objects.get().trashed_at is None
        assert Record.objects.count() == 3


def test_a_vector_that_is_deleted_during_a_bulk_waits_for_it(tenant: UUID) -> None:
    with enter(tenant):
        dataset = make_dataset()
        vector = create_vector_settings(dataset=dataset, name="v", title="V", dimensions=2)
    item = RecordInput(fields={"text": "new"}, vectors={"v": [1.0, 0.0]})
    deleted = overlapping(
        tenant,
        lambda: hold_schema(dataset),  # as the bulk begins
        lambda: delete_vector_settings(settings=vector),
        finish=lambda: log_records(dataset=dataset, items=[item]),
    )
    deleted.result()
    with enter(tenant):
        assert Record.objects.count() == 1
        assert not VectorSettings.objects.exists()
