"""Every public method of the real client, used against a live server, or excused with a reason."""

import inspect
from collections.abc import Callable, Iterator
from functools import cached_property, wraps
from pathlib import Path
from types import FunctionType
from typing import Any

import argilla as rg
import pytest
from argilla.client import Datasets, Users, Webhooks, Workspaces
from argilla.records import DatasetRecords
from argilla.records._dataset_records import DatasetRecordsIterator
from argilla.settings._resource import SettingsProperties
from argilla.workspaces._resource import WorkspaceUsers

from tests.api.test_sdk_settings import Place, plain, settings

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])

CLASSES: list[type] = [
    *(rg.Argilla, Users, Workspaces, Datasets, Webhooks),
    *(rg.User, rg.Workspace, WorkspaceUsers, rg.Dataset, rg.Settings, SettingsProperties),
    *(rg.Record, rg.Suggestion, rg.Response, DatasetRecords, DatasetRecordsIterator),
    *(rg.Query, rg.Filter, rg.Similar, rg.Webhook),
]
PART = "a part of a record, which has no address of its own"
SETTINGS = "what a dataset consists of, no object of its own"
HUB = "needs the Hub; tests/hub speaks with one of its own"
EXCUSED = {
    "Argilla.log": "writes to the log, sends nothing",
    "Argilla.deploy_on_spaces": "starts a server elsewhere",
    "Dataset.to_hub": HUB,
    "Dataset.from_hub": HUB,
    "Settings.from_hub": HUB,
    **{f"Settings.{name}": SETTINGS for name in ("delete", "api_model", "serialize_json")},
    **{f"Settings.{name}": SETTINGS for name in ("id", "inserted_at", "updated_at", "is_outdated")},
    "Workspace.update": "the client has no call for it",
    "Webhooks.__call__": "the client has no call for it",
    "Webhook.get": "the client has no call for it",
    "Record.is_outdated": "fails in the client itself, whatever the server says",
    "Record.create": "records come in bulk; the server of old had a call for it",
    **{f"Suggestion.{name}": PART for name in ("id", "create", "get", "update", "delete")},
    **{
        f"Suggestion.{name}": PART
        for name in ("inserted_at", "updated_at", "serialize_json", "is_outdated")
    },
}
POSTER = (  # one white pixel
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4"
    "DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
TEXTS = ("A fine film", "A dull film", "Nothing to say")


def members(owner: type) -> Iterator[tuple[str, Any]]:
    """Public functions, properties and the three ways of a collection, as they are defined."""
    for name in dir(owner):
        value = inspect.getattr_static(owner, name)
        home = next(kind for kind in owner.__mro__ if name in vars(kind))
        if not home.__module__.startswith("argilla"):
            continue
        if name in {"__call__", "__iter__", "__getitem__", "__len__"}:
            if owner not in {SettingsProperties, WorkspaceUsers} and callable(value):
                yield name, value
        elif not name.startswith("_"):
            kinds = property | classmethod | staticmethod | cached_property | FunctionType
            if isinstance(value, kinds):
                yield name, value


SURFACE = {f"{owner.__name__}.{name}" for owner in CLASSES for name, _ in members(owner)}


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the surface that were called since the test began."""
    seen: set[str] = set()

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            seen.add(name)
            return function(*args, **kwargs)

        return call

    for owner in CLASSES:
        for name, value in members(owner):
            full = f"{owner.__name__}.{name}"
            if isinstance(value, property):
                assert value.fget is not None
                new: Any = property(watched(full, value.fget), value.fset)
            elif isinstance(value, classmethod):
                new = classmethod(watched(full, value.__func__))
            elif isinstance(value, staticmethod):
                new = staticmethod(watched(full, value.__func__))
            elif isinstance(value, cached_property):
                new = property(watched(full, value.func))
            else:
                new = watched(full, value)
            monkeypatch.setattr(owner, name, new)
    return seen


@pytest.fixture
def place(live_server: Any) -> Iterator[Place]:
    place = Place(live_server.url)
    yield place
    place.client.api.http_client.close()


def test_every_public_method_works_or_is_excused(
    place: Place, used: set[str], tmp_path: Path
) -> None:
    client = place.client
    use_people_and_workspaces(client)
    dataset = use_datasets(client)
    use_settings(dataset, tmp_path)
    use_records(dataset, tmp_path)
    use_searches(dataset)
    use_disk(client, dataset, tmp_path)
    use_webhooks(client)
    dataset.delete()
    assert client.datasets(id=dataset.id) is None
    assert SURFACE - used == EXCUSED.keys()


def use_people_and_workspaces(client: rg.Argilla) -> None:
    films = client.workspaces.add(rg.Workspace(name="films"))
    workspaces = client.workspaces
    assert (
        [films.name] == [one.name for one in workspaces] == [one.name for one in workspaces.list()]
    )
    assert (len(workspaces), workspaces[0].id, workspaces.default.id) == (1, films.id, films.id)
    assert workspaces("films").get().name == "films"

    ana = client.users.add(rg.User(username="ana", first_name="Ana", password="long enough"))
    ana.first_name, ana.last_name, ana.role = "Anna", "Lee", "admin"
    ana.username, ana.password = "anna", "even longer"
    ana.update()
    found = client.users("anna").get()
    assert (found.first_name, found.last_name, found.role) == ("Anna", "Lee", "admin")
    assert (found.id, found.username, found.password) == (ana.id, "anna", None)
    assert (len(client.users), client.users[1].id) == (2, ana.id)
    assert [one.username for one in client.users] == ["owner", "anna"]

    films.add_user("anna")
    assert [one.username for one in client.users.list(workspace=films)] == ["anna"]
    films.remove_user("anna")
    films.users.add(ana)
    films.users.delete("anna")
    ana.add_to_workspace(films)
    ana.remove_from_workspace(films)
    assert len(films.users) == 0
    ana.delete()
    for one in (found, films):
        assert one.inserted_at <= one.updated_at
        assert one.serialize()["id"] == str(one.id)
        assert str(one.id) in one.serialize_json()
        assert one.is_outdated in {True, False}

    passing = rg.Workspace(name="passing", client=client).create()
    passing.delete()
    assert client.workspaces("passing") is None
    films.name = "films"


def use_datasets(client: rg.Argilla) -> rg.Dataset:
    films = client.workspaces("films")
    added = client.datasets.add(rg.Dataset("added", workspace=films, settings=settings()))
    added.delete()
    dataset = rg.Dataset("reviews", workspace=films, settings=settings(), client=client).create()
    assert [one.name for one in client.datasets] == ["reviews"]
    assert (len(client.datasets), client.datasets[0].id) == (1, dataset.id)
    assert [one.name for one in client.datasets.list()] == ["reviews"]
    assert [one.name for one in films.list_datasets()] == ["reviews"]
    assert [one.name for one in films.datasets] == ["reviews"]

    dataset.name, dataset.guidelines = "films", "Read it all."
    dataset.allow_extra_metadata = False
    dataset.distribution = rg.TaskDistribution(min_submitted=1)
    dataset.update()
    found = client.datasets("films", workspace="films").get()
    assert (found.guidelines, found.allow_extra_metadata) == ("Read it all.", False)
    assert (found.distribution.min_submitted, found.workspace.id) == (1, films.id)
    assert {one.name for one in found.fields} == {"review", "poster", "talk", "card"}
    assert len(found.questions) == 6
    assert found.schema.keys() >= {"review", "sentiment", "words", "text-vector"}
    assert found.progress()["total"] == 0
    assert found.serialize()["name"] == "films"
    assert "films" in found.serialize_json()
    assert found.inserted_at <= found.updated_at
    assert found.is_outdated in {True, False}  # a matter of time
    return found


def use_settings(dataset: rg.Dataset, folder: Path) -> None:
    found = dataset.settings
    found.get()
    found.mapping = {"text": "review"}
    found.questions["comment"].title = "Say more"
    found.update()
    assert found.schema_by_id.keys() >= {found.questions["comment"].id}
    assert (found.dataset.id, found.mapping) == (dataset.id, {"text": "review"})
    assert found.guidelines == "Read it all."
    found.validate()
    found.to_json(folder / "settings.json")
    assert rg.Settings.from_json(folder / "settings.json") == found
    found.add(rg.TermsMetadataProperty(name="passing"))
    found.update()
    found.metadata.remove("passing")
    found.update()
    assert dataset.get().settings.metadata["words"] is not None
    assert "passing" not in [one.name for one in dataset.settings.metadata]
    for ready_made in (
        rg.Settings.for_classification(labels=["a", "b"]),
        rg.Settings.for_ranking(),
        rg.Settings.for_rating(),
    ):
        made = rg.Dataset(
            "ready-made", workspace="films", settings=ready_made, client=dataset._client
        )
        made.create()
        made.delete()


def use_records(dataset: rg.Dataset, folder: Path) -> None:
    records = dataset.records
    logged = [
        rg.Record(
            id=str(number),
            fields={"review": text, "poster": POSTER},
            metadata={"words": number, "source": "web"},
            vectors={"text-vector": [float(number), *[1.0] * 7]},
            suggestions=[rg.Suggestion("sentiment", "positive", score=0.9, agent="m", type="model")]
            if number < 2
            else [],
            responses=[rg.Response("sentiment", "negative", user_id=dataset._client.me.id)]
            if number == 1
            else [],
        )
        for number, text in enumerate(TEXTS)
    ]
    records.log(logged)
    first, second, third = list(records(with_vectors=True))
    assert (first.id, first.fields["review"]) == ("0", "A fine film")
    assert dict(first.metadata) == {"words": 0, "source": "web"}
    assert first.fields["poster"].size == (1, 1)
    suggestion = first.suggestions["sentiment"]
    assert (suggestion.value, suggestion.score, suggestion.agent) == ("positive", 0.9, "m")
    assert (suggestion.type, suggestion.question_name, suggestion.record.id) == (
        "model",
        "sentiment",
        "0",
    )
    assert suggestion.serialize()["value"] == "positive"
    response = second.responses["sentiment"][0]
    assert (response.value, response.record.id) == ("negative", "1")
    assert response.serialize()["value"] == "negative"
    assert first.vectors["text-vector"] == [0.0, *[1.0] * 7]
    assert (second.dataset.name, second.status) == ("films", "pending")

    third.metadata["words"] = 9
    third.update()
    assert third.get().metadata["words"] == 9
    assert third.inserted_at <= third.updated_at
    assert third.serialize()["external_id"] == "2"
    assert "Nothing" in third.serialize_json()
    assert rg.Record.from_dict(third.to_dict(), dataset=dataset).id == "2"

    for source in (lambda: records, records):  # all, or what a query finds
        assert [row["id"] for row in source().to_list(flatten=True)] == ["0", "1", "2"]
        assert source().to_dict(flatten=True, orient="names")["review"] == list(TEXTS)
        rows = source().to_datasets()
        assert rows["review"][0] == TEXTS[0]
        assert set(rows["sentiment.suggestion"][:2]) != {None}
    dataset.records().to_json(folder / "by-iterator.json")
    records.to_json(folder / "records.json")
    records.from_json(folder / "records.json")  # known ids: updated, not doubled
    assert [one.id for one in records] == ["0", "1", "2"]

    third.delete()
    records.delete([second])
    assert dataset.progress() == {"total": 1, "completed": 0, "pending": 1}
    records.log(logged)


def use_searches(dataset: rg.Dataset) -> None:
    records = dataset.records
    assert [one.id for one in records("film")] == ["0", "1"]
    by_metadata = rg.Query(
        filter=rg.Filter([("metadata.words", ">=", 1), ("status", "==", "pending")])
    )
    assert [one.id for one in records(by_metadata)] == ["1", "2"]
    assert [
        one.id for one in records(rg.Query(filter=("sentiment.response", "==", "negative")))
    ] == ["1"]
    near = rg.Query(similar=rg.Similar("text-vector", [0.0, *[1.0] * 7]))
    found = list(records(near, limit=1))
    assert [(one.id, round(score, 3)) for one, score in found] == [("0", 1.0)]
    others = rg.Query(similar=rg.Similar("text-vector", found[0][0], most_similar=False))
    assert [one.id for one, _ in records(others)] == ["2", "1"]


def use_disk(client: rg.Argilla, dataset: rg.Dataset, folder: Path) -> None:
    path = folder / "exported"
    path.mkdir()
    dataset.to_disk(str(path))
    again = rg.Dataset.from_disk(str(path), name="again", workspace="films", client=client)

    def contents(of: rg.Dataset) -> list[dict[str, Any]]:
        rows = [record.to_dict() for record in of.records]  # the client leaves vectors out
        return [{key: row[key] for key in row if key != "_server_id"} for row in rows]

    assert contents(again) == contents(dataset)
    assert plain(again.settings.serialize()) == plain(dataset.settings.serialize())
    again.delete()


def use_webhooks(client: rg.Argilla) -> None:
    made = client.webhooks.add(
        rg.Webhook(url="https://example.com/hook", events=["record.created"], description="One")
    )
    assert (len(client.webhooks), client.webhooks[0].id) == (1, made.id)
    assert [one.url for one in client.webhooks] == ["https://example.com/hook"]
    made.url, made.events = "https://example.com/other", ["response.created"]
    made.enabled, made.description = False, "Two"
    made.update()
    found = client.webhooks[0]
    assert (found.url, found.enabled, found.description) == (made.url, False, "Two")
    assert (found.events, bool(found.secret)) == (["response.created"], True)
    assert found.inserted_at <= found.updated_at
    assert found.is_outdated in {True, False}  # a matter of time
    assert found.serialize()["id"] == str(made.id)
    assert str(made.id) in found.serialize_json()
    assert client.webhooks.list()[0].id == made.id
    rg.Webhook(
        url="https://example.com/two", events=["record.created"], _client=client
    ).create().delete()
    made.delete()
    assert len(client.webhooks) == 0
