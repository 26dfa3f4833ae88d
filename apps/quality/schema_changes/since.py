"""What was said in the words of earlier questions, in those of the present ones.

Answers, suggestions and decisions are rewritten when a question is edited. What else holds values,
e.g. predictions and drafts, is kept as it came in and read through ``Since``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.annotation.models import SchemaChange
from apps.datasets.edits import Answers, AnyEdit, Rewritten, Shapes, read_edit
from apps.datasets.schema import QuestionRule


@dataclass(frozen=True, slots=True)
class _Step:
    """A change, and the edit that makes of answers given before it what they are after it."""

    change: SchemaChange
    edit: AnyEdit | None
    shapes: Shapes


class Since:
    """All edits of a dataset's questions. One statement."""

    def __init__(self, dataset_id: UUID) -> None:
        rows = list(SchemaChange.objects.filter(dataset=dataset_id).order_by("id"))
        by_id = {row.id: row for row in rows}
        self._steps = [_step(row, by_id) for row in rows]

    def rewrite(self, values: Answers, at: datetime) -> Rewritten:
        """What was answered at a time, ``{question: {"value": …}}``, as an answer is now.

        What the questions cannot say any more stays as it was and is unclear; so does a split
        label, of which a search of the records decides.
        """
        found = Rewritten(dict(values))
        for step in self._after(at):
            edit = step.edit
            if edit is None or edit.only_submitted or not edit.reach(step.shapes):
                continue
            made = edit.rewrite(step.shapes, found.values)
            stays = {name: found.values[name] for name in made.unclear if name in found.values}
            found = Rewritten({**made.values, **stays}, found.unclear | made.unclear)
        return found

    def value(self, rule: QuestionRule, value: Any, at: datetime) -> Any:
        """The same of one question's value; None of what it cannot say any more."""
        name = self._name(rule, at)
        made = self.rewrite({name: {"value": value}}, at)
        return None if made.unclear else made.values.get(rule.name, {}).get("value")

    def _after(self, at: datetime) -> list[_Step]:
        """A change that was taken back since, and what took it back, come to nothing."""
        later = [step for step in self._steps if step.change.inserted_at > at]
        ids = {step.change.id for step in later}
        return [
            step
            for step in later
            if step.change.undone_at is None and step.change.undoes not in ids
        ]

    def _name(self, rule: QuestionRule, at: datetime) -> str:
        """What the question was called."""
        id = str(rule.id)
        names = (
            step.change.before[id]["name"] for step in self._after(at) if id in step.change.before
        )
        return next(names, rule.name)


def _step(change: SchemaChange, by_id: Mapping[UUID, SchemaChange]) -> _Step:
    edit = read_edit(change.edit)
    if change.undoes is None:
        return _Step(change, edit, _by_name(change.before))
    undone = by_id[change.undoes]
    return _Step(change, edit.inverse(_by_name(undone.before)), _by_name(undone.after))


def _by_name(shapes: Shapes) -> Shapes:
    return {shape["name"]: shape for shape in shapes.values()}
