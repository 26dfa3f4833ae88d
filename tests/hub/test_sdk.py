"""The real client, our server and the same Hub: what one of the two wrote, the other reads."""

from typing import Any

import argilla as rg
import pytest

from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.organizations.models import Organization
from apps.organizations.services import create_api_key
from apps.records.models import Record, RecordVector, Suggestion
from tests import factories
from tests.hub.server import TOKEN, Hub
from tests.hub.worlds import export_to, import_from, mapping, rejects

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])

SPANS = [{"label": "verb", "start": 0, "end": 2}]


@pytest.fixture
def tenant() -> Organization:
    return factories.make_organization("Sdk")


@pytest.fixture
def client(tenant: Organization, live_server: Any) -> rg.Argilla:
    with enter(tenant.id):
        owner = factories.make_member(role="owner", username="owner")
        factories.make_workspace("intents")
        key = create_api_key(member=owner)[1]
    return rg.Argilla(api_url=live_server.url, api_key=key)


@pytest.fixture
def made(client: rg.Argilla) -> rg.Dataset:
    settings = rg.Settings(
        guidelines="Which intent?",
        fields=[rg.TextField(name="text"), rg.ChatField(name="talk", required=False)],
        questions=[
            rg.LabelQuestion(name="intent", labels=["pay", "ask"]),
            rg.MultiLabelQuestion(name="topics", labels=["money", "travel"], required=False),
            rg.RatingQuestion(name="clarity", values=[1, 2, 3], required=False),
            rg.TextQuestion(name="reply", required=False),
            rg.SpanQuestion(name="verb", field="text", labels=["verb"], required=False),
        ],
        metadata=[
            rg.IntegerMetadataProperty(name="words"),
            rg.TermsMetadataProperty(name="split"),
        ],
        vectors=[rg.VectorField(name="vector", dimensions=3)],
    )
    dataset = rg.Dataset(name="made", workspace="intents", settings=settings, client=client)
    dataset.create()
    dataset.records.log(
        [
            rg.Record(
                id=str(number),
                fields={"text": f"go {number}", "talk": [{"role": "user", "content": "hi"}]},
                metadata={"words": number, "split": "train"},
                vectors={"vector": [0.5, 1.0, float(number)]},
                suggestions=[
                    rg.Suggestion("intent", "ask", score=0.75, agent="teacher"),
                    rg.Suggestion("topics", ["money", "travel"], score=[0.5, 0.25]),
                    rg.Suggestion("verb", SPANS),
                ],
                responses=[
                    rg.Response("intent", "pay", user_id=client.me.id, status="submitted"),
                    rg.Response("clarity", 3, user_id=client.me.id, status="submitted"),
                    rg.Response("reply", "✓ 🚀", user_id=client.me.id, status="submitted"),
                ],
            )
            for number in range(20)
        ]
    )
    return dataset


def told(dataset: rg.Dataset) -> list[dict[str, Any]]:
    """The client's own view of the records, without what belongs to one server's rows alone."""
    records = dataset.records(with_suggestions=True, with_responses=True, with_vectors=True)
    rows = []
    for record in records:
        row = record.to_dict()
        row.pop("_server_id", None)
        rows.append(row)
    return sorted(rows, key=lambda row: int(row["id"]))


def test_the_client_reads_our_export(
    hub: Hub, client: rg.Argilla, made: rg.Dataset, tenant: Organization
) -> None:
    with enter(tenant.id):
        job = export_to(Dataset.objects.get(name="made"))
        assert (job.state, job.error_sample) == ("done", [])
    copy = rg.Dataset.from_hub(
        "ann/export", name="copy", workspace="intents", client=client, settings="auto"
    )
    assert copy.settings.guidelines == "Which intent?"
    assert [question.name for question in copy.settings.questions] == [
        question.name for question in made.settings.questions
    ]
    wanted = told(made)
    for row in wanted:
        row["metadata"]["split"] = [row["metadata"]["split"]]  # terms are always a list there
    assert told(copy) == wanted


def test_we_import_what_the_client_pushed(
    hub: Hub, client: rg.Argilla, made: rg.Dataset, tenant: Organization
) -> None:
    made.to_hub("ann/pushed", token=TOKEN, generate_card=False)
    settings = made.settings
    rg.Dataset(name="twin", workspace="intents", settings=settings, client=client).create()
    how = mapping(
        *("text", "talk"),
        metadata=("words", "split"),
        suggestions=(
            *("intent.suggestion>intent", "intent.suggestion.score>intent.score"),
            *("topics.suggestion>topics", "verb.suggestion>verb"),
        ),
        vectors=("vector",),
        external_id="id",
    )
    with enter(tenant.id):
        job = import_from(Dataset.objects.get(name="twin"), how, name="ann/pushed")
        assert (job.state, rejects(job)) == ("done", {})
        rows = Record.objects.filter(dataset__name="twin")
        assert rows.count() == 20
        first = rows.get(external_id="7")
        assert first.fields == {"text": "go 7", "talk": [{"role": "user", "content": "hi"}]}
        assert first.metadata == {"words": 7, "split": "train"}
        found = Suggestion.objects.filter(record=first)
        assert dict(found.values_list("question__name", "value")) == {
            "intent": "ask",
            "topics": ["money", "travel"],
            "verb": SPANS,
        }
        assert list(RecordVector.objects.get(record=first).embedding) == [0.5, 1.0, 7.0]
