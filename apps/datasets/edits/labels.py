"""Edits of the labels of one question."""

from typing import Annotated, Literal

from django.utils.translation import gettext
from pydantic import Field, StringConstraints

from apps.core.errors import InvalidError
from apps.datasets.edits.base import (
    WITH_LABELS,
    WITH_OPTIONS,
    Answers,
    AnyEdit,
    NewLabel,
    PartName,
    Reach,
    Rewritten,
    Shapes,
    check_known,
    check_same,
    option_of,
    options_of,
    ordered,
    with_options,
)
from apps.datasets.edits.mapping import map_labels


class LabelEdit(AnyEdit):
    question: PartName

    def _mapping(self, part: int | None) -> dict[str, str | None]:
        return {}

    def reach(self, shapes: Shapes) -> list[Reach]:
        labels = list(self._mapping(None))
        return [Reach(self.question, labels)] if labels else []

    def rewrite(self, shapes: Shapes, values: Answers, part: int | None = None) -> Rewritten:
        kept = dict(values)
        if "value" not in kept.get(self.question, {}):
            return Rewritten(kept)
        type = shapes[self.question]["settings"]["type"]
        answer, is_clear = map_labels(type, kept.pop(self.question), self._mapping(part))
        if answer is not None:
            kept[self.question] = answer
        return Rewritten(ordered(kept, values), set() if is_clear else {self.question})


class AddLabel(LabelEdit):
    kind: Literal["add_label"] = "add_label"
    label: NewLabel

    def reshape(self, shapes: Shapes) -> Shapes:
        options = options_of(shapes, self.question, WITH_LABELS)
        return with_options(shapes, self.question, [*options, option_of(self.label)])

    def inverse(self, shapes: Shapes) -> "AnyEdit | None":
        return RemoveLabel(question=self.question, label=self.label.value)


class RenameLabel(LabelEdit):
    """``text`` alone changes what people read; answers then stay as they are."""

    kind: Literal["rename_label"] = "rename_label"
    label: str
    to: NewLabel

    def reshape(self, shapes: Shapes) -> Shapes:
        options = options_of(shapes, self.question, WITH_OPTIONS)
        check_known(options, [self.label])
        named = [
            {**one, "value": self.to.value, "text": self.to.text}
            if one["value"] == self.label
            else one
            for one in options
        ]
        return with_options(shapes, self.question, named)

    def _mapping(self, part: int | None) -> dict[str, str | None]:
        return {} if self.label == self.to.value else {self.label: self.to.value}

    def inverse(self, shapes: Shapes) -> "AnyEdit | None":
        if not self._mapping(None):
            return None
        to = NewLabel(value=self.label, text=self.label)
        return RenameLabel(question=self.question, label=self.to.value, to=to)


class ReorderLabels(LabelEdit):
    kind: Literal["reorder_labels"] = "reorder_labels"
    order: list[str]

    def reshape(self, shapes: Shapes) -> Shapes:
        options = options_of(shapes, self.question, WITH_OPTIONS)
        by_value = {one["value"]: one for one in options}
        check_same(by_value, self.order)
        return with_options(shapes, self.question, [by_value[value] for value in self.order])


class MergeLabels(LabelEdit):
    """Answers with any of ``labels`` have ``to`` instead, which may be one of them."""

    kind: Literal["merge_labels"] = "merge_labels"
    labels: Annotated[list[str], Field(min_length=2)]
    to: NewLabel

    def reshape(self, shapes: Shapes) -> Shapes:
        options = options_of(shapes, self.question, WITH_LABELS)
        check_known(options, self.labels)
        place = [one["value"] for one in options].index(self.labels[0])
        merged = [
            option_of(self.to) if n == place else one
            for n, one in enumerate(options)
            if n == place or one["value"] not in self.labels
        ]
        return with_options(shapes, self.question, merged)

    def _mapping(self, part: int | None) -> dict[str, str | None]:
        return {label: self.to.value for label in self.labels if label != self.to.value}

    def inverse(self, shapes: Shapes) -> "AnyEdit | None":
        if self.to.value in {one["value"] for one in shapes[self.question]["settings"]["options"]}:
            return None
        return RemoveLabel(question=self.question, label=self.to.value)


class RemoveLabel(LabelEdit):
    """Answers with the label have ``to``; without one they go back to who gave them."""

    kind: Literal["remove_label"] = "remove_label"
    label: str
    to: str | None = None

    def reshape(self, shapes: Shapes) -> Shapes:
        options = options_of(shapes, self.question, WITH_LABELS)
        check_known(options, [self.label, *([self.to] if self.to else [])])
        if self.label == self.to:
            raise InvalidError(gettext("A label cannot be replaced by itself."))
        left = [one for one in options if one["value"] != self.label]
        return with_options(shapes, self.question, left)

    def _mapping(self, part: int | None) -> dict[str, str | None]:
        return {self.label: self.to}


class SplitPart(NewLabel):
    """``query`` is the search whose records have this label now; empty: none by themselves."""

    query: Annotated[str, StringConstraints(max_length=8_000)] = ""


class SplitLabel(LabelEdit):
    """A record takes the label of the first part whose search it matches; the others' answers
    go back to who gave them."""

    kind: Literal["split_label"] = "split_label"
    label: str
    parts: Annotated[list[SplitPart], Field(min_length=2, max_length=20)]

    def reshape(self, shapes: Shapes) -> Shapes:
        options = options_of(shapes, self.question, WITH_LABELS)
        check_known(options, [self.label])
        place = [one["value"] for one in options].index(self.label)
        new = [option_of(part) for part in self.parts]
        return with_options(shapes, self.question, [*options[:place], *new, *options[place + 1 :]])

    def _mapping(self, part: int | None) -> dict[str, str | None]:
        return {self.label: None if part is None else self.parts[part].value}

    def inverse(self, shapes: Shapes) -> "AnyEdit | None":
        labels = [part.value for part in self.parts]
        text = next(
            one["text"]
            for one in shapes[self.question]["settings"]["options"]
            if one["value"] == self.label
        )
        return MergeLabels(
            question=self.question, labels=labels, to=NewLabel(value=self.label, text=text)
        )
