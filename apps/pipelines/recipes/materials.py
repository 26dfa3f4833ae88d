"""What recipes have in common: records as they are read, and texts as they are shown to a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset, FieldType
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import refuse_archived
from apps.pipelines.blocks import data_block
from apps.pipelines.recipes.base import Context, Payload
from apps.records.models import Record
from apps.records.text import field_texts


@dataclass(frozen=True, slots=True)
class Source:
    """A record as a recipe reads it; ``texts`` are its fields with words, as text."""

    id: UUID
    fields: Mapping[str, Any]
    metadata: Mapping[str, Any]
    texts: Mapping[str, str]

    def block(self, name: str, label: str = "") -> str:
        """The field as data in a prompt; an empty block where the record has none."""
        return data_block(label or name, self.texts.get(name, ""))


def source_of(record: Record, schema: DatasetSchema) -> Source:
    texts = dict(field_texts(record.fields, schema.fields))
    return Source(record.id, record.fields, record.metadata or {}, texts)


def read_records(context: Context, ids: Sequence[UUID]) -> dict[UUID, Source]:
    """The dataset's records among ``ids``. One statement."""
    rows = Record.objects.filter(dataset=context.dataset, id__in=list(ids))
    return {record.id: source_of(record, context.schema) for record in rows}


def load_records(context: Context, payloads: Sequence[Payload]) -> list[Source | None]:
    """The payloads' records in order; None for one that is gone. One statement."""
    ids = [UUID(payload["record"]) for payload in payloads]
    found = read_records(context, ids)
    return [found.get(id) for id in ids]


def check_text_fields(schema: DatasetSchema, names: Sequence[str]) -> None:
    """Raise ``InvalidError`` unless each is a field with words."""
    for name in names:
        field = schema.fields.get(name)
        if field is None:
            known = ", ".join(schema.fields)
            raise InvalidError(f"There is no field {name!r}. There are: {known}.")
        if field.type == FieldType.IMAGE:
            raise InvalidError(f"The field {name!r} holds images, which have no words.")


def check_plain_fields(schema: DatasetSchema, names: Sequence[str]) -> None:
    """Raise ``InvalidError`` unless each is a text field, which a model can write."""
    check_text_fields(schema, names)
    for name in names:
        if schema.fields[name].type != FieldType.TEXT:
            raise InvalidError(f"The field {name!r} is no text field: a model cannot write it.")


def find_target(context: Context, target: UUID | None) -> Dataset:
    """Where drafts go: the run's own dataset, or another one of its workspace.

    Raises ``InvalidError`` for any other, so that nobody writes where they have no say, and
    ``ArchivedError`` or ``NotFoundError`` where nobody writes any more.
    """
    if target is None or target == context.dataset.id:
        return context.dataset
    workspace = context.dataset.workspace_id
    found: Dataset | None = Dataset.objects.filter(id=target, workspace_id=workspace).first()
    if found is None:
        raise InvalidError("The target is no dataset of this workspace.")
    refuse_archived(found)
    return found


def target_schema(context: Context, target: UUID | None) -> DatasetSchema:
    """The shape of the records that are written."""
    dataset = find_target(context, target)
    return context.schema if dataset is context.dataset else load_schema(dataset)


def chance(*parts: object) -> Random:
    """Chance that is the same for the same parts, whatever process asks."""
    return Random(":".join(map(str, parts)))  # noqa: S311  (an order, no secret)
