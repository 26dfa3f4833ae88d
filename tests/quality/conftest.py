"""A dataset of sentences about food and travel, and people who answer."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.datasets.models import Dataset, Question
from apps.organizations.models import Membership, Organization
from apps.records.inputs import RecordInput
from apps.records.models import Record
from tests.factories import make_dataset, make_member

FOOD = ["soup", "bread", "cheese", "apple pie", "pasta", "rice", "salad", "chocolate cake"]
TRAVEL = ["train", "airport", "hotel", "passport", "luggage", "flight", "visa", "bus station"]
PHRASES = ["I need the {}", "where is the {}?", "about the {} we had", "tell me of a good {}"]


@pytest.fixture
def dataset(organization: Organization) -> Dataset:
    """Eight sentences of each theme, in turn, then as many without answers."""
    dataset = make_dataset(questions=["sentiment", "genre", "quality", "comment"], required=[])
    pairs = zip(FOOD, TRAVEL, strict=True)
    words = list(itertools.chain.from_iterable(pairs))
    texts = [phrase.format(word) for phrase in PHRASES for word in words]
    log_records(dataset=dataset, items=[RecordInput(fields={"text": text}) for text in texts])
    return dataset


@pytest.fixture
def records(dataset: Dataset) -> list[Record]:
    return list(Record.objects.filter(dataset=dataset).in_order())


@pytest.fixture
def question(dataset: Dataset) -> Callable[[str], Question]:
    """The dataset's question of a name."""
    questions: Any = Question.objects.select_related("dataset__workspace")
    return lambda name: questions.get(dataset=dataset, name=name)


@pytest.fixture
def annotator(organization: Organization) -> Membership:
    return make_member()


def is_about_food(record: Record) -> bool:
    return any(word in record.fields["text"] for word in FOOD)


def answer(record: Record, annotator: Membership, **values: Any) -> None:
    """Submit ``{question name: value}``."""
    save_response(
        record=record,
        annotator=annotator,
        status="submitted",
        values={name: {"value": value} for name, value in values.items()},
    )


def answer_theme(record: Record, annotator: Membership) -> None:
    """What the sentence is about, in three ways."""
    food = is_about_food(record)
    answer(
        record,
        annotator,
        sentiment="positive" if food else "negative",
        genre=["comedy", "drama"] if food else ["horror"],
        quality=5 if food else 1,
    )
