"""Edits of the questions of a dataset with answers, and taking them back."""

from typing import Any

import pytest

from apps.annotation.models import Response, RewrittenAnswer, SchemaChange
from apps.annotation.services import save_response
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import load_schema
from apps.events.models import Event
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem
from apps.organizations.models import Membership
from apps.quality.decisions import Ruling, decide
from apps.quality.models import Adjudication, Feedback
from apps.quality.schema_changes import job, services
from apps.quality.schema_changes.services import apply_edit, preview, settle, undo_change
from apps.records.inputs import SuggestionInput
from apps.records.models import DatasetCounter, Record, Suggestion
from apps.records.services import upsert_suggestion
from tests.factories import make_dataset, make_member, make_records, make_workspace

pytestmark = pytest.mark.usefixtures("organization")

POSITIVE = {"value": "positive", "text": "Positive"}


def edit(kind: str, **values: Any) -> Any:
    return read_edit({"kind": kind, "question": "sentiment", **values})


class World:
    """Four records of which three are answered; the first has a suggestion and a decision."""

    def __init__(self, *questions: str, required: tuple[str, ...] | None = None) -> None:
        self.workspace = make_workspace()
        self.dataset = make_dataset(
            self.workspace, questions=questions or ("sentiment",), required=required
        )
        self.ana: Membership = make_member(workspace=self.workspace)
        self.rev: Membership = make_member(role="owner")
        self.records = make_records(self.dataset, 4)

    def answer(self, n: int, status: str = "submitted", **values: Any) -> None:
        save_response(
            record=Record.objects.get(id=self.records[n].id),
            annotator=self.ana,
            status=status,
            values={name: {"value": value} for name, value in values.items()},
        )

    def suggest(self, n: int, question: str, value: Any, score: Any = None) -> None:
        id = Question.objects.get(dataset=self.dataset, name=question).id
        given = SuggestionInput(question_id=id, value=value, score=score)
        upsert_suggestion(record=Record.objects.get(id=self.records[n].id), given=given)

    def decide(self, n: int, **values: Any) -> None:
        ruling = Ruling({name: {"value": value} for name, value in values.items()})
        record = Record.objects.select_related("dataset").get(id=self.records[n].id)
        decide(record=record, reviewer=self.rev, ruling=ruling)

    def change(self, kind: str, **values: Any) -> SchemaChange:
        return apply_edit(dataset=self.dataset, edit=edit(kind, **values), created_by=self.rev)

    def undo(self, change: SchemaChange) -> SchemaChange:
        return undo_change(change=change, created_by=self.rev)

    def values(self) -> list[tuple[str, Any]]:
        rows = Response.objects.filter(dataset=self.dataset).order_by("record_id", "id")
        return [
            (row.status, {name: one["value"] for name, one in row.values.items()}) for row in rows
        ]

    def suggestions(self) -> list[tuple[str, Any, Any]]:
        rows = Suggestion.objects.select_related("question").order_by("record_id", "question__name")
        return [(row.question.name, row.value, row.score) for row in rows]

    def labels(self, name: str = "sentiment") -> list[str]:
        return [one["value"] for one in Question.objects.get(name=name).options]

    def state(self) -> Any:
        """All that an undo must bring back."""
        questions = Question.objects.filter(dataset=self.dataset).in_order()
        return (
            [(q.name, q.title, q.required, q.settings) for q in questions],
            self.values(),
            self.suggestions(),
            list(Adjudication.objects.values_list("record", "values", "ambiguous")),
        )


@pytest.fixture
def world() -> World:
    world = World()
    world.answer(0, sentiment="positive")
    world.answer(1, sentiment="negative")
    world.answer(2, sentiment="mixed")
    world.suggest(0, "sentiment", "mixed", 0.7)
    world.decide(0, sentiment="mixed")
    return world


def test_a_renamed_label_is_renamed_everywhere_once(world: World) -> None:
    before = world.state()
    change = world.change("rename_label", label="mixed", to={"value": "both", "text": "Both"})
    assert world.labels() == ["positive", "negative", "both"]
    assert [values["sentiment"] for _status, values in world.values()] == [
        "positive",
        "negative",
        "both",
    ]
    assert world.suggestions() == [("sentiment", "both", 0.7)]
    assert Suggestion.objects.get().value_key == "both"
    assert Adjudication.objects.get().values == {"sentiment": {"value": "both"}}
    assert change.counts == {"response": 1, "suggestion": 1, "adjudication": 1, "requeued": 0}
    assert RewrittenAnswer.objects.filter(change=change).count() == 3
    event = Event.objects.get(kind="dataset.questions_changed")
    old, new = event.payload["changes"]["questions"]
    assert list(old) == list(new) == [str(Question.objects.get().id)]
    world.undo(change)
    assert world.state() == before
    assert Event.objects.filter(kind="dataset.questions_undone").exists()


