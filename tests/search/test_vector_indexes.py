"""Vector indexes come, are used, are replaced and go; and what they find is what is there."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from celery import current_app
from django.conf import settings as django_settings
from django.db import ProgrammingError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.tenancy import enter
from apps.datasets.services import delete_dataset, delete_vector_settings
from apps.records.models import Record
from apps.records.services import delete_records, update_record
from apps.search import similarity, vector_indexes
from apps.search.conditions import Condition
from apps.search.similarity import nearest
from apps.search.tasks import tend_vector_indexes
from apps.search.vector_indexes import find_index, tend
from tests import factories
from tests.annotation.test_plans import indexes, nodes, scanned
from tests.conftest import ALL_DATABASES
from tests.search.vectors import (
    add_vectors,
    clusters,
    indexes_dropped,
    make_vectors,
    noise,
    recall,
    truth,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)

MANY = 600
SIZE, TAIL, DIMENSIONS = 2_500, 400, 32


class World:
    """An organization with one dataset of vectors."""

    def __init__(self, vectors: Any) -> None:
        self.vectors = vectors
        self.organization_id = factories.make_organization().id
        with enter(self.organization_id):
            self.dataset, self.settings, self.ids = make_vectors(vectors)

    def add(self, vectors: Any) -> None:
        with enter(self.organization_id):
            self.ids += add_vectors(self.dataset, vectors)

    def index(self) -> Any:
        with enter(self.organization_id):
            return find_index(self.settings.id)

    def search(self, query: Any, count: int = 10, **options: Any) -> list[Any]:
        with enter(self.organization_id):
            hits = nearest(
                dataset=self.dataset,
                settings=self.settings,
                vector=query,
                count=count,
                **options,
            )
        return [id for id, _ in hits]

    def statement(self, **options: Any) -> str:
        """The last statement of a search, with its values."""
        with CaptureQueriesContext(connection) as captured:
            self.search(self.vectors[0], **options)
        texts = [query["sql"] for query in captured if "record_vector v" in query["sql"]]
        return str(texts[-1])

    def plan(self, statement: str) -> Any:
        """As the application's role makes it."""
        with enter(self.organization_id), connection.cursor() as cursor:
            cursor.execute("EXPLAIN (FORMAT JSON) " + statement.replace("%", "%%"), [])
            (answer,) = cursor.fetchone()
        return (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]

    def scans(self) -> int:
        """How often the index was used so far."""
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s",
                [self.index().name],
            )
            return int(cursor.fetchone()[0])


@pytest.fixture(autouse=True)
def _tidy(db: None) -> Iterator[None]:
    with indexes_dropped():
        yield


@pytest.fixture
def world() -> World:
    """Large enough for an index, which is there, with a tail of newer records."""
    world = World(clusters(SIZE, DIMENSIONS))
    tend(many=MANY)
    tail = clusters(TAIL, DIMENSIONS, seed=5)
    world.add(tail)
    world.vectors = [*world.vectors, *tail]
    return world


def every_nth(n: int) -> Condition:
    """Records by the position in their bulk of 500."""
    return Condition("(r.metadata->>'n')::int %% %(nth)s = 0", {"nth": n})


# --- They come and go ----------------------------------------------------------------------------
def test_an_index_comes_when_a_setting_is_large_and_not_before() -> None:
    world = World(noise(MANY, 4))
    assert tend(many=MANY) == []
    assert world.index() is None
    world.add(noise(1, 4))
    statement, _ = tend(many=MANY)
    assert "CONCURRENTLY" in statement
    index = world.index()
    assert index.is_valid
    assert (index.settings_id, index.last) == (world.settings.id, world.ids[-1])
    assert index.size == MANY + 1
    assert tend(many=MANY) == [], "nothing is left to do"


def test_a_long_tail_gets_a_new_index_in_place_of_the_old() -> None:
    world = World(noise(MANY + 1, 4))
    tend(many=MANY)
    before = world.index()
    world.add(noise(MANY, 4))
    assert tend(many=MANY) == []
    world.add(noise(1, 4))
    built, dropped, _ = tend(many=MANY)
    assert before.name in dropped
    assert world.index().name in built
    assert world.index().last == world.ids[-1]
    assert len(_all()) == 1


