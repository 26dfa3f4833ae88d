"""The worker that imports an uploaded file is killed, again and again; each row arrives once."""

import csv
import io
import json
from pathlib import Path

import pytest
from django.conf import settings

from apps.core.tenancy import enter
from apps.exchange.creation import uploads
from apps.exchange.creation.content import SketchContent
from apps.exchange.creation.services import create_dataset_of, start_sketch
from apps.exchange.formats import FileFormat
from apps.exchange.models import DatasetSketch, SketchSource
from apps.jobs.models import JobItem, JobReject
from apps.organizations.models import Organization
from apps.records.models import DatasetCounter, Record, Suggestion
from tests import factories
from tests.jobs.test_worker import Worker, tenant, wait, worker

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])
__all__ = ["tenant", "worker"]

ROWS = 8_000
BAD = range(99, ROWS, 400)  # rows whose length is no number: some in each chunk


def write_file(path: Path, format: FileFormat) -> None:
    rows = [
        {
            "id": f"r{n}",
            "text": f"The {n}th customer writes a few words about a card.",
            "intent": ("lost card", "stolen card", "balance")[n % 3],
            "length": "long" if n in BAD else n,
        }
        for n in range(ROWS)
    ]
    if format == FileFormat.JSON:
        path.write_text(json.dumps(rows))
        return
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(out.getvalue())


def begin(tenant: Organization, file: Path, format: FileFormat) -> DatasetSketch:
    with enter(tenant.id):
        workspace = factories.make_workspace()
        content = SketchContent(name="mails")
        sketch = start_sketch(
            author=factories.make_member(role="owner"),
            source=SketchSource.UPLOAD,
            content=content,
            file=file,
            file_name=f"mails.{format}",
            format=format,
        )
        assert {one.column: one.to for one in content.columns} == {
            "id": "id",
            "text": "field.text",
            "intent": "suggestion.label_selection",
            "length": "metadata.integer",
        }
        return create_dataset_of(sketch=sketch, workspace=workspace)


@pytest.mark.parametrize("format", [FileFormat.CSV, FileFormat.JSON])
def test_a_killed_worker_loses_no_row_and_stores_none_twice(
    worker: Worker, tenant: Organization, tmp_path: Path, format: FileFormat
) -> None:
    worker.environment["STONEWARE_DATA_DIR"] = str(settings.DATA_DIR)  # where the upload lies
    write_file(tmp_path / "part", format)
    made = begin(tenant, tmp_path / "part", format)
    job = made.job
    assert job is not None
    for part in (1, 2, 3):
        worker.start()
        wait(tenant, job, lambda job, part=part: job.done > part * ROWS // 5, worker)
        worker.kill()
        worker.redis.flushall()
    with enter(tenant.id):
        job.refresh_from_db()
        assert job.done < ROWS - len(BAD), "killed too late to prove anything"
        assert uploads.path_of(tenant.id, made.id).exists()
    worker.start()
    job = wait(tenant, job, lambda job: job.has_ended, worker)
    assert (job.state, job.done, job.failed) == ("done", ROWS - len(BAD), len(BAD))
    assert not uploads.path_of(tenant.id, made.id).exists()
    with enter(tenant.id):
        wanted = {f"r{n}" for n in range(ROWS)} - {f"r{n}" for n in BAD}
        assert set(Record.objects.values_list("external_id", flat=True)) == wanted
        assert DatasetCounter.objects.get().records == Suggestion.objects.count() == len(wanted)
        assert JobReject.objects.filter(job=job).count() == len(BAD)
        assert JobItem.objects.filter(job=job, losses__gt=0).exists()
