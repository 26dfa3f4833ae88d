"""A dataset with every kind of part, and imports and exports of bytes."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from apps.datasets.models import Dataset, Field, MetadataProperty, VectorSettings
from apps.datasets.schema import load_schema
from apps.exchange.exports import export_dataset
from apps.exchange.formats import FileFormat, read_table
from apps.exchange.importer import Listener, Reject, Summary, import_table
from apps.exchange.targets import ColumnMapping
from apps.workspaces.models import Workspace
from tests import factories

OPTIONAL_FIELDS = {
    "context": {"type": "text", "use_markdown": False},
    "picture": {"type": "image"},
    "chat": {"type": "chat", "use_markdown": True},
    "extra": {"type": "custom", "template": "<p></p>", "advanced_mode": False},
}
PROPERTIES = {
    "source": {"type": "terms", "values": None},
    "year": {"type": "integer", "min": None, "max": None},
    "certainty": {"type": "float", "min": None, "max": None},
}


class Result:
    """What an import did, and which rows it refused."""

    def __init__(self, summary: Summary, rejects: list[Reject], ignored: list[str]) -> None:
        self.summary = summary
        self.rejects = rejects
        self.ignored = ignored

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Rows read, records created, records updated, rows rejected."""
        one = self.summary
        return one.read, one.created, one.updated, one.rejected

    @property
    def reasons(self) -> dict[int, str]:
        return {reject.row.number: reject.reason for reject in self.rejects}


def import_bytes(
    dataset: Dataset,
    file: bytes,
    format: str = "jsonl",
    *,
    told: dict[str, list[str]] | None = None,
    responder: str = "",
    raw_formulas: bool = False,
) -> Result:
    rejects: list[Reject] = []
    mapping = ColumnMapping(load_schema(dataset), told, responder=responder)
    table = read_table(io.BytesIO(file), FileFormat(format), raw_formulas=raw_formulas)
    summary = import_table(
        organization_id=dataset.organization_id,
        dataset_id=dataset.id,
        table=table,
        mapping=mapping,
        listener=Listener(on_reject=rejects.append),
    )
    return Result(summary, rejects, mapping.ignored)


def import_lines(dataset: Dataset, *rows: Any, **options: Any) -> Result:
    """Rows as JSON Lines; bytes stand as they are."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    return import_bytes(dataset, b"".join(line + b"\n" for line in lines), **options)


def export_bytes(dataset: Dataset, format: str = "jsonl", **options: Any) -> bytes:
    pages = export_dataset(
        organization_id=dataset.organization_id,
        dataset_id=dataset.id,
        format=FileFormat(format),
        **options,
    )
    return b"".join(page.lines for page in pages)


def export_lines(dataset: Dataset, **options: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in export_bytes(dataset, **options).splitlines()]


@pytest.fixture
def make_rich_dataset(organization: Any) -> Callable[..., Dataset]:
    """All field, question and property types and a vector; only ``text`` is required."""

    return rich_dataset


def rich_dataset(workspace: Workspace | None = None, **values: Any) -> Dataset:
    """Made in the entered organization."""
    dataset = factories.make_dataset(workspace, questions=list(factories.QUESTIONS), **values)
    for name, settings in OPTIONAL_FIELDS.items():
        Field.objects.create(dataset=dataset, name=name, title=name, settings=settings)
    for number, (name, settings) in enumerate(PROPERTIES.items(), start=1):
        MetadataProperty.objects.create(
            dataset=dataset, number=number, name=name, title=name, settings=settings
        )
    VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=3)
    return dataset


@pytest.fixture
def dataset(make_rich_dataset: Callable[..., Dataset]) -> Dataset:
    return make_rich_dataset()
