"""Archived datasets, the trash, and what is deleted for good."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.annotation.distribution import claim
from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.core import rounds
from apps.core.errors import ConflictError, NotFoundError
from apps.core.tenancy import current, enter
from apps.datasets.models import Dataset
from apps.datasets.services import (
    archive_dataset,
    create_dataset,
    restore_dataset,
    trash_dataset,
    unarchive_dataset,
    update_dataset,
)
from apps.events.models import Event
from apps.records import trash
from apps.records.inputs import RecordInput
from apps.records.models import Record
from tests.factories import make_dataset, make_member, make_records

pytestmark = pytest.mark.usefixtures("organization")
POSITIVE = {"sentiment": {"value": "positive"}}


def test_an_archived_dataset_is_read_only_and_in_no_queue() -> None:
    dataset, ana = make_dataset(), make_member()
    make_records(dataset, 2)
    dataset = archive_dataset(dataset=dataset)
    assert claim(dataset=dataset, annotator=ana) == []
    record = Record.objects.select_related("dataset")[0]
    with pytest.raises(ConflictError):
        save_response(record=record, annotator=ana, status="submitted", values=POSITIVE)
    with pytest.raises(ConflictError):
        log_records(dataset=dataset, items=[RecordInput(fields={"text": "more"})])
    with pytest.raises(ConflictError):
        update_dataset(dataset=dataset, changes={"name": "other"})
    dataset = unarchive_dataset(dataset=dataset)
    assert len(claim(dataset=dataset, annotator=ana)) == 1
    changes = Event.objects.get(kind="dataset.archived").payload["changes"]["archived_at"]
    assert changes[0] is None
    assert changes[1]


def test_what_is_in_the_trash_is_seen_by_nobody_and_its_name_is_free() -> None:
    owner, dataset = make_member(role="owner"), make_dataset(name="one")
    make_records(dataset, 1)
    trash_dataset(dataset=dataset)
    assert not Dataset.objects.visible_to(owner).exists()
    assert not Record.objects.visible_to(owner).exists()
    assert list(Dataset.objects.trashed(owner)) == [dataset]
    with pytest.raises(NotFoundError):
        update_dataset(dataset=dataset, changes={"name": "other"})
    again = create_dataset(workspace=dataset.workspace, name="one")
    with pytest.raises(ConflictError):
        restore_dataset(dataset=dataset)
    assert restore_dataset(dataset=dataset, name="two").trashed_at is None
    assert set(Dataset.objects.visible_to(owner)) == {dataset, again}


@pytest.mark.parametrize(("days", "left"), [(29, 2), (31, 1)])
def test_the_trash_is_emptied_after_thirty_days(
    days: int, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_dataset()
    make_dataset()
    make_records(dataset, 3)
    trash_dataset(dataset=dataset)
    Dataset.objects.filter(id=dataset.id).update(trashed_at=timezone.now() - timedelta(days=days))
    monkeypatch.setattr(rounds, "connections", {"operator": connection})
    organization_id = current()
    trash.empty_trash()
    with enter(organization_id):
        assert Dataset.objects.count() == left
        assert Record.objects.count() == 3 * (left - 1)
