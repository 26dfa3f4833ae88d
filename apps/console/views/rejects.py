"""The rows that an import left out, as a file."""

import csv
import io
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.console.lookups import find_dataset, find_job
from apps.core.tenancy import current, enter
from apps.exchange.cells import protect
from apps.jobs.models import JobReject
from apps.labeling.http import LabelingRequest, for_members
from apps.workspaces.permissions import Action

A_PAGE: Final = 1_000


@never_cache
@require_GET
@for_members
def rejects(request: LabelingRequest, dataset_id: UUID, job_id: UUID) -> HttpResponse:
    """Row, reason, and the row as it stood, as CSV that is harmless in a spreadsheet."""
    dataset = find_dataset(request, dataset_id, Action.RUN_JOBS)
    job = find_job(dataset, job_id)
    lines = _lines(current(), job.id)
    answer = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="rows-left-out.csv"'
    return answer  # type: ignore[return-value]  # it is one for the server


def _lines(organization_id: UUID, job_id: UUID) -> Iterator[bytes]:
    """Each page in a transaction of its own, as the answer outlives the request's."""
    yield _csv([("row", "reason", "original")])
    last = -1
    while True:
        with enter(organization_id):
            rows = JobReject.objects.filter(job_id=job_id, number__gt=last).in_order()
            page = list(rows.values_list("number", "reason", "original")[:A_PAGE])
        if not page:
            return
        yield _csv([(str(number), reason, original) for number, reason, original in page])
        last = page[-1][0]


def _csv(rows: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(
        [protect(cell) for cell in row] for row in rows
    )
    return text.getvalue().encode()
