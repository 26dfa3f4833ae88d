"""Jobs whose items lead from one to the next."""

from typing import Any

import pytest

from apps.core.tenancy import current
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem, JobReject
from apps.jobs.services import enqueue, retry_failed
from tests.jobs.kinds import stored

pytestmark = pytest.mark.usefixtures("organization")


def run(job: Job) -> Job:
    while True:
        JobItem.objects.filter(job=job).update(available_at=None)
        if not run_slice(organization_id=current(), job_id=job.id):
            return Job.objects.get(id=job.id)


def start(**params: Any) -> Job:
    return enqueue(kind="count_in_chain", params={"items": 5, **params})


def test_each_item_leads_to_the_next_and_units_are_counted() -> None:
    job = run(start())
    assert job.state == "done"
    assert stored(job) == [0, 1, 2, 3, 4]
    assert job.counters == {"total": 5, "done": 3, "failed": 2}
    rejects = JobReject.objects.filter(job=job).in_order()
    assert list(rejects.values_list("number", "reason")) == [(1, "odd"), (3, "odd")]


@pytest.mark.parametrize("trouble", ["invalid", "error*3"])
def test_a_broken_chain_fails_the_job_which_goes_on_there_when_retried(trouble: str) -> None:
    job = start(trouble={"3": trouble})
    for _ in range(3):
        job = run(job)
    assert job.state == "failed"
    assert stored(job) == [0, 1, 2]
    assert job.counters == {"total": 3, "done": 2, "failed": 1}
    assert len(job.error_sample) == 1
    Job.objects.filter(id=job.id).update(params={"items": 5})
    job = run(retry_failed(job=job))
    assert job.state == "done"
    assert stored(job) == [0, 1, 2, 3, 4]
    assert job.counters == {"total": 5, "done": 3, "failed": 2}