def test_a_new_text_touches_no_answer(world: World) -> None:
    change = world.change("rename_label", label="mixed", to={"value": "mixed", "text": "So so"})
    assert change.counts == {"response": 0, "suggestion": 0, "adjudication": 0, "requeued": 0}
    assert Question.objects.get().options[2]["text"] == "So so"


def test_what_was_answered_since_is_kept_when_an_edit_is_undone(world: World) -> None:
    change = world.change("rename_label", label="mixed", to={"value": "both", "text": "Both"})
    world.answer(1, sentiment="both")
    world.answer(3, sentiment="both")
    world.undo(change)
    assert [values["sentiment"] for _status, values in world.values()] == [
        "positive",
        "mixed",
        "mixed",
        "mixed",
    ]


def test_a_removed_label_goes_back_to_who_gave_it(world: World) -> None:
    before = world.state()
    completed = DatasetCounter.objects.get().completed
    change = world.change("remove_label", label="mixed")
    assert world.values()[2] == ("draft", {})
    assert not Adjudication.objects.exists()
    assert not Suggestion.objects.exists()
    assert change.counts["requeued"] == 1
    told = Feedback.objects.get(kind="returned")
    assert (told.user, told.before) == (world.ana, {"sentiment": {"value": "mixed"}})
    assert Record.objects.get(id=world.records[2].id).status == "pending"
    assert DatasetCounter.objects.get().completed == completed - 1
    world.undo(change)
    assert world.state() == before
    assert DatasetCounter.objects.get().completed == completed
    assert Adjudication.objects.get().reviewer == world.rev


def test_an_answer_given_again_survives_the_undo(world: World) -> None:
    change = world.change("remove_label", label="mixed")
    world.answer(2, sentiment="positive")
    world.decide(0, sentiment="negative")
    world.undo(change)
    assert world.values()[2] == ("submitted", {"sentiment": "positive"})
    assert Adjudication.objects.get().values == {"sentiment": {"value": "negative"}}


def test_a_removed_label_may_be_mapped(world: World) -> None:
    world.change("remove_label", label="mixed", to="negative")
    assert world.values()[2] == ("submitted", {"sentiment": "negative"})


def test_an_added_label_that_was_used_goes_back_when_undone(world: World) -> None:
    change = world.change("add_label", label={"value": "new", "text": "New"})
    world.answer(3, sentiment="new")
    undo = world.undo(change)
    assert world.labels() == ["positive", "negative", "mixed"]
    assert world.values()[3] == ("draft", {})
    kept = RewrittenAnswer.objects.get(change=undo)
    assert kept.before == {"sentiment": {"value": "new"}}


def test_merged_labels_come_apart_again(world: World) -> None:
    before = world.state()
    to = {"value": "unsure", "text": "Unsure"}
    change = world.change("merge_labels", labels=["negative", "mixed"], to=to)
    assert world.labels() == ["positive", "unsure"]
    assert [v["sentiment"] for _s, v in world.values()] == ["positive", "unsure", "unsure"]
    world.undo(change)
    assert world.state() == before


def test_labels_that_become_one_are_said_once() -> None:
    world = World("genre")
    world.answer(0, genre=["comedy", "drama"])
    world.suggest(1, "genre", ["drama", "horror"], [0.2, 0.9])
    to = {"value": "play", "text": "Play"}
    world.change("merge_labels", question="genre", labels=["drama", "horror"], to=to)
    assert world.values() == [("submitted", {"genre": ["comedy", "play"]})]
    assert world.suggestions() == [("genre", ["play"], [0.9])]


def test_a_split_asks_which_records_go_where(world: World) -> None:
    found = world.records[2].fields["text"].split()[-1]
    world.answer(3, sentiment="mixed")
    before = world.state()
    parts = [
        {"value": "both", "text": "Both", "query": found},
        {"value": "neither", "text": "Neither"},
    ]
    change = world.change("split_label", label="mixed", parts=parts)
    assert world.labels() == ["positive", "negative", "both", "neither"]
    assert world.values()[2] == ("submitted", {"sentiment": "both"})
    assert world.values()[3] == ("draft", {})
    world.answer(3, sentiment="neither")
    world.answer(1, sentiment="neither")
    world.undo(change)
    assert [v["sentiment"] for _s, v in world.values()] == ["positive", "mixed", "mixed", "mixed"]
    assert world.state()[0] == before[0]


