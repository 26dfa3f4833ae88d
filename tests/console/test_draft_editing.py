"""Changing a draft in the browser's form: what it shows, reads, refuses, and where it leads."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.datasets.models import Dataset, Field, MetadataProperty
from apps.drafts.editing import Edit, edit_draft
from apps.drafts.inputs import DraftInput, Origin
from apps.drafts.models import Draft
from apps.drafts.services import discard_drafts
from apps.drafts.writing import write_drafts
from apps.jobs.models import Job
from apps.organizations.models import Membership, RecordVolume
from apps.records.models import Record, Suggestion
from apps.workspaces.models import Workspace
from tests import factories
from tests.console.conftest import fill
from tests.console.test_drafts import TEXTS, write

QUESTIONS = ("sentiment", "genre", "quality", "comment", "order", "entities")
TALK = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day\nto you"}]
TEXT = "Ada went to Turin. Ada liked it."
WRITTEN: dict[str, Any] = {
    "fields": {"text": TEXT, "talk": TALK, "facts": {"a": [1, 2]}},
    "metadata": {"pages": 3, "kind": "news", "style": "plain", "more": {"deep": True}},
    "suggestions": [
        {"question": "sentiment", "value": "negative", "score": 0.7},
        {"question": "genre", "value": ["drama"]},
        {"question": "quality", "value": 4},
        {"question": "comment", "value": "Fine.\nReally."},
        {"question": "order", "value": [{"value": "b", "rank": 1}, {"value": "a", "rank": 2}]},
        {"question": "entities", "value": [{"label": "person", "start": 19, "end": 22}]},
    ],
}


@pytest.fixture
def dataset(workspace: Workspace) -> Dataset:
    """Of every type of field, question and property one."""
    return make_rich(workspace)


def make_rich(workspace: Workspace) -> Dataset:
    dataset = factories.make_dataset(workspace, questions=QUESTIONS)
    kinds = {
        "talk": {"type": "chat"},
        "facts": {"type": "custom", "template": "", "advanced_mode": False},
        "photo": {"type": "image"},
    }
    for name, settings in kinds.items():
        Field.objects.create(dataset=dataset, name=name, title=name.title(), settings=settings)
    properties = {
        "pages": {"type": "integer", "min": 1, "max": 900},
        "kind": {"type": "terms", "values": ["news", "letter"]},
    }
    for number, (name, settings) in enumerate(properties.items(), start=1):
        MetadataProperty.objects.create(
            dataset=dataset, number=number, name=name, title=name.title(), settings=settings
        )
    return dataset


def write_rich(dataset: Dataset) -> Draft:
    job = Job.objects.create(
        kind="like_this", dataset_id=dataset.id, workspace=dataset.workspace, params={}
    )
    origin = Origin(job.id, "like_this", "stub/tiny@v1")
    (draft,) = write_drafts(dataset=dataset, origin=origin, drafts=[DraftInput(seq=0, **WRITTEN)])
    return draft


@pytest.fixture
def draft(dataset: Dataset) -> Draft:
    return write_rich(dataset)


def url(draft: Draft, query: str = "") -> str:
    return reverse("console:draft", args=[draft.dataset_id, draft.id]) + query


def typed(page: Any, **changes: Any) -> dict[str, Any]:
    """The form as a browser would send it, some inputs changed: ``field__text`` for a dot."""
    form = page.context["form"]
    sent: dict[str, Any] = {"version": page.context["version"]}
    for one in form.fields:
        if one.type == "chat":
            sent[f"role.{one.name}"] = [turn.role for turn in one.turns]
            sent[f"content.{one.name}"] = [crlf(turn.content) for turn in one.turns]
        else:
            sent[f"field.{one.name}"] = crlf(one.text)
    for one in form.questions:
        sent |= _answer(one)
    sent["key"] = list(form.metadata_inputs.by_key)
    sent |= {one.name: [crlf(text) for text in one.values] for one in form.metadata}
    return sent | {name.replace("__", "."): value for name, value in changes.items()}


def _answer(one: Any) -> dict[str, Any]:
    card = one.card
    if card.type == "span":
        return {
            f"label.{card.name}": [mark.label or "person" for mark in one.marks],
            f"quote.{card.name}": [crlf(mark.quote) for mark in one.marks],
            f"at.{card.name}": [mark.at for mark in one.marks],
        }
    if card.type == "text":
        return {f"q.{card.name}": crlf(card.text)}
    if card.type == "ranking":
        return {f"q.{card.name}": [f"{o.rank}:{o.value}" if o.rank else "" for o in card.options]}
    return {f"q.{card.name}": [option.value for option in card.options if option.checked]}


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def stored(draft: Draft) -> Draft:
    return Draft.objects.get(id=draft.id)


# --- What is not touched stays -------------------------------------------------------------------
def test_saving_untouched_changes_nothing(client: Client, draft: Draft) -> None:
    page = client.get(url(draft))
    answer = client.post(url(draft), typed(page, do="save"))
    assert answer.status_code == 302
    assert stored(draft).written is None


def test_one_touched_input_is_the_only_change(client: Client, draft: Draft) -> None:
    page = client.get(url(draft))
    client.post(url(draft), typed(page, q__quality="2", do="save"))
    now = stored(draft)
    assert (now.fields, now.metadata) == (WRITTEN["fields"], WRITTEN["metadata"])
    others = [one for one in now.suggestions if one["question"] != "quality"]
    assert others == [one for one in WRITTEN["suggestions"] if one["question"] != "quality"]
    assert {"question": "quality", "value": 2} in now.suggestions


@pytest.mark.parametrize(
    ("changes", "part", "expected"),
    [
        ({"field__text": "One\r\ntwo", "quote__entities": ""}, "text", "One\ntwo"),
        ({"field__facts": '{"b": 1}'}, "facts", {"b": 1}),
        ({"field__facts": " "}, "facts", None),
        ({"field__photo": "https://example.com/a.png"}, "photo", "https://example.com/a.png"),
        (
            {"role__talk": ["user", "tool", "user"], "content__talk": ["Hi", "42", " "]},
            "talk",
            [{"role": "user", "content": "Hi"}, {"role": "tool", "content": "42"}],
        ),
        ({"role__talk": ["user"], "content__talk": [""]}, "talk", None),
    ],
)
def test_fields_of_every_kind_are_changed(
    client: Client, draft: Draft, changes: dict[str, Any], part: str, expected: Any
) -> None:
    sent = typed(client.get(url(draft)), **changes)
    assert client.post(url(draft), sent | {"do": "save"}).status_code == 302
    assert stored(draft).fields.get(part) == expected


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"m0": "12"}, "pages", 12),
        ({"m0": ""}, "pages", None),
        ({"m1": "letter"}, "kind", "letter"),
        ({"m1": ""}, "kind", None),
        ({"m2": "rich"}, "more", {"deep": True}),
        ({"new_key": "from", "new_value": "a hat"}, "from", "a hat"),
    ],
)
def test_metadata_of_every_kind_is_changed(
    client: Client, draft: Draft, changes: dict[str, Any], key: str, expected: Any
) -> None:
    page = client.get(url(draft))
    keys = list(page.context["form"].metadata_inputs.by_key)
    assert keys[:2] == ["pages", "kind"]
    if keys[2] != "style":  # their order is the database's
        changes = {("m3" if name == "m2" else name): value for name, value in changes.items()}
    assert client.post(url(draft), typed(page, do="save", **changes)).status_code == 302
    assert stored(draft).metadata.get(key) == expected


def test_metadata_that_is_json_stays_json(client: Client, draft: Draft) -> None:
    page = client.get(url(draft))
    name = page.context["form"].metadata_inputs.by_key["more"].name
    client.post(url(draft), typed(page, do="save", **{name: "[1, 2]"}))
    assert stored(draft).metadata["more"] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"q__sentiment": "positive"}, "sentiment", "positive"),
        ({"q__sentiment": ""}, "sentiment", None),
        ({"q__genre": ["drama", "comedy"]}, "genre", ["drama", "comedy"]),
        ({"q__genre": []}, "genre", None),
        ({"q__comment": " "}, "comment", None),
        (
            {"q__order": ["1:a", "2:b"]},
            "order",
            [{"value": "a", "rank": 1}, {"value": "b", "rank": 2}],
        ),
        ({"quote__entities": [""]}, "entities", None),
        (
            {"quote__entities": ["Turin"], "label__entities": ["place"], "at__entities": [""]},
            "entities",
            [{"label": "place", "start": 12, "end": 17}],
        ),
    ],
)
def test_suggestions_of_every_kind_are_changed(
    client: Client, draft: Draft, changes: dict[str, Any], name: str, expected: Any
) -> None:
    sent = typed(client.get(url(draft)), **changes)
    assert client.post(url(draft), sent | {"do": "save"}).status_code == 302
    values = {one["question"]: one["value"] for one in stored(draft).suggestions}
    assert values.get(name) == expected


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("Yes: Ada went to Turin. Ada liked it.", 24),  # the second one has only moved
        ("Ada went to Turin and to Rome. Ada liked it.", 31),
        ("Ada went to Turin. ", 0),
    ],
)
def test_a_mark_follows_its_words(client: Client, draft: Draft, text: str, start: int) -> None:
    client.post(url(draft), typed(client.get(url(draft)), field__text=text, do="save"))
    values = {one["question"]: one["value"] for one in stored(draft).suggestions}
    assert values["entities"] == [{"label": "person", "start": start, "end": start + 3}]


# --- What is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"field__text": "  "}, "fields.text", "This is needed."),
        ({"field__text": "x" * 1_000_001}, "fields.text", "At most 1,000,000 characters."),
        ({"field__facts": "{oops"}, "fields.facts", "This is no JSON."),
        ({"field__facts": "[1]"}, "fields.facts", "Give a JSON object"),
        ({"field__photo": "a hat"}, "fields.photo", "Give the address of an image"),
        ({"role__talk": [""], "content__talk": ["Hi"]}, "fields.talk", "Each message needs"),
        ({"m0": "many"}, "metadata.pages", "A whole number, please."),
        ({"m0": "901"}, "metadata.pages", "At most 900."),
        ({"m1": "novel"}, "metadata.kind", "not an allowed term"),
        ({"new_key": "from"}, "metadata", "needs a name and a value"),
        ({"q__sentiment": "furious"}, "suggestions.sentiment", "Choose again."),
        ({"quote__entities": ["Rome"]}, "suggestions.entities", "does not say “Rome”"),
        ({"label__entities": ["ship"]}, "suggestions.entities", "A label of a mark"),
        (
            {
                "quote__entities": ["Ada", "Ada"],
                "label__entities": ["person", "person"],
                "at__entities": ["0", "1"],
            },
            "suggestions.entities",
            "Two marks overlap",
        ),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_typed_is_lost(
    client: Client, draft: Draft, changes: dict[str, Any], place: str, words: str
) -> None:
    note = "Typed with care, and twice as long as anything else here."
    sent = {"q__comment": note, **changes}
    answer = client.post(url(draft), typed(client.get(url(draft)), do="accept", **sent))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert words in answer.context["form"].errors[place]
    assert note in page
    for name, value in changes.items():
        typed_text = value[0] if isinstance(value, list) else value
        known = name.startswith(("q__", "label__", "m1"))  # a select shows what there is
        assert known or typed_text.strip() in page
    assert (stored(draft).written, stored(draft).state) == (None, "waiting")


def test_all_errors_come_at_once(client: Client, draft: Draft) -> None:
    sent = typed(client.get(url(draft)), field__text="", field__facts="{", m0="x", q__sentiment="?")
    answer = client.post(url(draft), sent)
    assert set(answer.context["form"].errors) == {
        "fields.text",
        "fields.facts",
        "metadata.pages",
        "suggestions.sentiment",
        "suggestions.entities",
    }


def test_what_another_saved_is_not_overwritten(
    client: Client, draft: Draft, olga: Membership
) -> None:
    page = client.get(url(draft))
    theirs = {**WRITTEN["fields"], "text": TEXT + " Twice."}
    edit_draft(draft=draft, edit=Edit(fields=theirs), member=olga)
    answer = client.post(url(draft), typed(page, field__text=TEXT + " Once.", do="save"))
    assert answer.status_code == 409
    assert "Somebody has changed this draft meanwhile." in answer.content.decode()
    assert "Ada liked it. Once." in answer.content.decode()
    assert stored(draft).fields["text"] == TEXT + " Twice."


def test_a_decided_draft_is_not_changed(
    client: Client, dataset: Dataset, draft: Draft, olga: Membership
) -> None:
    page = client.get(url(draft))
    discard_drafts(dataset=dataset, drafts=Draft.objects.all(), member=olga)
    answer = client.post(url(draft), typed(page, field__text=TEXT + " Once.", do="accept"))
    assert answer.status_code == 409
    assert "Ada liked it. Once." in answer.content.decode()
    gone = client.get(url(draft))
    assert gone["Location"].endswith(f"?state=discarded#draft-{draft.id}")


def test_an_archived_dataset_keeps_what_was_typed(
    client: Client, dataset: Dataset, draft: Draft
) -> None:
    page = client.get(url(draft))
    Dataset.objects.filter(id=dataset.id).update(archived_at=timezone.now())
    answer = client.post(url(draft), typed(page, field__text=TEXT + " Once.", do="save"))
    assert (answer.status_code, stored(draft).written) == (409, None)
    assert "Ada liked it. Once." in answer.content.decode()


def test_a_full_plan_keeps_the_changes(client: Client, draft: Draft) -> None:
    RecordVolume.objects.update(record_limit=0)
    sent = typed(client.get(url(draft)), field__text=TEXT + " Once.", do="accept")
    answer = client.post(url(draft), sent)
    assert answer.status_code == 422
    assert "Your changes are saved, but the draft is no record yet" in answer.content.decode()
    assert (stored(draft).state, stored(draft).fields["text"]) == ("waiting", TEXT + " Once.")
    RecordVolume.objects.update(record_limit=None)
    assert client.post(url(draft), typed(answer, do="accept")).status_code == 302
    assert stored(draft).state == "accepted"


def test_a_field_that_the_dataset_lacks_goes(client: Client, draft: Draft) -> None:
    Draft.objects.update(fields={**WRITTEN["fields"], "odd": "?"})
    page = client.get(url(draft))
    assert "saving leaves it out: odd" in page.content.decode()
    client.post(url(draft), typed(page, do="accept"))
    assert stored(draft).state == "accepted"
    assert "odd" not in Record.objects.get().fields


# --- Where it leads ------------------------------------------------------------------------------
@pytest.fixture
def several(workspace: Workspace) -> list[Draft]:
    return write(fill(factories.make_dataset(workspace, questions=("sentiment",))))


def test_saved_and_accepted_it_is_a_record(client: Client, several: list[Draft]) -> None:
    place = url(several[1], "?state=waiting&group=negative")
    sent = typed(client.get(place), field__text="A new text.", q__sentiment="mixed", do="accept")
    answer = client.post(place, sent)
    record = Record.objects.get(external_id=str(several[1].id))
    assert record.fields == {"text": "A new text."}
    assert record.metadata["edited"] == ["fields.text", "suggestions.sentiment"]
    assert Suggestion.objects.get(record=record).type == "human"
    assert answer["Location"].endswith(f"#draft-{several[2].id}")  # the next that waits
    page = client.get(answer["Location"])
    assert "1 draft is a record now." in page.content.decode()
    assert page.context["drafts"].asked.group == "negative"


def test_the_gate_shows_what_was_changed(
    client: Client, several: list[Draft], olga: Membership
) -> None:
    draft = several[0]
    place = url(draft, "?state=waiting")
    sent = typed(client.get(place), field__text=TEXTS[0].replace("dinner", "lunch"), do="save")
    answer = client.post(place, sent)
    assert answer["Location"].endswith(f"#draft-{draft.id}")
    text = client.get(answer["Location"]).content.decode()
    assert "The draft is changed." in text
    assert f"Changed by {olga.display_name}" in text
    assert "<del>dinner.</del><ins>lunch.</ins>" in text
    assert f'href="{url(draft)}?state=waiting"' in text


def test_the_form_shows_what_the_model_wrote(
    client: Client, several: list[Draft], olga: Membership
) -> None:
    edit = Edit(fields={"text": "New."}, suggestions=[])
    edit_draft(draft=several[0], edit=edit, member=olga)
    text = client.get(url(several[0])).content.decode()
    assert TEXTS[0] in text
    assert "The model suggested: negative" in text


def test_who_may_not_manage_records_changes_none(
    draft: Draft, dataset: Dataset, sign_in: Callable[[Membership], Client]
) -> None:
    reviewer = sign_in(factories.make_member(role="reviewer", workspace=dataset.workspace))
    assert reviewer.get(url(draft)).status_code == 403
    assert reviewer.post(url(draft), {"field.text": "x"}).status_code == 403
    stranger = sign_in(factories.make_member(role="admin"))
    assert stranger.get(url(draft)).status_code == 404
    assert stranger.post(url(draft), {"field.text": "x"}).status_code == 404
    assert stored(draft).written is None


def test_a_draft_is_found_in_its_own_dataset_alone(
    client: Client, workspace: Workspace, draft: Draft
) -> None:
    other = factories.make_dataset(workspace)
    place = reverse("console:draft", args=[other.id, draft.id])
    assert client.get(place).status_code == 404
    assert client.post(place, {"field.text": "x"}).status_code == 404


def test_the_form_asks_little(
    client: Client, draft: Draft, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(15):
        page = client.get(url(draft))
    sent = typed(page, field__text="Ada again.", do="save")
    with django_assert_max_num_queries(24):
        client.post(url(draft), sent)
