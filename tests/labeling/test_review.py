"""Review, comments, feedback and gaps as plain forms: who may, what happens, what it costs."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.annotation.models import Response
from apps.annotation.services import save_response
from apps.datasets.models import Dataset, Question
from apps.labeling.review_page import read_seen
from apps.labeling.review_values import word_diff
from apps.organizations.models import Membership
from apps.quality import review, talk
from apps.quality.models import (
    Adjudication,
    Comment,
    DatasetReview,
    Feedback,
    Flag,
    GuidelineGap,
    Mention,
    ReviewItem,
)
from apps.records.models import Record
from apps.workspaces.models import Workspace
from tests import factories

SignIn = Callable[[Membership], Client]
QUESTIONS = ("sentiment", "genre", "quality", "order", "comment", "entities")


def span(start: int, end: int) -> dict[str, Any]:
    return {"start": start, "end": end, "label": "person"}


def ranking(text: str) -> list[dict[str, Any]]:
    return [{"value": value, "rank": place} for place, value in enumerate(text, 1)]


SAID: list[dict[str, Any]] = [
    {
        "sentiment": "mixed",
        "genre": ["comedy", "drama"],
        "quality": 2,
        "order": ranking("abc"),
        "comment": "a warm old lighthouse",
        "entities": [span(0, 4)],
    },
    {
        "sentiment": "positive",
        "genre": ["drama"],
        "quality": 5,
        "order": ranking("bac"),
        "comment": "a cold old lighthouse",
        "entities": [span(0, 4), span(5, 11)],
    },
]


@dataclass
class World:
    dataset: Dataset
    records: list[Record]
    people: dict[str, Membership]
    clients: dict[str, Client] = field(default_factory=dict)

    def url(self, name: str, *more: Any) -> str:
        return reverse(f"labeling:{name}", args=[self.dataset.id, *more])

    @property
    def queue(self) -> str:
        return self.url("review")


@pytest.fixture
def world(workspace: Workspace, sign_in: SignIn) -> World:
    roles = {"ana": "annotator", "bo": "annotator", "rita": "reviewer", "sam": "reviewer"}
    roles |= {"ada": "admin"}
    people = {
        name: factories.make_member(role=role, username=name, workspace=workspace)
        for name, role in roles.items()
    }
    people["out"] = factories.make_member(role="reviewer", username="out")
    dataset = factories.make_dataset(
        workspace, questions=QUESTIONS, required=[], min_submitted=2, guidelines="**Judge.**"
    )
    DatasetReview.objects.create(dataset=dataset, random_percent=0)
    records = factories.make_records(dataset, 2)
    for record in records:
        for name, values in zip(("ana", "bo"), SAID, strict=True):
            submit(record, people[name], **values)
    review.refresh_records(dataset=dataset, record_ids=[record.id for record in records])
    clients = {name: sign_in(member) for name, member in people.items()}
    return World(dataset, records, people, clients)


def submit(record: Record, member: Membership, **values: Any) -> Response:
    wrapped = {name: {"value": value} for name, value in values.items()}
    saved = save_response(record=record, annotator=member, status="submitted", values=wrapped)
    return saved.response


def form(page: str) -> dict[str, str]:
    """The hidden field that says what the decision rests on."""
    (seen,) = re.findall(r'name="seen" value="([^"]*)"', page)
    return {"seen": html.unescape(seen)}


def choices(world: World, **given: str) -> dict[str, str]:
    """All questions can't be decided, but for those given."""
    return {f"d.{name}": "ambiguous" for name in QUESTIONS} | {
        f"d.{name}": code for name, code in given.items()
    }


def test_answers_stand_side_by_side(world: World) -> None:
    page = world.clients["rita"].get(world.queue).content.decode()
    assert f"Record {world.records[0].external_id}" in page
    for text in ("People disagree", "1 of 2", "1 to 1", "from 2 to 5, mean 3.5", "50 % alike"):
        assert text in page
    assert "mean ranks: A 1.5, B 1.5, C 3.0" in page
    assert "<del>warm </del><ins>cold </ins>" in page
    assert "Person 2" in page, "both marked the same four characters"
    assert "what most marked" not in page, "it is what ana marked"


