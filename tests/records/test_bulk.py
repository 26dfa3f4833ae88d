"""The bulk upsert: everything about a record in one transaction."""

import pytest
from django.db import connection

from apps.core.errors import InvalidError, LimitReachedError
from apps.datasets.models import Dataset, DatasetStatus, MetadataProperty, Question, VectorSettings
from apps.datasets.schema import load_schema
from apps.datasets.services import create_property
from apps.datasets.settings import IntegerProperty, TermsProperty
from apps.organizations.models import RecordVolume
from apps.records import services
from apps.records.bulk import upsert_records
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import (
    DatasetCounter,
    Record,
    RecordMetadata,
    RecordTask,
    RecordVector,
    Suggestion,
)

INTEGER = IntegerProperty(type="integer")
TERMS = TermsProperty(type="terms")


@pytest.fixture
def dataset(make_dataset) -> Dataset:
    dataset = make_dataset(
        questions=["sentiment", "genre", "entities"], min_submitted=2, last_property_number=2
    )
    MetadataProperty.objects.create(
        dataset=dataset, number=1, name="source", title="Source", settings={"type": "terms"}
    )
    MetadataProperty.objects.create(
        dataset=dataset, number=2, name="year", title="Year", settings={"type": "integer"}
    )
    VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=3)
    return dataset


def question(dataset: Dataset, name: str) -> Question:
    return Question.objects.get(dataset=dataset, name=name)


def full(dataset: Dataset, external_id: str, text: str = "one two three") -> RecordInput:
    return RecordInput(
        fields={"text": text},
        metadata={"source": ["app", "web"], "year": 1999, "extra": {"a": None}},
        external_id=external_id,
        suggestions=[
            SuggestionInput(question(dataset, "sentiment").id, "mixed", 0.25, "m/1", "model"),
            SuggestionInput(question(dataset, "genre").id, ["drama", "comedy"], [0.5, 0.125]),
        ],
        vectors={"v": [1.0, 2.0, 3.0]},
    )


def test_everything_about_a_record_is_stored_at_once(dataset):
    rows = upsert_records(dataset=dataset, items=[full(dataset, "a"), full(dataset, "b")])

    assert [row.external_id for row in rows] == ["a", "b"]
    assert all(row.inserted for row in rows)
    record = Record.objects.get(external_id="a")
    assert record.fields == {"text": "one two three"}
    assert record.metadata == {"source": ["app", "web"], "year": 1999, "extra": {"a": None}}
    side = RecordMetadata.objects.filter(record=record).values_list("number", "term", "value")
    assert sorted(side, key=str) == [(1, "app", None), (1, "web", None), (2, None, 1999.0)]
    suggestion = Suggestion.objects.get(record=record, question__name="sentiment")
    assert (suggestion.value, suggestion.value_key, suggestion.score) == ("mixed", "mixed", 0.25)
    vector = RecordVector.objects.get(record=record)
    assert list(vector.embedding) == [1.0, 2.0, 3.0]
    task = RecordTask.objects.get(record=record)
    assert (task.open_slots, task.submitted, task.certainty) == (2, 0, 0.125)
    assert DatasetCounter.objects.get(dataset=dataset).records == 2
    assert RecordVolume.objects.get().records == 2


def test_ids_ascend_in_input_order(dataset):
    items = [RecordInput(fields={"text": "x"}, external_id=str(n)) for n in reversed(range(300))]
    rows = upsert_records(dataset=dataset, items=items)
    stored = Record.objects.filter(dataset=dataset).in_order().values_list("external_id", flat=True)
    assert [row.external_id for row in rows] == list(stored) == [i.external_id for i in items]


def test_a_record_without_external_id_gets_its_own_id(dataset):
    (row,) = upsert_records(dataset=dataset, items=[RecordInput(fields={"text": "x"})])
    assert row.external_id == str(row.id)


