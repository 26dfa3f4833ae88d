"""The settings documents of fields, questions and metadata properties: shape, limits, changes.

Each kind is a union told apart by ``type``. What may change later has its own, smaller model.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    computed_field,
    model_validator,
)

from apps.core.errors import InvalidError

MAX_LABELS: Final = 500
MAX_RANKED: Final = 50
MAX_RATINGS: Final = 11
HIGHEST_RATING: Final = 10
MAX_TERMS: Final = 250
MIN_VISIBLE: Final = 3
MAX_TEMPLATE: Final = 1_000_000

OptionValue: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
OptionText: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Description: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
VisibleOptions: TypeAlias = Annotated[int, Field(ge=MIN_VISIBLE)]
Rating: TypeAlias = Annotated[int, Field(ge=0, le=HIGHEST_RATING)]
OptionsOrder: TypeAlias = Literal["natural", "suggestion"]


class Document(BaseModel):
    """Keys that are not named are dropped."""

    model_config = ConfigDict(extra="ignore", frozen=True)


# --- Fields -----------------------------------------------------------------------------------
class TextField(Document):
    type: Literal["text"]
    use_markdown: bool = False


class ImageField(Document):
    type: Literal["image"]


class ChatField(Document):
    type: Literal["chat"]
    use_markdown: bool = True


class CustomField(Document):
    type: Literal["custom"]
    template: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEMPLATE)]
    advanced_mode: bool = False


class TextFieldChange(TextField):
    use_markdown: bool


class ChatFieldChange(ChatField):
    use_markdown: bool


class CustomFieldChange(CustomField):
    advanced_mode: bool


FieldSettings: TypeAlias = Annotated[
    TextField | ImageField | ChatField | CustomField, Field(discriminator="type")
]
FieldChange: TypeAlias = Annotated[
    TextFieldChange | ImageField | ChatFieldChange | CustomFieldChange,
    Field(discriminator="type"),
]


# --- Questions --------------------------------------------------------------------------------
class Option(Document):
    value: OptionValue
    text: OptionText
    description: Description | None = None


class RatingOption(Document):
    value: Rating


_Options = TypeVar("_Options", bound=Sequence[Option | RatingOption])


def _unique(options: _Options) -> _Options:
    values = [option.value for option in options]
    if len(set(values)) != len(values):
        raise ValueError("option values must be unique")
    return options


class _Choice(Document):
    """Options of which a page may show only the first ``visible_options``."""

    options: Sequence[Option] | None
    visible_options: VisibleOptions | None = None

    @model_validator(mode="after")
    def _check(self) -> "_Choice":
        if self.options is not None:
            _unique(self.options)
            if self.visible_options is not None:
                _check_visible(self.visible_options, len(self.options))
        return self


def _check_visible(visible: int, count: int) -> None:
    if visible > count:
        raise ValueError(f"visible_options must be at most the number of options ({count})")


class TextQuestion(Document):
    type: Literal["text"]
    use_markdown: bool = False


class RatingQuestion(Document):
    type: Literal["rating"]
    options: Annotated[list[RatingOption], Field(min_length=2, max_length=MAX_RATINGS)]

    @model_validator(mode="after")
    def _check(self) -> "RatingQuestion":
        _unique(self.options)
        return self


class LabelQuestion(_Choice):
    type: Literal["label_selection"]
    options: Annotated[list[Option], Field(min_length=2, max_length=MAX_LABELS)]


class MultiLabelQuestion(_Choice):
    type: Literal["multi_label_selection"]
    options: Annotated[list[Option], Field(min_length=2, max_length=MAX_LABELS)]
    options_order: OptionsOrder = "natural"


class RankingQuestion(Document):
    type: Literal["ranking"]
    options: Annotated[list[Option], Field(min_length=2, max_length=MAX_RANKED)]

    @model_validator(mode="after")
    def _check(self) -> "RankingQuestion":
        _unique(self.options)
        return self


class SpanQuestion(_Choice):
    type: Literal["span"]
    field: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    options: Annotated[list[Option], Field(min_length=1, max_length=MAX_LABELS)]
    allow_overlapping: bool = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def allow_character_annotation(self) -> bool:
        """Always, whatever was sent: spans count characters, not words."""
        return True


class TextQuestionChange(TextQuestion):
    use_markdown: bool


class RatingQuestionChange(Document):
    type: Literal["rating"]


class LabelQuestionChange(_Choice):
    type: Literal["label_selection"]
    options: Annotated[list[Option], Field(max_length=MAX_LABELS)] | None = None


class MultiLabelQuestionChange(_Choice):
    type: Literal["multi_label_selection"]
    options: Annotated[list[Option], Field(max_length=MAX_LABELS)] | None = None
    options_order: OptionsOrder = "natural"


class RankingQuestionChange(Document):
    type: Literal["ranking"]


class SpanQuestionChange(_Choice):
    type: Literal["span"]
    options: Annotated[list[Option], Field(max_length=MAX_LABELS)] | None = None
    allow_overlapping: bool = False


QuestionSettings: TypeAlias = Annotated[
    TextQuestion
    | RatingQuestion
    | LabelQuestion
    | MultiLabelQuestion
    | RankingQuestion
    | SpanQuestion,
    Field(discriminator="type"),
]
QuestionChange: TypeAlias = Annotated[
    TextQuestionChange
    | RatingQuestionChange
    | LabelQuestionChange
    | MultiLabelQuestionChange
    | RankingQuestionChange
    | SpanQuestionChange,
    Field(discriminator="type"),
]


# --- Metadata properties ----------------------------------------------------------------------
class TermsProperty(Document):
    type: Literal["terms"]
    values: Annotated[list[Any], Field(min_length=1, max_length=MAX_TERMS)] | None = None


class _Bounded(Document):
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _check(self) -> "_Bounded":
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must be less than max")
        return self


class IntegerProperty(_Bounded):
    type: Literal["integer"]
    min: int | None = None
    max: int | None = None


class FloatProperty(_Bounded):
    type: Literal["float"]


PropertySettings: TypeAlias = Annotated[
    TermsProperty | IntegerProperty | FloatProperty, Field(discriminator="type")
]


# --- Changes ----------------------------------------------------------------------------------
def changed(stored: Mapping[str, Any], change: BaseModel) -> dict[str, Any]:
    """The stored settings with the keys that ``change`` was given.

    Raises ``InvalidError`` when the type, the set of options or the meaning of existing answers
    would change.
    """
    given = change.model_dump(mode="json", exclude_unset=True)
    if given["type"] != stored["type"]:
        raise InvalidError(
            f"the type of the settings cannot be changed: it is {stored['type']!r},"
            f" found {given['type']!r}"
        )
    options = given.get("options")
    if options is None:
        given.pop("options", None)
    else:
        _check_options_kept(stored["options"], options)
        # Keys that an option leaves out are null, as they are at creation.
        given["options"] = [{"description": None, **option} for option in options]
    settings = {**stored, **given}
    visible = settings.get("visible_options")
    if visible is not None and visible > len(settings["options"]):
        raise InvalidError(
            f"visible_options must be at most the number of options ({len(settings['options'])})"
        )
    if stored.get("allow_overlapping") and not settings["allow_overlapping"]:
        raise InvalidError("allow_overlapping cannot be taken back: answers may overlap already")
    return settings


def _check_options_kept(
    stored: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]
) -> None:
    if len(given) != len(stored):
        raise InvalidError(
            f"the number of options cannot be changed: expected {len(stored)}, found {len(given)}"
        )
    unknown = {option["value"] for option in given} - {option["value"] for option in stored}
    if unknown:
        raise InvalidError(
            f"the option values cannot be changed: found unexpected values {sorted(unknown)!r}"
        )
