"""The explore page over plain HTTP: who sees what, what is found and why, answering many."""

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from apps.annotation.ingest import log_records
from apps.annotation.models import Response
from apps.annotation.services import save_response
from apps.datasets.models import Dataset, MetadataProperty, VectorSettings
from apps.datasets.schema import load_schema
from apps.jobs.engine import run_slice
from apps.jobs.models import Job
from apps.organizations.models import Membership, Organization
from apps.quality.embeddings import DIMENSIONS, embed
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record
from apps.search.models import SavedView
from apps.workspaces.models import Workspace
from tests import factories

SignIn = Callable[[Membership], Client]
TEXTS = [
    "My card was stolen in Paris.",
    "Somebody took my wallet on the tram.",
    "I want to book a flight to Rome.",
    "Which flights go to Rome on Friday?",
    "What is the weather like tomorrow?",
    "A new card, please: the old one is <b>broken</b>.",
]


@pytest.fixture
def dataset(workspace: Workspace) -> Dataset:
    dataset = factories.make_dataset(workspace, questions=("sentiment", "genre", "comment"))
    VectorSettings.objects.create(dataset=dataset, name="text", title="Text", dimensions=DIMENSIONS)
    for number, (name, seen) in enumerate({"language": True, "secret": False}.items(), 1):
        MetadataProperty.objects.create(
            dataset=dataset,
            name=name,
            title=name.title(),
            number=number,
            settings={"type": "terms"},
            visible_for_annotators=seen,
        )
    dataset.schema_version += 1
    dataset.save()
    sentiment = load_schema(dataset).questions["sentiment"].id
    vectors = embed(TEXTS)
    log_records(
        dataset=dataset,
        items=[
            RecordInput(
                external_id=f"t-{number}",
                fields={"text": text},
                metadata={"language": "en" if number % 2 else "fr", "secret": f"hush-{number}"},
                vectors={"text": vectors[number]},
                suggestions=[SuggestionInput(sentiment, "negative", 0.25 * number, "m", "model")]
                if number < 4
                else [],
            )
            for number, text in enumerate(TEXTS)
        ],
    )
    return dataset


@pytest.fixture
def annotator(workspace: Workspace) -> Membership:
    return factories.make_member(workspace=workspace)


@pytest.fixture
def reviewer(workspace: Workspace) -> Membership:
    return factories.make_member(role="reviewer", workspace=workspace)


@pytest.fixture
def client(annotator: Membership, sign_in: SignIn) -> Client:
    return sign_in(annotator)


def url(dataset: Dataset, query: str = "") -> str:
    path = reverse("labeling:explore", args=[dataset.id])
    return f"{path}?{query}" if query else path


def read(client: Client, address: str, code: int = 200, **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == code, response.content.decode()[:2000]
    return response.content.decode()


def found(text: str) -> list[int]:
    """The numbers of the records in the list, in its order."""
    return [int(n) for n in re.findall(r'aria-label="Select record t-(\d+)"', text)]


def answer_as(member: Membership, dataset: Dataset, number: int, value: str = "mixed") -> None:
    record = Record.objects.get(dataset=dataset, external_id=f"t-{number}")
    values = {"sentiment": {"value": value}}
    save_response(record=record, annotator=member, status="submitted", values=values)


# --- Finding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5]),
        ("q=card&mode=words", [0, 5]),
        ("q=flights+to+Rome&mode=meaning&cosine=.3", [2, 3]),
        ("q=stolen+card&mode=both&cosine=.9", [0]),
        ("meta.language=fr&q=card&mode=words", [0]),
        ("suggested.sentiment=negative&score.sentiment.from=.5", [2, 3]),
        ("mine=submitted", []),
        ("q=zzzz&mode=words", []),
    ],
)
def test_what_is_asked_in_the_address_is_found(
    client: Client, dataset: Dataset, query: str, expected: list[int]
) -> None:
    assert sorted(found(read(client, url(dataset, query)))) == expected


