"""A dataset that fits a file, from a first pass over its items.

- A column of texts is a field; one with few different texts is a metadata property, as numbers
  are. Addresses of pictures make an image field, messages a chat field, long lists of numbers a
  vector. A column whose values are of several kinds is left to the extra metadata.
- Answers: lists of at most one text are a label, longer ones several labels; whole numbers from 0
  to 10 a rating; texts labels as long as they are few or come again, else text.
- Required are the questions that every answer has, or the one that most have.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from apps.core.errors import InvalidError
from apps.datasets.content import IMAGE_TYPES
from apps.datasets.models import FieldType, PropertyType, QuestionType
from apps.datasets.settings import HIGHEST_RATING, MAX_LABELS, MAX_RANKED, MAX_TERMS
from apps.exchange.blueprint import (
    Blueprint,
    FieldPart,
    PropertyPart,
    QuestionPart,
    VectorPart,
)
from apps.exchange.foreign.hints import Hints
from apps.exchange.rows import Row

FEW: Final = 20  # different texts that are labels in any case
MAX_LABEL: Final = 200  # characters
MAX_VECTORS: Final = 5
MIN_DIMENSIONS: Final = 8  # a shorter list of numbers is no vector
STARS: Final = 5  # of a rating, at least
FILLER: Final = "other"  # a second label where a file knows one
_PICTURES: Final = tuple(f".{type}" for type in sorted(IMAGE_TYPES))


def derive(rows: Iterable[Row], hints: Hints, told: Mapping[str, str]) -> Blueprint:
    """The blueprint; ``told`` are question types by name. Raises ``InvalidError``."""
    survey = _Survey()
    problem = ""
    for row in rows:
        if row.problem:
            problem = problem or f"row {row.number}: {row.problem}"
        else:
            survey.take(row.values)
    if not survey.rows:
        raise InvalidError(f"No row of the file can be read. {problem}".strip())
    if hints.blueprint is not None:
        return hints.blueprint
    return _Draft(survey, hints, told).blueprint()


# --- Looking at the items ---------------------------------------------------------------------
@dataclass(slots=True)
class _Column:
    kinds: set[str] = field(default_factory=set)
    texts: dict[str, None] = field(default_factory=dict)  # in order; no more than can be labels
    count: int = 0
    is_long: bool = False
    dimensions: set[int] = field(default_factory=set)

    def see(self, value: Any) -> None:
        self.count += 1
        kind = kind_of(value)
        self.kinds.add(kind)
        if kind == "vector":
            self.dimensions.add(len(value))
        if kind in {"text", "image"}:
            self.see_text(value)

    def see_vector(self, numbers: Any) -> None:
        self.kinds.add("vector")
        self.dimensions.add(len(numbers) if isinstance(numbers, list) else 0)

    def see_text(self, text: str) -> None:
        self.is_long = self.is_long or len(text) > MAX_LABEL or not text
        if len(self.texts) <= MAX_LABELS:
            self.texts[text] = None


@dataclass(slots=True)
class _Answers(_Column):
    most: int = 0  # values in one answer
    numbers: set[int] = field(default_factory=set)
    overlaps: bool = False

    def see(self, value: Any) -> None:
        self.count += 1
        values = value if isinstance(value, list) else [value]
        self.most = max(self.most, len(values))
        for one in values:
            self._see_one(one)
        if "span" in self.kinds:
            self.overlaps = self.overlaps or _overlap(values)

    def _see_one(self, value: Any) -> None:
        if isinstance(value, dict):
            self.kinds.add("span" if "start" in value else "rank")
            self.see_text(str(value.get("label", value.get("value"))))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            is_rating = float(value).is_integer() and 0 <= value <= HIGHEST_RATING
            self.kinds.add("rating" if is_rating else "text")
            if is_rating:
                self.numbers.add(int(value))
            else:
                self.is_long = True  # any number: no label
        else:
            self.kinds.add("text")
            self.see_text(str(value))


class _Survey:
    """All that the file holds, in bounded memory."""

    def __init__(self) -> None:
        self.rows = 0
        self.columns: dict[str, _Column] = {}
        self.answers: dict[str, _Answers] = {}
        self.submitted = 0
        self.in_submitted: dict[str, int] = {}

    def take(self, item: Mapping[str, Any]) -> None:
        self.rows += 1
        for name, value in item["data"].items():
            if value is not None:
                self.columns.setdefault(name, _Column()).see(value)
        for name, numbers in (item.get("vectors") or {}).items():
            self.columns.setdefault(name, _Column()).see_vector(numbers)
        for one in item["responses"]:
            self.submitted += one["status"] == "submitted"
            for name, value in one["values"].items():
                self.answers.setdefault(name, _Answers()).see(value)
                if one["status"] == "submitted":
                    self.in_submitted[name] = self.in_submitted.get(name, 0) + 1
        for one in item["suggestions"]:
            self.answers.setdefault(one["question"], _Answers()).see(one["value"])


def kind_of(value: Any) -> str:
    """What a value of a column is: text, image, chat, terms, vector and so on."""
    if isinstance(value, str):
        return "image" if _is_picture(value) else "text"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) else "float"
    if isinstance(value, list) and value:
        if all(isinstance(one, dict) and {"role", "content"} <= one.keys() for one in value):
            return "chat"
        if all(isinstance(one, str) for one in value):
            return "terms"
        is_numbers = all(type(one) in {int, float} for one in value)
        return "vector" if is_numbers and len(value) >= MIN_DIMENSIONS else "other"
    return "other"


def _is_picture(text: str) -> bool:
    if text.startswith("data:image/"):
        return True
    path = text.partition("?")[0].lower()
    return text.startswith(("http://", "https://")) and path.endswith(_PICTURES)


def _overlap(spans: list[dict[str, Any]]) -> bool:
    places = [(one.get("start"), one.get("end")) for one in spans if isinstance(one, dict)]
    known = sorted((start, end) for start, end in places if type(start) is type(end) is int)
    return any(after[0] < before[1] for before, after in pairwise(known))


# --- Making parts of it -----------------------------------------------------------------------
class _Draft:
    def __init__(self, survey: _Survey, hints: Hints, told: Mapping[str, str]) -> None:
        self.survey = survey
        self.hints = hints
        self.told = told

    def blueprint(self) -> Blueprint:
        fields = self._fields()
        return Blueprint(
            fields=fields,
            questions=self._questions(),
            properties=self._properties({one.name for one in fields}),
            vectors=self._vectors(),
        )

    def _fields(self) -> list[FieldPart]:
        columns = self.survey.columns
        found = {
            name: kind for name, one in columns.items() if (kind := self._field_type(name, one))
        }
        if not found:  # few different texts are better than none
            found = {name: FieldType.TEXT for name, one in columns.items() if one.kinds == {"text"}}
        if not found:
            raise InvalidError("The file has no column of texts, pictures or messages for a field.")
        full = [name for name in found if columns[name].count == self.survey.rows]
        return [
            FieldPart(
                name=name,
                title=title_of(name),
                required=name in full,
                settings={"type": kind},
            )
            for name, kind in found.items()
        ]

    def _field_type(self, name: str, column: _Column) -> str | None:
        if column.kinds == {"chat"}:
            return FieldType.CHAT
        if column.kinds == {"image"}:
            return FieldType.IMAGE
        if not column.kinds <= {"text", "image"}:
            return None
        if self.hints.knows_fields or name in self.hints.span_fields.values():
            return FieldType.TEXT
        return None if self._is_categorical(column) else FieldType.TEXT

    def _is_categorical(self, column: _Column) -> bool:
        return not column.is_long and len(column.texts) <= min(MAX_TERMS, column.count // 2)

    def _properties(self, fields: set[str]) -> list[PropertyPart]:
        parts = []
        for name, column in self.survey.columns.items():
            kind = self._property_type(column)
            if kind and name not in fields:
                settings = {"type": kind}
                parts.append(PropertyPart(name=name, title=title_of(name), settings=settings))
        return parts

    def _property_type(self, column: _Column) -> str | None:
        if column.kinds == {"integer"}:
            return PropertyType.INTEGER
        if column.kinds <= {"integer", "float"}:
            return PropertyType.FLOAT
        is_terms = column.kinds in ({"terms"}, {"text"}, {"bool"})
        return PropertyType.TERMS if is_terms else None

    def _vectors(self) -> list[VectorPart]:
        found = {
            name: next(iter(one.dimensions))
            for name, one in self.survey.columns.items()
            if one.kinds == {"vector"} and len(one.dimensions) == 1
        }
        return [
            VectorPart(name=name, title=title_of(name), dimensions=dimensions)
            for name, dimensions in list(found.items())[:MAX_VECTORS]
        ]

    def _questions(self) -> list[QuestionPart]:
        answers = self.survey.answers
        if not answers:
            return [_question("quality", _labels(QuestionType.LABEL, ["good", "bad"]), True)]
        required = self._required()
        return [
            _question(name, self._question_settings(name, one), name in required)
            for name, one in answers.items()
        ]

    def _required(self) -> set[str]:
        answers = self.survey.answers
        counts = self.survey.in_submitted or {name: one.count for name, one in answers.items()}
        always = {name for name, count in counts.items() if count == self.survey.submitted}
        return always or {max(counts, key=counts.__getitem__)}

    def _question_settings(self, name: str, answers: _Answers) -> dict[str, Any]:
        kind = self.told.get(name) or self.hints.types.get(name) or self._question_type(answers)
        if kind == QuestionType.RATING:
            high = min(max(STARS, *answers.numbers, 0), HIGHEST_RATING)
            low = min(1, *answers.numbers, 1)
            values = range(low, high + 1)
            return {"type": kind, "options": [{"value": value} for value in values]}
        if kind == QuestionType.SPAN:
            field = self.hints.span_fields.get(name) or "text"
            more = {"field": field, "allow_overlapping": answers.overlaps}
            return {**_labels(kind, list(answers.texts)), **more}
        if kind == QuestionType.TEXT:
            return {"type": kind}
        if kind == QuestionType.RANKING and len(answers.texts) > MAX_RANKED:
            raise InvalidError(f"The ranking {name!r} has more than {MAX_RANKED} different items.")
        return _labels(kind, list(answers.texts))

    def _question_type(self, answers: _Answers) -> str:
        for seen, kind in (("span", QuestionType.SPAN), ("rank", QuestionType.RANKING)):
            if seen in answers.kinds:
                return kind
        if answers.kinds == {"rating"}:
            return QuestionType.RATING
        few = max(FEW, answers.count // 2)
        if (
            answers.is_long
            or "rating" in answers.kinds
            or len(answers.texts) > min(MAX_LABELS, few)
        ):
            return QuestionType.TEXT
        return QuestionType.MULTI_LABEL if answers.most > 1 else QuestionType.LABEL


def _labels(kind: str, labels: list[str]) -> dict[str, Any]:
    if len(labels) < 2 and kind != QuestionType.SPAN:
        labels = [*labels, *[one for one in (FILLER, f"{FILLER} 2") if one not in labels]][:2]
    options = [{"value": label, "text": label} for label in labels or [FILLER]]
    return {"type": kind, "options": options}


def _question(name: str, settings: dict[str, Any], required: bool) -> QuestionPart:
    return QuestionPart(name=name, title=title_of(name), required=required, settings=settings)


def title_of(name: str) -> str:
    """How a part of this name is called where people read it."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:] or name