def test_a_search_that_makes_no_sense_is_refused(world: World) -> None:
    parts = [
        {"value": "a", "text": "A", "query": "meta.nowhere=1"},
        {"value": "b", "text": "B"},
    ]
    with pytest.raises(InvalidError):
        world.change("split_label", label="mixed", parts=parts)
    assert world.labels() == ["positive", "negative", "mixed"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ("submitted", {"sentiment": "positive"})),
        ({"default": "nothing"}, ("submitted", {"sentiment": "positive", "why": "nothing"})),
        ({"ask_again": True}, ("draft", {"sentiment": "positive"})),
    ],
)
def test_a_new_question_is_backfilled_or_asked_or_left(
    world: World, more: dict[str, Any], expected: Any
) -> None:
    before = world.state()
    asks = {"question": "why", "title": "Why?", "required": True, "settings": {"type": "text"}}
    change = world.change("add_question", **asks, **more)
    assert world.values()[0] == expected
    world.undo(change)
    assert world.state() == before


def test_a_question_that_was_answered_since_keeps_its_answers_with_the_change(world: World) -> None:
    asks = {"question": "why", "title": "Why?", "settings": {"type": "text"}}
    change = world.change("add_question", **asks)
    world.answer(3, sentiment="positive", why="because")
    undo = world.undo(change)
    assert world.values()[3] == ("submitted", {"sentiment": "positive"})
    kept = RewrittenAnswer.objects.get(change=undo)
    assert kept.before == {"why": {"value": "because"}}


def test_a_renamed_question_keeps_its_answers_and_suggestions(world: World) -> None:
    before, id = world.state(), Suggestion.objects.get().id
    change = world.change("rename_question", to="mood", title="Mood")
    assert world.values()[0] == ("submitted", {"mood": "positive"})
    assert (Suggestion.objects.get().id, world.suggestions()[0][0]) == (id, "mood")
    world.undo(change)
    assert world.state() == before


def test_questions_are_arranged(world: World) -> None:
    asks = {"question": "why", "title": "Why?", "settings": {"type": "text"}}
    world.change("add_question", **asks)
    arranged = apply_edit(
        dataset=world.dataset,
        edit=read_edit({"kind": "reorder_questions", "order": ["why", "sentiment"]}),
    )
    assert list(load_schema(Dataset.objects.get()).questions) == ["why", "sentiment"]
    last = world.change("add_question", **{**asks, "question": "last"})
    assert list(load_schema(Dataset.objects.get()).questions) == ["why", "sentiment", "last"]
    world.undo(last)
    world.undo(arranged)
    assert list(load_schema(Dataset.objects.get()).questions) == ["sentiment", "why"]


def test_questions_merge_and_come_apart() -> None:
    world = World("sentiment", "comment")
    other = {"question": "tone", "title": "Tone"}
    options = [{"value": v, "text": v} for v in ("positive", "angry")]
    world.change("add_question", **other, settings={"type": "label_selection", "options": options})
    world.answer(0, sentiment="positive", tone="positive")
    world.answer(1, sentiment="negative", tone="angry")
    world.answer(2, status="draft", tone="angry")
    world.suggest(0, "tone", "angry", 0.5)
    before = world.state()
    change = world.change("merge_questions", other="tone")
    assert world.labels() == ["positive", "negative", "mixed", "angry"]
    assert not Question.objects.filter(name="tone").exists()
    assert world.values() == [
        ("submitted", {"sentiment": "positive"}),
        ("draft", {"sentiment": "negative"}),
        ("draft", {"sentiment": "angry"}),
    ]
    assert world.suggestions() == [("sentiment", "angry", 0.5)]
    world.answer(3, sentiment="angry")
    world.undo(change)
    assert world.state()[0] == before[0]
    assert world.values()[:3] == before[1]
    assert world.values()[3] == ("draft", {"tone": "angry"})
    assert world.suggestions() == before[2]


def test_a_question_splits_by_its_labels() -> None:
    world = World("genre", "comment")
    world.answer(0, genre=["comedy", "horror"])
    world.answer(1, genre=["horror"])
    world.answer(2, genre=["drama"])
    before = world.state()
    third = {"value": "noir", "text": "Noir"}
    world.change("add_label", question="genre", label=third)
    parts = {"question": "genre", "into": "fear", "title": "Fear", "labels": ["horror", "noir"]}
    change = world.change("split_question", **parts)
    assert world.labels("fear") == ["horror", "noir"]
    assert list(load_schema(Dataset.objects.get()).questions) == ["genre", "fear", "comment"]
    assert world.values() == [
        ("submitted", {"genre": ["comedy"], "fear": ["horror"]}),
        ("draft", {"fear": ["horror"]}),
        ("submitted", {"genre": ["drama"]}),
    ]
    world.undo(change)
    assert world.values() == before[1]


