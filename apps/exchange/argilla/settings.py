"""Datasets without their records: fields, questions, properties, vectors, guidelines, status."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from pydantic import BaseModel, TypeAdapter, ValidationError

from apps.core.errors import InvalidError
from apps.datasets import settings
from apps.datasets.models import Dataset, DatasetStatus
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import (
    create_dataset,
    create_field,
    create_property,
    create_question,
    create_vector_settings,
    publish_dataset,
)
from apps.exchange.argilla import wire
from apps.exchange.argilla.client import Client
from apps.exchange.argilla.copies import find_copy, note_copy
from apps.exchange.argilla.report import Report
from apps.exchange.models import CopiedKind
from apps.records.services import prepare_dataset
from apps.workspaces.models import Workspace

_FIELD: TypeAdapter[BaseModel] = TypeAdapter(settings.FieldSettings)
_QUESTION: TypeAdapter[BaseModel] = TypeAdapter(settings.QuestionSettings)
_PROPERTY: TypeAdapter[BaseModel] = TypeAdapter(settings.PropertySettings)
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class SourceDataset:
    """A dataset there, with its parts."""

    dataset: wire.Dataset
    fields: list[wire.Field]
    questions: list[wire.Question]
    properties: list[wire.Property]
    vectors: list[wire.Vector]


def read_dataset(client: Client, dataset: wire.Dataset) -> SourceDataset:
    """Four requests."""
    path = f"/datasets/{dataset.id}"
    return SourceDataset(
        dataset=dataset,
        fields=client.items(wire.Field, f"{path}/fields"),
        questions=client.items(wire.Question, f"{path}/questions"),
        properties=client.items(wire.Property, f"/me{path}/metadata-properties"),
        vectors=client.items(wire.Vector, f"{path}/vectors-settings"),
    )


@transaction.atomic
def copy_dataset(source: SourceDataset, workspace_id: UUID, report: Report) -> Dataset:
    """The dataset here: the earlier copy, one of the same name and parts, or a new one.

    Raises ``InvalidError`` or ``ConflictError`` when there can be none.
    """
    dataset = _earlier(source)
    if dataset is None:
        dataset = _namesake(source, workspace_id) or _create(source, workspace_id, report)
        note_copy(CopiedKind.DATASET, source.dataset.id, dataset.id)
    if source.dataset.status == "ready" and dataset.status == DatasetStatus.DRAFT:
        dataset = publish_dataset(dataset=dataset)
    return dataset


def _earlier(source: SourceDataset) -> Dataset | None:
    copy = find_copy(CopiedKind.DATASET, source.dataset.id)
    return Dataset.objects.filter(id=copy).first() if copy else None


def _namesake(source: SourceDataset, workspace_id: UUID) -> Dataset | None:
    name = source.dataset.name
    found = Dataset.objects.filter(workspace=workspace_id, name=name).first()
    if found is not None and _parts_here(load_schema(found)) != _parts_there(source):
        raise InvalidError("a dataset of this name, but with other fields or questions, is here")
    return found


def _parts_here(schema: DatasetSchema) -> Mapping[str, Any]:
    return {
        "fields": {name: one.type for name, one in schema.fields.items()},
        "questions": {name: (one.type, one.options) for name, one in schema.questions.items()},
        "properties": {name: one.type for name, one in schema.properties.items()},
        "vectors": {name: one.dimensions for name, one in schema.vectors.items()},
    }


def _parts_there(source: SourceDataset) -> Mapping[str, Any]:
    return {
        "fields": {one.name: one.settings.get("type") for one in source.fields},
        "questions": {
            one.name: (
                one.settings.get("type"),
                frozenset(option["value"] for option in one.settings.get("options") or ()),
            )
            for one in source.questions
        },
        "properties": {one.name: one.settings.get("type") for one in source.properties},
        "vectors": {one.name: one.dimensions for one in source.vectors},
    }


def _create(source: SourceDataset, workspace_id: UUID, report: Report) -> Dataset:
    given = source.dataset
    dataset = create_dataset(
        workspace=Workspace.objects.get(id=workspace_id),
        name=given.name,
        guidelines=given.guidelines or None,
        allow_extra_metadata=given.allow_extra_metadata,
        min_submitted=given.distribution.min_submitted if given.distribution else 1,
        metadata=given.metadata,
    )
    prepare_dataset(dataset=dataset)
    for part in source.fields:
        _add_part(create_field, dataset, part, _FIELD)
    for part in source.questions:
        _add_part(create_question, dataset, part, _QUESTION, description=part.description)
    for property in source.properties:
        create_property(
            dataset=dataset,
            name=property.name,
            title=property.title,
            settings=_settings(_PROPERTY, "metadata property", property.name, property.settings),
            visible_for_annotators=property.visible_for_annotators,
        )
    for vector in source.vectors:
        create_vector_settings(
            dataset=dataset, name=vector.name, title=vector.title, dimensions=vector.dimensions
        )
    report.count("datasets")
    return dataset


def _add_part(
    create: Callable[..., object],
    dataset: Dataset,
    part: wire.Field,
    adapter: TypeAdapter[BaseModel],
    **more: Any,
) -> None:
    kind = type(part).__name__.lower()
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
        [first, *_] = error.errors(include_url=False)
        place = ".".join(map(str, first["loc"]))
        raise InvalidError(f"{kind} {name!r} {place}: {first['msg']}") from error
