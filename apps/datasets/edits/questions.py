"""Edits of whole questions."""

from typing import Annotated, Any, ClassVar, Literal

from django.utils.translation import gettext
from pydantic import Field

from apps.core.errors import InvalidError
from apps.datasets.edits.base import (
    WITH_LABELS,
    Answers,
    AnyEdit,
    PartName,
    Reach,
    Rewritten,
    Shapes,
    Title,
    asked,
    check_free,
    check_known,
    check_same,
    checked,
    options_of,
    values_of,
    with_options,
)
from apps.datasets.edits.mapping import map_labels
from apps.datasets.models import QuestionType


class AddQuestion(AnyEdit):
    """``default`` is what submitted answers say from now on; ``ask_again`` sends them back.

    Where it is required, that asks about settled records as well.
    """

    only_submitted: ClassVar[bool] = True
    kind: Literal["add_question"] = "add_question"
    question: PartName
    title: Title
    description: str | None = None
    required: bool = False
    settings: dict[str, Any]
    default: Any = None
    ask_again: bool = False

    def reshape(self, shapes: Shapes) -> Shapes:
        check_free(shapes, self.question)
        settings = checked(self.settings)
        new = {
            "name": self.question,
            "title": self.title,
            "description": self.description,
            "required": self.required,
            "settings": settings,
        }
        return {**shapes, self.question: new}

    def reach(self, shapes: Shapes) -> list[Reach]:
        touches = self.default is not None or self.ask_again
        settled = self.ask_again and self.required and self.default is None
        return [Reach(self.question, missing=True, settled=settled)] if touches else []

    def rewrite(self, shapes: Shapes, values: Answers, part: int | None = None) -> Rewritten:
        if self.question in values:
            return Rewritten(dict(values))
        if self.default is not None:
            return Rewritten({**values, self.question: {"value": self.default}})
        return Rewritten(dict(values), {self.question} if self.ask_again else set())

    def inverse(self, shapes: Shapes) -> "AnyEdit | None":
        return RemoveQuestion(question=self.question)


class RemoveQuestion(AnyEdit):
    """The question is asked no more; what was answered to it is kept with the change."""

    kind: Literal["remove_question"] = "remove_question"
    question: PartName

    def reshape(self, shapes: Shapes) -> Shapes:
        asked(shapes, self.question)
        left = {name: one for name, one in shapes.items() if name != self.question}
        if not any(one["required"] for one in left.values()):
            raise InvalidError(gettext("A dataset needs a required question."))
        return left

    def reach(self, shapes: Shapes) -> list[Reach]:
        return [Reach(self.question)]

    def rewrite(self, shapes: Shapes, values: Answers, part: int | None = None) -> Rewritten:
        return Rewritten({name: one for name, one in values.items() if name != self.question})


class RenameQuestion(AnyEdit):
    keeps_suggestions: ClassVar[bool] = True
    kind: Literal["rename_question"] = "rename_question"
    question: PartName
    to: PartName
    title: Title

    def reshape(self, shapes: Shapes) -> Shapes:
        asked(shapes, self.question)
        if self.to != self.question:
            check_free(shapes, self.to)
        renamed = {**shapes[self.question], "name": self.to, "title": self.title}
        return {
            (self.to if name == self.question else name): (
                renamed if name == self.question else one
            )
            for name, one in shapes.items()
        }

    def reach(self, shapes: Shapes) -> list[Reach]:
        return [Reach(self.question)] if self.to != self.question else []

    def rewrite(self, shapes: Shapes, values: Answers, part: int | None = None) -> Rewritten:
        names = {self.question: self.to}
        return Rewritten({names.get(name, name): one for name, one in values.items()})

    def inverse(self, shapes: Shapes) -> "AnyEdit | None":
        return RenameQuestion(question=self.to, to=self.question, title=self.title)


class ReorderQuestions(AnyEdit):
    kind: Literal["reorder_questions"] = "reorder_questions"
    order: list[str]

    def reshape(self, shapes: Shapes) -> Shapes:
        check_same(shapes, self.order)
        return {name: shapes[name] for name in self.order}