def test_a_hit_says_why_and_marks_the_words(client: Client, dataset: Dataset) -> None:
    text = read(client, url(dataset, "q=card+stolen|card&mode=both&cosine=.2"))
    assert "My <mark>card</mark> was <mark>stolen</mark> in Paris." in text
    assert "<mark>card</mark>, please: the old one is &lt;b&gt;broken&lt;/b&gt;." in text
    assert "words + meaning" in text
    assert "meaning only" in read(client, url(dataset, "q=credit&mode=meaning&cosine=.1"))


def test_records_like_one_and_unlike_it(client: Client, dataset: Dataset) -> None:
    first = Record.objects.get(external_id="t-2")
    text = read(client, url(dataset, f"like={first.id}&cosine=.3"))
    assert found(text)[0] == 3
    assert 2 not in found(text)
    assert "like t-2" in text
    assert 'value="0.30"' in text
    least = found(read(client, url(dataset, f"like={first.id}&least=1")))
    assert sorted(least) == [0, 1, 3, 4, 5]
    assert least[-1] == 3


def test_roles_see_what_is_theirs(
    dataset: Dataset, annotator: Membership, reviewer: Membership, sign_in: SignIn
) -> None:
    answer_as(annotator, dataset, 0)
    other = factories.make_member(workspace=dataset.workspace, first_name="Bo", last_name="Lind")
    answer_as(other, dataset, 1, "positive")
    mine = read(sign_in(annotator), url(dataset))
    assert "Bo Lind" not in mine
    assert "Answered by" not in mine
    assert "hush" not in mine
    assert mine.count("data-open href") == 1  # only one's own can be opened
    seen = read(sign_in(reviewer), url(dataset))
    assert "Bo Lind:" in seen
    assert "hush-3" in seen
    assert seen.count("data-open href") == 6
    by = read(sign_in(reviewer), url(dataset, f"by={other.id}"))
    assert found(by) == [1]
    ignored = read(sign_in(annotator), url(dataset, f"by={other.id}"))
    assert len(found(ignored)) == 6
    told = read(sign_in(annotator), url(dataset, "meta.secret=hush-1"))
    assert "no property “secret”" in told
    assert found(read(sign_in(annotator), url(dataset, "answered.sentiment=positive"))) == []


def test_strangers_find_nothing(dataset: Dataset, sign_in: SignIn) -> None:
    stranger = sign_in(factories.make_member(workspace=factories.make_workspace()))
    record = Record.objects.first()
    assert record is not None
    read(stranger, url(dataset), 404)
    for name in ("explore_answer", "keep_view"):
        path = reverse(f"labeling:{name}", args=[dataset.id])
        assert stranger.post(path, {"name": "x"}).status_code == 404
    assert Client().get(url(dataset)).status_code == 302
    assert Client().get(url(dataset), headers={"HX-Request": "true"}).status_code == 401


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("mode=magic", "no way to search called “magic”"),
        ("like=nonsense", "“nonsense” is not the id of a record"),
        ("like=00000000-0000-4000-8000-000000000000", "The record to be like was deleted"),
        ("vector=gone", "no vector “gone” any more"),
        ("q=x&cosine=far", "“far” is not a number"),
        ("suggested.gone=x", "no question “gone” any more"),
        ("meta.gone=x", "no property “gone” any more"),
        ("q=%E2%98%83&mode=meaning", ""),
        ("at=nonsense", ""),
        ("q=card&at=-5", ""),
        ("q=card&at=99999999999999999999", ""),
        ("q=%00%00card", ""),
        ("%00=1&meta.language=%00", ""),
        ("q=%22((((-|+*", ""),
        ("mine=pending&mine=lost", "no status “lost”"),
        ("meta.language=" + "x" * 16_000, "This search is too long"),
    ],
)
def test_a_broken_address_is_said_and_breaks_nothing(
    client: Client, dataset: Dataset, query: str, told: str
) -> None:
    assert told in read(client, url(dataset, query))


def test_a_vector_setting_that_vanished(client: Client, dataset: Dataset) -> None:
    first = Record.objects.get(external_id="t-2")
    VectorSettings.objects.all().delete()
    Dataset.objects.update(schema_version=dataset.schema_version + 1)
    assert "no vector that others" in read(client, url(dataset, f"like={first.id}"))
    text = read(client, url(dataset, "q=card&mode=meaning"))
    assert found(text) == [0, 5]  # by its words
    assert 'name="mode"' not in text


