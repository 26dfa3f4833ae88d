"""What a dataset is to be made of, and making it. Used inside the organization."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from pydantic import BaseModel, TypeAdapter, ValidationError

from apps.core.errors import InvalidError
from apps.datasets import settings
from apps.datasets.models import Dataset
from apps.datasets.services import (
    create_dataset,
    create_field,
    create_property,
    create_question,
    create_vector_settings,
)
from apps.records.services import prepare_dataset
from apps.workspaces.models import Workspace

_FIELD: TypeAdapter[BaseModel] = TypeAdapter(settings.FieldSettings)
_QUESTION: TypeAdapter[BaseModel] = TypeAdapter(settings.QuestionSettings)
_PROPERTY: TypeAdapter[BaseModel] = TypeAdapter(settings.PropertySettings)


class FieldPart(BaseModel):
    name: str
    title: str
    required: bool = False
    settings: dict[str, Any]


class QuestionPart(FieldPart):
    description: str | None = None


class PropertyPart(BaseModel):
    name: str
    title: str
    settings: dict[str, Any]
    visible_for_annotators: bool = True


class VectorPart(BaseModel):
    name: str
    title: str
    dimensions: int


class Blueprint(BaseModel):
    """A dataset's parts, their settings as they are on the wire."""

    fields: Sequence[FieldPart]
    questions: Sequence[QuestionPart]
    properties: Sequence[PropertyPart] = ()
    vectors: Sequence[VectorPart] = ()
    guidelines: str | None = None
    allow_extra_metadata: bool = True
    min_submitted: int = 1
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CheckedParts:
    """The settings of a blueprint's parts as they would be stored."""

    fields: Sequence[dict[str, Any]]
    questions: Sequence[dict[str, Any]]
    properties: Sequence[dict[str, Any]]


def checked_parts(blueprint: Blueprint) -> CheckedParts:
    """Raises ``InvalidError`` for settings beyond our limits."""
    return CheckedParts(
        [_checked(_FIELD, "field", part) for part in blueprint.fields],
        [_checked(_QUESTION, "question", part) for part in blueprint.questions],
        [_checked(_PROPERTY, "metadata property", part) for part in blueprint.properties],
    )


def _checked(
    adapter: TypeAdapter[BaseModel], kind: str, part: FieldPart | PropertyPart
) -> dict[str, Any]:
    return _settings(adapter, kind, part.name, part.settings).model_dump(mode="json")


@transaction.atomic
def create_from(blueprint: Blueprint, *, workspace: Workspace, name: str) -> Dataset:
    """Make the draft. Raises ``InvalidError`` for parts beyond our limits, ``ConflictError``."""
    dataset = create_dataset(
        workspace=workspace,
        name=name,
        guidelines=blueprint.guidelines or None,
        allow_extra_metadata=blueprint.allow_extra_metadata,
        min_submitted=blueprint.min_submitted,
        metadata=blueprint.metadata,
    )
    prepare_dataset(dataset=dataset)
    for part in blueprint.fields:
        _add_part(create_field, dataset, part, "field", _FIELD)
    for part in blueprint.questions:
        more = {"description": part.description}
        _add_part(create_question, dataset, part, "question", _QUESTION, **more)
    for property in blueprint.properties:
        create_property(
            dataset=dataset,
            name=property.name,
            title=property.title,
            settings=_settings(_PROPERTY, "metadata property", property.name, property.settings),
            visible_for_annotators=property.visible_for_annotators,
        )
    for vector in blueprint.vectors:
        create_vector_settings(
            dataset=dataset, name=vector.name, title=vector.title, dimensions=vector.dimensions
        )
    return dataset


def _add_part(
    create: Callable[..., object],
    dataset: Dataset,
    part: FieldPart,
    kind: str,
    adapter: TypeAdapter[BaseModel],
    **more: Any,
) -> None:
    create(
        dataset=dataset,
        name=part.name,
        title=part.title,
        settings=_settings(adapter, kind, part.name, part.settings),
        required=part.required,
        **more,
    )


def _settings(
    adapter: TypeAdapter[BaseModel], kind: str, name: str, given: Mapping[str, Any]
) -> BaseModel:
    try:
        return adapter.validate_python(given)
    except ValidationError as error:
        raise InvalidError(f"{kind} {name!r}: {first_fault(error)}") from error


def first_fault(error: ValidationError) -> str:
    """Such as ``options.0.value: Field required``."""
    [first, *_] = error.errors(include_url=False)
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])
