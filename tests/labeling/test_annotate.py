"""The annotate page over plain HTTP: who may, what is shown, what a form saves."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test import Client
from django.urls import reverse

from apps.annotation.distribution import claim
from apps.annotation.models import Lease, Response
from apps.datasets.models import Dataset, Field, MetadataProperty, Question
from apps.datasets.services import archive_dataset
from apps.events.models import Event
from apps.organizations.models import Membership
from apps.records.models import Record, Suggestion
from apps.workspaces.models import Workspace
from tests import factories
from tests.labeling.conftest import BACKEND, Site
from tests.meanwhile import waiting

ALL = ("sentiment", "genre", "quality", "order", "comment", "entities")
SignIn = Callable[[Membership], Client]


@pytest.fixture
def dataset(workspace: Workspace) -> Dataset:
    return factories.make_dataset(workspace, questions=ALL, required=("sentiment", "quality"))


@pytest.fixture
def annotator(workspace: Workspace) -> Membership:
    return factories.make_member(workspace=workspace)


@pytest.fixture
def client(annotator: Membership, sign_in: SignIn) -> Client:
    return sign_in(annotator)


def page(dataset: Dataset, **query: str) -> str:
    path = reverse("labeling:annotate", args=[dataset.id])
    return f"{path}?{'&'.join(f'{k}={v}' for k, v in query.items())}" if query else path


def address(name: str, record: Record) -> str:
    return reverse(f"labeling:{name}", args=[record.dataset_id, record.id])


ANSWER: dict[str, Any] = {
    "do": "submit",
    "q.sentiment": "positive",
    "q.genre": ["comedy", "drama"],
    "q.quality": "4",
    "q.order": ["2:a", "1:b", "2:c"],
    "q.comment": "line one\r\nline two",
    "q.entities": [json.dumps({"start": 0, "end": 4, "label": "place"})],
}
STORED = {
    "sentiment": {"value": "positive"},
    "genre": {"value": ["comedy", "drama"]},
    "quality": {"value": 4},
    "order": {
        "value": [
            {"value": "b", "rank": 1},
            {"value": "a", "rank": 2},
            {"value": "c", "rank": 2},
        ]
    },
    "comment": {"value": "line one\nline two"},
    "entities": {"value": [{"label": "place", "start": 0, "end": 4}]},
}


def test_a_plain_form_answers_every_question_type(client: Client, dataset: Dataset) -> None:
    first, second = factories.make_records(dataset, 2)
    shown = client.get(page(dataset))
    assert shown.status_code == 200
    assert f"Record {first.external_id}" in shown.content.decode()
    saved = client.post(address("save", first), {**ANSWER, "request_key": str(uuid4())})
    assert saved.status_code == 302
    assert saved.headers["Location"] == page(dataset)
    response = Response.objects.get(record=first)
    assert (response.status, response.values) == ("submitted", STORED)
    assert f"Record {second.external_id}" in client.get(page(dataset)).content.decode()


def test_a_script_gets_the_next_record_as_a_fragment(client: Client, dataset: Dataset) -> None:
    first, second = factories.make_records(dataset, 2)
    client.get(page(dataset))
    saved = client.post(address("save", first), ANSWER, headers={"HX-Request": "true"})
    text = saved.content.decode()
    assert saved.status_code == 200
    assert "<html" not in text
    assert f"Record {second.external_id}" in text


def test_an_archived_dataset_says_so_and_keeps_its_answers(
    client: Client, dataset: Dataset
) -> None:
    first, second = factories.make_records(dataset, 2)
    client.post(address("save", first), ANSWER)
    archive_dataset(dataset=dataset)
    shown = client.get(page(dataset)).content.decode()
    assert "This dataset is archived" in shown
    assert "Look at my answers" in shown
    mine = client.get(page(dataset, status="all")).content.decode()
    assert f"Record {first.external_id}" in mine
    assert "answers can be read, and not changed" in mine
    for path, sent in ((address("save", second), ANSWER), (address("unanswer", first), {})):
        refused = client.post(path, sent)
        assert (refused.status_code, "is archived" in refused.content.decode()) == (409, True)
    assert [one.record_id for one in Response.objects.all()] == [first.id]


@pytest.mark.parametrize(
    ("button", "status"), [("draft", "draft"), ("discard", "discarded"), ("submit", "submitted")]
)
def test_each_button_saves_its_status(
    client: Client, dataset: Dataset, button: str, status: str
) -> None:
    (record,) = factories.make_records(dataset)
    client.post(address("save", record), {**ANSWER, "do": button})
    assert Response.objects.get(record=record).status == status


def test_the_same_form_twice_is_one_answer_and_a_changed_one_is_another(
    client: Client, dataset: Dataset
) -> None:
    (record,) = factories.make_records(dataset)
    form = {**ANSWER, "request_key": str(uuid4())}
    client.post(address("save", record), form)
    first = Response.objects.get(record=record)
    client.post(address("save", record), form)
    assert Response.objects.get(record=record).updated_at == first.updated_at
    client.post(address("save", record), {**form, "q.quality": "1"})
    assert Response.objects.get(record=record).values["quality"] == {"value": 1}


def test_a_wrong_answer_comes_back_whole_with_what_is_wrong(
    client: Client, dataset: Dataset
) -> None:
    (record,) = factories.make_records(dataset)
    form = {**ANSWER, "q.quality": "", "q.order": ["1:a"], "q.comment": "<b>kept & safe</b>"}
    answer = client.post(address("save", record), form)
    text = answer.content.decode()
    assert answer.status_code == 422
    assert not Response.objects.exists()
    assert "Not submitted yet." in text
    assert "2 answers need a look" in text
    assert "Give a value before you submit." in text
    assert "Give every option a rank." in text
    assert 'value="positive" checked' in text
    assert 'value="comedy" checked' in text
    assert 'value="1:a" selected' in text
    assert "&lt;b&gt;kept &amp; safe&lt;/b&gt;</textarea>" in text
    assert 'href="#q3"' in text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("q.quality", "99"),
        ("q.quality", "abc"),
        ("q.sentiment", "unknown"),
        ("q.genre", "western"),
        ("q.order", "x:a"),
        ("q.entities", "not json"),
        ("q.entities", '{"start": 0, "end": 10000, "label": "place"}'),
        ("q.entities", '{"label": "place"}'),
        ("q.entities", "[1, 2]"),
        ("q.entities", "[" * 100_000),
        ("q.entities", '{"start": 0, "end": 4, "label": []}'),
        ("q.entities", '{"start": 0, "end": 4, "label": "\\ud800"}'),
        ("q.entities", '{"start": 0, "end": 1e400, "label": "place"}'),
        ("q.quality", "9" * 5_000),
        ("q.order", f"{'9' * 5_000}:a"),
    ],
)
def test_tampered_values_are_refused_and_never_break_the_page(
    client: Client, dataset: Dataset, field: str, value: str
) -> None:
    (record,) = factories.make_records(dataset)
    answer = client.post(address("save", record), {**ANSWER, field: value})
    assert answer.status_code == 422
    assert not Response.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("q.sentiment", "gone", "Eine gewählte Option gibt es nicht"),
        ("q.entities", '{"start": 0, "end": 4, "label": "gone"}', "Das Label einer Markierung"),
        ("q.entities", '{"start": 0, "end": 9000, "label": "place"}', "Zwei Markierungen"),
        ("q.order", "x:a", "Geben Sie jeder Option"),
        ("q.quality", "", "Geben Sie einen Wert an"),
    ],
)
def test_what_is_wrong_is_said_in_the_persons_language(
    client: Client, dataset: Dataset, field: str, value: str, reason: str
) -> None:
    (record,) = factories.make_records(dataset)
    given = {**ANSWER, field: value}
    answer = client.post(address("save", record), given, headers={"Accept-Language": "de"})
    assert answer.status_code == 422
    assert reason in answer.content.decode()


def test_a_null_character_is_left_out(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    client.post(address("save", record), {**ANSWER, "q.comment": "pa\0sted", "status": "\0"})
    assert Response.objects.get(record=record).values["comment"] == {"value": "pasted"}


def test_as_many_marks_as_an_answer_may_have_are_saved(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    Record.objects.filter(pk=record.pk).update(fields={"text": "x" * 10_000})
    spans = [json.dumps({"start": n, "end": n + 1, "label": "place"}) for n in range(10_000)]
    saved = client.post(address("save", record), {**ANSWER, "q.entities": spans})
    assert saved.status_code == 302
    assert len(Response.objects.get(record=record).values["entities"]["value"]) == 10_000


def test_nothing_answered_names_the_required_questions(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    text = client.post(address("save", record), {"do": "submit"}).content.decode()
    assert "2 answers need a look" in text


def test_nothing_to_mark_is_an_answer(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    client.post(address("save", record), {**ANSWER, "q.entities": "[]"})
    assert Response.objects.get(record=record).values["entities"] == {"value": []}


def test_an_empty_draft_can_be_saved(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    assert client.post(address("save", record), {"do": "draft"}).status_code == 302
    assert Response.objects.get(record=record).values == {}


def test_suggestions_are_shown_raw_with_score_and_agent(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    for name, value, score in (
        ("sentiment", "negative", 0.91),
        ("genre", ["horror"], [0.5]),
        ("order", [{"value": "c", "rank": 1}], [0.4]),
        ("comment", "suggested words", 0.3),
        ("entities", [{"start": 0, "end": 4, "label": "person"}], [0.7]),
    ):
        Suggestion.objects.create(
            record=record,
            dataset_id=dataset.id,
            question=Question.objects.get(dataset=dataset, name=name),
            value=value,
            score=score,
            agent="model-v1",
            type="model",
            updated_at=record.updated_at,
        )
    text = client.get(page(dataset)).content.decode()
    assert 'class="opt ai" data-h="1"' in text
    assert "model-v1" in text
    assert ".91" in text
    assert "suggested words" in text
    assert 'class="sp ai"' in text
    assert "checked" not in text.split("<dialog")[0]  # a suggestion is no answer


def test_own_answers_are_revisited_by_status(client: Client, dataset: Dataset) -> None:
    first, second = factories.make_records(dataset, 2)
    for record in (first, second):
        client.post(address("save", record), ANSWER)
    newest = client.get(page(dataset, status="submitted")).content.decode()
    assert f"Record {second.external_id}" in newest
    assert "2 of 2" in newest
    assert 'value="positive" checked' in newest
    older = client.get(page(dataset, record=str(first.id))).content.decode()
    assert f"Record {first.external_id}" in older
    assert f"record={second.id}" in older
    again = client.post(address("save", first), {**ANSWER, "status": "submitted", "q.quality": "1"})
    assert again.headers["Location"] == page(dataset, status="submitted", record=str(second.id))
    last = client.post(address("save", second), {**ANSWER, "status": "submitted"})
    assert last.headers["Location"] == page(dataset)


def test_previous_leads_to_the_last_answer(client: Client, dataset: Dataset) -> None:
    first, _ = factories.make_records(dataset, 2)
    path = reverse("labeling:previous", args=[dataset.id])
    assert client.get(path).headers["Location"] == page(dataset)
    client.post(address("save", first), {**ANSWER, "do": "draft"})
    assert client.get(path).headers["Location"] == page(
        dataset, status="draft", record=str(first.id)
    )


def test_an_answer_goes_back_to_pending(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    client.post(address("save", record), ANSWER)
    assert client.post(address("unanswer", record)).status_code == 302
    assert not Response.objects.exists()
    assert f"Record {record.external_id}" in client.get(page(dataset)).content.decode()


def test_skipping_shows_another_record_and_gives_this_one_back(
    client: Client, dataset: Dataset
) -> None:
    first, second = factories.make_records(dataset, 2)
    client.get(page(dataset))
    client.post(address("skip", first))
    assert f"Record {second.external_id}" in client.get(page(dataset)).content.decode()
    assert not Lease.objects.filter(record=first).exists()


def test_a_hold_is_renewed_and_given_back(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    client.get(page(dataset))
    until = client.post(address("renew", record)).content.decode()
    client.get(page(dataset))  # a reload renews it; the page before lets go of nothing
    assert client.post(address("release", record), {"until": until}).status_code == 204
    until = Lease.objects.get().expires_at.isoformat()
    client.post(address("release", record), {"until": until})
    assert not Lease.objects.exists()
    assert client.post(address("renew", record)).status_code == 410


def test_empty_queues_say_why(
    client: Client, dataset: Dataset, workspace: Workspace, sign_in: SignIn
) -> None:
    assert "No records yet" in client.get(page(dataset)).content.decode()
    (record,) = factories.make_records(dataset)
    colleague = sign_in(factories.make_member(workspace=workspace))
    colleague.get(page(dataset))
    assert "with a colleague now" in client.get(page(dataset)).content.decode()
    colleague.post(address("save", record), ANSWER)
    assert "The only record is completed." in client.get(page(dataset)).content.decode()
    assert "No drafts left" in client.get(page(dataset, status="draft")).content.decode()


def test_the_daily_goal_ends_the_day(client: Client, dataset: Dataset) -> None:
    first, _ = factories.make_records(dataset, 2)
    Dataset.objects.filter(pk=dataset.pk).update(daily_quota=1)
    client.get(page(dataset))
    client.post(address("save", first), ANSWER)
    assert "That’s all for today" in client.get(page(dataset)).content.decode()


def test_a_strangers_dataset_does_not_exist(dataset: Dataset, sign_in: SignIn) -> None:
    (record,) = factories.make_records(dataset)
    stranger = sign_in(factories.make_member())
    assert stranger.get(page(dataset)).status_code == 404
    for name in ("save", "skip", "unanswer", "renew", "release"):
        assert stranger.post(address(name, record)).status_code == 404
    assert not Response.objects.exists()


def test_a_record_of_somebody_else_is_not_shown_to_an_annotator(
    client: Client, dataset: Dataset, workspace: Workspace, sign_in: SignIn
) -> None:
    _, second = factories.make_records(dataset, 2)
    assert client.get(page(dataset, record=str(second.id))).status_code == 404
    reviewer = sign_in(factories.make_member(role="reviewer", workspace=workspace))
    assert reviewer.get(page(dataset, record=str(second.id))).status_code == 200


def test_a_record_of_another_dataset_is_not_answered_here(
    client: Client, dataset: Dataset, workspace: Workspace
) -> None:
    other = factories.make_dataset(workspace)
    (record,) = factories.make_records(other)
    path = reverse("labeling:save", args=[dataset.id, record.id])
    assert client.post(path, ANSWER).status_code == 404


def test_strangers_to_the_site_are_asked_to_sign_in(dataset: Dataset) -> None:
    answer = Client().get(page(dataset))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/?next=/datasets/")
    assert Client().get(page(dataset), headers={"HX-Request": "true"}).status_code == 401


def test_events_name_the_annotator(client: Client, dataset: Dataset, annotator: Membership) -> None:
    (record,) = factories.make_records(dataset)
    client.post(address("save", record), ANSWER)
    event = Event.objects.get(kind="response.created")
    assert event.actor_id == annotator.id


def test_the_number_of_queries_is_bounded(
    client: Client, dataset: Dataset, django_assert_max_num_queries: Any
) -> None:
    first, _ = factories.make_records(dataset, 2)
    client.get(page(dataset))
    with django_assert_max_num_queries(18):
        client.get(page(dataset))
    with django_assert_max_num_queries(26):
        client.post(address("save", first), ANSWER, headers={"HX-Request": "true"})


def test_fields_of_every_type_are_shown(client: Client, dataset: Dataset) -> None:
    for name, settings in (
        ("notes", {"type": "text", "use_markdown": True}),
        ("talk", {"type": "chat", "use_markdown": True}),
        ("picture", {"type": "image"}),
        ("old", {"type": "image"}),
        ("state", {"type": "custom", "template": "<script>alert(1)</script>"}),
    ):
        Field.objects.create(dataset=dataset, name=name, title=name.title(), settings=settings)
    (record,) = factories.make_records(dataset)
    Record.objects.filter(pk=record.pk).update(
        fields={
            "text": "<script>alert(1)</script>",
            "notes": "**bold** <img src=x onerror=alert(1)>",
            "talk": [{"role": "user", "content": "hello _there_"}],
            "picture": "https://example.com/a.png",
            "old": "http://example.com/b.png",
            "state": {"open": True},
        }
    )
    text = client.get(page(dataset)).content.decode()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<strong>bold</strong> &lt;img src=x" in text
    assert "hello <em>there</em>" in text
    assert '<img src="https://example.com/a.png" alt="Picture of record' in text
    assert '<img src="http://example.com' not in text
    frame = reverse("labeling:custom_field", args=[dataset.id, record.id, "state"])
    assert f'src="{frame}"' in text


def test_a_custom_field_shows_no_more_than_its_reader_may_see(
    client: Client, dataset: Dataset, workspace: Workspace, sign_in: SignIn
) -> None:
    template = "{{record.metadata.open}} {{record.metadata.secret}} {{record.metadata.stray}}"
    settings = {"type": "custom", "template": template}
    Field.objects.create(dataset=dataset, name="state", title="State", settings=settings)
    for number, name in enumerate(("open", "secret")):
        MetadataProperty.objects.create(
            dataset=dataset,
            name=name,
            title=name,
            number=number,
            settings={"type": "terms"},
            visible_for_annotators=name == "open",
        )
    metadata = {"open": "Turin", "secret": "Paris", "stray": "Rome"}
    factories.make_records(dataset, 2)
    Record.objects.update(metadata=metadata, fields={"state": {"a": 1}})
    mine, other = Record.objects.order_by("id")
    client.get(page(dataset))  # holds the first
    paths = [
        reverse("labeling:custom_field", args=[dataset.id, record.id, "state"])
        for record in (mine, other)
    ]
    shown = client.get(paths[0]).content.decode()
    assert [place in shown for place in metadata.values()] == [True, False, False]
    assert client.get(paths[1]).status_code == 404
    reviewer = sign_in(factories.make_member(role="reviewer", workspace=workspace))
    shown = reviewer.get(paths[1]).content.decode()
    assert [place in shown for place in metadata.values()] == [True, True, True]
    for name in ("review", "comments"):
        args = [dataset.id] if name == "review" else [dataset.id, other.id]
        text = reviewer.get(reverse(f"labeling:{name}", args=args), {"record": str(other.id)})
        assert f'src="{paths[1]}"' in text.content.decode(), name


SCRIPT = {"HX-Request": "true"}
RECEIPT = {**SCRIPT, "X-Receipt": "1"}


def whole(name: str, dataset: Dataset) -> str:
    return reverse(f"labeling:{name}", args=[dataset.id])


def test_the_next_records_come_ahead_and_are_held(
    client: Client, dataset: Dataset, django_assert_max_num_queries: Any
) -> None:
    records = factories.make_records(dataset, 5)
    client.get(page(dataset))
    have = {"have": [str(records[0].id), "no id"]}
    with django_assert_max_num_queries(20):
        text = client.get(whole("ahead", dataset), have, headers=SCRIPT).content.decode()
    assert [f"Record {r.external_id}" in text for r in records] == [False, True, True, False, False]
    assert f'data-held="{records[0].id}"' in text
    assert "<html" not in text
    assert Lease.objects.count() == 3
    have = {"have": [str(record.id) for record in records[:3]]}
    again = client.get(whole("ahead", dataset), have, headers=SCRIPT).content.decode()
    assert f"Record {records[3].external_id}" in again
    assert Lease.objects.count() == 5


def test_what_a_page_lost_is_not_made_up_for_with_records_it_never_shows(
    client: Client, dataset: Dataset, annotator: Membership
) -> None:
    """As after a night offline: colleagues have what it had at hand."""
    records = factories.make_records(dataset, 9)
    claim(dataset=dataset, annotator=factories.make_member(), limit=4)
    have = {"have": [str(record.id) for record in records[:4]]}
    text = client.get(whole("ahead", dataset), have, headers=SCRIPT).content.decode()
    shown = [record.id for record in records if f"Record {record.external_id}" in text]
    assert shown == [record.id for record in records[4:6]]
    held = Lease.objects.filter(user=annotator).order_by("record_id")
    assert list(held.values_list("record_id", flat=True)) == shown


def test_who_has_gone_on_gets_a_receipt(
    client: Client, dataset: Dataset, django_assert_max_num_queries: Any
) -> None:
    (record, _) = factories.make_records(dataset, 2)
    client.get(page(dataset))
    with django_assert_max_num_queries(17):
        saved = client.post(address("save", record), ANSWER, headers=RECEIPT)
    text = saved.content.decode()
    assert saved.status_code == 200
    assert 'id="receipt" data-told=""' in text
    assert 'id="work"' not in text
    assert "Submitted 1" in text


def test_a_late_answer_is_kept_as_an_extra_one_and_told(
    client: Client, dataset: Dataset, workspace: Workspace, sign_in: SignIn
) -> None:
    (record,) = factories.make_records(dataset)
    colleague = sign_in(factories.make_member(workspace=workspace))
    for who in (client, colleague):
        saved = who.post(address("save", record), ANSWER, headers=RECEIPT)
        told = 'data-told="extra"' in saved.content.decode()
        assert told == (who is colleague)
    assert Response.objects.count() == 2
    plain = sign_in(factories.make_member(workspace=workspace))
    assert plain.post(address("save", record), ANSWER).headers["Location"].endswith("told=extra")


def test_a_stale_form_replaces_and_is_told(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    client.post(address("save", record), {**ANSWER, "seen": ""})
    stale = {**ANSWER, "seen": "", "q.quality": "1"}
    saved = client.post(address("save", record), stale)
    assert saved.headers["Location"].endswith("told=replaced")
    seen = Response.objects.get().updated_at.isoformat()
    fresh = client.post(address("save", record), {**ANSWER, "seen": seen, "q.quality": "2"})
    assert "told" not in fresh.headers["Location"]


def test_undo_and_redo_as_plain_forms(client: Client, dataset: Dataset) -> None:
    (record, _) = factories.make_records(dataset, 2)
    client.get(page(dataset))
    client.post(address("save", record), ANSWER)
    undone = client.post(whole("undo", dataset), follow=True)
    text = undone.content.decode()
    assert f"Record {record.external_id}" in text
    assert "Taken back." in text
    assert 'value="positive" checked' in text
    assert not Response.objects.exists()
    redone = client.post(whole("redo", dataset), follow=True).content.decode()
    assert "Done again." in redone
    assert Response.objects.get().values == STORED
    assert (
        "nothing to take back" in client.post(whole("redo", dataset), follow=True).content.decode()
    )


def test_undo_names_its_act_so_that_twice_is_once(client: Client, dataset: Dataset) -> None:
    first, second = factories.make_records(dataset, 2)
    for record in (first, second):
        client.post(address("save", record), ANSWER)
    act = {"act": str(Response.objects.get(record=second).request_key)}
    client.post(whole("undo", dataset), act)
    client.post(whole("undo", dataset), act)
    assert Response.objects.get().record_id == first.id
    for bad in ("", "nonsense", str(uuid4())):
        assert client.post(whole("redo", dataset), {"act": bad}).status_code == 302


def test_an_answer_taken_back_to_pending_can_be_had_again(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    client.post(address("save", record), ANSWER)
    client.post(address("unanswer", record))
    client.post(whole("undo", dataset))
    assert Response.objects.get().values == STORED


def test_a_deleted_records_answer_is_shown_to_be_copied(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    Record.objects.filter(pk=record.pk).delete()
    for headers in ({}, RECEIPT):
        answer = client.post(address("save", record), ANSWER, headers=headers)
        assert answer.status_code == 404
        assert "line one" in answer.content.decode()
        assert ("<html" in answer.content.decode()) == (not headers)


def test_a_page_of_somebody_before_saves_nothing(client: Client, dataset: Dataset) -> None:
    (record,) = factories.make_records(dataset)
    headers = {**RECEIPT, "X-Member": str(uuid4())}
    refusal = client.post(address("save", record), ANSWER, headers=headers)
    assert (refusal.status_code, "X-Elsewhere" in refusal.headers) == (401, False)
    assert not Response.objects.exists()


@contextmanager
def under_way(site: Site, work: Callable[[], object]) -> Iterator[None]:
    """``work`` is done as the block begins, and committed once a request of the block waits."""
    begun = threading.Event()

    def act() -> None:
        try:
            with site.inside(), transaction.atomic():
                work()
                begun.set()
                while not waiting():
                    time.sleep(0.01)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(act)
        assert begun.wait(30)
        yield
        done.result()


def change_option(site: Site) -> None:
    options = [{"value": "fine", "text": "Fine", "description": None}]
    settings = {"type": "label_selection", "options": options, "visible_options": None}
    Question.objects.filter(dataset=site.dataset, name="sentiment").update(settings=settings)


def drop_question(site: Site) -> None:
    Question.objects.filter(dataset=site.dataset, name="comment").delete()


@pytest.mark.parametrize(
    ("edit", "code", "words", "stored"),
    [
        (change_option, 422, "An option that was chosen is not there", []),
        (drop_question, 200, "“comment”: line one", ["positive"]),
    ],
)
def test_questions_edited_while_an_answer_is_saved_are_told(
    site: Site, edit: Callable[[Site], None], code: int, words: str, stored: list[str]
) -> None:
    """The owner's edit is under way when the answer comes, and done before it is stored."""
    client = Client(raise_request_exception=False)
    client.force_login(site.member.user, backend=BACKEND)
    with site.inside():
        record = Record.objects.in_order()[0]

    def change() -> None:
        version = F("schema_version") + 1
        Dataset.objects.filter(pk=site.dataset.pk).update(schema_version=version)
        edit(site)

    given = {**ANSWER, "request_key": str(uuid4())}
    del given["q.order"]
    with under_way(site, change):
        answer = client.post(address("save", record), given, headers=RECEIPT)
    assert (answer.status_code, words in answer.content.decode()) == (code, True)
    with site.inside():
        saved = Response.objects.filter(record=record)
        assert [one.values["sentiment"]["value"] for one in saved] == stored


def test_a_dataset_deleted_while_a_record_of_it_is_asked_for_is_gone(site: Site) -> None:
    """The deletion is under way when the request begins, and done before it ends."""
    client = Client(raise_request_exception=False)
    client.force_login(site.member.user, backend=BACKEND)
    with under_way(site, lambda: Dataset.objects.filter(pk=site.dataset.pk).delete()):
        answers = [client.get(whole(name, site.dataset)) for name in ("ahead", "annotate")]
    assert [answer.status_code for answer in answers] == [404, 404]