def test_a_match_replaces_fields_and_metadata_and_keeps_the_rest(dataset):
    upsert_records(dataset=dataset, items=[full(dataset, "a")])
    record = Record.objects.get(external_id="a")
    (row,) = upsert_records(
        dataset=dataset,
        items=[RecordInput(fields={"text": "four"}, metadata={"year": 7}, external_id="a")],
    )

    assert (row.id, row.inserted) == (record.id, False)
    record.refresh_from_db()
    assert (record.fields, record.metadata) == ({"text": "four"}, {"year": 7})
    assert list(RecordMetadata.objects.filter(record=record).values_list("value", flat=True)) == [7]
    assert Suggestion.objects.filter(record=record).count() == 2
    assert RecordVector.objects.filter(record=record).count() == 1
    assert DatasetCounter.objects.get(dataset=dataset).records == 1
    assert found_by_word(dataset, "four") == [record.id]
    assert found_by_word(dataset, "one") == []


def found_by_word(dataset: Dataset, word: str) -> list:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT record_id FROM record_search WHERE dataset_id = %s AND document @@ %s::tsquery",
            [dataset.id, word],
        )
        return [row[0] for row in cursor.fetchall()]


def test_a_match_by_id_needs_no_fields(dataset):
    (row,) = upsert_records(dataset=dataset, items=[full(dataset, "a")])
    sentiment = question(dataset, "sentiment").id
    entities = question(dataset, "entities").id
    upsert_records(
        dataset=dataset,
        items=[
            RecordInput(
                id=row.id,
                sets_metadata=False,
                suggestions=[
                    SuggestionInput(sentiment, "positive", 0.9),
                    SuggestionInput(entities, [{"label": "place", "start": 0, "end": 3}]),
                ],
            )
        ],
    )

    record = Record.objects.get()
    assert record.fields == {"text": "one two three"}
    assert record.metadata["year"] == 1999
    replaced = Suggestion.objects.get(record=record, question_id=sentiment)
    assert (replaced.value, replaced.agent) == ("positive", None)
    assert replaced.id == row.suggestions[0][0]
    with pytest.raises(InvalidError, match="beyond the field's 13 characters"):
        upsert_records(
            dataset=dataset,
            items=[
                RecordInput(
                    id=row.id,
                    suggestions=[
                        SuggestionInput(entities, [{"label": "place", "start": 0, "end": 99}])
                    ],
                )
            ],
        )


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (RecordInput(fields={}), "fields cannot be empty"),
        (RecordInput(fields=None, external_id="new"), "fields cannot be empty"),
        (RecordInput(fields={"text": 3}), "must be a string, found int"),
        (RecordInput(fields={"text": "x", "y": "z"}), "non configured fields: ['y']"),
        (RecordInput(fields={"text": "x"}, metadata={"year": "7"}), "is not an integer"),
        (RecordInput(fields={"text": "x"}, vectors={"v": [1]}), "must have 3 elements"),
        (RecordInput(fields={"text": "x"}, vectors={"w": [1]}), "vector with name=w not found"),
        (RecordInput(fields={"text": "x"}, vectors={"v": [1e300, 0, 0]}), "too large"),
        (RecordInput(fields={"text": "x"}, external_id="x" * 501), "1 to 500 characters"),
        (RecordInput(fields={"text": "x" * 1_000_001}), "longer than 1000000"),
    ],
)
def test_one_bad_record_stores_none(dataset, item, reason):
    good = RecordInput(fields={"text": "x"}, external_id="good")
    with pytest.raises(InvalidError) as caught:
        upsert_records(dataset=dataset, items=[good, item])
    assert reason in caught.value.message
    assert not Record.objects.exists()


def test_the_same_record_twice_is_refused(dataset):
    item = RecordInput(fields={"text": "x"}, external_id="a")
    with pytest.raises(InvalidError, match=r"position 1 .*occurs twice"):
        upsert_records(dataset=dataset, items=[item, item])
    (row,) = upsert_records(dataset=dataset, items=[item])
    by_id = RecordInput(id=row.id, fields={"text": "y"})
    with pytest.raises(InvalidError, match=r"position 1 .*occurs twice"):
        upsert_records(dataset=dataset, items=[item, by_id])


def test_a_draft_takes_no_records(dataset):
    dataset.status = DatasetStatus.DRAFT
    with pytest.raises(InvalidError, match="non published dataset"):
        upsert_records(dataset=dataset, items=[RecordInput(fields={"text": "x"})])


