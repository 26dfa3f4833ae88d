"""Datasets without their records: fields, questions, properties, vectors, guidelines, status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, DatasetStatus
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import publish_dataset
from apps.exchange.argilla import wire
from apps.exchange.argilla.client import Client
from apps.exchange.argilla.copies import find_copy, note_copy
from apps.exchange.argilla.report import Report
from apps.exchange.blueprint import Blueprint, FieldPart, PropertyPart, VectorPart, create_from
from apps.exchange.models import CopiedKind
from apps.workspaces.models import Workspace


@dataclass(frozen=True, slots=True)
class SourceDataset:
    """A dataset there, with its parts."""

    dataset: wire.Dataset
    fields: list[FieldPart]
    questions: list[wire.Question]
    properties: list[PropertyPart]
    vectors: list[VectorPart]


def read_dataset(client: Client, dataset: wire.Dataset) -> SourceDataset:
    """Four requests."""
    path = f"/datasets/{dataset.id}"
    return SourceDataset(
        dataset=dataset,
        fields=client.items(FieldPart, f"{path}/fields"),
        questions=client.items(wire.Question, f"{path}/questions"),
        properties=client.items(PropertyPart, f"/me{path}/metadata-properties"),
        vectors=client.items(VectorPart, f"{path}/vectors-settings"),
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
    found = Dataset.objects.there().filter(workspace=workspace_id, name=name).first()
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


def _blueprint(source: SourceDataset) -> Blueprint:
    given = source.dataset
    return Blueprint(
        fields=source.fields,
        questions=source.questions,
        properties=source.properties,
        vectors=source.vectors,
        guidelines=given.guidelines,
        allow_extra_metadata=given.allow_extra_metadata,
        min_submitted=given.distribution.min_submitted if given.distribution else 1,
        metadata=given.metadata,
    )


def _create(source: SourceDataset, workspace_id: UUID, report: Report) -> Dataset:
    workspace = Workspace.objects.get(id=workspace_id)
    dataset = create_from(_blueprint(source), workspace=workspace, name=source.dataset.name)
    report.count("datasets")
    return dataset
