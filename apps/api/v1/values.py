"""Values, suggestions and responses as they stand in a body."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    Field,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from apps.api.views import Schema
from apps.core.errors import InvalidError
from apps.datasets.values import as_vector
from apps.records.inputs import ResponseInput, SuggestionInput

ResponseStatus = Literal["draft", "submitted", "discarded"]
_Text = Annotated[str, Field(coerce_numbers_to_str=True)]
_Agent = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=200, pattern=r"^[\-_:./ ]*[a-zA-Z0-9][a-zA-Z0-9\-_:./ ]*$"
    ),
]
_Score = Annotated[float, Field(ge=0, le=1)]


class SpanItem(Schema):
    label: str
    start: int = Field(ge=0)
    end: int = Field(ge=1)


class RankingItem(Schema):
    value: str
    rank: int | None = None


# In this order: a list of spans, of ranked options, of labels, then a rating, then a text.
Value = Annotated[
    list[SpanItem] | list[RankingItem] | list[_Text] | StrictInt | StrictStr,
    Field(union_mode="left_to_right"),
]


def _array(numbers: Any, look: ValidatorFunctionWrapHandler) -> Any:
    """An array of float32 in one pass; number by number only to say which one is wrong."""
    try:
        return as_vector(numbers)
    except InvalidError:
        return look(numbers)


Numbers = Annotated[list[float], WrapValidator(_array)]


def plain(value: Any) -> Any:
    """A parsed value as plain JSON types."""
    if isinstance(value, list):
        return [item.model_dump() if isinstance(item, BaseModel) else item for item in value]
    return value


class SuggestionBody(Schema):
    question_id: UUID
    value: Value
    type: Literal["model", "human"] | None = None
    agent: _Agent | None = None
    score: _Score | list[_Score] | None = None

    def to_input(self) -> SuggestionInput:
        return SuggestionInput(
            self.question_id, plain(self.value), self.score, self.agent, self.type
        )


class AnswerBody(Schema):
    value: Value


class ResponseBody(Schema):
    """An answer of the caller's; ``values`` by question name."""

    values: dict[str, AnswerBody] | None = None
    status: ResponseStatus

    def plain_values(self) -> dict[str, Any] | None:
        if self.values is None:
            return None
        return {name: {"value": plain(answer.value)} for name, answer in self.values.items()}


class UserResponseBody(ResponseBody):
    """An answer that comes along with a record; a draft brings its values."""

    user_id: UUID

    def to_input(self) -> ResponseInput:
        return ResponseInput(self.user_id, self.status, self.plain_values())
