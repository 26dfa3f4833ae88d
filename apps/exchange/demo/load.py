"""Filling an organization with the demo's datasets."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from apps.core.tenancy import current
from apps.datasets import settings
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.datasets.services import (
    create_dataset,
    create_field,
    create_property,
    create_question,
    create_vector_settings,
    publish_dataset,
)
from apps.exchange.demo.answers import given_answers
from apps.exchange.demo.datasets import Columns, DemoDataset
from apps.exchange.demo.learning import DIMENSIONS, VECTOR, embed_records, start_learning
from apps.exchange.importer import import_table
from apps.exchange.jsonl_rows import read_jsonl
from apps.exchange.rows import Row, Table
from apps.exchange.targets import ColumnMapping
from apps.organizations.models import Membership
from apps.records.services import prepare_dataset
from apps.workspaces.models import Workspace

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
_FIELD: TypeAdapter[BaseModel] = TypeAdapter(settings.FieldSettings)
_QUESTION: TypeAdapter[BaseModel] = TypeAdapter(settings.QuestionSettings)
_PROPERTY: TypeAdapter[BaseModel] = TypeAdapter(settings.PropertySettings)


def load_dataset(*, demo: DemoDataset, workspace: Workspace, author: Membership) -> bool:
    """Create the dataset with records, answers, vectors and suggestions, unless it exists.

    Runs inside the organization, in one transaction. Returns whether it was created.
    """
    if Dataset.objects.there().filter(workspace=workspace, name=demo.name).exists():
        return False
    dataset = _create(demo, workspace, author)
    rows = list(_sample(demo.name))
    _import(dataset, rows, demo.columns)
    for answers in given_answers(demo.name, rows):
        _import(dataset, answers.rows, answers.columns, answers.username)
    embed_records(dataset)
    start_learning(dataset, demo)
    return True


def load_sample(*, demo: DemoDataset, workspace: Workspace, author: Membership) -> bool:
    """The dataset with its records and vectors alone: the answers are still to be given.

    Runs inside the organization, in one transaction. Returns whether it was created.
    """
    if Dataset.objects.filter(workspace=workspace, name=demo.name).exists():
        return False
    dataset = _create(demo, workspace, author)
    _import(dataset, list(_sample(demo.name)), demo.columns)
    embed_records(dataset)
    return True


def _create(demo: DemoDataset, workspace: Workspace, author: Membership) -> Dataset:
    dataset = create_dataset(
        workspace=workspace,
        name=demo.name,
        guidelines=(SAMPLES / f"{demo.name}.md").read_text(encoding="utf-8"),
        min_submitted=demo.min_submitted,
        author=author,
    )
    prepare_dataset(dataset=dataset)
    for part in demo.fields:
        create_field(
            dataset=dataset,
            name=part.name,
            title=part.title,
            settings=_FIELD.validate_python(part.settings),
            required=part.required,
        )
    for part in demo.questions:
        create_question(
            dataset=dataset,
            name=part.name,
            title=part.title,
            settings=_QUESTION.validate_python(part.settings),
            description=part.description,
            required=part.required,
        )
    for part in demo.properties:
        property_settings = _PROPERTY.validate_python(part.settings)
        create_property(
            dataset=dataset, name=part.name, title=part.title, settings=property_settings
        )
    create_vector_settings(dataset=dataset, name=VECTOR, title="Text", dimensions=DIMENSIONS)
    return publish_dataset(dataset=dataset)


def _sample(name: str) -> Iterator[dict[str, Any]]:
    with (SAMPLES / f"{name}.jsonl").open("rb") as source:
        for row in read_jsonl(source).rows:
            yield {**row.values, "model": "larkspur-mini", "kind": "model"}


def _import(
    dataset: Dataset, rows: Iterable[Mapping[str, Any]], columns: Columns, responder: str = ""
) -> None:
    """Import rows as a file would be; raises ``ValueError`` when one is refused."""
    numbered = (Row(number, b"", dict(values)) for number, values in enumerate(rows, start=1))
    summary = import_table(
        organization_id=current(),
        dataset_id=dataset.id,
        table=Table(columns=None, rows=numbered, from_text=False),
        mapping=ColumnMapping(load_schema(dataset), columns, responder=responder),
    )
    if summary.rejected:
        raise ValueError(f"{summary.rejected} sample rows of {dataset.name} were refused.")
