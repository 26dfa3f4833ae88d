"""Edits of the questions of a dataset that has answers: what each makes of questions and answers.

Pure: an ``Edit`` takes question documents (``shape_of``) to new ones with ``reshape``, and an
answer's ``{question: {"value": …}}`` to what becomes of it with ``rewrite``. ``inverse`` is the
edit that brings answers given since back into the old shape when the edit is undone.
"""

from typing import Annotated, Any, Final, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from apps.core.errors import InvalidError
from apps.datasets.edits.base import Answers, AnyEdit, Reach, Rewritten, Shape, Shapes, shape_of
from apps.datasets.edits.labels import (
    AddLabel,
    MergeLabels,
    RemoveLabel,
    RenameLabel,
    ReorderLabels,
    SplitLabel,
)
from apps.datasets.edits.questions import (
    AddQuestion,
    MergeQuestions,
    RemoveQuestion,
    RenameQuestion,
    ReorderQuestions,
    SplitQuestion,
)

__all__ = [
    "Answers",
    "AnyEdit",
    "Edit",
    "Reach",
    "Rewritten",
    "Shape",
    "Shapes",
    "SplitLabel",
    "read_edit",
    "shape_of",
]

Edit: TypeAlias = Annotated[
    AddLabel
    | RenameLabel
    | ReorderLabels
    | MergeLabels
    | RemoveLabel
    | SplitLabel
    | AddQuestion
    | RemoveQuestion
    | RenameQuestion
    | ReorderQuestions
    | MergeQuestions
    | SplitQuestion,
    Field(discriminator="kind"),
]
_EDIT: Final[TypeAdapter[Edit]] = TypeAdapter(Edit)


def read_edit(document: Any) -> Edit:
    """Raises ``InvalidError`` with the first thing that is wrong."""
    try:
        return _EDIT.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        raise InvalidError(f"{where}: {first['msg']}" if where else first["msg"]) from error
