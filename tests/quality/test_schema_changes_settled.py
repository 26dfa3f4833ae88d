"""Edits of the questions of records that a model's answers have settled, and taking them back."""

from typing import Any

import pytest

from apps.annotation.distribution import claim
from apps.annotation.models import SchemaChange
from apps.annotation.services import save_response
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset, Question
from apps.quality.acceptance import undo_acceptance
from apps.quality.models import Acceptance, Adjudication
from apps.quality.schema_changes.services import apply_edit, preview, undo_change
from apps.records.models import DatasetCounter, Record
from tests.factories import make_dataset, make_member
from tests.quality.test_acceptance import accept, question_of, suggested

pytestmark = pytest.mark.usefixtures("organization")

TONES = {"type": "label_selection", "options": [{"value": v, "text": v} for v in ("dry", "warm")]}
TONE = {"question": "tone", "title": "Tone", "required": True, "settings": TONES}


@pytest.fixture
def dataset(organization: Any) -> Dataset:
    return make_dataset()


def change(dataset: Dataset, kind: str, **values: Any) -> SchemaChange:
    edit = read_edit({"kind": kind, "question": "sentiment", **values})
    return apply_edit(dataset=dataset, edit=edit)


def asked(dataset: Dataset) -> int:
    """How many records are handed out, and that no more are counted as completed."""
    now = Dataset.objects.get(id=dataset.id)
    found = len(claim(dataset=now, annotator=make_member(), limit=10))
    counter = DatasetCounter.objects.get(dataset=dataset)
    assert Record.objects.filter(dataset=dataset).count() == counter.completed + found
    return found


def decided() -> list[dict[str, Any]]:
    rows = Adjudication.objects.order_by("record_id").values_list("values", flat=True)
    return [{name: one["value"] for name, one in values.items()} for values in rows]


def accepted() -> list[dict[str, str]]:
    return list(Adjudication.objects.order_by("record_id").values_list("accepted", flat=True))


SPLIT = [{"value": "both", "text": "Both"}, {"value": "neither", "text": "Neither"}]


@pytest.mark.parametrize(
    "edit",
    [
        {"kind": "remove_label", "label": "mixed"},
        {"kind": "split_label", "label": "mixed", "parts": SPLIT},
    ],
)
def test_people_are_asked_where_an_edit_takes_the_answer_away(
    dataset: Dataset, edit: dict[str, Any]
) -> None:
    suggested(dataset, 0.95, 0.9)
    acceptance = accept(dataset)
    made = change(dataset, **edit)
    assert decided() == []
    undo_change(change=made)
    assert decided() == [{"sentiment": "mixed"}] * 2
    assert accepted() == [{"sentiment": str(acceptance.id)}] * 2
    assert asked(dataset) == 0
    change(dataset, **edit)
    assert asked(dataset) == 2


def test_people_are_asked_where_a_label_is_added_no_more(dataset: Dataset) -> None:
    added = change(dataset, "add_label", label={"value": "new", "text": "New"})
    suggested(dataset, 0.95, 0.9)
    accept(dataset)
    Adjudication.objects.update(values={"sentiment": {"value": "new"}})
    undo_change(change=added)
    assert decided() == []
    assert asked(dataset) == 2


def test_an_answer_that_is_replaced_leaves_the_record_settled(dataset: Dataset) -> None:
    suggested(dataset, 0.95, 0.9)
    accept(dataset)
    change(dataset, "remove_label", label="mixed", to="negative")
    assert decided() == [{"sentiment": "negative"}] * 2
    assert asked(dataset) == 0


def test_what_is_not_required_may_be_taken_away() -> None:
    dataset = make_dataset(questions=["sentiment", "quality"], required=["quality"])
    suggested(dataset, 0.95)
    accept(dataset)
    suggested(dataset, 0.95, name="quality")
    accept(dataset, name="quality")
    change(dataset, "remove_label", label="mixed")
    assert decided() == [{"quality": 3}]
    assert asked(dataset) == 0


