"""All records of a dataset as one file."""

import re
from collections.abc import Iterator
from uuid import UUID

from django.http import StreamingHttpResponse
from django.urls import path
from django.utils.http import content_disposition_header
from pydantic import Field

from apps.api.v1.lookups import find_dataset
from apps.api.views import ApiRequest, ApiView, Schema
from apps.core.tenancy import current
from apps.datasets.models import Dataset
from apps.exchange.exporter import Page, export_pages
from apps.exchange.exports import tell_of_export
from apps.exchange.formats import FileFormat
from apps.records.models import RecordStatus
from apps.workspaces.permissions import Action

JSON_LINES = "application/x-ndjson"
_UNFIT_FOR_FILE_NAMES = re.compile(r"[\x00-\x1f\x7f/\\]")


class ExportQuery(Schema):
    """No status means both."""

    status: list[RecordStatus] = Field(default_factory=list)


class DatasetExport(ApiView):
    def get(self, request: ApiRequest, dataset_id: UUID) -> StreamingHttpResponse:
        """A line for each record with all that belongs to it, in the order of insertion.

        ``import_records`` reads it back. It is made while it is sent, so a connection that ends
        early leaves a file without its end.
        """
        query = self.read_query(ExportQuery)
        dataset = find_dataset(self.member, dataset_id, Action.EXPORT_RECORDS)
        pages = export_pages(
            organization_id=current(),
            dataset_id=dataset.id,
            statuses=query.status or RecordStatus.values,
        )
        tell_of_export(dataset, FileFormat.JSONL)
        first = next(pages, None)  # what goes wrong so far gets an answer of its own
        return StreamingHttpResponse(
            _lines(first, pages),
            content_type=JSON_LINES,
            headers={"Content-Disposition": content_disposition_header(True, file_name(dataset))},
        )


def file_name(dataset: Dataset) -> str:
    """The dataset's name, without what a file's cannot hold."""
    return _UNFIT_FOR_FILE_NAMES.sub("_", dataset.name) + ".jsonl"


def _lines(first: Page | None, rest: Iterator[Page]) -> Iterator[bytes]:
    """The pages' bytes. Between two of them no transaction is open, so it may stop at any."""
    if first is not None:
        yield first.lines
    for page in rest:
        yield page.lines


urlpatterns = [path("datasets/<dataset_id>/export.jsonl", DatasetExport.as_view())]
