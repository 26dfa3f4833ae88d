"""The file of a dataset over HTTP: what it holds, who gets it, and what a broken line leaves."""

import json
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from apps.annotation.services import save_response
from apps.core.tenancy import enter, entered
from apps.datasets.models import Dataset, MetadataProperty, VectorSettings
from apps.exchange import exporter
from apps.organizations.services import create_api_key
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record
from tests import factories
from tests.api.conftest import OVERHEAD, Api, Cast
from tests.conftest import ALL_DATABASES
from tests.exchange.conftest import import_bytes


def make_dataset(workspace: Any = None, name: str = "films") -> Dataset:
    dataset = factories.make_dataset(workspace, name=name, questions=["sentiment", "comment"])
    MetadataProperty.objects.create(
        dataset=dataset, number=1, name="year", title="Year", settings={"type": "integer"}
    )
    VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=2)
    return dataset


def fill(dataset: Dataset, author: Any) -> None:
    """Five records with everything; the first two are answered."""
    sentiment = dataset.questions.get(name="sentiment")
    items = [
        RecordInput(
            external_id=f"film-{number}",
            fields={"text": f"“Ünïcode” \u2028 {number}"},
            metadata={"year": 1990 + number},
            vectors={"v": [number, 0.5]},
            suggestions=[SuggestionInput(sentiment.id, "mixed", score=0.5, agent="m")],
        )
        for number in range(5)
    ]
    factories.log_records(dataset=dataset, items=items)
    for record in Record.objects.filter(dataset=dataset).in_order()[:2]:
        values = {"sentiment": {"value": "positive"}}
        save_response(record=record, annotator=author, status="submitted", values=values)


@pytest.fixture
def dataset(cast: Cast) -> Dataset:
    with cast.inside():
        dataset = make_dataset(cast.workspace)
        fill(dataset, cast.people["annotator_in"])
        return dataset


def lines(answer: Any) -> list[Any]:
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.getvalue().splitlines()]


def test_a_file_holds_every_record_with_everything(cast, dataset):
    answer = cast["owner"].get(f"/datasets/{dataset.id}/export.jsonl")
    assert answer.streaming
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="films.jsonl"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Content-Length" not in answer.headers
    records = lines(answer)
    assert [record["id"] for record in records] == [f"film-{number}" for number in range(5)]
    first = records[0]
    assert first["fields"] == {"text": "“Ünïcode” \u2028 0"}
    assert first["metadata"] == {"year": 1990}
    assert first["vectors"] == {"v": [0, 0.5]}
    assert first["status"] == "completed"
    assert first["suggestions"][0]["value"] == "mixed"
    assert first["responses"][0]["user"] == "annotator_in"


def test_a_file_comes_back_as_it_was(cast, dataset):
    file = cast["admin_in"].get(f"/datasets/{dataset.id}/export.jsonl").getvalue()
    with cast.inside():
        other = make_dataset(cast.workspace, "again")
        assert import_bytes(other, file).counts == (5, 5, 0, 0)
    again = cast["admin_in"].get(f"/datasets/{other.id}/export.jsonl").getvalue()
    assert again == file


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("status=completed", 2),
        ("status=pending", 3),
        ("status=pending&status=completed", 5),
        ("", 5),
    ],
)
def test_records_may_be_chosen_by_status(cast, dataset, query, count):
    records = lines(cast["owner"].get(f"/datasets/{dataset.id}/export.jsonl?{query}"))
    assert len(records) == count


def test_an_empty_dataset_is_an_empty_file(cast):
    with cast.inside():
        empty = make_dataset(cast.workspace)
    answer = cast["owner"].get(f"/datasets/{empty.id}/export.jsonl")
    assert (answer.status_code, answer.getvalue()) == (200, b"")


def test_refusals_are_in_the_contracts_shape(cast, dataset):
    path = f"/datasets/{dataset.id}/export.jsonl"
    for who, status in {
        "owner": 200,
        "admin_in": 200,
        "admin_out": 403,
        "reviewer_in": 403,
        "annotator_in": 403,
        "stranger": 404,
        "nobody": 401,
        "bad_key": 401,
    }.items():
        answer = cast[who].get(path)
        assert answer.status_code == status, who
        if status != 200:
            assert answer.headers["Content-Type"] == "application/json"
            assert "detail" in answer.json()
    wrong = cast["owner"].get(f"{path}?status=done")
    assert wrong.status_code == 422
    assert wrong.json()["detail"]["params"]["errors"][0]["loc"][:2] == ["query", "status"]
    assert cast["owner"].post(path, {}).status_code == 405
    assert cast["owner"].get("/datasets/x/export.jsonl").status_code == 422