@pytest.mark.parametrize(
    ("more", "expected"),
    [({"ask_again": True}, 2), ({}, 0), ({"ask_again": True, "required": False}, 0)],
)
def test_a_new_question_is_asked_of_settled_records_again(
    dataset: Dataset, more: dict[str, Any], expected: int
) -> None:
    suggested(dataset, 0.95, 0.9)
    accept(dataset)
    edit = {"kind": "add_question", **TONE, **more}
    told = preview(dataset=dataset, edit=read_edit(edit))
    assert told.counts["adjudication"] == expected
    made = change(dataset, **edit)
    assert decided() == [{"sentiment": "mixed"}] * 2
    undo_change(change=made)
    assert asked(dataset) == 0
    change(dataset, **edit)
    assert asked(dataset) == expected


def test_an_answer_to_a_question_asked_again_goes_with_it(dataset: Dataset) -> None:
    (record,) = suggested(dataset, 0.1)
    person, said = make_member(), {"sentiment": {"value": "mixed"}}
    save_response(record=record, annotator=person, status="submitted", values=said)
    made = change(dataset, "add_question", **TONE, ask_again=True)
    record = Record.objects.get()
    values = {**said, "tone": {"value": "dry"}}
    save_response(record=record, annotator=person, status="submitted", values=values)
    undo_change(change=made)
    assert record.responses.get().values == said


def take_back(acceptance: Acceptance) -> int:
    rows = Acceptance.objects.select_related("dataset", "question")
    return undo_acceptance(acceptance=rows.get(id=acceptance.id))


def test_an_acceptance_is_taken_back_under_the_new_name_of_its_question(dataset: Dataset) -> None:
    suggested(dataset, 0.95, 0.9)
    acceptance = accept(dataset)
    renamed = change(dataset, "rename_question", to="mood", title="Mood")
    assert decided() == [{"mood": "mixed"}] * 2
    assert accepted() == [{"mood": str(acceptance.id)}] * 2
    undo_change(change=renamed)
    assert accepted() == [{"sentiment": str(acceptance.id)}] * 2
    change(dataset, "rename_question", to="mood", title="Mood")
    assert asked(dataset) == 0
    assert take_back(acceptance) == 2
    assert decided() == []
    assert asked(dataset) == 2


def test_an_acceptance_goes_with_its_question_and_comes_back() -> None:
    dataset = make_dataset(questions=["sentiment", "quality"], required=["sentiment", "quality"])
    suggested(dataset, 0.95)
    first = accept(dataset)
    suggested(dataset, 0.95, name="quality")
    second = accept(dataset, name="quality")
    before = accepted()
    removed = change(dataset, "remove_question")
    assert accepted() == [{"quality": str(second.id)}]
    undo_change(change=removed)
    assert accepted() == before == [{"sentiment": str(first.id), "quality": str(second.id)}]
    change(dataset, "remove_question")
    assert take_back(second) == 1
    assert decided() == []
    assert asked(dataset) == 1


def test_an_acceptance_moves_to_the_question_that_its_own_is_merged_into(dataset: Dataset) -> None:
    rows = {"title": "Mood", "required": False, "settings": question_of(dataset).settings}
    Question.objects.create(dataset=dataset, name="mood", **rows)
    suggested(dataset, 0.95)
    acceptance = accept(dataset)
    change(dataset, "merge_questions", question="mood", other="sentiment")
    assert accepted() == [{"mood": str(acceptance.id)}]
    assert take_back(acceptance) == 1
    assert decided() == []


def test_what_was_accepted_and_taken_back_does_not_return_with_an_edit() -> None:
    dataset = make_dataset(questions=["sentiment", "quality"], required=["sentiment", "quality"])
    suggested(dataset, 0.95, 0.9)
    first = accept(dataset)
    suggested(dataset, 0.95, name="quality")
    second = accept(dataset, name="quality")
    removed = change(dataset, "remove_label", label="mixed")
    assert decided() == [{"quality": 3}]
    take_back(first)
    undo_change(change=removed)
    assert accepted() == [{"quality": str(second.id)}]
    assert asked(dataset) == 2
