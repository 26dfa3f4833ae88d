"""Starting and steering jobs."""

import time
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from apps.core import doorbell as core_doorbell
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current
from apps.jobs import doorbell, kinds, leases, runs
from apps.jobs.engine import run_slice
from apps.jobs.models import ItemState, Job, JobItem, JobState
from apps.jobs.services import (
    cancel_job,
    delete_dataset_jobs,
    enqueue,
    pause_job,
    read_secret,
    resume_job,
    retry_failed,
)
from apps.organizations.models import Membership, Organization
from apps.workspaces.models import Workspace
from tests.factories import make_member, make_workspace
from tests.jobs.kinds import stored

pytestmark = pytest.mark.usefixtures("organization")


def start(kind: str = "count", **params: Any) -> Job:
    return enqueue(kind=kind, params={"items": 5, **params})


def run(job: Job) -> Job:
    run_slice(organization_id=current(), job_id=job.id)
    return Job.objects.get(id=job.id)


def claim(job: Job) -> runs.Run:
    claimed = runs.claim(organization_id=current(), job_id=job.id)
    assert claimed is not None
    return claimed[0]


def test_a_job_needs_a_kind_that_exists() -> None:
    with pytest.raises(InvalidError, match="Unknown kind"):
        enqueue(kind="nonsense")


def test_one_unfinished_job_for_a_subject() -> None:
    job = enqueue(kind="count", params={"items": 1}, subject="question 1")
    with pytest.raises(ConflictError, match="running already"):
        enqueue(kind="count", params={"items": 1}, subject="question 1")
    enqueue(kind="count", params={"items": 1}, subject="question 2")
    run(job)
    enqueue(kind="count", params={"items": 1}, subject="question 1")
    with (
        pytest.raises(IntegrityError, match="job_one_unfinished_per_subject"),
        transaction.atomic(),
    ):
        Job.objects.filter(id=job.id).update(state="queued", finished_at=None)


