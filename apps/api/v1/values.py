"""Values, suggestions and responses as they stand in a body."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    Field,
    RootModel,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from apps.api.views import Schema
from apps.core.errors import InvalidError
from apps.datasets.values import as_vector
from apps.records.inputs import ResponseInput, SuggestionInput

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

    @model_validator(mode="after")
    def end_after_start(self) -> "SpanItem":
        if self.end <= self.start:
            raise ValueError("'end' must be greater than 'start'")
        return self


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


Answers = dict[str, AnswerBody]


class _Response(Schema):
    """An answer; ``values`` by question name."""

    values: Answers | None = None
    status: str

    def plain_values(self) -> dict[str, Any] | None:
        if self.values is None:
            return None
        return {name: {"value": plain(answer.value)} for name, answer in self.values.items()}


class DraftBody(_Response):
    status: Literal["draft"]


class DiscardedBody(_Response):
    status: Literal["discarded"]


class SubmittedBody(_Response):
    """Brings its values."""

    values: Answers
    status: Literal["submitted"]


class ResponseBody(
    RootModel[Annotated[DraftBody | DiscardedBody | SubmittedBody, Field(discriminator="status")]]
):
    """An answer of the caller's."""


class _UserResponse(_Response):
    """An answer that comes along with a record."""

    user_id: UUID

    def to_input(self) -> ResponseInput:
        return ResponseInput(self.user_id, self.status, self.plain_values())


class UserDraftBody(DraftBody, _UserResponse):
    """Brings its values, which a draft elsewhere need not."""

    values: Answers


class UserDiscardedBody(DiscardedBody, _UserResponse):
    pass


class UserSubmittedBody(SubmittedBody, _UserResponse):
    pass


UserResponseBody = Annotated[
    UserDraftBody | UserDiscardedBody | UserSubmittedBody, Field(discriminator="status")
]
