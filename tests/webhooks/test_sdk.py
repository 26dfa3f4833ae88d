"""The client's own listeners, unchanged: they subscribe, verify, parse and read back.

A real server is asked, a real worker sends. Only the web framework that the client hangs its
listeners into is not installed; ``Listeners`` stands in its place.
"""

import asyncio
import json
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import argilla as rg
import pytest
from argilla.webhooks import webhook_listener

from apps.core.embedded.paths import redis_socket
from apps.core.embedded.services import Services
from apps.core.tenancy import enter
from apps.organizations.services import create_api_key
from tests import factories
from tests.webhooks.receiver import Message, Receiver, serving
from tests.webhooks.test_worker import Sender, wait

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


class Request:
    """What a listener takes of a request."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.headers = message.headers

    async def body(self) -> bytes:
        return self.message.body


class Listeners(Receiver):
    """Calls the listener of a path; what it raises is answered with a 500."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[str, Callable[[Request], Awaitable[Any]]] = {}
        self.turn = threading.Lock()
        self.failures: list[Exception] = []

    def post(self, path: str, tags: list[str]) -> Callable[[Any], None]:
        def register(handler: Any) -> None:
            self.handlers[path] = handler

        return register

    def answer(self, message: Message) -> tuple[int, bytes]:
        try:
            with self.turn:
                asyncio.run(self._call(message))
        except Exception as error:  # noqa: BLE001
            self.failures.append(error)
            return 500, str(error).encode()
        return 200, b""

    async def _call(self, message: Message) -> None:
        await self.handlers[message.path](Request(message))


@pytest.fixture
def listeners(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listeners]:
    framework = ModuleType("fastapi")
    framework.Request = Request  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastapi", framework)
    server = Listeners()
    monkeypatch.setenv("WEBHOOK_SERVER_URL", f"http://127.0.0.1:{server.port}")
    with serving(server):
        settings.OUTBOUND_ALLOW = [("127.0.0.1", server.port)]
        yield server


@pytest.fixture
def worker(listeners: Listeners) -> Iterator[Sender]:
    with tempfile.TemporaryDirectory(prefix="sw-") as directory:
        data_dir = Path(directory)
        with Services(data_dir, with_postgres=False):
            worker = Sender(data_dir, redis_socket(data_dir))
            worker.environment["OUTBOUND_ALLOW"] = f"127.0.0.1:{listeners.port}"
            worker.environment["PATIENCE"] = "20"  # listeners ask back many times
            worker.start()
            try:
                yield worker
            finally:
                worker.kill()


@pytest.fixture
def client(live_server: Any) -> rg.Argilla:
    organization = factories.make_organization("Sdk")
    with enter(organization.id):
        owner = factories.make_member(role="owner", username="owner", first_name="Olga")
        factories.make_workspace("reviews")
        key = create_api_key(member=owner)[1]
    return rg.Argilla(api_url=live_server.url, api_key=key)


def make_dataset(client: rg.Argilla) -> rg.Dataset:
    settings = rg.Settings(
        fields=[rg.TextField(name="text")],
        questions=[rg.LabelQuestion(name="label", labels=["good", "bad"])],
        metadata=[rg.TermsMetadataProperty(name="source")],
        vectors=[rg.VectorField(name="vector", dimensions=2)],
    )
    return rg.Dataset(name="films", workspace="reviews", settings=settings, client=client).create()


def test_listeners_hear_of_datasets_records_and_responses(
    client: rg.Argilla, listeners: Listeners, worker: Sender
) -> None:
    heard: list[tuple[str, str, Any]] = []

    @webhook_listener(
        events=["dataset.created", "dataset.published", "dataset.deleted"],
        client=client,
        server=listeners,
    )
    async def on_dataset(type: Any, timestamp: Any, dataset: rg.Dataset) -> None:
        heard.append((type, dataset.name, [field.name for field in dataset.fields]))

    @webhook_listener(
        events=["record.created", "record.updated", "record.completed", "record.deleted"],
        client=client,
        server=listeners,
    )
    async def on_record(type: Any, timestamp: Any, record: rg.Record) -> None:
        heard.append((type, record.fields["text"], record.status))

    @webhook_listener(
        events=["response.created", "response.deleted"], client=client, server=listeners
    )
    async def on_response(type: Any, timestamp: Any, response: rg.UserResponse) -> None:
        answers = {answer.question_name: answer.value for answer in response.responses}
        heard.append((type, response.record.fields["text"], answers))

    def hears(type: str, name: str, *, count: int = 1) -> Any:
        def found() -> list[Any]:
            return [what for kind, of, what in heard if (kind, of) == (type, name)]

        wait(lambda: len(found()) >= count or bool(listeners.failures), worker)
        assert listeners.failures == []
        return found()[-1]

    dataset = make_dataset(client)
    hears("dataset.created", "films")
    assert hears("dataset.published", "films") == ["text"]

    dataset.records.log(
        [
            rg.Record(
                fields={"text": "Fine."}, metadata={"source": "shop"}, vectors={"vector": [1, 0]}
            ),
            rg.Record(fields={"text": "Awful."}),
        ]
    )
    assert hears("record.created", "Fine.") == "pending"
    hears("record.created", "Awful.")

    record = next(r for r in dataset.records if r.fields["text"] == "Fine.")
    answer = {"status": "submitted", "values": {"label": {"value": "good"}}}
    path = f"/api/v1/records/{record._server_id}/responses"
    response = client.http_client.post(path, json=answer).json()
    assert hears("response.created", "Fine.") == {"label": "good"}
    assert hears("record.completed", "Fine.") == "completed"
    hears("record.updated", "Fine.")

    client.http_client.delete(f"/api/v1/responses/{response['id']}").raise_for_status()
    assert hears("response.deleted", "Fine.") == {"label": "good"}
    dataset.records.delete([record])
    hears("record.deleted", "Fine.")
    dataset.delete()
    hears("dataset.deleted", "films")
    assert {message.headers["user-agent"] for message in listeners.messages} == {
        "Stoneware-Webhooks"
    }


def test_a_listener_with_raw_events_gets_the_whole_document(
    client: rg.Argilla, listeners: Listeners, worker: Sender
) -> None:
    events: list[Any] = []

    @webhook_listener(events="record.created", client=client, server=listeners, raw_event=True)
    async def raw(event: Any) -> None:
        events.append(event)

    dataset = make_dataset(client)
    dataset.records.log([rg.Record(id="one", fields={"text": "Fine."}, metadata={"source": "a"})])
    wait(lambda: bool(events or listeners.failures), worker)
    (event,) = events
    data = event.data
    assert set(data) == {
        "id",
        "status",
        "fields",
        "metadata",
        "external_id",
        "dataset",
        "inserted_at",
        "updated_at",
    }
    assert (data["external_id"], data["metadata"]) == ("one", {"source": "a"})
    assert set(data["dataset"]) >= {
        "id",
        "name",
        "guidelines",
        "allow_extra_metadata",
        "status",
        "distribution",
        "workspace",
        "questions",
        "fields",
        "metadata_properties",
        "vectors_settings",
        "last_activity_at",
        "inserted_at",
        "updated_at",
    }
    parts = ("questions", "fields", "metadata_properties", "vectors_settings")
    assert all("dataset_id" not in part for name in parts for part in data["dataset"][name])
    assert json.loads(listeners.messages[0].body)["timestamp"].endswith("Z")
