"""Queries with evidence and hard negatives; retrieval sets and what is exported of them."""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest

from apps.annotation.ingest import log_records
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current
from apps.datasets.models import Dataset, VectorSettings
from apps.drafts.models import Draft
from apps.drafts.services import accept_drafts
from apps.exchange.retrieval import triplet_pages, write_beir
from apps.llms.models import Provider
from apps.organizations.models import Membership
from apps.pipelines.retrieval_sets import create_retrieval_set
from apps.quality.embeddings import embed
from apps.records.inputs import RecordInput
from apps.records.models import Record, RecordStatus, RecordVector
from tests.factories import make_dataset
from tests.llm_server.controls import LlmServer
from tests.pipelines.worlds import drafts_of, finish, start

DOCUMENTS = [
    "A lost card is blocked in the app under Card, then Block. It cannot be unblocked.",
    "A stolen card must be reported to the police before the bank pays.",
    "A new card arrives within five working days by post.",
    "The soup of the day costs four euros and comes with bread.",
    "A lost card is blocked in the app under Card, then Block. It cannot be unblocked. ",
    "Trains to Oslo leave every two hours from platform nine.",
]


@pytest.fixture
def documents(organization: object) -> Dataset:
    """Six documents with their vectors; two say the same."""
    dataset = make_dataset()
    VectorSettings.objects.create(dataset=dataset, name="words", title="Words", dimensions=256)
    VectorSettings.objects.create(dataset=dataset, name="other", title="Other", dimensions=3)
    dataset.schema_version += 1
    dataset.save()
    log_records(dataset=dataset, items=[RecordInput(fields={"text": t}) for t in DOCUMENTS])
    job = finish("embed", dataset, None, params={"vector": "words"})
    assert (job.state, job.counters["done"], job.cost) == ("done", 6, 0), job.error_sample
    return dataset


def test_vectors_come_without_a_model(documents: Dataset) -> None:
    expected = dict(zip(DOCUMENTS, embed(DOCUMENTS), strict=True))
    for row in RecordVector.objects.select_related("record"):
        assert np.allclose(row.embedding, expected[row.record.fields["text"]])
    for changes in ({"vector": "other"}, {"vector": "none"}):
        with pytest.raises(InvalidError, match="256 dimensions"):
            start("embed", documents, None, params=changes)


@pytest.fixture
def target(documents: Dataset) -> Dataset:
    return create_retrieval_set(workspace=documents.workspace, name="queries", negatives=2)


def first(documents: Dataset) -> dict[str, Any]:
    record = Record.objects.filter(dataset=documents).in_order().first()
    assert record is not None
    return {"record_ids": [str(record.id)]}


def query(text: str = "block lost card", quote: str = "under Card, then Block") -> dict[str, Any]:
    return {"type": "question", "query": text, "answer_quote": quote}


def params(target: Dataset, **more: Any) -> dict[str, Any]:
    given = {"document": "text", "target": str(target.id), "negatives": 2, "vector": "words"}
    return {**given, **more}