def test_a_later_change_of_the_same_question_is_undone_first(world: World) -> None:
    first = world.change("rename_label", label="mixed", to={"value": "b", "text": "B"})
    second = world.change("rename_label", label="b", to={"value": "c", "text": "C"})
    with pytest.raises(ConflictError):
        world.undo(first)
    world.undo(second)
    world.undo(first)
    assert world.labels() == ["positive", "negative", "mixed"]
    with pytest.raises(ConflictError):
        world.undo(first)


def test_a_preview_says_what_would_happen_and_does_nothing(world: World) -> None:
    before = world.state()
    told = preview(dataset=world.dataset, edit=edit("remove_label", label="mixed"))
    assert dict(told.counts) == {"response": 1, "suggestion": 1, "adjudication": 1}
    assert (told.requeued, told.is_sample, told.needs_job) == (1, False, False)
    (example,) = told.examples
    assert (example.before, example.after) == ({"sentiment": {"value": "mixed"}}, {})
    assert example.returns
    assert world.state() == before
    assert not SchemaChange.objects.exists()


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "rename_label", "label": "no", "to": POSITIVE},
        {"kind": "rename_label", "label": "mixed", "to": POSITIVE},
        {"kind": "add_label", "label": POSITIVE},
        {"kind": "remove_label", "label": "mixed", "to": "mixed"},
        {"kind": "merge_labels", "labels": ["positive", "negative", "mixed"], "to": POSITIVE},
        {"kind": "reorder_labels", "order": ["positive"]},
        {"kind": "merge_questions", "other": "sentiment"},
        {"kind": "merge_questions", "other": "nothing"},
        {"kind": "remove_question"},
        {"kind": "split_question", "into": "b", "title": "B", "labels": ["mixed"]},
        {"kind": "rename_label", "question": "nothing", "label": "a", "to": POSITIVE},
        {"kind": "add_question", "title": "T", "settings": {"type": "text"}},
        {
            "kind": "add_question",
            "question": "n",
            "title": "T",
            "settings": {"type": "text"},
            "default": 3,
        },
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    world: World, document: dict[str, Any]
) -> None:
    before = world.state()
    with pytest.raises(InvalidError):
        apply_edit(dataset=world.dataset, edit=read_edit({"question": "sentiment", **document}))
    assert world.state() == before


@pytest.mark.parametrize("document", [None, {}, {"kind": "explode"}, {"kind": "rename_label"}, []])
def test_what_is_no_edit_is_refused(document: Any) -> None:
    with pytest.raises(InvalidError):
        read_edit(document)


def test_many_answers_follow_by_a_job_that_may_be_killed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "AT_ONCE", 2)
    monkeypatch.setattr(job, "PAGE", 1)
    before = world.state()
    to = {"value": "other", "text": "Other"}
    change = world.change("merge_labels", labels=["negative", "mixed"], to=to)
    assert change.job_id is not None
    assert world.labels() == ["positive", "other"]
    with pytest.raises(ConflictError):
        world.change("rename_label", label="positive", to={"value": "good", "text": "Good"})
    assert settle(world.dataset) is not None
    run_slice(organization_id=current(), job_id=change.job_id)
    assert Job.objects.get().state == "done"
    # As after a worker that died with the last page written, and not noted.
    JobItem.objects.update(state="pending")
    Job.objects.update(state="queued", done=0, finished_at=None)
    run_slice(organization_id=current(), job_id=change.job_id)
    assert settle(world.dataset) is None
    change.refresh_from_db()
    assert change.counts == {"response": 2, "suggestion": 1, "adjudication": 1, "requeued": 0}
    monkeypatch.setattr(services, "AT_ONCE", 1000)
    world.undo(change)
    assert world.state() == before


def test_an_answer_that_was_checked_before_an_edit_is_checked_again(world: World) -> None:
    record = Record.objects.select_related("dataset").get(id=world.records[3].id)
    schema = load_schema(record.dataset)
    assert "mixed" in schema.questions["sentiment"].options
    world.change("rename_label", label="mixed", to={"value": "both", "text": "Both"})
    save = {"record": record, "annotator": world.ana, "status": "submitted", "schema": schema}
    with pytest.raises(InvalidError):
        save_response(values={"sentiment": {"value": "mixed"}}, **save)
    assert not Response.objects.filter(record=record).exists()
    save_response(values={"sentiment": {"value": "positive"}}, **save)
    assert world.values()[3] == ("submitted", {"sentiment": "positive"})
