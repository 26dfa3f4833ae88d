"""A part of the queue: words, filters and a sort, in the address, under lease."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.annotation.distribution import claim
from apps.annotation.ingest import log_records
from apps.annotation.models import Annotator, Lease, Response
from apps.datasets.models import Dataset, MetadataProperty, Question
from apps.organizations.models import Membership
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record
from apps.workspaces.models import Workspace
from tests import factories
from tests.labeling.test_annotate import SignIn, address, page

TEXTS = ("My card was stolen", "A refund please", "The card is late", "Refund my card")
ANSWER = {"do": "submit", "q.sentiment": "positive"}


@pytest.fixture
def dataset(workspace: Workspace) -> Dataset:
    """Four records: every other one in French, scores .8, .6, .4, .2."""
    dataset = factories.make_dataset(workspace, questions=("sentiment",))
    for number, (name, type) in enumerate((("language", "terms"), ("price", "float")), 1):
        MetadataProperty.objects.create(
            dataset=dataset,
            name=name,
            title=name.capitalize(),
            number=number,
            settings={"type": type},
            visible_for_annotators=name == "language",
        )
    question = Question.objects.get(dataset=dataset)
    log_records(
        dataset=dataset,
        items=[
            RecordInput(
                external_id=f"r{n}",
                fields={"text": text},
                metadata={"language": ["English", "French"][n % 2], "price": 10.0 - n},
                suggestions=[SuggestionInput(question.id, "positive", 0.8 - 0.2 * n)],
            )
            for n, text in enumerate(TEXTS)
        ],
    )
    return dataset


@pytest.fixture
def ann(workspace: Workspace) -> Membership:
    return factories.make_member(workspace=workspace)


@pytest.fixture
def client(ann: Membership, sign_in: SignIn) -> Client:
    return sign_in(ann)


def shown(answer: Any) -> str:
    """The record on the page; empty for none."""
    found = re.search(r'data-title="Record (\S+)', answer.content.decode())
    return found[1] if found else ""


def places(answer: Any) -> str:
    found = re.search(r"\d+ of \d+", answer.content.decode())
    return found[0] if found else ""


def record(name: str) -> Record:
    return Record.objects.get(external_id=name)


def walk(client: Client, url: str, query: str) -> list[str]:
    """Answer what comes, as plain forms, until nothing does."""
    seen = []
    answer = client.get(url)
    while name := shown(answer):
        seen.append(name)
        form = {**ANSWER, "query": query}
        answer = client.post(address("save", record(name)), form, follow=True)
    return seen


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=card", ["r0", "r2", "r3"]),
        ("meta.language=French", ["r1", "r3"]),
        ("q=card&meta.language=French", ["r3"]),
        ("score.sentiment.from=0.5", ["r0", "r1"]),
        ("suggested.sentiment=positive&score.sentiment.to=.45", ["r2", "r3"]),
        ("sort=score.sentiment", ["r3", "r2", "r1", "r0"]),
        ("sort=-score.sentiment", ["r0", "r1", "r2", "r3"]),
        ("sort=certainty&q=card", ["r3", "r2", "r0"]),
        ("sort=meta.language", ["r0", "r2", "r1", "r3"]),
        ("sort=-meta.language&q=card", ["r3", "r0", "r2"]),
    ],
)
def test_what_is_asked_is_what_comes(
    client: Client, dataset: Dataset, query: str, names: list[str]
) -> None:
    assert walk(client, f"{page(dataset)}?{query}", query) == names
    assert Response.objects.count() == len(names)


def test_the_queue_goes_on_where_it_was_after_a_filter(client: Client, dataset: Dataset) -> None:
    """What the filter left out is neither skipped nor put off."""
    assert walk(client, f"{page(dataset)}?q=late", "q=late") == ["r2"]
    assert not Annotator.objects.filter(cursor_id__isnull=False).exists()
    assert walk(client, page(dataset), "") == ["r0", "r1", "r3"]


def test_nothing_is_handed_out_twice_nor_too_often(
    client: Client, dataset: Dataset, workspace: Workspace, sign_in: SignIn
) -> None:
    bob = sign_in(factories.make_member(workspace=workspace))
    url = f"{page(dataset)}?q=card"
    assert [shown(client.get(url)), shown(client.get(url))] == ["r0", "r0"]
    assert shown(bob.get(url)) == "r2"
    ahead = f"{reverse('labeling:ahead', args=[dataset.id])}?q=card&have={record('r0').id}"
    text = client.get(ahead).content.decode()
    assert re.findall(r'data-title="Record (\S+)', text) == ["r3"]
    assert Lease.objects.count() == len(set(Lease.objects.values_list("record_id", flat=True))) == 3
    assert "Held for you" not in bob.get(f"{page(dataset)}?q=stolen").content.decode()


def test_what_is_held_and_does_not_match_does_not_come(
    client: Client, dataset: Dataset, ann: Membership
) -> None:
    claim(dataset=dataset, annotator=ann)
    assert shown(client.get(f"{page(dataset)}?q=refund")) == "r1"


def test_skipping_reaches_all_before_it_comes_round(client: Client, dataset: Dataset) -> None:
    answer = client.get(f"{page(dataset)}?q=card")
    seen = [shown(answer)]
    for _ in range(3):
        query = re.search(
            r'/skip/">.*?name="query" value="([^"]*)"', answer.content.decode(), re.DOTALL
        )
        assert query
        given = {"query": query[1].replace("&amp;", "&")}
        answer = client.post(address("skip", record(seen[-1])), given, follow=True)
        seen.append(shown(answer))
    assert seen == ["r0", "r2", "r3", "r0"]


def test_the_place_counts_what_matches(client: Client, dataset: Dataset) -> None:
    query = "q=card"
    answer = client.get(f"{page(dataset)}?{query}")
    assert places(answer) == "1 of 3"
    form = {**ANSWER, "query": query}
    headers = {"HX-Request": "true", "X-Receipt": "1"}
    for status, is_new in (("draft", True), ("submit", False)):
        saving = {**form, "do": status}
        receipt = client.post(address("save", record("r0")), saving, headers=headers)
        assert ("data-new" in receipt.content.decode()) == is_new
    assert places(client.get(f"{page(dataset)}?{query}")) == "2 of 3"


def test_own_answers_are_browsed_under_a_filter(client: Client, dataset: Dataset) -> None:
    for number, do in enumerate(("submit", "draft", "submit", "discard")):
        client.post(address("save", record(f"r{number}")), {**ANSWER, "do": do})
    found = client.get(f"{page(dataset)}?status=all&q=card&sort=score.sentiment")
    assert (shown(found), places(found)) == ("r3", "1 of 3")
    after = re.search(r'data-go="next" href="([^"]+)"', found.content.decode())
    assert after
    second = client.get(after[1].replace("&amp;", "&"))
    assert (shown(second), places(second)) == ("r2", "2 of 3")
    assert shown(client.get(f"{page(dataset)}?status=submitted&q=late")) == "r2"
    everything = client.get(f"{page(dataset)}?status=all")
    assert (shown(everything), places(everything)) == ("r3", "4 of 4")
    nothing = client.get(f"{page(dataset)}?status=draft&q=stolen").content.decode()
    assert "No record here matches" in nothing
    assert "Drop all filters: 1 record" in nothing


def test_an_empty_part_says_so_and_offers_the_way_out(client: Client, dataset: Dataset) -> None:
    text = client.get(f"{page(dataset)}?q=refund&meta.language=English").content.decode()
    assert "No record here matches" in text
    assert "Drop all filters: 4 records" in text
    assert "Without “Language: English”: 2" in text
    assert "Without “refund”: 2" in text
    text = client.get(f"{page(dataset)}?q=nowhere").content.decode()
    assert "in no record of this queue" in text


def test_what_is_with_others_is_waited_for(
    client: Client, dataset: Dataset, workspace: Workspace
) -> None:
    claim(dataset=dataset, annotator=factories.make_member(workspace=workspace), limit=4)
    text = client.get(f"{page(dataset)}?q=stolen").content.decode()
    assert "1 record matches, and is with a colleague now." in text
    assert f'data-waits="{page(dataset)}?q=stolen"' in text


@pytest.mark.parametrize(
    "query",
    [
        *("sort=meta.price", "sort=nothing", "sort=-", "sort=--oldest", "meta.price.from=1"),
        *("suggested.gone=1", "score.sentiment.from=x", "q=%00", "passed=x&q=card", "meta.=x"),
    ],
)
def test_what_makes_no_sense_is_left_out_and_said(
    client: Client, dataset: Dataset, query: str
) -> None:
    """An annotator neither sorts nor filters by what is hidden from them."""
    for name in ("annotate", "ahead", "annotate_filter"):
        url = f"{reverse(f'labeling:{name}', args=[dataset.id])}?{query}"
        assert client.get(url).status_code == 200
    form = {**ANSWER, "query": query}
    assert client.post(address("save", record("r0")), form).status_code == 302
    assert client.post(address("skip", record("r1")), {"query": query}).status_code == 302


def test_the_filters_say_what_they_would_leave(client: Client, dataset: Dataset) -> None:
    client.post(address("save", record("r0")), ANSWER)
    text = client.get(reverse("labeling:annotate_filter", args=[dataset.id])).content.decode()
    found = dict(re.findall(r'title="(\w+)">\w+</span><span class="n">(\d+)<', text))
    assert found["English"] == "1"
    assert found["French"] == "2"
    assert 'name="meta.price' not in text
    assert 'name="mine"' not in text


def test_an_answer_counts_no_matches(client: Client, dataset: Dataset) -> None:
    """The page adds one to what it was told: counting all of them takes long."""
    headers = {"HX-Request": "true", "X-Receipt": "1"}
    ahead = reverse("labeling:ahead", args=[dataset.id])
    client.get(f"{page(dataset)}?q=card")
    costs = []
    for query in ("sort=certainty", "q=card"):
        with CaptureQueriesContext(connection) as asked:
            client.post(address("save", record("r0")), {**ANSWER, "query": query}, headers=headers)
            coming = client.get(f"{ahead}?{query}", headers=headers).content.decode()
        assert "data-record" in coming
        assert ('id="matching"' in coming) == (query == "q=card")
        costs.append([one for one in asked if "x.record_id IS NOT NULL" in one["sql"]])
    assert costs == [[], []]


def test_the_page_without_a_filter_costs_what_it_did(client: Client, dataset: Dataset) -> None:
    """A part takes its count, and a look at what is held; nothing of that is asked without one."""
    client.get(page(dataset))
    counts = []
    for url in (page(dataset), f"{page(dataset)}?q=card&meta.language=English&sort=certainty"):
        with CaptureQueriesContext(connection) as asked:
            assert shown(client.get(url)) == "r0"
        counts.append(len(asked))
    assert counts == [15, 17]
