"""From a sketch to a dataset's parts and a column mapping.

A column goes to a part that is made for it — ``field.text``, ``metadata.integer``, ``vector``,
``suggestion.rating``, ``response.label_selection`` and so on — or to one that is there, by its
name: ``field:prompt``, ``suggestion:label``, ``response:label``, ``metadata:source``, ``vector:v``;
or it is the ``id``, the ``response-user``, or ``ignore``.
"""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext

from apps.core.errors import InvalidError
from apps.datasets.models import (
    Dataset,
    Field,
    FieldType,
    MetadataProperty,
    PropertyType,
    Question,
    QuestionType,
    VectorSettings,
)
from apps.datasets.schema import DatasetParts, DatasetSchema, QuestionRule
from apps.exchange.blueprint import (
    Blueprint,
    FieldPart,
    PropertyPart,
    QuestionPart,
    VectorPart,
    checked_parts,
)
from apps.exchange.creation.content import (
    RATINGS,
    ColumnChoice,
    FieldDraft,
    QuestionDraft,
    SketchContent,
    part_name,
)
from apps.exchange.creation.guesses import AUTHOR, ID, IGNORE, Guess, guess_all
from apps.exchange.foreign.derive import title_of

ALONE: Final = (IGNORE, ID, AUTHOR)
MADE: Final = (
    *(f"field.{type}" for type in FieldType.values),
    *(f"suggestion.{type}" for type in QuestionType.values),
    *(f"response.{type}" for type in QuestionType.values),
    *(f"metadata.{type}" for type in PropertyType.values),
    "vector",
)
# How an object is shown by a custom field until somebody writes a better template.
OBJECT_TEMPLATE: Final = "<pre>{{json record.fields.%s}}</pre>"
MOST_VISIBLE: Final = 20  # labels at once; the others are found by typing
CHOICES: Final = {
    QuestionType.LABEL,
    QuestionType.MULTI_LABEL,
    QuestionType.RANKING,
    QuestionType.SPAN,
}


# --- Choices ----------------------------------------------------------------------------------
def existing_targets(content: SketchContent) -> Iterator[tuple[str, str]]:
    """The parts that are there already: written form and title."""
    for field in content.fields:
        yield f"field:{field.name}", field.title
    for question in content.questions:
        if not question.column:
            yield f"suggestion:{question.name}", question.title
            yield f"response:{question.name}", question.title
    for part in content.properties:
        yield f"metadata:{part['name']}", part["title"]
    for part in content.vectors:
        yield f"vector:{part['name']}", part["title"]


def propose(content: SketchContent) -> None:
    """Fill in where each column goes, as far as that can be guessed."""
    if content.survey is None:
        content.columns = []
        return
    guesses = guess_all(content.survey)
    taken: set[str] = set()
    content.columns = []
    for place, (column, guess) in enumerate(guesses.items(), start=1):
        name = part_name(column, taken, f"column_{place}")
        taken.add(name)
        content.columns.append(
            ColumnChoice(
                column=column,
                to=guess.to,
                name=name,
                title=title_of(column)[:200],
                reason=guess.reason,
                facts=dict(guess.facts),
            )
        )
    _fit_known_parts(content, guesses)
    follow_columns(content)


def _fit_known_parts(content: SketchContent, guesses: dict[str, Guess]) -> None:
    """Columns go to the template's parts: by name, then fields in their order."""
    for field in content.fields:
        wanted = {field.name, *field.aliases}
        _give(content, f"field:{field.name}", wanted, "field.", "metadata.", "suggestion.", IGNORE)
    for field in content.fields:
        _give(content, f"field:{field.name}", None, f"field.{field.type}")
    for question in content.questions:
        wanted = {question.name, *question.aliases}
        _give(content, f"suggestion:{question.name}", wanted, "suggestion.", "field.", "metadata.")
        _give(content, f"suggestion:{question.name}", None, f"suggestion.{question.type}")
    for part in content.properties:
        _give(content, f"metadata:{part['name']}", {part["name"]}, "")
    for part in content.vectors:
        _give(content, f"vector:{part['name']}", {part["name"]}, "vector")


def _give(content: SketchContent, target: str, names: set[str] | None, *kinds: str) -> None:
    """To the first column of these names, or of any, whose guess begins with one of ``kinds``."""
    if any(one.to == target for one in content.columns):
        return
    for one in content.columns:
        named = names is None or one.name in names
        if named and ":" not in one.to and one.to.startswith(kinds):
            one.to, one.reason = target, "template"
            return