def test_two_reviewers_see_different_records(world: World) -> None:
    first = world.clients["rita"].get(world.queue).content.decode()
    second = world.clients["sam"].get(world.queue).content.decode()
    third = world.clients["ada"].get(world.queue).content.decode()
    assert world.records[0].external_id in first
    assert world.records[1].external_id in second
    assert "Others have it in hand" in third
    held = world.clients["ada"].get(f"{world.queue}?record={world.records[0].id}").content.decode()
    assert "rita is reviewing this record now" in held
    url = world.url("judge", world.records[0].id)
    refused = world.clients["ada"].post(url, form(held) | choices(world))
    assert refused.status_code == 409
    assert "rita is reviewing this record." in refused.content.decode()
    assert not Adjudication.objects.exists()


def test_the_next_record_is_made_ready_and_held_beside_this_one(world: World) -> None:
    client = world.clients["rita"]
    first, second = world.records
    page = client.get(world.queue).content.decode()
    (ahead,) = re.findall(r'data-ahead="([^"]+)"', page)
    following = client.get(html.unescape(ahead)).content.decode()
    assert second.external_id in following
    assert f"Record {first.external_id} is settled." in following
    assert "<b>1</b> settled" in following
    assert "1 of 1" in following
    held = ReviewItem.objects.filter(held_by=world.people["rita"])
    assert held.count() == 2
    assert "Others have it in hand" in world.clients["sam"].get(world.queue).content.decode()
    url = world.url("judge", first.id)
    as_script = {"HX-Request": "true"}
    told = client.post(url, form(page) | choices(world), headers=as_script)
    assert told.status_code == 204
    assert told.headers["HX-Redirect"] == f"{world.queue}?done={first.id}"
    (ahead,) = re.findall(r'data-ahead="([^"]+)"', following)
    assert client.get(html.unescape(ahead)).status_code == 204, "nothing follows"
    again = client.post(url, form(page) | choices(world), headers=as_script)
    assert again.status_code == 409, "said by the page of the record, for a script too"


def test_a_decision_takes_ones_answer_the_majority_or_ones_own(world: World) -> None:
    client, record = world.clients["rita"], world.records[0]
    page = client.get(world.queue).content.decode()
    bo = Response.objects.get(record=record, user=world.people["bo"])
    given = choices(
        world,
        sentiment=f"r:{bo.id}",
        genre="agreed",
        quality="edit",
        order="edit",
        comment=f"r:{bo.id}",
        entities="edit",
    )
    edits = {
        "q.quality": "3",
        "q.order": ["1:c", "2:a", "2:b"],
        "q.entities": ['{"start": 0, "end": 4, "label": "place"}'],
    }
    url = world.url("judge", record.id)
    answer = client.post(url, {"note": "Both are right.", **given, **edits, **form(page)})
    assert answer.status_code == 302
    assert f"done={record.id}" in answer["Location"]
    kept = Adjudication.objects.get()
    assert {name: value["value"] for name, value in kept.values.items()} == {
        "sentiment": "positive",
        "genre": ["drama"],
        "quality": 3,
        "order": [
            {"value": "c", "rank": 1},
            {"value": "a", "rank": 2},
            {"value": "b", "rank": 2},
        ],
        "comment": "a cold old lighthouse",
        "entities": [{"start": 0, "end": 4, "label": "place"}],
    }
    after = client.get(answer["Location"]).content.decode()
    assert "is settled." in after
    assert world.records[1].external_id in after
    again = client.get(f"{world.queue}?record={record.id}").content.decode()
    assert "rita decided this" in again
    assert "not in the queue" in again


