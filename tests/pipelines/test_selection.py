"""Which records a run is about."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from apps.core.errors import InvalidError
from apps.core.tenancy import current
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import DatasetSchema
from apps.pipelines.selection import Sample, Selection, SuggestedBy
from apps.quality.head import Proposal
from apps.quality.models import ReviewCause
from apps.quality.suggestions import write_suggestions
from apps.records.models import Record
from apps.search.asked import MAX_TEXT
from tests.pipelines.conftest import answer


@dataclass
class Anything:
    """As much of a context as a selection needs."""

    schema: DatasetSchema
    organization_id: UUID
    created_by_id: UUID | None = None


@pytest.fixture
def context(schema: DatasetSchema) -> Any:
    return Anything(schema, current())


def chosen(context: Any, selection: Selection) -> list[UUID]:
    ids = [id for page in selection.pages(context) for id in page]
    assert selection.count(context) == len(ids)
    return ids


def test_everything_and_what_was_there(context: Any, records: list[Record]) -> None:
    ids = [record.id for record in records]
    assert chosen(context, Selection()) == ids
    assert chosen(context, Selection(upto=ids[2])) == ids[:3]
    assert chosen(context, Selection(record_ids=[ids[4], ids[1]])) == [ids[1], ids[4]]


def test_filters_are_those_of_the_explore_page(
    context: Any, records: list[Record], question: Question
) -> None:
    answer(records[1], sentiment="negative")
    assert chosen(context, Selection(filter="answered.sentiment=negative")) == [records[1].id]
    assert len(chosen(context, Selection(filter="status=pending"))) == 5
    assert chosen(context, Selection(filter="q=soup&mode=words")) == [records[1].id]
    both = Selection(filter="status=pending", record_ids=[records[0].id, records[1].id])
    assert chosen(context, both) == [records[0].id]
    write_suggestions(
        question=question,
        record_ids=[records[3].id],
        proposals=[Proposal("mixed", 0.5)],
        overwrite=False,
        agent="a/b@v1",
    )
    by = SuggestedBy(question="sentiment", agent="a/b@v1")
    assert chosen(context, Selection(suggested_by=by)) == [records[3].id]


def test_a_filter_that_makes_no_sense_selects_nothing_by_mistake(context: Any) -> None:
    with pytest.raises(InvalidError, match="no question"):
        chosen(context, Selection(filter="answered.nope=x"))


@pytest.mark.parametrize("strategy", ["random", "uncertain", "disagreement", "errors", "longest"])
def test_samples(strategy: Any, context: Any, records: list[Record]) -> None:
    sample = Selection(sample=Sample(n=3, seed=5, strategy=strategy))
    first = chosen(context, sample)
    assert len(set(first)) == 3
    assert chosen(context, sample) == first
    if strategy == "longest":
        assert first[0] == records[5].id
    assert len(chosen(context, Selection(sample=Sample(n=50, strategy=strategy)))) == 6


def test_where_a_model_was_wrong_comes_first(
    context: Any, records: list[Record], dataset: Dataset, question: Question
) -> None:
    cause = {"record": records[3], "dataset": dataset, "question": question}
    ReviewCause.objects.create(**cause, reason="model")
    assert chosen(context, Selection(sample=Sample(n=1, strategy="errors"))) == [records[3].id]
    ReviewCause.objects.create(**cause | {"record": records[4]}, reason="disagreement", score=0.1)
    most = Sample(n=1, strategy="disagreement")
    assert chosen(context, Selection(sample=most)) == [records[4].id]


def test_chance_follows_its_seed(context: Any, dataset: Dataset) -> None:
    drawn = {tuple(chosen(context, Selection(sample=Sample(n=2, seed=s)))) for s in range(8)}
    assert len(drawn) > 1


@pytest.mark.parametrize(
    "given",
    [
        {"record_ids": []},
        {"sample": {"n": 0}},
        {"sample": {"n": 1, "strategy": "best"}},
        {"more": 1},
        {"filter": "x" * (MAX_TEXT + 1)},
    ],
)
def test_bad_selections(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Selection.model_validate(given)