def follow_columns(content: SketchContent) -> None:
    """Bring the questions in line with the columns: one for each that asks for one."""
    wanted = {one.column: one for one in content.columns if _question_type(one.to)}
    kept = []
    for question in content.questions:
        choice = wanted.get(question.column) if question.column else None
        if question.column and (choice is None or _question_type(choice.to) != question.type):
            continue
        wanted.pop(question.column, None)
        kept.append(question)
    content.questions = kept
    for choice in wanted.values():
        content.questions.append(_question_for(content, choice))
    for question in content.questions:
        _fill_labels(content, question)
        _fill_span_field(content, question)
    if content.questions and not any(one.required for one in content.questions):
        content.questions[0].required = True


def _question_type(to: str) -> str:
    kind, dot, type = to.partition(".")
    return type if dot and kind in {"suggestion", "response"} else ""


def _question_for(content: SketchContent, choice: ColumnChoice) -> QuestionDraft:
    taken = {one.name for one in content.questions}
    return QuestionDraft(
        name=part_name(choice.name, taken, "question"),
        title=choice.title,
        type=_question_type(choice.to),
        column=choice.column,
    )


def _fill_labels(content: SketchContent, question: QuestionDraft) -> None:
    """Labels that the sample has, where nobody has written any."""
    source = question.column or _source_of(content, question.name)
    facts = content.survey.column(source) if content.survey and source else None
    if question.type == QuestionType.RATING and not question.labels:
        question.labels = _ratings(facts.values if facts else [])
    is_open = not question.labels or question.more.get("placeholder")
    if question.type in CHOICES and facts and facts.values and is_open:
        question.labels = list(facts.values)
        question.more.pop("placeholder", None)


def _source_of(content: SketchContent, question: str) -> str:
    targets = {f"suggestion:{question}", f"response:{question}"}
    return next((one.column for one in content.columns if one.to in targets), "")


def _ratings(seen: list[str]) -> list[str]:
    numbers = sorted({int(one) for one in seen if one.isdecimal() and int(one) <= 10})
    low = min([1, *numbers])
    return [str(n) for n in range(low, max([5, *numbers]) + 1)] if seen else RATINGS.split()


def _fill_span_field(content: SketchContent, question: QuestionDraft) -> None:
    if question.type == QuestionType.SPAN:
        texts = [one.name for one in fields_of(content) if one.type == FieldType.TEXT]
        if question.field not in texts:
            question.field = texts[0] if texts else ""


# --- Parts ------------------------------------------------------------------------------------
def fields_of(content: SketchContent) -> list[FieldDraft]:
    """The fields that the dataset will have, in order: those of the template to which a column
    goes, or all without columns, then those made of columns."""
    used = {one.to for one in content.columns}
    known = [
        field for field in content.fields if not content.columns or f"field:{field.name}" in used
    ]
    taken = {field.name for field in known}
    made = []
    rows = content.survey.rows if content.survey else 0
    for one in content.columns:
        kind, dot, type = one.to.partition(".")
        if kind != "field" or not dot:
            continue
        name = part_name(one.name, taken, "field")
        taken.add(name)
        facts = content.survey.column(one.column) if content.survey else None
        settings = {"template": OBJECT_TEMPLATE % name} if type == FieldType.CUSTOM else {}
        full = facts is not None and facts.count == rows
        made.append(
            FieldDraft(name=name, title=one.title, type=type, required=full, settings=settings)
        )
    return known + made


def target_of(content: SketchContent, choice: ColumnChoice) -> str:
    """The column's target in the written form of ``exchange.targets``."""
    kind, dot, _type = choice.to.partition(".")
    if choice.to == "vector":
        return f"vector:{choice.name}"
    if not dot:
        return choice.to
    if kind in {"suggestion", "response"}:
        asked = next(one for one in content.questions if one.column == choice.column)
        return f"{kind}:{asked.name}"
    return f"{kind}:{choice.name}"


def columns_of(content: SketchContent) -> dict[str, list[str]]:
    """The column mapping, in written form."""
    return {one.column: [target_of(content, one)] for one in content.columns}