def test_without_redis_the_job_waits_for_the_sweeper(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    away = Celery(broker="redis+socket:///nonexistent/redis.sock", set_as_current=False)
    monkeypatch.setattr(core_doorbell, "current_app", away)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        job = start()
    assert len(callbacks) == 1
    began = time.monotonic()
    assert doorbell.ring(organization_id=current(), job_id=job.id) is False
    assert time.monotonic() - began < 1
    assert job.state == JobState.QUEUED


def test_a_queued_job_is_cancelled_at_once() -> None:
    job = cancel_job(job=start())
    assert job.state == JobState.CANCELLED
    assert stored(run(job)) == []
    assert cancel_job(job=job).state == JobState.CANCELLED


def test_a_running_job_stores_what_is_in_work_and_ends_cancelled() -> None:
    job = start()
    run_slice(organization_id=current(), job_id=job.id, seconds=0)
    holder = claim(job)
    work = leases.take(holder, job)
    assert work is not None
    job = cancel_job(job=job)
    assert job.state == JobState.CANCELLING
    assert leases.take(holder, job) is None
    leases.complete(work, _kind(), 0)
    runs.let_go(holder)
    job.refresh_from_db()
    assert (job.state, job.counters) == ("cancelled", {"total": 5, "done": 1, "failed": 0})
    assert JobItem.objects.filter(job=job, state=ItemState.CANCELLED).count() == 4


def test_a_cancelled_job_whose_worker_died_ends_cancelled() -> None:
    job = start()
    run_slice(organization_id=current(), job_id=job.id, seconds=0)
    leases.take(claim(job), job)
    cancel_job(job=job)
    Job.objects.filter(id=job.id).update(run_until=Now() - timedelta(seconds=1))
    job = run(job)
    assert job.state == JobState.CANCELLED
    assert stored(job) == []


def test_a_paused_job_goes_on_where_it_stopped() -> None:
    job = start()
    run_slice(organization_id=current(), job_id=job.id, seconds=0)
    holder = claim(job)
    work = leases.take(holder, job)
    assert work is not None
    job = pause_job(job=job)
    assert leases.take(holder, job) is None
    leases.complete(work, _kind(), 0)
    assert runs.let_go(holder) is False
    assert run(job).done == 1
    assert resume_job(job=job).state == JobState.QUEUED
    assert run(job).state == JobState.DONE
    assert stored(job) == list(range(5))


def suspend(suspended_at: Any) -> None:
    Organization.objects.update(suspended_at=suspended_at)


def test_a_suspended_organization_s_job_stops_after_the_item_in_work_and_goes_on() -> None:
    job = start()
    run_slice(organization_id=current(), job_id=job.id, seconds=0)
    holder = claim(job)
    work = leases.take(holder, job)
    assert work is not None
    suspend(Now())
    assert leases.take(holder, job) is None
    leases.complete(work, _kind(), 0)
    assert runs.let_go(holder) is False
    assert (run(job).state, run(job).done) == (JobState.RUNNING, 1)
    suspend(None)
    assert run(job).state == JobState.DONE
    assert stored(job) == list(range(5))


def test_a_job_of_a_suspended_organization_does_not_begin() -> None:
    suspend(Now())
    job = start()
    assert run(job).state == JobState.QUEUED
    assert runs.claim(organization_id=current(), job_id=job.id) is None
    suspend(None)
    assert run(job).state == JobState.DONE


def test_failed_items_can_be_run_again() -> None:
    job = start(trouble={"1": "invalid*1", "3": "invalid*1"})
    assert run(job).failed == 2
    job = retry_failed(job=job)
    assert (job.state, job.failed, job.error_sample) == ("queued", 0, [])
    job = run(job)
    assert (job.state, job.counters) == ("done", {"total": 5, "done": 5, "failed": 0})
    assert stored(job) == list(range(5))
    with pytest.raises(ConflictError, match="Nothing failed"):
        retry_failed(job=job)


@pytest.mark.parametrize("kind", ["count", "count_in_stream"])
def test_an_item_that_is_retried_may_be_put_off_as_often_as_before(kind: str) -> None:
    """A provider that is busy for good: twice it is waited for, then it counts as a failure."""
    job = start(kind, items=1, trouble={"0": "twice"})
    fails = kinds.load(kind).max_attempts

    def run_to_the_end() -> tuple[int, int, int]:
        while not run(job).has_ended:
            JobItem.objects.update(available_at=None)
        item = JobItem.objects.get()
        return item.attempts, item.waits, item.failures

    assert run_to_the_end() == (2 + fails, 2, fails - 1)
    retry_failed(job=job)
    assert run_to_the_end() == (2 * (2 + fails), 2, fails - 1)


def test_a_job_whose_plan_failed_can_be_planned_again() -> None:
    job = run(start(plan_trouble="error"))
    assert job.state == JobState.FAILED
    Job.objects.filter(id=job.id).update(params={"items": 2})
    assert run(retry_failed(job=job)).state == JobState.DONE


def test_an_ended_job_cannot_be_steered() -> None:
    job = run(start())
    for steer in (pause_job, resume_job, cancel_job):
        with pytest.raises(ConflictError, match="done"):
            steer(job=job)
    with pytest.raises(ConflictError, match="queued"):
        retry_failed(job=start())


def test_deleting_a_dataset_takes_its_jobs(workspace: Workspace) -> None:
    gone, kept = workspace.id, make_workspace().id  # any two ids
    job = enqueue(kind="count", params={"items": 1}, dataset_id=gone)
    enqueue(kind="count", params={"items": 1}, dataset_id=kept)
    run(job)
    delete_dataset_jobs(dataset_id=gone)
    assert [job.dataset_id for job in Job.objects.all()] == [kept]


def test_members_see_the_jobs_of_their_workspaces(owner: Membership) -> None:
    here, elsewhere = make_workspace(), make_workspace()
    admin = make_member(role="admin", workspace=here)
    seen = enqueue(kind="count", params={"items": 1}, workspace=here)
    enqueue(kind="count", params={"items": 1}, workspace=elsewhere)
    enqueue(kind="count", params={"items": 1})
    assert list(Job.objects.visible_to(admin)) == [seen]
    assert Job.objects.visible_to(owner).count() == 3
    run(seen)
    assert Job.objects.unfinished().newest_first().count() == 2


def _kind() -> Any:
    from apps.jobs import kinds

    return kinds.load("count")


def test_a_secret_is_sealed_and_forgotten_with_the_end() -> None:
    job = enqueue(kind="count", params={"items": 1}, secret="hf_secret")
    job = Job.objects.get(id=job.id)
    assert b"hf_secret" not in bytes(job.secret)
    assert read_secret(job) == "hf_secret"
    cancel_job(job=job)
    assert read_secret(job) is None
    assert Job.objects.get(id=job.id).secret is None


def test_the_secret_of_an_ended_job_is_refused_by_the_database() -> None:
    job = enqueue(kind="count", params={"items": 1})
    cancel_job(job=job)
    with pytest.raises(IntegrityError, match="job_ended_has_no_secret"), transaction.atomic():
        Job.objects.filter(id=job.id).update(secret=b"x")
