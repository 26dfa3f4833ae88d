"""The real client, unchanged: a thousand utterances in, labelled, read back, changed, deleted."""

from typing import Any

import argilla as rg
import numpy as np
import pytest

from apps.core.tenancy import enter
from apps.organizations.services import create_api_key
from tests import factories
from tests.real_data import clinc150

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])


@pytest.fixture
def client(live_server: Any) -> rg.Argilla:
    organization = factories.make_organization("Sdk")
    with enter(organization.id):
        owner = factories.make_member(role="owner", username="owner")
        factories.make_workspace("intents")
        key = create_api_key(member=owner)[1]
    return rg.Argilla(api_url=live_server.url, api_key=key)


def make_dataset(client: rg.Argilla, intents: list[str]) -> rg.Dataset:
    settings = rg.Settings(
        guidelines="Which intent does the customer have?",
        fields=[rg.TextField(name="text")],
        questions=[
            rg.LabelQuestion(name="intent", labels=intents),
            rg.MultiLabelQuestion(name="topics", labels=["money", "travel"], required=False),
            rg.RatingQuestion(name="clarity", values=[1, 2, 3], required=False),
            rg.RankingQuestion(name="order", values=["a", "b"], required=False),
            rg.TextQuestion(name="reply", required=False),
            rg.SpanQuestion(name="verb", field="text", labels=["verb"], required=False),
        ],
        metadata=[
            rg.IntegerMetadataProperty(name="words"),
            rg.TermsMetadataProperty(name="split"),
            rg.FloatMetadataProperty(name="share"),
        ],
        vectors=[rg.VectorField(name="vector", dimensions=8)],
    )
    dataset = rg.Dataset(name="clinc", workspace="intents", settings=settings, client=client)
    return dataset.create()


def make_record(client: rg.Argilla, number: int, text: str, intent: str) -> rg.Record:
    suggestions = [
        rg.Suggestion("intent", intent, score=0.75, agent="teacher"),
        rg.Suggestion("topics", ["money", "travel"], score=[0.5, 0.25]),
        rg.Suggestion("verb", [{"label": "verb", "start": 0, "end": len(text.split()[0])}]),
        rg.Suggestion("order", ["b", "a"]),
    ]
    responses = [
        rg.Response(question_name, value, user_id=client.me.id, status="submitted")
        for question_name, value in (("intent", intent), ("clarity", 3), ("reply", "✓ okay 🚀"))
        if number % 10 == 0
    ]
    vector = np.random.default_rng(number).normal(size=8).round(4).tolist()
    return rg.Record(
        id=f"utterance-{number}",
        fields={"text": text},
        metadata={"words": len(text.split()), "split": "train", "share": number / 1000},
        vectors={"vector": vector},
        suggestions=suggestions,
        responses=responses,
    )


def test_a_thousand_utterances_make_the_round_trip(client: rg.Argilla):
    pairs = clinc150()[::15][:1000]
    assert len(pairs) == 1000
    dataset = make_dataset(client, sorted({intent for _, intent in pairs}))
    logged = [make_record(client, n, text, intent) for n, (text, intent) in enumerate(pairs)]
    dataset.records.log(logged)

    read = list(dataset.records(with_responses=True, with_suggestions=True, with_vectors=True))
    assert len(read) == 1000
    for number, (ours, theirs) in enumerate(zip(logged, read, strict=True)):
        assert (theirs.id, dict(theirs.fields)) == (ours.id, dict(ours.fields))
        assert dict(theirs.metadata) == dict(ours.metadata)
        assert theirs.vectors["vector"] == pytest.approx(ours.vectors["vector"], abs=1e-6)
        assert theirs.suggestions["intent"].value == pairs[number][1]
        assert theirs.suggestions["intent"].agent == "teacher"
        assert theirs.suggestions["topics"].score == [0.5, 0.25]
        assert theirs.suggestions["order"].value == ["b", "a"]
        assert theirs.suggestions["verb"].value == ours.suggestions["verb"].value
        if number % 10 == 0:
            assert theirs.responses["intent"][0].value == pairs[number][1]
            assert theirs.responses["reply"][0].value == "✓ okay 🚀"
            assert theirs.status == "completed"
        else:
            assert (len(list(theirs.responses)), theirs.status) == (0, "pending")
    assert dataset.progress() == {"total": 1000, "completed": 100, "pending": 900}

    update_and_delete(dataset)
    dataset.delete()
    assert client.datasets("clinc", workspace="intents") is None


def update_and_delete(dataset: rg.Dataset) -> None:
    first, second, third = list(dataset.records(limit=3))
    dataset.records.log([{"id": first.id, "text": "changed", "split": "test"}])
    changed = next(iter(dataset.records(with_suggestions=True, limit=1)))
    assert dict(changed.fields) == {"text": "changed"}
    assert dict(changed.metadata) == {"split": "test"}
    assert changed.suggestions["intent"].agent == "teacher"  # what is absent is kept

    second.metadata["words"] = 99
    second.update()
    assert dict(list(dataset.records(limit=2))[1].metadata)["words"] == 99

    third.delete()
    dataset.records.delete([first])
    remaining = list(dataset.records())
    assert len(remaining) == 998
    assert remaining[0].id == second.id