def blueprint_of(content: SketchContent, *, is_asked: bool = True) -> Blueprint:
    """The dataset's parts. Raises ``InvalidError`` when no dataset can be made of them.

    Without ``is_asked`` its questions may be yet to come.
    """
    targets = [t for one in content.columns if (t := target_of(content, one)) not in ALONE]
    twice = sorted({target for target in targets if targets.count(target) > 1})
    if twice:
        raise InvalidError(
            gettext("Two columns go to %r; one of them must go elsewhere.") % twice[0]
        )
    fields = fields_of(content)
    if not fields:
        raise InvalidError(
            gettext("No column goes to a field, so people would have nothing to read.")
        )
    if is_asked and not any(question.required for question in content.questions):
        raise InvalidError(gettext("At least one question must be required."))
    return Blueprint(
        fields=[_field_part(field) for field in fields],
        questions=[_question_part(question) for question in content.questions],
        properties=[*(PropertyPart(**one) for one in content.properties), *_properties(content)],
        vectors=[*(VectorPart(**one) for one in content.vectors), *_vectors(content)],
        guidelines=content.guidelines or None,
        min_submitted=content.min_submitted,
    )


def _field_part(field: FieldDraft) -> FieldPart:
    settings = {"type": field.type, **field.settings}
    return FieldPart(name=field.name, title=field.title, required=field.required, settings=settings)


def _question_part(question: QuestionDraft) -> QuestionPart:
    return QuestionPart(
        name=question.name,
        title=question.title,
        description=question.description or None,
        required=question.required,
        settings=_question_settings(question),
    )


def _question_settings(question: QuestionDraft) -> dict[str, Any]:
    more = {key: value for key, value in question.more.items() if key != "placeholder"}
    if question.type == QuestionType.TEXT:
        return {"type": question.type, **more}
    if question.type == QuestionType.RATING:
        numbers = [one for one in question.labels if one.isdecimal()]
        return {"type": question.type, "options": [{"value": int(one)} for one in numbers]}
    options = [
        {
            "value": label,
            "text": question.texts.get(label) or label,
            "description": question.descriptions.get(label) or None,
        }
        for label in question.labels
    ]
    settings: dict[str, Any] = {"type": question.type, "options": options, **more}
    if question.type == QuestionType.SPAN:
        settings["field"] = question.field
    elif question.type != QuestionType.RANKING and len(options) > MOST_VISIBLE:
        settings.setdefault("visible_options", MOST_VISIBLE)
    return settings


def _properties(content: SketchContent) -> Iterator[PropertyPart]:
    for one in content.columns:
        kind, dot, type = one.to.partition(".")
        if kind == "metadata" and dot:
            yield PropertyPart(name=one.name, title=one.title, settings={"type": type})


def _vectors(content: SketchContent) -> Iterator[VectorPart]:
    for one in content.columns:
        if one.to == "vector":
            facts = content.survey.column(one.column) if content.survey else None
            if facts is None or not facts.dimensions:
                raise InvalidError(
                    gettext("%r holds no lists of equally many numbers.") % one.column
                )
            yield VectorPart(name=one.name, title=one.title, dimensions=facts.dimensions)


# --- A schema that is not stored --------------------------------------------------------------
def schema_of(blueprint: Blueprint, dataset: Dataset) -> DatasetSchema:
    """What records can be checked against before there is a dataset. Raises ``InvalidError``."""
    checked = checked_parts(blueprint)
    parts = DatasetParts(UUID(int=0))
    parts.__dict__["fields"] = {
        part.name: Field(dataset=dataset, **_common(part), settings=settings)
        for part, settings in zip(blueprint.fields, checked.fields, strict=True)
    }
    parts.__dict__["questions"] = {
        part.name: QuestionRule(
            Question(
                dataset=dataset,
                **_common(part),
                description=part.description,
                settings=settings,
            )
        )
        for part, settings in zip(blueprint.questions, checked.questions, strict=True)
    }
    parts.__dict__["properties"] = {
        part.name: MetadataProperty(
            dataset=dataset, name=part.name, title=part.title, settings=settings
        )
        for part, settings in zip(blueprint.properties, checked.properties, strict=True)
    }
    parts.__dict__["vectors"] = {
        part.name: VectorSettings(
            dataset=dataset, name=part.name, title=part.title, dimensions=part.dimensions
        )
        for part in blueprint.vectors
    }
    return DatasetSchema(dataset, parts)


def _common(part: FieldPart) -> dict[str, Any]:
    return {"name": part.name, "title": part.title, "required": part.required}
