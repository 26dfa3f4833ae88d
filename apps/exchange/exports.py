"""A dataset as a file, in either format."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from apps.annotation.models import Response
from apps.core.errors import NotFoundError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.events.log import emit
from apps.exchange.csv_export import Shape, csv_pages
from apps.exchange.exporter import Page, export_pages
from apps.exchange.formats import FileFormat
from apps.quality.models import Adjudication
from apps.records.models import RecordStatus


def export_dataset(
    *,
    organization_id: UUID,
    dataset_id: UUID,
    format: FileFormat,
    statuses: Sequence[str] = (),
    raw_formulas: bool = False,
) -> Iterator[Page]:
    """The file, page by page; no ``statuses`` means all. The log says that it was asked for.

    Runs outside the organization: each page is a transaction of its own. Raises
    ``NotFoundError`` when the dataset is gone.
    """
    with enter(organization_id):
        dataset = Dataset.objects.filter(id=dataset_id).first()
        if dataset is None:
            raise NotFoundError("The dataset is gone.")
        shape = _shape(dataset)
        tell_of_export(dataset, format)
    pages = export_pages(
        organization_id=organization_id,
        dataset_id=dataset_id,
        statuses=statuses or RecordStatus.values,
        with_vectors=format == FileFormat.JSONL,
    )
    if format == FileFormat.JSONL:
        return pages
    return csv_pages(pages, shape=shape, raw_formulas=raw_formulas)


def tell_of_export(dataset: Dataset, format: str, **more: object) -> None:
    """The log says that a dataset leaves the host."""
    payload = {"name": dataset.name, "format": str(format), **more}
    emit("dataset.exported", dataset_id=dataset.id, object_id=dataset.id, payload=payload)


def _shape(dataset: Dataset) -> Shape:
    schema = load_schema(dataset)
    authors = Response.objects.filter(dataset=dataset).values_list("user__username", flat=True)
    return Shape(
        fields=list(schema.fields),
        properties={name: one.type for name, one in schema.properties.items()},
        questions=list(schema.questions),
        usernames=sorted(authors.distinct()),
        is_reviewed=Adjudication.objects.filter(dataset=dataset).exists(),
    )