def test_pages_follow_one_another(
    client: Client, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.labeling.explore.PAGE", 4)
    for query in ("", "q=flight&mode=meaning&cosine=-1", "q=%2A&mode=words"):
        text = read(client, url(dataset, query))
        more = re.search(r'href="([^"]+)" data-more-hits', text)
        assert more is not None
        rest = read(client, more[1].replace("&amp;", "&"))
        assert sorted(found(text) + found(rest)) == [*range(6)]
        assert "data-more-hits" not in rest


def test_nothing_found_says_the_nearest_way_out(client: Client, dataset: Dataset) -> None:
    text = read(client, url(dataset, "q=card&mode=words&meta.language=fr&mine=draft"))
    assert "No record matches all of this" in text
    assert "there would be 1 record" in text
    assert "Search by meaning" in text
    Record.objects.all().delete()
    empty = factories.make_dataset(dataset.workspace)
    assert "No records yet" in read(client, url(empty))


def test_facets_count_and_stay_checked(client: Client, dataset: Dataset) -> None:
    text = read(client, url(dataset, "meta.language=fr"))
    assert re.search(r'name="meta.language" value="fr" checked>.*?class="n">3<', text)
    assert re.search(r'name="meta.language" value="en">.*?class="n">3<', text)
    assert re.search(r'name="suggested.sentiment" value="negative">.*?class="n">2<', text)
    assert 'aria-label="Score: Sentiment: how many' in text
    assert 'name="suggested.genre"' not in text


def test_facets_of_a_german_page_are_german(client: Client, dataset: Dataset) -> None:
    text = read(client, url(dataset), **{"Accept-Language": "de"})
    assert '<span title="Abgeschlossen">' in text
    assert "Completed" not in text
    assert "Pending" not in text


def test_the_cost_in_statements_does_not_grow_with_records(
    client: Client, dataset: Dataset, django_assert_num_queries: Any, annotator: Membership
) -> None:
    answer_as(annotator, dataset, 0)
    read(client, url(dataset))
    with django_assert_num_queries(15):
        read(client, url(dataset))
    factories.make_records(dataset, 30)
    with django_assert_num_queries(15):
        read(client, url(dataset))


def test_a_script_gets_the_page_without_its_frame(client: Client, dataset: Dataset) -> None:
    text = read(client, url(dataset), **{"HX-Request": "true"})
    assert "<html" not in text
    assert 'id="explore"' in text


# --- Views --------------------------------------------------------------------------------------


def test_views_are_kept_shared_and_forgotten(
    client: Client, dataset: Dataset, annotator: Membership, reviewer: Membership, sign_in: SignIn
) -> None:
    path = reverse("labeling:keep_view", args=[dataset.id])
    query = "q=card&mode=words&bogus=1"
    kept = client.post(path, {"name": "Cards", "query": query, "shared": "1"})
    assert kept.headers["Location"] == url(dataset, "q=card&mode=words")
    view = SavedView.objects.get()
    assert (view.owner_id, view.query, view.is_shared) == (annotator.id, "q=card&mode=words", True)
    assert "Cards" in read(sign_in(reviewer), url(dataset))
    forget = reverse("labeling:forget_view", args=[dataset.id, view.id])
    assert sign_in(reviewer).post(forget).status_code == 403
    assert client.post(forget, {"query": "q=card"}).headers["Location"] == url(dataset, "q=card")
    assert client.post(forget).status_code == 404
    assert not SavedView.objects.exists()
    wrong = client.post(path, {"name": " ", "query": query})
    assert wrong.status_code == 422
    assert "A view needs a name." in wrong.content.decode()
    owner = factories.make_member(role="owner")
    client.post(path, {"name": "Mine", "query": "", "shared": "1"})
    forget = reverse("labeling:forget_view", args=[dataset.id, SavedView.objects.get().id])
    assert sign_in(owner).post(forget).status_code == 302


def test_a_view_of_a_question_that_is_gone_still_opens(client: Client, dataset: Dataset) -> None:
    assert "no question “old” any more" in read(client, url(dataset, "answered.old=x&q=card"))


# --- Answering many -----------------------------------------------------------------------------


def post(client: Client, dataset: Dataset, data: dict[str, Any], **headers: str) -> Any:
    path = reverse("labeling:explore_answer", args=[dataset.id])
    return client.post(path, data, headers=headers)


def ids(dataset: Dataset, *numbers: int) -> list[str]:
    names = [f"t-{number}" for number in numbers]
    by_name = dict(Record.objects.filter(dataset=dataset).values_list("external_id", "id"))
    return [str(by_name[name]) for name in names]


def expected(response: Any) -> str:
    told = re.search(r'name="expected" value="(\d+)"', response.content.decode())
    assert told is not None, response.content.decode()
    return told[1]


def run(organization: Organization) -> Job:
    """As a worker would."""
    job = Job.objects.newest_first().first()
    assert job is not None
    while run_slice(organization_id=organization.id, job_id=job.id):
        pass
    return Job.objects.get(id=job.id)


def stored(member: Membership) -> dict[str, Any]:
    rows = Response.objects.filter(user=member).select_related("record")
    return {
        row.record.external_id: (row.status, {n: v["value"] for n, v in row.values.items()})
        for row in rows
    }


def test_plain_forms_answer_the_picked_ones(
    client: Client, dataset: Dataset, annotator: Membership, organization: Organization
) -> None:
    answer_as(annotator, dataset, 1)
    form = {"record": ids(dataset, 0, 1, 2), "keep": "1", "q.sentiment": "positive", "do": "submit"}
    check = post(client, dataset, form)
    assert check.status_code == 200
    assert "Submit 2" in check.content.decode()
    assert stored(annotator).keys() == {"t-1"}
    begun = post(client, dataset, {**form, "expected": expected(check)})
    assert begun.status_code == 302
    assert "Waiting to begin" in read(client, url(dataset))
    job = run(organization)
    assert (job.state, job.done, job.failed) == ("done", 3, 0)
    assert stored(annotator) == {
        "t-0": ("submitted", {"sentiment": "positive"}),
        "t-1": ("submitted", {"sentiment": "mixed"}),
        "t-2": ("submitted", {"sentiment": "positive"}),
    }
    text = read(client, url(dataset))
    assert "2 answers stored" in text
    assert "1 of mine kept" in text
    undo = reverse("labeling:explore_undo", args=[dataset.id, job.id])
    assert client.post(undo).status_code == 302
    run(organization)
    assert stored(annotator) == {"t-1": ("submitted", {"sentiment": "mixed"})}
    text = read(client, url(dataset))
    assert "2 answers are as they were before" in text
    assert "data-undo" not in text


def test_all_that_match_take_their_own_suggestions(
    client: Client, dataset: Dataset, annotator: Membership, organization: Organization
) -> None:
    answer_as(annotator, dataset, 3)
    query = urlencode({"meta.language": "en"})
    form = {"all": "1", "query": query, "accept": "sentiment", "q.comment": "seen", "do": "submit"}
    check = post(client, dataset, form, **{"HX-Request": "true"})
    told = check.content.decode()
    assert "<html" not in told
    assert re.findall(r"<dt>([^<]+)</dt><dd>(?:<b>)?(\d)", told)[:3] == [
        ("New answers", "1"),
        ("Mine, overwritten", "1"),
        ("Left out, incomplete", "1"),
    ]
    begun = post(client, dataset, {**form, "expected": "2"}, **{"HX-Request": "true"})
    assert (begun.status_code, begun.headers["HX-Redirect"]) == (204, url(dataset, query))
    log_records(
        dataset=dataset,
        items=[
            RecordInput(fields={"text": "late"}, metadata={"language": "en"}, external_id="t-9")
        ],
    )
    job = run(organization)
    assert job.total == 3
    assert stored(annotator) == {
        "t-1": ("submitted", {"sentiment": "negative", "comment": "seen"}),
        "t-3": ("submitted", {"sentiment": "negative", "comment": "seen"}),
    }
    details = read(client, reverse("labeling:explore_job", args=[dataset.id, job.id]))
    assert "t-5" in details
    assert "missing response value" in details


def test_what_changed_meanwhile_stores_nothing(
    client: Client, dataset: Dataset, annotator: Membership
) -> None:
    form = {"record": ids(dataset, 0, 1), "keep": "1", "q.sentiment": "mixed", "do": "submit"}
    count = expected(post(client, dataset, form))
    answer_as(annotator, dataset, 1)
    again = post(client, dataset, {**form, "expected": count})
    assert again.status_code == 409
    assert "has changed since you looked" in again.content.decode()
    assert expected(again) == "1"
    assert not Job.objects.exists()
    Record.objects.filter(dataset=dataset).delete()
    gone = post(client, dataset, {**form, "expected": "1"})
    assert (gone.status_code, expected(gone)) == (409, "0")


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"q.sentiment": "mixed"}, "No record is selected"),
        ({"record": "nonsense", "q.sentiment": "mixed"}, "selected records is none"),
        ({"all": "1"}, "No question is answered yet"),
        ({"all": "1", "q.sentiment": "gone"}, "not a valid label"),
        ({"all": "1", "accept": "gone"}, "changed or deleted meanwhile"),
        ({"all": "1", "query": "meta.gone=x", "q.sentiment": "mixed"}, "no property “gone”"),
        ({"all": "1", "query": "like=x", "q.sentiment": "mixed"}, "not the id of a record"),
        (
            {"all": "1", "query": f"meta.language={'x' * 16_000}&mine=draft"}
            | {"q.sentiment": "mixed"},
            "too long",
        ),
        (
            {
                "all": "1",
                "query": "like=00000000-0000-4000-8000-000000000000",
                "q.sentiment": "mixed",
            },
            "was deleted",
        ),
    ],
)
def test_what_cannot_be_done_is_said(
    client: Client, dataset: Dataset, form: dict[str, Any], told: str
) -> None:
    for do, code in (("check", 200), ("submit", 422)):
        response = post(client, dataset, {**form, "do": do, "expected": "6"})
        assert told in response.content.decode()
        assert response.status_code in {code, 422}
    assert not Job.objects.exists()


