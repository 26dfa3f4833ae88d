"""Any sequence of answers, edits and undos: no submitted answer is lost, and undo brings back."""

from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings

from apps.annotation.models import Response, RewrittenAnswer
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.edits import read_edit
from apps.datasets.models import Question
from apps.quality.schema_changes.services import apply_edit, undo_change
from tests.quality.test_schema_changes import World

pytestmark = pytest.mark.usefixtures("organization")

LABELS = ("positive", "negative", "mixed", "a", "b")
label = st.sampled_from(LABELS)
pair = st.builds(lambda value: {"value": value, "text": value.title()}, label)
two = st.lists(label, min_size=2, max_size=2, unique=True)
question = {"question": "genre"}
edits = st.one_of(
    st.builds(lambda to: {"kind": "add_label", "label": to}, pair),
    st.builds(lambda one, to: {"kind": "rename_label", "label": one, "to": to}, label, pair),
    st.builds(lambda two, to: {"kind": "merge_labels", "labels": two, "to": to}, two, pair),
    st.builds(lambda one: {"kind": "remove_label", "label": one}, label),
    st.builds(lambda two: {"kind": "remove_label", "label": two[0], "to": two[1]}, two),
    st.builds(
        lambda one, parts: {
            "kind": "split_label",
            "label": one,
            "parts": [{"value": part, "text": part} for part in parts],
        },
        label,
        two,
    ),
    st.just({"kind": "rename_question", "to": "kind", "title": "Kind"}),
    st.builds(
        lambda two: {"kind": "split_question", "into": "more", "title": "More", "labels": two}, two
    ),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), edits),
        st.tuples(st.just("answer"), st.tuples(st.integers(0, 3), st.sets(label, min_size=1))),
        st.tuples(st.just("undo"), st.none()),
    ),
    max_size=8,
)


class Course:
    """A dataset that is answered and edited, and everything that was ever submitted."""

    def __init__(self) -> None:
        self.world = World("sentiment", "genre", required=("sentiment",))
        Question.objects.filter(name="genre").update(
            settings={
                "type": "multi_label_selection",
                "options": [
                    {"value": v, "text": v.title(), "description": None}
                    for v in ("positive", "negative", "mixed")
                ],
                "visible_options": None,
                "options_order": "natural",
            }
        )
        self.edited: list[tuple[Any, Any, bool]] = []
        self.submitted: dict[UUID, Any] = {}
        for n in range(4):
            self.answer(n, {"positive", "mixed"} if n else {"negative"})

    def answer(self, n: int, labels: set[str]) -> None:
        asked = Question.objects.filter(dataset=self.world.dataset, name__in=["genre", "kind"])
        rule = asked.first()
        known = [one["value"] for one in rule.options if one["value"] in labels] if rule else []
        if rule is None or not known:
            return
        self.world.answer(n, sentiment="positive", **{rule.name: known})
        record_id = self.world.records[n].id
        self.submitted[record_id] = Response.objects.get(record=record_id).values
        self.edited = [(change, state, False) for change, state, _ in self.edited]

    def edit(self, document: dict[str, Any]) -> None:
        before = self.state()
        try:
            edit = read_edit(question | document)
            change = apply_edit(dataset=self.world.dataset, edit=edit)
        except InvalidError:
            assert self.state() == before
            return
        self.edited.append((change, before, True))

    def undo(self) -> None:
        if not self.edited:
            return
        change, before, is_untouched = self.edited.pop()
        undo_change(change=change)
        assert self.state()[0] == before[0]
        if is_untouched:
            assert self.state() == before
        with pytest.raises(ConflictError):
            undo_change(change=change)

    def state(self) -> Any:
        questions = Question.objects.filter(dataset=self.world.dataset).in_order()
        return [(q.name, q.title, q.settings) for q in questions], self.world.values()

    def check(self) -> None:
        """Going back through what was kept leads to each answer as it was submitted."""
        for record_id, was in self.submitted.items():
            row = Response.objects.get(record=record_id)
            values, seen = dict(row.values), [row.values]
            kept = RewrittenAnswer.objects.filter(record=record_id, part="response")
            for one in kept.order_by("-id"):
                values = {n: v for n, v in values.items() if n not in one.after} | one.before
                seen.append(values)
            assert was in seen


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
def test_no_answer_is_lost(steps: list[tuple[str, Any]]) -> None:
    with transaction.atomic():
        course = Course()
        for name, what in steps:
            if name == "edit":
                course.edit(what)
            elif name == "undo":
                course.undo()
            else:
                course.answer(*what)
            course.check()
        transaction.set_rollback(True)