def test_the_same_labels_in_another_order_are_the_same_answer(
    world: World, workspace: Workspace
) -> None:
    (record,) = factories.make_records(world.dataset)
    cyd = factories.make_member(username="cyd", workspace=workspace)
    said = {"ana": ["drama"], "bo": ["comedy", "drama"], "cyd": ["drama", "comedy"]}
    for name, genre in said.items():
        submit(record, {**world.people, "cyd": cyd}[name], genre=genre)
    review.refresh_records(dataset=world.dataset, record_ids=[record.id])
    client = world.clients["rita"]
    page = client.get(f"{world.queue}?record={record.id}")
    (card,) = (one for one in page.context["page"].questions if one.rule.name == "genre")
    assert [(len(one.people), one.is_agreed) for one in card.choices] == [(2, True), (1, False)]
    given = choices(world, genre=card.choices[0].code) | form(page.content.decode())
    assert client.post(world.url("judge", record.id), given).status_code == 302
    told = dict(Feedback.objects.filter(record=record).values_list("user__username", "kind"))
    assert told == {"ana": "changed", "bo": "confirmed", "cyd": "confirmed"}


def test_what_is_not_chosen_is_asked_for_and_nothing_is_lost(world: World) -> None:
    client, record = world.clients["rita"], world.records[0]
    page = client.get(world.queue).content.decode()
    given = choices(world, sentiment="", quality="edit") | {"note": "Because of it"}
    answer = client.post(world.url("judge", record.id), given | form(page))
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "Choose, or say that it can’t be decided." in text
    assert "Give your own answer." not in text.split('id="q2"')[0], "quality is the third"
    assert text.count("Give your own answer.") == 1
    assert "Because of it" in text
    assert not Adjudication.objects.exists()


def test_answers_changed_meanwhile_refuse_the_decision_and_say_whose(world: World) -> None:
    client, record = world.clients["rita"], world.records[0]
    before = form(client.get(world.queue).content.decode())
    submit(record, world.people["bo"], sentiment="negative")
    given = choices(world) | {"note": "Kept."}
    answer = client.post(world.url("judge", record.id), given | before)
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "Changed since you opened the page: bo." in text
    assert "changed meanwhile" in text
    assert "Kept." in text
    assert client.post(world.url("judge", record.id), given | form(text)).status_code == 302
    other = client.post(world.url("judge", record.id), given | before)
    assert other.status_code == 409
    assert "rita decided this record meanwhile." in other.content.decode()


def test_a_question_or_record_that_is_gone(world: World) -> None:
    client, record = world.clients["rita"], world.records[0]
    before = form(client.get(world.queue).content.decode())
    url = world.url("judge", record.id)
    gone = client.post(url, choices(world) | before | {"asked": ["sentiment", "mood"]})
    assert gone.status_code == 422
    assert "Taken out of the dataset meanwhile: mood." in gone.content.decode()
    Record.objects.filter(id=record.id).delete()
    assert client.post(url, choices(world) | before).status_code == 404
    assert client.get(f"{world.queue}?record={record.id}").status_code == 404


def test_an_answer_is_sent_back_with_a_reason(world: World) -> None:
    client, record = world.clients["rita"], world.records[0]
    page = form(client.get(world.queue).content.decode())
    bo = Response.objects.get(record=record, user=world.people["bo"])
    url = world.url("judge", record.id)
    told = client.post(url, {"do": "return", "back": bo.id, "note": " "} | page)
    assert told.status_code == 422
    assert "Say what to look at again." in told.content.decode()
    sent = client.post(url, {"do": "return", "back": bo.id, "note": "Read twice."} | page)
    assert sent.status_code == 302
    bo.refresh_from_db()
    assert bo.status == "draft"
    mine = world.clients["bo"].get("/feedback/").content.decode()
    for text in ("Read twice.", "Sent back", "Answer again", "rita"):
        assert text in mine
    draft = world.clients["bo"].get(f"{world.url('annotate')}?record={record.id}")
    assert "a cold old lighthouse" in draft.content.decode()


