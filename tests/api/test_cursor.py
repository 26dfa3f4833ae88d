"""Pages of records by the id of the last one seen."""

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.records.models import Record
from tests import factories
from tests.annotation.test_plans import explain, indexes, nodes, sorted_rows
from tests.api.conftest import OVERHEAD, Api, Cast


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        dataset = factories.make_dataset(cast.workspace)
        factories.make_records(dataset, 7)
        return dataset


def page(api: Api, dataset: Dataset, query: str = "") -> Any:
    answer = api.get(f"/datasets/{dataset.id}/records?{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["items"]]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_by_cursor_hold_every_record_once_in_order(cast, dataset, limit):
    seen, after, calls = [], "", 0
    while after is not None:
        found = page(
            cast["owner"], dataset, f"limit={limit}" + (f"&after={after}" if after else "")
        )
        assert found["total"] == 7
        seen += ids(found)
        after = found["next"]
        assert after in {None, seen[-1]}
        calls += 1
    assert seen == ids(page(cast["owner"], dataset))
    assert calls == -(-7 // limit), "the last page says that it is the last"


def test_the_cursor_and_the_offset_go_together(cast, dataset):
    every = ids(page(cast["owner"], dataset))
    found = page(cast["owner"], dataset, f"after={every[1]}&offset=2&limit=2")
    assert ids(found) == every[4:6]
    assert found["next"] == every[5]
    assert page(cast["owner"], dataset, "offset=4&limit=3")["next"] is None


def test_after_the_last_there_is_nothing(cast, dataset):
    every = ids(page(cast["owner"], dataset))
    found = page(cast["owner"], dataset, f"after={every[-1]}")
    assert (found["items"], found["next"], found["total"]) == ([], None, 7)


def test_the_record_of_the_cursor_need_not_be_there(cast, dataset):
    every = ids(page(cast["owner"], dataset))
    assert cast["owner"].delete(f"/datasets/{dataset.id}/records?ids={every[2]}").status_code == 204
    assert ids(page(cast["owner"], dataset, f"after={every[2]}")) == every[3:]
    assert ids(page(cast["owner"], dataset, f"after={uuid.UUID(int=0)}")) == every[:2] + every[3:]


def test_records_of_others_do_not_come_with_a_cursor_of_theirs(cast, dataset):
    with enter(cast.other.id):
        foreign = factories.make_records(factories.make_dataset(), 2)
    with cast.inside():
        elsewhere = factories.make_records(factories.make_dataset(), 2)
    for record in (*foreign, *elsewhere):
        assert ids(page(cast["owner"], dataset, f"after={record.id}")) == []


@pytest.mark.parametrize("after", ["x", "", "123", "null", "1" * 33])
def test_a_cursor_that_is_no_id_is_refused(cast, dataset, after):
    answer = cast["owner"].get(f"/datasets/{dataset.id}/records?after={after}")
    assert answer.status_code == 422
    assert answer.json()["detail"]["params"]["errors"][0]["loc"] == ["query", "after"]


def test_a_page_by_cursor_takes_three_queries(cast, dataset, django_assert_num_queries):
    (first,) = ids(page(cast["owner"], dataset, "limit=1"))
    with django_assert_num_queries(OVERHEAD + 3):
        page(cast["owner"], dataset, f"limit=2&after={first}")


def test_a_cursor_is_a_bound_of_the_index(cast, dataset):
    first, *_ = ids(page(cast["owner"], dataset, "limit=1"))
    with CaptureQueriesContext(connection) as captured:
        page(cast["owner"], dataset, f"limit=2&after={first}")
    (statement,) = [q["sql"] for q in captured if "LIMIT 3" in q["sql"]]
    with cast.inside(), connection.cursor() as cursor:
        assert Record.objects.count() == 7
        cursor.execute("SET LOCAL enable_seqscan = off")  # seven rows may be worth no index
        plan = explain(statement.replace("%", "%%"), {})
    assert indexes(plan) <= {"record_feed", "record_pkey"}
    assert any("id >" in str(node.get("Index Cond")) for node in nodes(plan))
    assert sorted_rows(plan) == []
