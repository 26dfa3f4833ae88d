"""A dataset too large for one transaction follows a changed overlap page by page."""

import pytest

from apps.annotation import recompute, services
from apps.annotation.models import Response
from apps.annotation.recompute import recompute_dataset
from apps.core.tenancy import current
from apps.events.models import Event
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem
from apps.records.models import DatasetCounter, Record, RecordTask
from tests.factories import make_dataset, make_member, make_records

pytestmark = pytest.mark.usefixtures("organization")


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompute, "PAGE", 3)


def test_many_records_follow_by_a_job_each_completing_once() -> None:
    dataset, (ann, bob) = make_dataset(min_submitted=2), (make_member(), make_member())
    records = make_records(dataset, 7)
    for record in records[:5]:
        services.save_response(
            record=record,
            annotator=ann,
            status="submitted",
            values={"sentiment": {"value": "positive"}},
        )
    assert not Record.objects.filter(status="completed").exists()
    dataset.min_submitted = 1
    dataset.save()
    job = recompute_dataset(dataset=dataset, created_by=bob)
    assert job is not None
    assert (job.kind, job.dataset_id, job.workspace) == (
        "recompute_dataset",
        dataset.id,
        dataset.workspace,
    )
    run_slice(organization_id=current(), job_id=job.id)
    assert Job.objects.get(id=job.id).state == "done"
    assert [item.size for item in JobItem.objects.order_by("seq")] == [3, 3, 1]
    done = set(Record.objects.filter(status="completed").values_list("id", flat=True))
    assert done == {record.id for record in records[:5]}
    assert DatasetCounter.objects.get().completed == 5
    assert RecordTask.objects.filter(open_slots=1).count() == 2
    assert Event.objects.filter(kind="record.completed").count() == 5
    again = recompute_dataset(dataset=dataset)
    assert again is not None
    run_slice(organization_id=current(), job_id=again.id)
    assert Event.objects.filter(kind="record.completed").count() == 5
    assert Response.objects.count() == 5


def test_what_fits_a_page_follows_at_once() -> None:
    dataset = make_dataset(min_submitted=1)
    make_records(dataset, 2)
    dataset.min_submitted = 2
    dataset.save()
    assert recompute_dataset(dataset=dataset) is None
    assert list(RecordTask.objects.values_list("open_slots", flat=True)) == [2, 2]
