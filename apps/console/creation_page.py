"""What the pages of a new dataset show of a sketch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.console import creation_words
from apps.console.creation_words import QUESTION_TYPES
from apps.core.errors import NotAllowedError
from apps.exchange.creation import outline
from apps.exchange.creation.content import ColumnChoice, FieldDraft, QuestionDraft, SketchContent
from apps.exchange.models import DatasetSketch
from apps.organizations.models import Membership
from apps.workspaces import permissions
from apps.workspaces.models import Workspace
from apps.workspaces.permissions import Action


def workspaces_of(member: Membership) -> list[Workspace]:
    """Where the member may make a dataset."""
    permissions.remember_roles(member)
    places = Workspace.objects.visible_to(member).order_by("name")
    return [one for one in places if permissions.may(member, Action.MANAGE_DATASET, one.id)]


def may_create(member: Membership) -> None:
    """Raise ``NotAllowedError`` unless the member may make a dataset somewhere."""
    if not permissions.may_somewhere(member, Action.MANAGE_DATASET):
        raise NotAllowedError


@dataclass(frozen=True)
class ColumnRow:
    """A column with its choice."""

    number: int
    choice: ColumnChoice
    reason: str
    examples: str


@dataclass(frozen=True)
class ColumnsPage:
    sketch: DatasetSketch
    content: SketchContent

    @property
    def groups(self) -> list[creation_words.Group]:
        return creation_words.groups(self.content)

    @property
    def survey(self) -> Any:
        return self.content.survey

    @property
    def rows(self) -> list[ColumnRow]:
        return [
            ColumnRow(
                number,
                one,
                creation_words.reason(one.reason, one.facts),
                self._examples(one.column),
            )
            for number, one in enumerate(self.content.columns)
        ]

    def _examples(self, column: str) -> str:
        facts = self.survey.column(column) if self.survey else None
        return " · ".join(facts.values[:4]) if facts else ""


@dataclass(frozen=True)
class QuestionRow:
    number: int
    draft: QuestionDraft
    fault: str
    is_last: bool

    @property
    def type_words(self) -> str:
        return str(QUESTION_TYPES[self.draft.type])

    @property
    def labels(self) -> str:
        return "\n".join(self.draft.labels)

    @property
    def has_labels(self) -> bool:
        return self.draft.type in outline.CHOICES

    @property
    def low(self) -> str:
        return self.draft.labels[0] if self.draft.labels else "1"

    @property
    def high(self) -> str:
        return self.draft.labels[-1] if self.draft.labels else "5"


@dataclass(frozen=True)
class QuestionsPage:
    sketch: DatasetSketch
    content: SketchContent
    faults: dict[int, str]

    @property
    def rows(self) -> list[QuestionRow]:
        last = len(self.content.questions) - 1
        return [
            QuestionRow(number, one, self.faults.get(number, ""), number == last)
            for number, one in enumerate(self.content.questions)
        ]

    @property
    def types(self) -> Sequence[tuple[str, str]]:
        return [(name, str(words)) for name, words in QUESTION_TYPES.items()]

    @property
    def texts(self) -> list[FieldDraft]:
        return [one for one in self.fields if one.type == "text"]

    @property
    def fields(self) -> list[FieldDraft]:
        return outline.fields_of(self.content)