class MergeQuestions(AnyEdit):
    """What was answered to ``other`` is said to ``question``, of the same type.

    Labels of both are joined. Where a person answered both and differently, a multi-label or span
    answer has both; any other goes back to who gave it.
    """

    kind: Literal["merge_questions"] = "merge_questions"
    question: PartName
    other: PartName

    def reshape(self, shapes: Shapes) -> Shapes:
        first, second = asked(shapes, self.question), asked(shapes, self.other)
        if first is second:
            raise InvalidError(gettext("A question cannot be merged with itself."))
        a, b = first["settings"], second["settings"]
        if a["type"] != b["type"] or a.get("field") != b.get("field"):
            raise InvalidError(
                gettext("Only questions of the same type, about the same field, can merge.")
            )
        if a["type"] in {QuestionType.RANKING, QuestionType.RATING} and values_of(a) != values_of(
            b
        ):
            raise InvalidError(gettext("Only questions with the same options can merge."))
        merged = {**first, "required": first["required"] or second["required"]}
        if "options" in a:
            extra = [one for one in b["options"] if one["value"] not in values_of(a)]
            merged["settings"] = checked({**a, "options": [*a["options"], *extra]})
        return {
            name: merged if name == self.question else one
            for name, one in shapes.items()
            if name != self.other
        }

    def reach(self, shapes: Shapes) -> list[Reach]:
        return [Reach(self.other)]

    def rewrite(self, shapes: Shapes, values: Answers, part: int | None = None) -> Rewritten:
        kept = dict(values)
        second = kept.pop(self.other, None)
        first = kept.get(self.question)
        if second is None or (first is not None and first.get("value") == second.get("value")):
            return Rewritten(kept)
        if first is None:
            return Rewritten({**kept, self.question: second})
        if "value" in first and "value" in second and self._joins(shapes):
            extra = [one for one in second["value"] if one not in first["value"]]
            joined = {**first, "value": [*first["value"], *extra]}
            joined.pop("score", None)
            return Rewritten({**kept, self.question: joined})
        return Rewritten(kept, {self.question})

    def _joins(self, shapes: Shapes) -> bool:
        settings = shapes[self.question]["settings"]
        return settings["type"] == QuestionType.MULTI_LABEL or bool(
            settings.get("allow_overlapping")
        )

    def inverse(self, shapes: Shapes) -> "AnyEdit | None":
        a, b = (shapes[name] for name in (self.question, self.other))
        moved = [
            value for value in values_of(b["settings"]) if value not in values_of(a["settings"])
        ]
        if not moved or a["settings"]["type"] not in WITH_LABELS:
            return None
        return SplitQuestion(
            question=self.question, into=self.other, title=b["title"], labels=moved
        )


class SplitQuestion(AnyEdit):
    """``labels`` are asked by the new question ``into``; answers with them move there."""

    kind: Literal["split_question"] = "split_question"
    question: PartName
    into: PartName
    title: Title
    labels: Annotated[list[str], Field(min_length=1)]

    def reshape(self, shapes: Shapes) -> Shapes:
        options = options_of(shapes, self.question, WITH_LABELS)
        check_free(shapes, self.into)
        check_known(options, self.labels)
        whole = shapes[self.question]
        there = [one for one in options if one["value"] in self.labels]
        left = [one for one in options if one["value"] not in self.labels]
        first = with_options(shapes, self.question, left)[self.question]
        settings = checked({**whole["settings"], "options": there, "visible_options": None})
        if settings["type"] == QuestionType.SPAN:
            raise InvalidError(gettext("A field has one span question: it cannot be split."))
        new = {**whole, "name": self.into, "title": self.title, "required": False}
        new |= {"settings": settings, "id": None}
        split: Shapes = {}
        for name, one in shapes.items():
            split[name] = first if name == self.question else one
            if name == self.question:
                split[self.into] = new
        return split

    def reach(self, shapes: Shapes) -> list[Reach]:
        return [Reach(self.question, self.labels)]

    def rewrite(self, shapes: Shapes, values: Answers, part: int | None = None) -> Rewritten:
        kept = dict(values)
        if "value" not in kept.get(self.question, {}):
            return Rewritten(kept)
        answer = kept.pop(self.question)
        settings = shapes[self.question]["settings"]
        away = dict.fromkeys(self.labels)
        stays = {v: None for v in values_of(settings) if v not in self.labels}
        left, _clear = map_labels(settings["type"], answer, away)
        moved, _clear = map_labels(settings["type"], answer, stays)
        parts = ((self.question, left), (self.into, moved))
        kept |= {name: one for name, one in parts if one is not None and one["value"] != []}
        unclear = shapes[self.question]["required"] and self.question not in kept
        return Rewritten(kept, {self.question} if unclear else set())

    def inverse(self, shapes: Shapes) -> "AnyEdit | None":
        return MergeQuestions(question=self.question, other=self.into)