def test_the_plan_stops_exactly_at_its_limit(dataset):
    RecordVolume.objects.update(record_limit=3)
    upsert_records(dataset=dataset, items=[RecordInput(fields={"text": "x"})] * 3)
    with pytest.raises(LimitReachedError):
        upsert_records(dataset=dataset, items=[RecordInput(fields={"text": "x"})])
    assert Record.objects.count() == RecordVolume.objects.get().records == 3


def test_five_hundred_rich_records_cost_a_fixed_number_of_statements(
    dataset, django_assert_num_queries
):
    items = [full(dataset, str(n)) for n in range(500)]
    with django_assert_num_queries(25):  # five stages, each made, copied into and read
        upsert_records(dataset=dataset, items=items)
    assert Suggestion.objects.count() == 1000


def test_a_second_bulk_in_the_transaction_finds_its_stages_empty(dataset):
    for name in ("a", "b"):
        (row,) = upsert_records(dataset=dataset, items=[full(dataset, name)])
        assert row.inserted
    (row,) = upsert_records(dataset=dataset, items=[full(dataset, "a")])
    assert not row.inserted
    assert Record.objects.count() == 2


def test_a_property_declared_later_has_the_values_that_are_there(dataset):
    metadata = [
        {"late": 1, "tag": ["a", True, 1.5]},
        {"late": "no number"},
        {"late": None},
        {},
        None,
        {"late": 2, "tag": "b"},
    ]
    items = [
        RecordInput(fields={"text": "x"}, external_id=str(n), metadata=given)
        for n, given in enumerate(metadata)
    ]
    upsert_records(dataset=dataset, items=items)
    late = create_property(dataset=dataset, name="late", title="L", settings=INTEGER)
    services.index_property(property=late)
    tag = create_property(dataset=dataset, name="tag", title="T", settings=TERMS)
    services.index_property(property=tag)
    side = RecordMetadata.objects.filter(dataset_id=dataset.id, number__in=[late.number])
    found = side.order_by("record").values_list("record__external_id", "value")
    assert list(found) == [("0", 1.0), ("5", 2.0)]
    terms = RecordMetadata.objects.filter(dataset_id=dataset.id, number=tag.number)
    assert sorted(terms.values_list("term", flat=True)) == ["1.5", "a", "b", "true"]


def test_indexing_goes_on_from_page_to_page(dataset, monkeypatch):
    monkeypatch.setattr(services, "INDEXED_AT_ONCE", 2)
    items = [
        RecordInput(fields={"text": "x"}, external_id=str(n), metadata={"late": n})
        for n in range(5)
    ]
    upsert_records(dataset=dataset, items=items)
    late = create_property(dataset=dataset, name="late", title="L", settings=INTEGER)
    services.index_property(property=late)
    assert RecordMetadata.objects.filter(dataset_id=dataset.id, number=late.number).count() == 5


def test_a_change_of_a_record_leaves_metadata_alone_that_no_longer_suits(dataset):
    items = [RecordInput(fields={"text": "x"}, metadata={"late": "old", "tag": "a"})]
    upsert_records(dataset=dataset, items=items)
    create_property(dataset=dataset, name="late", title="L", settings=INTEGER)
    tag = create_property(dataset=dataset, name="tag", title="T", settings=TERMS)
    services.index_property(property=tag)
    record = Record.objects.get()
    services.update_record(record=record, fields={"text": "y"})
    record.refresh_from_db()
    assert (record.fields, record.metadata) == ({"text": "y"}, {"late": "old", "tag": "a"})
    assert RecordMetadata.objects.get().term == "a"
    with pytest.raises(InvalidError, match="late"):
        services.update_record(record=record, metadata=record.metadata, sets_metadata=True)


def test_an_upsert_with_an_old_schema_reads_it_anew(dataset):
    old = load_schema(Dataset.objects.get(pk=dataset.pk))
    _ = old.properties
    late = create_property(dataset=dataset, name="late", title="L", settings=INTEGER)
    right = RecordInput(fields={"text": "x"}, metadata={"late": 7})
    upsert_records(dataset=dataset, items=[right], schema=old)
    values = RecordMetadata.objects.filter(number=late.number).values_list("value", flat=True)
    assert list(values) == [7.0]
    wrong = RecordInput(fields={"text": "x"}, metadata={"late": "seven"})
    with pytest.raises(InvalidError, match="is not an integer"):
        upsert_records(dataset=dataset, items=[wrong], schema=old)
