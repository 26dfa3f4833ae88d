"""The real client, unchanged: its queries, filters and likenesses."""

from typing import Any

import argilla as rg
import pytest
from argilla._exceptions import UnprocessableEntityError

from apps.core.tenancy import enter
from apps.organizations.services import create_api_key
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


@pytest.fixture
def client(live_server: Any) -> rg.Argilla:
    organization = factories.make_organization("Sdk")
    with enter(organization.id):
        owner = factories.make_member(role="owner", username="owner")
        factories.make_workspace("intents")
        key = create_api_key(member=owner)[1]
    return rg.Argilla(api_url=live_server.url, api_key=key)


def make_dataset(client: rg.Argilla) -> rg.Dataset:
    settings = rg.Settings(
        fields=[rg.TextField(name="text")],
        questions=[
            rg.LabelQuestion(name="mood", labels=["good", "bad"]),
            rg.MultiLabelQuestion(name="topics", labels=["money", "travel"], required=False),
            rg.RatingQuestion(name="clarity", values=[1, 2, 3], required=False),
        ],
        metadata=[
            rg.IntegerMetadataProperty(name="number"),
            rg.TermsMetadataProperty(name="split"),
            rg.FloatMetadataProperty(name="share"),
        ],
        vectors=[rg.VectorField(name="vector", dimensions=2)],
    )
    dataset = rg.Dataset(name="search", workspace="intents", settings=settings, client=client)
    return dataset.create()


def make_record(client: rg.Argilla, number: int) -> rg.Record:
    mood = "good" if number % 2 else "bad"
    return rg.Record(
        id=str(number),
        fields={"text": f"sentence {number} is {mood}"},
        metadata={"number": number, "split": "train" if number < 1000 else "test", "share": 0.5},
        vectors={"vector": [1.0, number / 1000]},
        suggestions=[
            rg.Suggestion("mood", mood, score=number / 2000, agent="model"),
            rg.Suggestion("topics", ["money"] if number < 10 else ["travel"]),
            rg.Suggestion("clarity", number % 3 + 1),
        ],
        responses=[rg.Response("mood", mood, user_id=client.me.id, status="submitted")]
        if number < 5
        else [],
    )


@pytest.fixture
def dataset(client: rg.Argilla) -> rg.Dataset:
    """1,500 sentences."""
    dataset = make_dataset(client)
    dataset.records.log([make_record(client, number) for number in range(1500)])
    return dataset


def ids(dataset: rg.Dataset, query: Any) -> list[str]:
    return [record.id for record in dataset.records(query=query)]


def test_the_clients_searches(client: rg.Argilla, dataset: rg.Dataset) -> None:
    words(dataset)
    filters(dataset)
    likeness(dataset)
    refusals(dataset)


def words(dataset: rg.Dataset) -> None:
    assert ids(dataset, "1499") == ["1499"]
    assert sorted(map(int, ids(dataset, rg.Query(query="sentence + good")))) == [*range(1, 1500, 2)]
    assert ids(dataset, rg.Query(query="good", filter=rg.Filter(("metadata.number", "<=", 4)))) == [
        "1",
        "3",
    ]


def filters(dataset: rg.Dataset) -> None:
    for condition, wanted in (
        (("id", "==", "7"), ["7"]),
        (("id", "in", ["7", "9"]), ["7", "9"]),
        (("status", "==", "completed"), ["0", "1", "2", "3", "4"]),
        (("response.status", "==", "submitted"), ["0", "1", "2", "3", "4"]),
        (("mood.response", "==", "good"), ["1", "3"]),
        (("topics.suggestion", "in", ["money"]), [str(n) for n in range(10)]),
        (("topics", "==", "money"), [str(n) for n in range(10)]),
        (("metadata.number", "==", 12), ["12"]),
        (("metadata.number", ">=", 1497), ["1497", "1498", "1499"]),
        (("mood.score", "<=", 0.001), ["0", "1", "2"]),
    ):
        assert ids(dataset, rg.Query(filter=rg.Filter([condition]))) == wanted, condition
    for condition, count in (
        (("metadata.split", "==", "test"), 500),
        (("clarity.suggestion", "==", 3), 500),
        (("mood.agent", "==", "model"), 1500),
        (("mood.type", "==", "model"), 0),
        (("response.status", "==", "pending"), 1495),
        (("metadata.share", ">=", 0.6), 0),
    ):
        assert len(ids(dataset, rg.Query(filter=rg.Filter([condition])))) == count, condition
    several = [("metadata.number", ">=", 1490), ("mood.suggestion", "==", "bad")]
    assert ids(dataset, rg.Query(filter=rg.Filter(several))) == [
        str(number) for number in range(1490, 1500, 2)
    ]
    (record,) = dataset.records(rg.Query(filter=rg.Filter([("id", "==", "7")])), limit=1)
    by_id = rg.Query(filter=rg.Filter([("_server_id", "==", str(record._server_id))]))
    assert ids(dataset, by_id) == ["7"]
    since = rg.Query(filter=rg.Filter([("inserted_at", ">=", record.inserted_at)]))
    assert len(ids(dataset, since)) == 1500


def likeness(dataset: rg.Dataset) -> None:
    near = rg.Similar(name="vector", value=[1.0, 0.0])
    found = list(dataset.records(query=rg.Query(similar=near)))
    assert len(found) == 1000
    assert [record.id for record, _ in found] == [str(number) for number in range(1000)]
    assert found[0][1] == pytest.approx(1)
    record = found[500][0]
    others = list(dataset.records(query=rg.Query(similar=rg.Similar("vector", record)), limit=2))
    assert {other.id for other, _ in others} == {"499", "501"}
    least = rg.Similar(name="vector", value=[1.0, 0.0], most_similar=False)
    found = list(dataset.records(query=rg.Query(similar=least), limit=1))
    assert found[0][0].id == "1499"
    few = rg.Query(similar=near, filter=rg.Filter([("mood.response", "==", "good")]))
    assert [record.id for record, _ in dataset.records(query=few)] == ["1", "3"]


def refusals(dataset: rg.Dataset) -> None:
    with pytest.raises(UnprocessableEntityError, match="Question not found filtering by name=x"):
        ids(dataset, rg.Query(filter=rg.Filter([("x", "==", "y")])))
    with pytest.raises(UnprocessableEntityError):
        ids(dataset, rg.Query(filter=rg.Filter([])))