def test_negatives_are_the_nearest_that_say_something_else(
    documents: Dataset, target: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script("A lost card", answer={"queries": [query()]})
    job = finish(
        "retrieval", documents, provider, params=params(target), selection=first(documents)
    )
    assert job.state == "done", job.error_sample
    (draft,) = drafts_of(job)
    assert draft.dataset_id == target.id
    assert draft.fields["query"] == "block lost card"
    assert draft.fields["positive"] == DOCUMENTS[0]
    assert {draft.fields["negative_1"], draft.fields["negative_2"]} == set(DOCUMENTS[1:3])
    scores = draft.metadata["negative_scores"]
    assert scores == sorted(scores, reverse=True)
    assert draft.metadata["query_type"] == "question"
    assert draft.metadata["answer_quote"] == "under Card, then Block"
    assert draft.metadata["positive_id"] == str(draft.parents[0])
    ids = Record.objects.filter(dataset=documents).in_order().values_list("id", flat=True)
    assert set(draft.metadata["negative_ids"]) == {str(ids[1]), str(ids[2])}


def test_a_model_may_say_that_a_negative_is_none(
    documents: Dataset, target: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script("Write search queries", answer={"queries": [query()]})
    verdicts = [{"id": n, "relevant": n == 1} for n in range(1, 5)]
    llm_server.script("answers the query", answer={"passages": verdicts})
    selection = first(documents)
    job = finish(
        "retrieval",
        documents,
        provider,
        params=params(target, checked=True),
        selection=selection,
    )
    assert job.state == "done", job.error_sample
    (draft,) = drafts_of(job)
    asked = llm_server.calls()[-1]["body"]["messages"][1]["content"]
    nearest = asked.split('name="passage_1">\n')[1].split("\n</data-")[0]
    assert nearest not in draft.fields.values()
    assert "negative_2" in draft.fields


def test_a_model_may_write_the_negative(
    documents: Dataset, target: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    written = {**query(), "hard_negative": "A lost bag is reported at the desk."}
    llm_server.script("A lost card", answer={"queries": [written]})
    job = finish(
        "retrieval",
        documents,
        provider,
        params=params(target, hard="written"),
        selection=first(documents),
    )
    (draft,) = drafts_of(job)
    assert draft.fields["negative_1"] == "A lost bag is reported at the desk."
    assert draft.metadata["negative_ids"] == [""]


def test_evidence_must_stand_in_the_document(
    documents: Dataset, target: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script("cannot be used", answer={"queries": [query()]})
    llm_server.script("A lost card", answer={"queries": [query(quote="under card then block")]})
    job = finish(
        "retrieval", documents, provider, params=params(target), selection=first(documents)
    )
    assert job.state == "done", job.error_sample
    assert llm_server.ledger()["calls"] == 2
    llm_server.clear_scripts()
    llm_server.script("A lost card", answer={"queries": [query("other", quote="nowhere")]})
    job = finish(
        "retrieval",
        documents,
        provider,
        params=params(target, salt="again"),
        selection=first(documents),
    )
    assert job.state == "failed"
    assert "word for word" in job.error_sample[0]["error"]
    assert drafts_of(job) == []


def test_all_documents_at_once(documents: Dataset, target: Dataset, provider: Provider) -> None:
    job = finish("retrieval", documents, provider, params=params(target, queries=2))
    assert job.state == "done", job.error_sample
    for draft in drafts_of(job):
        assert draft.metadata["answer_quote"] in draft.fields["positive"]


def accepted(
    documents: Dataset, target: Dataset, provider: Provider, server: LlmServer, member: Membership
) -> Record:
    server.script("A lost card", answer={"queries": [query()]})
    finish("retrieval", documents, provider, params=params(target), selection=first(documents))
    outcome = accept_drafts(dataset=target, drafts=Draft.objects.all(), member=member)
    assert (outcome.taken, outcome.refused) == (1, {})
    return Record.objects.get(dataset=target)


def test_triplets_for_training(
    documents: Dataset,
    target: Dataset,
    provider: Provider,
    llm_server: LlmServer,
    member: Membership,
) -> None:
    record = accepted(documents, target, provider, llm_server, member)
    pages = triplet_pages(
        organization_id=current(), dataset_id=target.id, statuses=RecordStatus.values
    )
    lines = [json.loads(line) for page in pages for line in page.lines.splitlines()]
    assert lines == [
        {
            "anchor": "block lost card",
            "positive": DOCUMENTS[0],
            "negative": record.fields[f"negative_{n}"],
        }
        for n in (1, 2)
    ]


def test_relevance_for_measuring(
    documents: Dataset,
    target: Dataset,
    provider: Provider,
    llm_server: LlmServer,
    member: Membership,
) -> None:
    record = accepted(documents, target, provider, llm_server, member)
    archive = io.BytesIO()
    write_beir(
        archive, organization_id=current(), dataset_id=target.id, statuses=RecordStatus.values
    )
    with zipfile.ZipFile(archive) as files:
        corpus = [json.loads(line) for line in files.read("corpus.jsonl").splitlines()]
        queries = [json.loads(line) for line in files.read("queries.jsonl").splitlines()]
        qrels = files.read("qrels/test.tsv").decode().splitlines()
    ids = [record.metadata["positive_id"], *record.metadata["negative_ids"]]
    assert [one["_id"] for one in corpus] == ids
    assert corpus[0] == {"_id": ids[0], "title": "", "text": DOCUMENTS[0]}
    assert queries == [{"_id": record.external_id, "text": "block lost card"}]
    assert qrels == ["query-id\tcorpus-id\tscore", f"{record.external_id}\t{ids[0]}\t1"]


def test_records_of_people_are_exported_too(target: Dataset) -> None:
    odd = {"positive_id": "a\tb", "negative_ids": "x"}
    fields = {"query": "q", "positive": "p", "negative_1": "n", "negative_2": "p"}
    log_records(dataset=target, items=[RecordInput(fields=fields, metadata=odd)])
    archive = io.BytesIO()
    facts = {"organization_id": current(), "dataset_id": target.id}
    write_beir(archive, **facts, statuses=RecordStatus.values)
    with zipfile.ZipFile(archive) as files:
        corpus = [json.loads(line) for line in files.read("corpus.jsonl").splitlines()]
    assert [one["text"] for one in corpus] == ["p", "n"]
    assert all(len(one["_id"]) == 32 for one in corpus)
    (page,) = triplet_pages(**facts, statuses=RecordStatus.values)
    assert json.loads(page.lines) == {"anchor": "q", "positive": "p", "negative": "n"}


def test_a_retrieval_set_is_ready_for_people(target: Dataset) -> None:
    assert target.status == "ready"
    names = list(target.fields.in_order().values_list("name", flat=True))
    assert names == ["query", "positive", "negative_1", "negative_2"]
    with pytest.raises(ConflictError):
        create_retrieval_set(workspace=target.workspace, name="queries", negatives=1)
    with pytest.raises(InvalidError, match="0 to 10"):
        create_retrieval_set(workspace=target.workspace, name="more", negatives=11)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"negatives": 3}, "no field 'negative_3'"),
        ({"vector": "nothing"}, "this dataset has: words, other"),
        ({"document": "other"}, "no field"),
    ],
)
def test_what_cannot_be_is_said_before(
    documents: Dataset,
    target: Dataset,
    provider: Provider,
    changes: dict[str, Any],
    reason: str,
) -> None:
    with pytest.raises(InvalidError, match=reason):
        start("retrieval", documents, provider, params={**params(target), **changes})
