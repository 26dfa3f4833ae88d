"""What all edits have in common, and what they need to know of questions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, TypeAlias

from django.utils.translation import gettext
from pydantic import StringConstraints, TypeAdapter, ValidationError

from apps.core.errors import InvalidError
from apps.datasets.models import Question, QuestionType
from apps.datasets.settings import Document, OptionText, OptionValue, QuestionSettings

Shape: TypeAlias = dict[str, Any]
Shapes: TypeAlias = dict[str, Shape]  # by name, in order
Answers: TypeAlias = Mapping[str, Mapping[str, Any]]
PartName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Title: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=500)]

WITH_LABELS: Final = {QuestionType.LABEL, QuestionType.MULTI_LABEL, QuestionType.SPAN}
WITH_OPTIONS: Final = WITH_LABELS | {QuestionType.RANKING}
_SETTINGS: Final[TypeAdapter[Any]] = TypeAdapter(QuestionSettings)


@dataclass(frozen=True, slots=True)
class Reach:
    """Answers to look at: those to ``question``, with one of ``labels`` where some are named.

    ``missing``: the submitted ones that do not answer it; ``settled``: the decisions without it,
    too, for which nobody is asked about the record.
    """

    question: str
    labels: Sequence[str] | None = None
    missing: bool = False
    settled: bool = False


@dataclass(slots=True)
class Rewritten:
    """An answer afterwards; ``unclear`` names the questions to be answered again."""

    values: dict[str, Any]
    unclear: set[str] = field(default_factory=set)


class AnyEdit(Document):
    """``question`` is the name of the one that is edited.

    Suggestions know their question by its id, so some edits need not touch them; others concern
    submitted answers alone.
    """

    keeps_suggestions: ClassVar[bool] = False
    only_submitted: ClassVar[bool] = False

    def reshape(self, shapes: Shapes) -> Shapes:
        raise NotImplementedError

    def reach(self, shapes: Shapes) -> list[Reach]:
        """In the shape before the edit."""
        return []

    def rewrite(self, shapes: Shapes, values: Answers, part: int | None = None) -> Rewritten:
        """``shapes`` are those before; ``part`` is which filter of a split takes the record."""
        return Rewritten(dict(values))

    def inverse(self, shapes: Shapes) -> "AnyEdit | None":
        """None where answers given since fit the old questions; ``shapes`` are those before."""
        return None


class NewLabel(Document):
    value: OptionValue
    text: OptionText


def shape_of(question: Question) -> Shape:
    return {
        "id": str(question.id),
        "name": question.name,
        "title": question.title,
        "description": question.description,
        "required": question.required,
        "settings": question.settings,
        "position": question.position,
    }


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a question in stored form. Raises ``InvalidError``."""
    try:
        return dict(_SETTINGS.validate_python(dict(settings)).model_dump(mode="json"))
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise InvalidError(reason) from error


# --- Shared -----------------------------------------------------------------------------------
def asked(shapes: Shapes, name: str) -> Shape:
    if name not in shapes:
        raise InvalidError(gettext("There is no question %r.") % name)
    return shapes[name]


def check_free(shapes: Shapes, name: str) -> None:
    if name in shapes:
        raise InvalidError(gettext("There is a question %r already.") % name)


def options_of(shapes: Shapes, name: str, types: set[QuestionType]) -> list[dict[str, Any]]:
    settings = asked(shapes, name)["settings"]
    if settings["type"] not in types:
        raise InvalidError(
            gettext("The options of the question %r cannot be edited like this.") % name
        )
    return list(settings["options"])


def with_options(shapes: Shapes, name: str, options: list[dict[str, Any]]) -> Shapes:
    settings = dict(shapes[name]["settings"])
    values = values_of({"options": options})
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise InvalidError(gettext("There is a label %r already.") % twice)
    if settings.get("visible_options"):
        visible = min(settings["visible_options"], len(options))
        settings["visible_options"] = visible if visible > 2 else None
    settings = checked({**settings, "options": options})
    return {**shapes, name: {**shapes[name], "settings": settings}}


def option_of(label: NewLabel) -> dict[str, Any]:
    return {"value": label.value, "text": label.text, "description": None}


def values_of(settings: Mapping[str, Any]) -> list[Any]:
    return [one["value"] for one in settings.get("options", ())]


def check_known(options: Sequence[Mapping[str, Any]], labels: Iterable[str]) -> None:
    values = {one["value"] for one in options}
    for label in labels:
        if label not in values:
            raise InvalidError(gettext("There is no label %r.") % label)


def check_same(known: Mapping[str, Any], order: Sequence[str]) -> None:
    if sorted(known) != sorted(order):
        raise InvalidError(gettext("An order names each of them once."))


def ordered(values: Mapping[str, Any], like: Answers) -> dict[str, Any]:
    """In the order in which the answer had them."""
    return {name: values[name] for name in like if name in values}
