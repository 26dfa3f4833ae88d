"""What waits for a reviewer after an edit of the questions."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.core.tenancy import current
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset
from apps.organizations.models import Membership
from apps.quality import review
from apps.quality.models import DatasetReview, ReviewCause, ReviewItem
from apps.quality.review import refresh_records
from apps.quality.schema_changes.services import apply_edit, undo_change
from apps.records.models import Record
from tests.factories import make_dataset, make_member, make_records
from tests.quality.conftest import answer
from tests.quality.test_acceptance import accept, suggested

pytestmark = pytest.mark.usefixtures("organization")


@pytest.fixture
def dataset(organization: Any) -> Dataset:
    dataset = make_dataset(
        questions=["sentiment", "quality"], required=["quality"], min_submitted=2
    )
    DatasetReview.objects.create(dataset=dataset, random_percent=0)
    return dataset


def disputed(dataset: Dataset, **said: tuple[Any, Any]) -> Record:
    """A record about which two people say this of each question."""
    (record,) = make_records(dataset, 1)
    people: list[Membership] = [make_member(), make_member()]
    for n, person in enumerate(people):
        answer(record, person, **{name: pair[n] for name, pair in said.items()})
    refresh_records(dataset=dataset, record_ids=[record.id])
    return record


def change(dataset: Dataset, **document: Any) -> Any:
    return apply_edit(dataset=dataset, edit=read_edit({"question": "sentiment", **document}))


def refreshed_now() -> None:
    """As after a refresh that found all that there was."""
    DatasetReview.objects.update(refreshed_at=timezone.now())


def is_due(dataset: Dataset) -> bool:
    """Whether the sweep would start a refresh."""
    with connection.cursor() as cursor:
        cursor.execute(review._DUE, [review.REST.total_seconds(), timezone.now()])
        return (current(), dataset.id) in cursor.fetchall()


def test_nothing_waits_for_a_question_that_is_asked_no_more(dataset: Dataset) -> None:
    both = disputed(dataset, sentiment=("positive", "negative"), quality=(1, 5))
    disputed(dataset, sentiment=("positive", "negative"), quality=(3, 3))
    assert ReviewItem.objects.count() == 2
    removed = change(dataset, kind="remove_question")
    (cause,) = ReviewCause.objects.select_related("question")
    assert (cause.record_id, getattr(cause.question, "name", "")) == (both.id, "quality")
    assert ReviewItem.objects.get().record_id == both.id
    refreshed_now()
    undo_change(change=removed)
    assert is_due(dataset)


def test_an_edit_that_rewrites_something_has_the_queue_refreshed() -> None:
    dataset = make_dataset()
    DatasetReview.objects.create(dataset=dataset)
    suggested(dataset, 0.95)
    accept(dataset)
    refreshed_now()
    change(dataset, kind="add_label", label={"value": "new", "text": "New"})
    assert not is_due(dataset)
    change(dataset, kind="remove_label", label="mixed")
    assert is_due(dataset)