def test_drafts_and_discarded_ones_need_no_answer(
    client: Client, dataset: Dataset, annotator: Membership, organization: Organization
) -> None:
    for do, status, number in (("draft", "draft", 0), ("discard", "discarded", 1)):
        form = {"record": ids(dataset, number), "do": do, "expected": "1"}
        assert post(client, dataset, form).status_code == 302
        run(organization)
        assert stored(annotator)[f"t-{number}"] == (status, {})


def test_spans_of_many_can_only_be_none(
    workspace: Workspace, client: Client, annotator: Membership, organization: Organization
) -> None:
    dataset = factories.make_dataset(workspace, questions=("entities", "order"))
    record = factories.make_records(dataset)[0]
    text = read(client, url(dataset))
    assert "Nothing to mark" in text
    span = json.dumps({"start": 0, "end": 2, "label": "place"})
    form = {"record": str(record.id), "q.entities": span, "do": "submit", "expected": "1"}
    assert post(client, dataset, form).status_code == 422
    assert post(client, dataset, {**form, "q.entities": "[]"}).status_code == 302
    run(organization)
    assert Response.objects.get().values == {"entities": {"value": []}}


def test_a_job_is_its_persons_alone(
    client: Client, dataset: Dataset, reviewer: Membership, sign_in: SignIn
) -> None:
    form = {"record": ids(dataset, 0), "q.sentiment": "mixed", "do": "submit", "expected": "1"}
    post(client, dataset, form)
    job = Job.objects.get()
    for name in ("explore_cancel", "explore_undo"):
        path = reverse(f"labeling:{name}", args=[dataset.id, job.id])
        assert sign_in(reviewer).post(path).status_code == 404
    page = reverse("labeling:explore_job", args=[dataset.id, job.id])
    assert sign_in(reviewer).get(page).status_code == 404
    assert "Waiting to begin" not in read(sign_in(reviewer), url(dataset))
    stop = reverse("labeling:explore_cancel", args=[dataset.id, job.id])
    for _ in range(2):  # a double click
        assert client.post(stop).status_code == 302
    assert "Stopped." in read(client, page)
    undo = reverse("labeling:explore_undo", args=[dataset.id, job.id])
    assert client.post(undo).status_code == 302  # nothing to undo
    assert Job.objects.count() == 1