def test_an_error_before_the_first_byte_has_an_answer(cast, dataset, monkeypatch):
    monkeypatch.setattr(exporter, "_PAGE", "SELECT 1/0")
    answer = cast["owner"].get(f"/datasets/{dataset.id}/export.jsonl")
    assert answer.status_code == 500
    assert answer.json()["detail"]["code"] == "argilla.api.errors::GenericServerError"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b", 'attachment; filename="a b.jsonl"'),
        ('"q"', 'attachment; filename="\\"q\\".jsonl"'),
        ("../x\r\nSet-Cookie: a", 'attachment; filename=".._x__Set-Cookie: a.jsonl"'),
        ("Größe", "attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.jsonl"),
    ],
)
def test_the_file_has_the_datasets_name_whatever_it_is(cast, name, header):
    with cast.inside():
        dataset = make_dataset(cast.workspace, name)
    answer = cast["owner"].get(f"/datasets/{dataset.id}/export.jsonl")
    assert answer.headers["Content-Disposition"] == header


def test_each_page_enters_the_organization_and_leaves_it(
    cast, dataset, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(exporter, "PAGE", 2)
    cast["owner"].get("/me")  # the key's use is noted
    # The page's own two are not Django's; counted are the event, a
    # savepoint, its organization and its end.
    with django_assert_num_queries(OVERHEAD + 1 + 4):
        answer = cast["owner"].get(f"/datasets/{dataset.id}/export.jsonl")
    pages = answer.streaming_content
    for expected in (2, 2, 1):
        assert next(pages).count(b"\n") == expected
        assert entered() is None
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('app.organization_id')")
            assert cursor.fetchone() == ("no organization entered",)
    answer.close()


def test_long_vectors_make_shorter_pages(cast, monkeypatch):
    monkeypatch.setattr(exporter, "PAGE_BYTES", 10_000)
    with cast.inside():
        dataset = factories.make_dataset(cast.workspace)
        VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=1_000)
        factories.make_records(dataset, 6, vectors={"v": [0.5] * 1_000})
    answer = cast["owner"].get(f"/datasets/{dataset.id}/export.jsonl")
    assert [page.count(b"\n") for page in answer.streaming_content] == [3, 3]


# --- Over the wire -------------------------------------------------------------------------------


PAGES, PAGE = 15, 100


@pytest.fixture
def large(transactional_db: None) -> tuple[Dataset, str]:
    """30 MB, more than any buffer between server and client holds; with an owner's key."""
    with enter(factories.make_organization().id):
        key = create_api_key(member=factories.make_member(role="owner"))[1]
        dataset = factories.make_dataset()
        items = [RecordInput(fields={"text": "word " * 4_000}) for _ in range(PAGES * PAGE)]
        for start in range(0, len(items), 500):
            factories.log_records(dataset=dataset, items=items[start : start + 500])
    return dataset, key


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pages that were made, of 100 records each."""
    make, made = exporter._page, []

    def counted(*given: Any) -> Any:
        made.append(len(made))
        return make(*given)

    monkeypatch.setattr(exporter, "PAGE", PAGE)
    monkeypatch.setattr(exporter, "_page", counted)
    return made


def connect(server: Any, dataset: Dataset, key: str) -> socket.socket:
    """A connection on which the file has been asked for and its first part has come."""
    client = socket.create_connection((server.thread.host, server.thread.port), timeout=20)
    path = f"/api/v1/datasets/{dataset.id}/export.jsonl"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Argilla-Api-Key: {key}\r\n\r\n"
    client.sendall(request.encode())
    assert client.recv(100_000).startswith(b"HTTP/1.1 200 OK")
    return client


def connections_at_work() -> list[str]:
    """The states of the application's connections that are in a transaction."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(
            "SELECT state FROM pg_stat_activity WHERE usename = 'stoneware_app'"
            " AND datname = current_database() AND state <> 'idle'"
        )
        return [state for (state,) in cursor.fetchall()]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def settled(made: list[int]) -> bool:
    """Whether no page has been made for a while."""
    before = len(made)
    time.sleep(0.3)
    return len(made) == before


over_the_wire = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)


@over_the_wire
def test_a_slow_reader_holds_no_transaction_and_gets_all(large, made, live_server):
    client = connect(live_server, *large)
    wait_for(lambda: settled(made))
    assert len(made) < PAGES, "the server waits for the reader"
    assert connections_at_work() == []
    received = b""
    while part := client.recv(1_000_000):
        received += part
    assert received.count(b"\n") >= PAGES * PAGE - 10
    assert received.endswith(b"}\n")
    assert len(made) == PAGES


@over_the_wire
def test_a_broken_connection_leaves_nothing_open(large, made, live_server):
    before = threading.active_count()
    client = connect(live_server, *large)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    wait_for(lambda: threading.active_count() == before)
    assert len(made) < PAGES
    assert connections_at_work() == []


@over_the_wire
def test_a_file_takes_the_memory_of_a_page(large, made):
    dataset, key = large
    answer = Api(key).get(f"/datasets/{dataset.id}/export.jsonl")
    tracemalloc.start()
    try:
        size = sum(map(len, answer.streaming_content))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        answer.close()
    assert size > 30_000_000
    assert peak < 12_000_000, "two pages and some"
