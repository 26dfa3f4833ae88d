"""Two who write to the same dataset at once: real commits, each on its own connection."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from apps.annotation.ingest import log_records
from apps.core.errors import ArchivedError, InvalidError, NotFoundError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset, VectorSettings
from apps.datasets.schema import load_schema
from apps.datasets.services import (
    archive_dataset,
    create_vector_settings,
    delete_vector_settings,
    hold_schema,
    restore_dataset,
    trash_dataset,
)
from apps.records import trash
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record, RecordTask, Suggestion
from apps.records.services import (
    delete_records,
    delete_suggestions,
    delete_with_records,
    update_record,
    upsert_suggestion,
)
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


def test_what_another_just_inserted_is_not_new(tenant: UUID) -> None:
    with enter(tenant):
        dataset = make_dataset()

    def log(text: str, **options: Any) -> None:
        item = RecordInput(fields={"text": text}, external_id="a")
        log_records(dataset=dataset, items=[item], **options)

    second = overlapping(tenant, lambda: log("first"), lambda: log("second", must_be_new=True))
    with pytest.raises(InvalidError, match="found records with same external ids: a"):
        second.result()
    with enter(tenant):
        assert Record.objects.get().fields == {"text": "first"}


@pytest.fixture
def suggested(tenant: UUID) -> Record:
    """Its sentiment is suggested with a score of .2."""
    with enter(tenant):
        dataset = make_dataset(questions=("sentiment", "genre"))
        (record,) = make_records(dataset, 1)
        upsert_suggestion(record=record, given=suggestion(dataset, "sentiment", "mixed", 0.2))
    return record


def suggestion(dataset: Dataset, question: str, value: Any, score: Any) -> SuggestionInput:
    id = load_schema(dataset).questions[question].id
    return SuggestionInput(id, value, score, "m", "model")


def take_back(record: Record) -> int:
    """The suggestion of the sentiment, by who has read the record before."""
    record = Record.objects.select_related("dataset").get(id=record.id)
    found = Suggestion.objects.filter(record=record, question__name="sentiment")
    return delete_suggestions(record=record, ids=found.values_list("id", flat=True))


def test_suggestions_of_what_is_just_archived_stay(tenant: UUID, suggested: Record) -> None:
    deleted = overlapping(
        tenant,
        lambda: archive_dataset(dataset=suggested.dataset),
        lambda: take_back(suggested),
    )
    assert isinstance(deleted.exception(), ArchivedError)
    with enter(tenant):
        assert Suggestion.objects.count() == 1


def test_a_suggestion_that_goes_while_another_comes_leaves_the_certainty_right(
    tenant: UUID, suggested: Record
) -> None:
    dataset = suggested.dataset
    deleted = overlapping(
        tenant,
        lambda: upsert_suggestion(
            record=suggested, given=suggestion(dataset, "genre", ["drama"], [0.9])
        ),
        lambda: take_back(suggested),
    )
    assert deleted.result() == 1
    with enter(tenant):
        assert RecordTask.objects.get().certainty == Suggestion.objects.get().certainty


def test_a_record_that_is_just_deleted_is_not_found(tenant: UUID, suggested: Record) -> None:
    changes: list[Callable[[Record], object]] = [
        lambda record: update_record(record=record, fields={"text": "new"}),
        take_back,
    ]
    for change in changes:
        with enter(tenant):
            (record,) = make_records(suggested.dataset, 1)
        changed = overlapping(
            tenant,
            lambda record=record: delete_records(dataset=record.dataset, ids=[record.id]),
            lambda record=record, change=change: change(record),
        )
        assert isinstance(changed.exception(), NotFoundError)
