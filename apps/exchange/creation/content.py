"""What was decided about a dataset that is to be made; kept as JSON between the steps."""

import re
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from apps.exchange.creation.survey import Survey

MAX_NAME: Final = 200
RATINGS: Final = "1 2 3 4 5"


class FieldDraft(BaseModel):
    """A field that does not come of a column; ``aliases`` are names of columns that fit it."""

    name: str
    title: str
    type: str = "text"
    required: bool = True
    settings: dict[str, Any] = {}
    aliases: list[str] = []


class QuestionDraft(BaseModel):
    """``labels`` are what one can choose, ratings among them; ``texts`` and ``descriptions`` are
    by label. ``field`` is that of spans, ``column`` the one the question was made for."""

    name: str
    title: str
    type: str
    description: str = ""
    required: bool = False
    labels: list[str] = []
    texts: dict[str, str] = {}
    descriptions: dict[str, str] = {}
    field: str = ""
    column: str = ""
    aliases: list[str] = []
    more: dict[str, Any] = {}


class ColumnChoice(BaseModel):
    """``to`` is a written form of ``outline``; ``name`` that of the part which is made of it."""

    column: str
    to: str
    name: str
    title: str
    reason: str = ""
    facts: dict[str, Any] = {}


class SketchContent(BaseModel):
    """Everything; ``properties`` and ``vectors`` are those of a dataset that is copied."""

    template: str = ""
    survey: Survey | None = None
    columns: list[ColumnChoice] = []
    fields: list[FieldDraft] = []
    questions: list[QuestionDraft] = []
    properties: list[dict[str, Any]] = []
    vectors: list[dict[str, Any]] = []
    copied_id: UUID | None = None
    with_records: bool = False
    name: str = ""
    workspace_id: UUID | None = None
    guidelines: str = ""
    min_submitted: int = 1

    def column(self, name: str) -> ColumnChoice | None:
        return next((one for one in self.columns if one.column == name), None)

    def question(self, name: str) -> QuestionDraft | None:
        return next((one for one in self.questions if one.name == name), None)


def part_name(text: str, taken: set[str], fallback: str) -> str:
    """A name as the API takes it, e.g. ``customer_text``, that nothing else has."""
    plain = re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_-")[:MAX_NAME] or fallback
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain[: MAX_NAME - 5]}_{number}", number + 1
    return name
