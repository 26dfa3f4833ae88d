"""The plans of a search, as the roles that run it: an index for each, at any size."""

from typing import Any

import pytest
from django.db import connection, connections

from apps.core.tenancy import current, enter
from apps.datasets.models import Dataset, MetadataProperty, Question
from apps.datasets.schema import load_schema
from apps.records.bulk import upsert_records
from apps.records.inputs import RecordInput, SuggestionInput
from apps.search import options, search
from apps.search.columns import Parameters, Scopes
from apps.search.conditions import condition_for
from apps.search.query import (
    EVERYBODY,
    Filter,
    MetadataScope,
    Range,
    RecordScope,
    Sort,
    SuggestionScope,
    Terms,
)
from tests.annotation.test_plans import explain, indexes, nodes, scanned, sorted_rows
from tests.conftest import ALL_DATABASES
from tests.factories import make_dataset, make_organization

pytestmark = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)

TABLES = ("record", "record_metadata", "record_search", "suggestion", "dataset")


class Scene:
    """Three datasets of 3,000 records; ``rare`` stands in 3 of each, ``text`` in all."""

    def __init__(self) -> None:
        self.organization_id = make_organization().id
        with enter(self.organization_id):
            self.dataset, *_ = [self.make() for _ in range(3)]
        for table in TABLES:
            with connections["owner"].cursor() as cursor:
                cursor.execute("SET ROLE stoneware_search" if table == "record_search" else "")
                cursor.execute(f"ANALYZE {table}; RESET ROLE")

    def make(self) -> Dataset:
        dataset = make_dataset(questions=["sentiment", "genre"])
        for number, (name, type) in enumerate((("group", "terms"), ("size", "integer")), 1):
            MetadataProperty.objects.create(
                dataset=dataset, number=number, name=name, title=name, settings={"type": type}
            )
        question = Question.objects.get(dataset=dataset, name="sentiment")
        for start in range(0, 3000, 500):
            items = [self.item(question, number) for number in range(start, start + 500)]
            upsert_records(dataset=dataset, items=items)
        return dataset

    def item(self, question: Question, number: int) -> RecordInput:
        label = "mixed" if number % 300 == 0 else "positive"
        return RecordInput(
            fields={"text": f"text {number} {'rare' if number % 1000 == 0 else 'usual'}"},
            metadata={"group": str(number % 300), "size": number},
            suggestions=[SuggestionInput(question.id, label, number / 3000, "agent/1")],
        )

    def count(self, *filters: Filter) -> Any:
        condition = condition_for(load_schema(self.dataset), filters)
        assert condition is not None
        statement = search._COUNT.format(of_dataset=search._of_dataset(condition))
        return explain(statement, {**condition.params, **self.facts()})

    def facts(self) -> dict[str, Any]:
        return {"organization": current(), "dataset": self.dataset.id, "offset": 0, "limit": 50}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_every_search_has_its_index(scene: Scene, subtests: pytest.Subtests) -> None:
    with enter(scene.organization_id):
        filters(scene, subtests)
        pages(scene, subtests)
        agents(scene, subtests)
    documents(scene, subtests)


def filters(scene: Scene, subtests: pytest.Subtests) -> None:
    for name, given, index in (
        ("term", Terms(MetadataScope("group"), ["7"]), "record_metadata_term"),
        ("number", Range(MetadataScope("size"), 10, 20), "record_metadata_value"),
        ("label", Terms(SuggestionScope("sentiment"), ["mixed"]), "suggestion_value"),
        ("score", Range(SuggestionScope("sentiment", "score"), 0, 0.01), "suggestion_certainty"),
        ("status", Terms(RecordScope("status"), ["completed"]), "record_feed_status"),
        ("name", Terms(RecordScope("external_id"), ["x"]), "record_external_id_unique"),
    ):
        with subtests.test(filter=name):
            plan = scene.count(given)
            assert index in indexes(plan)
            assert scanned(plan) == set()


def pages(scene: Scene, subtests: pytest.Subtests) -> None:
    with subtests.test(page="in order"):
        statement = search._PAGE.format(
            materialized="NOT MATERIALIZED", of_dataset=search._of_dataset(None), tie="id"
        )
        plan = explain(statement, scene.facts())
        assert indexes(plan) == {"record_feed"}
        assert sorted_rows(plan) == []
    for scope, index in (
        (MetadataScope("size"), "record_metadata_value"),
        (SuggestionScope("sentiment", "score"), "suggestion_certainty"),
    ):
        for descending in (False, True):
            with subtests.test(page=index, descending=descending):
                plan = sorted_page(scene, Sort(scope, descending))
                assert index in indexes(plan)
                kinds = {node["Node Type"] for node in nodes(plan)}
                assert "Sort" not in kinds  # ties are sorted, incrementally


def sorted_page(scene: Scene, sort: Sort) -> Any:
    parameters = Parameters("sort")
    column = Scopes(load_schema(scene.dataset), EVERYBODY, parameters).column(sort.scope)
    key = column.expression
    join = search._JOIN.format(source=column.source, rows=column.rows, key=key)
    order = column.joined_order(descending=sort.descending)
    statement = search._SORTED_PAGE.format(
        join=join, of_dataset=search._of_dataset(None), order=order
    )
    return explain(statement, {**parameters.values, **scene.facts()})


def agents(scene: Scene, subtests: pytest.Subtests) -> None:
    with subtests.test(options="agents"):
        plan = explain(options._AGENTS, {"o": current(), "d": scene.dataset.id})
        assert indexes(plan) == {"suggestion_agent"}
        assert scanned(plan) == set()


def documents(scene: Scene, subtests: pytest.Subtests) -> None:
    """What the functions do, as the role that owns them."""
    for word, index in (("rare", "record_search_document"), ("text", "record_search_feed")):
        with subtests.test(word=word):
            plan = explain_function(scene, "rank_documents", word)
            assert index in indexes(plan)
            assert scanned(plan) == set()
    with subtests.test(word="rare, counted"):
        plan = explain_function(scene, "count_documents", "rare")
        assert "record_search_document" in indexes(plan)


def explain_function(scene: Scene, name: str, word: str) -> Any:
    """The plan of a function's body, with the values in place of its arguments."""
    values = {
        "of_dataset": f"'{scene.dataset.id}'::uuid",
        "wanted": f"'''{word}'''::text",
        "among": "NULL::uuid[]",
        "skipped": "0",
        "at_most": "50",
    }
    with enter(scene.organization_id, using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", [name])
        (body,) = cursor.fetchone()
        for argument, value in values.items():
            body = body.replace(argument, value)
        cursor.execute("SET LOCAL ROLE stoneware_search")
        plan = explain(body, {}, alias="owner")
        cursor.execute("RESET ROLE")
    return plan


def test_a_plan_without_its_index_is_seen(scene: Scene) -> None:
    with enter(scene.organization_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_indexscan = off")
        cursor.execute("SET LOCAL enable_indexonlyscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        plan = scene.count(Terms(MetadataScope("group"), ["7"]))
    assert "record_metadata" in scanned(plan)
    assert nodes(plan)