@pytest.mark.parametrize("how", ["settings", "dataset", "records", "organization"])
def test_an_index_goes_with_what_it_was_for(how: str) -> None:
    world = World(noise(MANY + 1, 4))
    other = World(noise(MANY + 1, 4))
    tend(many=MANY)
    assert len(_all()) == 2
    with enter(world.organization_id):
        if how == "settings":
            delete_vector_settings(settings=world.settings)
        elif how == "dataset":
            delete_dataset(dataset=world.dataset)
        elif how == "records":
            delete_records(dataset=world.dataset, ids=world.ids[: MANY // 2 + 1])
    if how == "organization":
        with connections["operator"].cursor() as cursor:
            cursor.execute("DELETE FROM organization WHERE id = %s", [world.organization_id])
    (dropped,) = tend(many=MANY)
    assert world.settings.id.hex in dropped
    assert [index.settings_id for index in _all()] == [other.settings.id]


def test_a_setting_that_shrinks_a_little_keeps_its_index() -> None:
    world = World(noise(MANY + 1, 4))
    tend(many=MANY)
    with enter(world.organization_id):
        delete_records(dataset=world.dataset, ids=world.ids[: MANY // 3])
    assert tend(many=MANY) == []


def test_what_no_index_can_hold_is_searched_exactly() -> None:
    vectors = noise(8, vector_indexes.MAX_DIMENSIONS + 1)
    world = World(vectors)
    assert tend(many=4) == []
    assert world.search(vectors[3], 3) == [world.ids[row] for row in truth(vectors, vectors[3], 3)]


def test_odd_vectors_neither_stop_an_index_nor_are_stopped_by_it() -> None:
    """Beyond 16 bits, and without a direction; before and after the index was built."""
    odd = [[7e4, 0, 0, 0], [0, 0, 0, 0], [0, 1e-9, 0, 0]]
    world = World([*odd, *noise(MANY, 4)])
    tend(many=MANY)
    assert world.index() is not None
    with enter(world.organization_id):
        record = Record.objects.get(pk=world.ids[2])
        update_record(record=record, vectors={"v": [0, 8e4, 0, 0]})
    world.add(odd)
    assert world.search([1, 0, 0, 0], 2) == [world.ids[0], world.ids[-3]]
    everything = world.search([1, 0, 0, 0], 2_000)
    assert len(everything) == len(world.ids) - 2
    assert not {world.ids[1], world.ids[-2]} & set(everything)


def test_an_interrupted_build_is_dropped_and_made_again_and_only_one_runs() -> None:
    world = World(noise(MANY + 1, 4))
    failures: list[Exception] = []

    def build() -> None:
        try:
            tend(many=MANY)
        except Exception as error:  # noqa: BLE001  (looked at below)
            failures.append(error)

    thread = threading.Thread(target=build)
    with enter(world.organization_id):  # a build waits for those who write
        Record.objects.filter(dataset=world.dataset).first()
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE record_vector IN ROW EXCLUSIVE MODE")
        thread.start()
        _wait_for(lambda: _builds() == 1)
        assert tend(many=MANY) == [], "another is at it"
        with connections["owner"].cursor() as cursor:
            cursor.execute(f"SELECT pg_cancel_backend(pid) {_BUILDS}")
        thread.join(timeout=20)
    assert "canceling statement" in str(failures)
    assert [index.is_valid for index in _all()] == [False]
    assert world.index() is None
    dropped, built, _ = tend(many=MANY)
    assert (dropped.split()[0], built.split()[0]) == ("DROP", "CREATE")
    assert [index.is_valid for index in _all()] == [True]


_BUILDS = (
    "FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND state = 'active'"
    " AND datname = current_database()"
)


def _builds() -> int:
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"SELECT count(*) {_BUILDS}")
        return int(cursor.fetchone()[0])


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def _all() -> list[vector_indexes.VectorIndex]:
    with connections["owner"].cursor() as cursor:
        return list(vector_indexes._indexes(cursor))


def test_the_application_makes_no_index(world: World) -> None:
    for statement in (
        "CREATE INDEX ON record_vector (record_id)",
        f"DROP INDEX {world.index().name}",
    ):
        with (
            pytest.raises(ProgrammingError, match="must be owner"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_the_worker_tends_them_by_itself() -> None:
    names = {entry["task"] for entry in django_settings.CELERY_BEAT_SCHEDULE.values()}
    assert tend_vector_indexes.name in names
    assert tend_vector_indexes.name in current_app.tasks
    tend_vector_indexes()
    assert _all() == []


# --- They are used, and find what is there -------------------------------------------------------
@pytest.mark.parametrize("filtered", [False, True])
def test_the_plan_uses_the_index(
    world: World, filtered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "FEW", 100)
    matching = every_nth(2) if filtered else None
    plan = world.plan(world.statement(matching=matching))
    assert world.index().name in indexes(plan)
    assert "record_vector" not in scanned(plan)
    (head,) = [n for n in nodes(plan) if n.get("Index Name") == world.index().name]
    assert "Order By" in head
    # The tail is read by its key alone.
    tail = [n for n in nodes(plan) if n.get("Index Name") == "record_vector_pkey"]
    assert "record_id >" in str(tail)


def test_the_index_is_used_however_often_one_asks(world: World) -> None:
    """Also after the driver prepares the statement and the server might keep a general plan."""
    before = world.scans()
    for query in world.vectors[:12]:
        world.search(query)
    with enter(world.organization_id), connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    _wait_for(lambda: world.scans() == before + 12)


def test_few_matches_are_compared_exactly_without_the_index(world: World) -> None:
    plan = world.plan(world.statement(matching=every_nth(100)))
    assert world.index().name not in indexes(plan)
    assert "record_vector_pkey" in indexes(plan)
    assert "record_vector" not in scanned(plan)


@pytest.mark.parametrize("make", [clusters, noise])
def test_recall_with_an_index_and_a_tail(make: Any) -> None:
    head, tail = make(SIZE, DIMENSIONS), make(TAIL, DIMENSIONS, seed=7)
    world = World(head)
    tend(many=MANY)
    world.add(tail)
    vectors = [*head, *tail]
    queries = make(20, DIMENSIONS, seed=1)
    right = [[world.ids[r] for r in truth(np.array(vectors), query, 10)] for query in queries]
    assert recall([world.search(query) for query in queries], right) >= 0.95
    opposite = [world.search(-query, least=True) for query in queries]
    assert recall(opposite, right) >= 0.95


@pytest.mark.parametrize(("nth", "few"), [(100, 5_000), (100, 0), (2, 0)])
def test_recall_with_a_filter(
    world: World, nth: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record of a hundred: exactly, as it is done; and by the index, as it might be."""
    monkeypatch.setattr(similarity, "FEW", few)
    rows = [row for row in range(len(world.ids)) if row % 500 % nth == 0]
    kept = np.array([world.vectors[row] for row in rows])
    queries = clusters(20, DIMENSIONS, seed=1)
    right = [[world.ids[rows[r]] for r in truth(kept, query, 10)] for query in queries]
    found = [world.search(query, matching=every_nth(nth)) for query in queries]
    assert all(len(hits) == 10 for hits in found)
    assert recall(found, right) >= 0.95
    if few:
        assert found == right


def test_all_that_is_wanted_is_found_though_the_index_gives_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "FEW", 0)
    with enter(world.organization_id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL hnsw.max_scan_tuples = 1")
        assert len(world.search(world.vectors[0], 250, matching=every_nth(10))) == 250
    assert len(world.search(world.vectors[0], 1_000)) == 1_000


def test_a_record_is_its_own_nearest_unless_left_out(world: World) -> None:
    for row in (0, SIZE - 1, SIZE, SIZE + TAIL - 1):
        assert world.search(world.vectors[row], 1) == [world.ids[row]]
        assert world.search(world.vectors[row], 1, without=world.ids[row]) != [world.ids[row]]


def test_a_search_with_an_index_takes_three_queries_or_five(
    world: World, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = {"dataset": world.dataset, "settings": world.settings, "vector": world.vectors[0]}
    with enter(world.organization_id):
        with django_assert_num_queries(3):
            nearest(**find, count=10)
        with django_assert_num_queries(3):
            nearest(**find, count=10, matching=every_nth(100))
        monkeypatch.setattr(similarity, "FEW", 100)
        with django_assert_num_queries(4):
            nearest(**find, count=10, matching=every_nth(2))
        with django_assert_num_queries(5):
            nearest(**find, count=1_000, matching=every_nth(10))


def test_the_index_shows_nobody_elses_vectors(world: World) -> None:
    with enter(factories.make_organization("Other").id):
        hits = nearest(
            dataset=world.dataset, settings=world.settings, vector=world.vectors[0], count=5
        )
        assert hits == []