def test_feedback_says_what_was_changed_and_is_read_once(world: World) -> None:
    client, record = world.clients["rita"], world.records[0]
    page = form(client.get(world.queue).content.decode())
    ana = Response.objects.get(record=record, user=world.people["ana"])
    given = choices(world, sentiment=f"r:{ana.id}") | {"note": "He would see it again."}
    client.post(world.url("judge", record.id), given | page)
    assert talk.count_unread(world.people["bo"]) == (0, 1)
    mine = world.clients["bo"].get("/feedback/").content.decode()
    for text in ("He would see it again.", "Changed", "Positive", "Mixed", "new"):
        assert text in mine
    assert talk.count_unread(world.people["bo"]) == (0, 0)
    assert Feedback.objects.get(user=world.people["ana"]).seen_at is None
    assert "He would see it again." not in world.clients["sam"].get("/feedback/").content.decode()


def test_blind_review_names_nobody(world: World) -> None:
    Membership.objects.filter(username="ana").update(first_name="Analia")
    DatasetReview.objects.update(blind=True)
    talk.add_comment(record=world.records[0], author=world.people["ana"], text="Hm, no.")
    client = world.clients["rita"]
    page = client.get(world.queue).content.decode()
    before = form(page)
    submit(world.records[0], world.people["bo"], sentiment="negative")
    url = world.url("judge", world.records[0].id)
    refused = client.post(url, choices(world) | before).content.decode()
    for text in (page, refused):
        assert "Annotator 1" in text
        assert "Hm, no." in text
        for name in ("Analia", ">ana<", "bo<", "by anyone"):
            assert name not in text
    assert "Changed since you opened the page: Annotator 2." in refused
    DatasetReview.objects.update(blind=False)
    assert "Annotator 1" in client.get(f"{world.queue}?blind=1").content.decode()
    assert "Analia" in client.get(world.queue).content.decode()


def test_filters_and_nonsense_in_the_address(world: World) -> None:
    client = world.clients["rita"]
    question = Question.objects.get(dataset=world.dataset, name="sentiment")
    ana = world.people["ana"]
    for query in (f"question={question.id}", f"person={ana.id}", "reason=disagreement"):
        page = client.get(f"{world.queue}?{query}").content.decode()
        assert "1 of 2" in page
    empty = client.get(f"{world.queue}?reason=random").content.decode()
    assert "Nothing waits under these filters." in empty
    wild = "reason=x&question=1&person=%00&after=zz&record=&done=7&blind=%FF"
    assert client.get(f"{world.queue}?{wild}").status_code == 200
    url = world.url("judge", world.records[0].id)
    for seen in ("", "[]", "{", '{"a": 1}', '{"zz": "1"}'):
        answer = client.post(url, choices(world, sentiment="r:nobody") | {"seen": seen})
        assert answer.status_code in {302, 409}


def test_comments_flags_and_gaps(world: World) -> None:
    record = world.records[0]
    ana, rita = world.clients["ana"], world.clients["rita"]
    thread = world.url("comments", record.id)
    assert ana.post(thread, {"text": "Sarcasm? @rita @bo"}).status_code == 302
    wrong = ana.post(thread, {"text": " "})
    assert (wrong.status_code, "Write something first." in wrong.content.decode()) == (422, True)
    assert "unread" in rita.get("/feedback/").content.decode()
    assert "Sarcasm? @rita @bo" in rita.get(thread).content.decode()
    assert "unread" not in rita.get("/feedback/").content.decode()
    assert Mention.objects.filter(seen_at__isnull=True).count() == 1
    ana.post(world.url("flag", record.id), {"do": "flag", "note": "Please look."})
    page = rita.get(f"{world.queue}?reason=flagged").content.decode()
    assert "asks you to look" in page
    assert "Please look." in page
    ana.post(world.url("flag", record.id), {"do": "unflag"})
    assert not Flag.objects.exists()
    gap = {"text": "What of sarcasm?", "next": "https://evil.example/"}
    assert ana.post(world.url("report_gap", record.id), gap)["Location"] == thread
    listed = rita.get(world.url("gaps")).content.decode()
    assert "What of sarcasm?" in listed
    assert "Resolve" not in listed, "that is for admins"
    resolve = reverse("labeling:resolve_gap", args=[GuidelineGap.objects.get().id])
    assert rita.post(resolve).status_code == 403
    assert world.clients["ada"].post(resolve, {"resolution": "Section 3"}).status_code == 302
    assert world.clients["ada"].post(resolve).status_code == 409
    assert "Section 3" in rita.get(world.url("gaps")).content.decode()
    gap = {"text": "What of irony?", "next": "-1"}  # no address, nor the name of a page
    assert ana.post(world.url("report_gap", record.id), gap)["Location"] == thread


