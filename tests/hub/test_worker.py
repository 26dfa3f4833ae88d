"""A real worker imports and exports, and is killed on the way."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apps.core.embedded.paths import redis_socket
from apps.core.embedded.services import Services
from apps.core.tenancy import enter
from apps.exchange.hub.services import Place, start_export, start_import
from apps.jobs.models import Job, JobItem, JobReject
from apps.organizations.models import Organization
from apps.records.models import Record
from tests.factories import make_dataset, make_organization, make_records
from tests.hub.conftest import parquet
from tests.hub.server import TOKEN, Hub
from tests.hub.worlds import mapping
from tests.jobs.test_worker import Worker

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])

ROWS = 10_000


@pytest.fixture
def worker(hub: Hub) -> Iterator[Worker]:
    with tempfile.TemporaryDirectory(prefix="sw-") as directory:  # short: it holds a socket
        data_dir = Path(directory)
        with Services(data_dir, with_postgres=False):
            worker = Worker(data_dir, redis_socket(data_dir))
            worker.environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(data_dir / "hf")}
            worker.environment["HF_HUB_DISABLE_XET"] = "1"
            try:
                yield worker
            finally:
                worker.kill()


@pytest.fixture
def tenant() -> Organization:
    return make_organization("Killed")


def wait(organization: Organization, job: Job, until: Callable[[Job], bool], worker: Worker) -> Job:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with enter(organization.id):
            job = Job.objects.get(id=job.id)
        if until(job):
            return job
        time.sleep(0.02)
    pytest.fail(f"{job.state} {job.counters} {job.error_sample}\n{worker.log()}")


def test_a_killed_import_loses_and_doubles_nothing(
    hub: Hub, worker: Worker, tenant: Organization
) -> None:
    texts = [None if number % 1_000 == 7 else f"row {number}" for number in range(ROWS)]
    files = {
        f"data/train-{part}.parquet": parquet({"text": texts[part * 2_500 : (part + 1) * 2_500]})
        for part in range(4)
    }
    hub.add("ann/reviews", files, private=True)
    with enter(tenant.id):
        dataset = make_dataset()
        job = start_import(
            dataset=dataset,
            place=Place("ann/reviews", "default", "train"),
            mapping=mapping("text"),
            token=TOKEN,
        )
    for part in (1, 2):
        worker.start()
        wait(tenant, job, lambda job, part=part: job.done > part * ROWS // 4, worker)
        worker.kill()
        worker.redis.flushall()
    worker.start()
    job = wait(tenant, job, lambda job: job.has_ended, worker)
    with enter(tenant.id):
        rows = Record.objects.filter(dataset=dataset).in_order()
        found = [(id, fields["text"]) for id, fields in rows.values_list("external_id", "fields")]
        rejects = JobReject.objects.filter(job=job).in_order()
        left_out = list(rejects.values_list("number", flat=True))
        assert JobItem.objects.filter(job=job).count() == ROWS // 500 + 1
    wanted = [(f"train_{number}", text) for number, text in enumerate(texts) if text is not None]
    assert found == wanted
    assert left_out == [number for number, text in enumerate(texts) if text is None]
    assert (job.state, job.secret) == ("done", None)
    assert job.counters == {"total": ROWS, "done": len(wanted), "failed": len(left_out)}


def test_a_killed_export_leaves_the_repository_as_it_was(
    hub: Hub, worker: Worker, tenant: Organization
) -> None:
    import datasets

    with enter(tenant.id):
        dataset = make_dataset()
        make_records(dataset, 500)
        job = start_export(
            dataset=dataset,
            place=Place("ann/export", "default", "train"),
            private=False,
            token=TOKEN,
        )
    uploading: list[str] = []

    def hold(request: str) -> None:
        """The first upload does not come to its end."""
        if request.startswith("PUT /large/"):
            if not uploading:
                worker.kill()  # before the test is told, which starts the next worker
            uploading.append(request)

    hub.before = hold
    worker.start()
    deadline = time.monotonic() + 60
    while not uploading and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(hub.repos["ann/export"].files) == [".gitattributes"]
    worker.start()
    job = wait(tenant, job, lambda job: job.has_ended, worker)
    assert (job.state, job.counters) == ("done", {"total": 500, "done": 500, "failed": 0})
    assert len(hub.repos["ann/export"].commits) == 2
    assert datasets.load_dataset("ann/export", split="train").num_rows == 500
