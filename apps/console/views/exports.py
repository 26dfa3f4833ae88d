"""The records of a dataset, taken along as a file."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final
from uuid import UUID

from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.annotation.progress import dataset_progress
from apps.console.lookups import find_dataset
from apps.core.tenancy import current
from apps.exchange.exporter import Page
from apps.exchange.exports import export_dataset
from apps.exchange.formats import FileFormat
from apps.labeling.http import LabelingRequest, for_members
from apps.records.models import RecordStatus
from apps.workspaces.permissions import Action

TYPES: Final = {
    FileFormat.JSONL: "application/x-ndjson",
    FileFormat.CSV: "text/csv; charset=utf-8",
}


@never_cache
@require_GET
@for_members
def export(request: LabelingRequest, dataset_id: UUID) -> HttpResponse:
    """Which records, and as what."""
    dataset = find_dataset(request, dataset_id, Action.EXPORT_RECORDS)
    counted = dataset_progress(dataset=dataset)
    return render(request, "console/export.html", {"dataset": dataset, "counted": counted})


@never_cache
@require_GET
@for_members
def download(request: LabelingRequest, dataset_id: UUID) -> HttpResponseBase:
    """The file, made while it is sent."""
    dataset = find_dataset(request, dataset_id, Action.EXPORT_RECORDS)
    format, status = request.GET.get("format", ""), request.GET.get("status", "")
    if format not in TYPES or status not in {"", *RecordStatus.values}:
        raise Http404
    pages = export_dataset(
        organization_id=current(),
        dataset_id=dataset.id,
        format=FileFormat(format),
        statuses=[status] if status else (),
    )
    answer = StreamingHttpResponse(_lines(pages), content_type=TYPES[FileFormat(format)])
    name = f"{slugify(dataset.name) or 'records'}.{format}"
    answer["Content-Disposition"] = content_disposition_header(True, name)
    return answer


def _lines(pages: Iterator[Page]) -> Iterable[bytes]:
    """The pages' bytes; what goes wrong before the first one gets an answer of its own."""
    first = next(pages, None)
    return (page.lines for page in chain([first] if first else [], pages))