def test_admins_say_what_comes_to_review(world: World) -> None:
    url = world.url("review_settings")
    given = {"random_percent": "12,5", "least_certain": "70", "blind": "on"}
    assert world.clients["ada"].post(url, given).status_code == 302
    settings = DatasetReview.objects.get(dataset=world.dataset)
    assert (settings.random_percent, settings.least_certain) == (12.5, 0.7)
    for wrong in ("x", "101", "nan", ""):
        answer = world.clients["ada"].post(url, given | {"random_percent": wrong})
        assert answer.status_code == 422
    assert world.clients["ada"].post(world.url("review_refresh")).status_code == 302


@pytest.mark.parametrize("name", ["review", "gaps"])
def test_only_reviewers_of_the_workspace_see_the_queue(world: World, name: str) -> None:
    found = {who: c.get(world.url(name)).status_code for who, c in world.clients.items()}
    assert found == {"ana": 403, "bo": 403, "rita": 200, "sam": 200, "ada": 200, "out": 404}
    assert Client().get(world.url(name)).status_code == 302


def test_who_may_post(world: World, sign_in: SignIn, workspace: Workspace) -> None:
    record = world.records[0]
    nobody = sign_in(factories.make_member(workspace=workspace, username="new"))
    clients = world.clients | {"new": nobody}

    def statuses(name: str, *more: Any, **body: str) -> dict[str, int]:
        url = world.url(name, *more)
        return {who: client.post(url, body).status_code for who, client in clients.items()}

    reviewers = {"ana": 403, "bo": 403, "out": 404, "new": 403}
    assert reviewers.items() <= statuses("judge", record.id).items()
    admins = reviewers | {"rita": 403, "sam": 403}
    assert admins.items() <= statuses("review_settings").items()
    expected = dict.fromkeys(clients, 302) | {"out": 404, "new": 404}
    assert statuses("comments", record.id, text="Hi") == expected
    assert statuses("flag", record.id) == expected
    assert statuses("report_gap", record.id, text="Hi") == expected
    assert Comment.objects.count() == 5
    talk.add_comment(record=record, author=world.people["ana"], text="@new look")
    assert nobody.get(world.url("comments", record.id)).status_code == 200, "told of it"


def test_the_page_costs_the_same_however_many_answered(
    world: World, django_assert_max_num_queries: Any, workspace: Workspace
) -> None:
    client = world.clients["rita"]
    client.get(world.queue)
    for _ in range(6):
        member = factories.make_member(workspace=workspace)
        submit(world.records[0], member, **SAID[0])
        talk.add_comment(record=world.records[0], author=member, text="Hm.")
        talk.flag_record(record=world.records[0], member=member)
    with django_assert_max_num_queries(32):
        client.get(world.queue)
    with django_assert_max_num_queries(15):
        world.clients["ana"].get("/feedback/")


def test_words_that_differ() -> None:
    assert word_diff("a b  c", "a x  c") == [
        ("same", "a "),
        ("del", "b  "),
        ("ins", "x  "),
        ("same", "c"),
    ]
    assert word_diff("", "a") == [("ins", "a")]
    assert word_diff("a", "a") == [("same", "a")]
    for before, after in (("🎩 x", "x 🎩"), (" a", "a "), ("", "")):
        parts = word_diff(before, after)
        assert "".join(words for what, words in parts if what != "ins") == before
        assert "".join(words for what, words in parts if what != "del") == after


def test_what_was_seen_is_read_from_anything() -> None:
    assert read_seen('{"a": "b"}') == {"a": "b"}
    assert read_seen('{"a": 1}') is read_seen("[") is read_seen("null") is None
