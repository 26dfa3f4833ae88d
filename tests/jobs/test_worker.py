"""A real worker and a real Redis, both treated badly."""

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from django.db import connections

from apps.core import doorbell as core_doorbell
from apps.core.embedded.paths import PROJECT_ROOT, redis_socket
from apps.core.embedded.services import Services
from apps.core.tenancy import enter
from apps.jobs import doorbell, runs
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem, JobState, Queue
from apps.jobs.services import enqueue
from apps.organizations.models import Organization
from apps.organizations.operating import suspend, unsuspend
from tests.factories import make_organization
from tests.jobs.kinds import COST, stored

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])

ITEMS = 240


class Worker:
    """A worker process with its beat, on the test database and a Redis of its own."""

    script = "tests/jobs/worker.py"

    def __init__(self, directory: Path, socket: Path) -> None:
        self.directory = directory
        self.socket = socket
        self.redis = redis.Redis(unix_socket_path=str(socket))
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "PYTHONPATH": str(PROJECT_ROOT),
            "REDIS_URL": f"unix://{socket}",
            "DATABASE_URL": url_of("default"),
            "OWNER_DATABASE_URL": url_of("owner"),
            "OPERATOR_DATABASE_URL": url_of("operator"),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, sweep: float = 0.5, queues: str = "bulk,interactive,rounds") -> None:
        """Start the process; its sweeper looks every ``sweep`` seconds."""
        schedule = str(self.directory / f"schedule-{queues}")
        with (self.directory / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, self.script, schedule, str(sweep), queues],
                cwd=PROJECT_ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """``kill -9``, for the beat too."""
        process, self.process = self.process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self) -> float:
        """Ask the worker to stop; returns the seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(timeout=30)
        return time.monotonic() - began

    def log(self) -> str:
        return (self.directory / "worker.log").read_text()


def url_of(alias: str) -> str:
    settings = connections[alias].settings_dict
    name = connections["default"].settings_dict["NAME"]
    account = settings["USER"] + (f":{settings['PASSWORD']}" if settings["PASSWORD"] else "")
    port = f"&port={settings['PORT']}" if settings["PORT"] else ""
    return f"postgresql://{account}@/{name}?host={settings['HOST']}{port}"


@pytest.fixture
def worker() -> Iterator[Worker]:
    # A short path: it holds a socket.
    with tempfile.TemporaryDirectory(prefix="sw-") as directory:
        data_dir = Path(directory)
        with Services(data_dir, with_postgres=False):
            worker = Worker(data_dir, redis_socket(data_dir))
            try:
                yield worker
            finally:
                worker.kill()


@pytest.fixture
def tenant() -> Organization:
    return make_organization("Killed")


def start(
    organization: Organization,
    kind: str = "count_together",
    queue: Queue | None = None,
    **params: Any,
) -> Job:
    with enter(organization.id):
        return enqueue(kind=kind, params={"items": ITEMS, "seconds": 0.02, **params}, queue=queue)


def wait(organization: Organization, job: Job, until: Callable[[Job], bool], worker: Worker) -> Job:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with enter(organization.id):
            job = Job.objects.get(id=job.id)
        if until(job):
            return job
        time.sleep(0.02)
    pytest.fail(f"{job.state} {job.counters}\n{worker.log()}")


@pytest.mark.parametrize("kind", ["count_together", "count_in_stream"])
def test_kill_and_flushall_lose_nothing_and_store_nothing_twice(
    worker: Worker, tenant: Organization, kind: str
) -> None:
    job = start(tenant, kind, plan_seconds=0.002, seconds=0.02 if kind == "count_together" else 0.1)
    worker.start()
    wait(tenant, job, lambda job: job.state == JobState.RUNNING, worker)
    worker.kill()  # in the middle of the plan
    worker.redis.flushall()
    for part in (1, 2, 3):
        worker.start()
        wait(tenant, job, lambda job, part=part: job.done > part * ITEMS // 5, worker)
        worker.redis.flushall()  # with the worker alive
        wait(tenant, job, lambda job, done=job.done: job.done > done, worker)
        worker.kill()
        worker.redis.flushall()
    worker.start()
    job = wait(tenant, job, lambda job: job.has_ended, worker)
    with enter(tenant.id):
        assert stored(job) == list(range(ITEMS))
        assert JobItem.objects.filter(job=job, losses__gt=0).exists()
    assert (job.state, job.failed, job.done) == ("done", 0, ITEMS)
    assert job.cost == ITEMS * COST
    assert job.run >= 5


def test_the_sweeper_finds_jobs_of_all_organizations_and_due_retries(
    worker: Worker, tenant: Organization
) -> None:
    other = make_organization("Other")
    first = start(tenant, items=4, trouble={"1": "error*2"})
    second = start(other, kind="count", items=4)
    worker.start()
    for organization, job in ((tenant, first), (other, second)):
        ended = wait(organization, job, lambda job: job.has_ended, worker)
        assert (ended.state, ended.done) == ("done", 4)


def test_the_doorbell_starts_a_job_without_the_sweeper(
    worker: Worker, tenant: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = worker.environment["REDIS_URL"].replace("unix://", "redis+socket://")
    rung = Celery(broker=broker, set_as_current=False)
    monkeypatch.setattr(core_doorbell, "current_app", rung)
    job = start(tenant, items=4)
    worker.start(sweep=3600)
    job = wait(tenant, job, lambda job: job.has_ended, worker)
    assert (job.state, job.done) == ("done", 4)


@pytest.mark.parametrize("kind", ["count_together", "count_in_stream"])
def test_a_job_rests_while_its_organization_is_suspended(
    worker: Worker, tenant: Organization, kind: str
) -> None:
    job = start(tenant, kind, items=80, seconds=0.1)
    worker.start()
    wait(tenant, job, lambda job: job.done > 4, worker)
    with enter(tenant.id):
        suspend(organization=tenant, reason="Unpaid")
    job = wait(tenant, job, lambda job: job.run_until is None, worker)  # what was begun is stored
    assert job.id not in {id for _, id, _ in doorbell.find_waiting()}
    other = make_organization("Other")
    wait(other, start(other, items=4), lambda job: job.has_ended, worker)
    with enter(tenant.id):
        rested = Job.objects.get(id=job.id)
        assert (rested.state, rested.done) == ("running", job.done)
        assert not JobItem.objects.filter(job=job, state="leased").exists()
        assert job.done < 80
        unsuspend(organization=tenant)
    job = wait(tenant, job, lambda job: job.has_ended, worker)
    with enter(tenant.id):
        assert sorted(stored(job)) == list(range(80))
    assert (job.state, job.failed) == ("done", 0)


def test_people_do_not_wait_for_bulk_work(worker: Worker, tenant: Organization) -> None:
    bulk = [start(tenant, kind="count", seconds=0.1) for _ in range(6)]
    quick = Worker(worker.directory, worker.socket)
    try:
        worker.start(queues="bulk")
        quick.start(queues="interactive,rounds")
        for job in bulk[:4]:  # as many as the worker has threads
            wait(tenant, job, lambda job: job.done > 0, worker)
        asked = start(tenant, kind="count", items=2, queue=Queue.INTERACTIVE)
        wait(tenant, asked, lambda job: job.has_ended, worker)
    finally:
        quick.kill()
    with enter(tenant.id):
        waiting = Job.objects.filter(id__in=[job.id for job in bulk])
        assert {job.state for job in waiting} == {"queued", "running"}


def test_a_worker_told_to_stop_leaves_the_job_to_the_next(
    worker: Worker, tenant: Organization
) -> None:
    job = start(tenant, items=40, seconds=0.3)
    worker.start()
    wait(tenant, job, lambda job: job.done > 4, worker)
    assert worker.stop() < 4
    with enter(tenant.id):
        job.refresh_from_db()
        assert (job.state, job.run_until) == ("running", None)
        assert not JobItem.objects.filter(job=job, state="leased").exists()
    worker.start()
    assert wait(tenant, job, lambda job: job.has_ended, worker).done == 40


def test_the_beat_of_a_killed_worker_ends_too(worker: Worker, tenant: Organization) -> None:
    job = start(tenant, items=1)
    worker.start()
    wait(tenant, job, lambda job: job.has_ended, worker)
    assert worker.process is not None
    session = worker.process.pid
    assert len(processes_of(session)) == 2, "the worker and its beat"
    worker.process.kill()
    worker.process.wait()
    deadline = time.monotonic() + 10
    while processes_of(session):
        assert time.monotonic() < deadline, worker.log()
        time.sleep(0.05)
    worker.process = None


def processes_of(session: int) -> list[str]:
    """The command lines of the session's processes that have not ended."""
    listing = subprocess.run(
        ["ps", "-ww", "-o", "stat=,args=", "-s", str(session)],
        capture_output=True,
        check=False,
        text=True,
    )
    return [line for line in listing.stdout.splitlines() if not line.startswith("Z")]


def test_threads_of_one_job_share_its_items(tenant: Organization) -> None:
    job = start(tenant, items=12, seconds=0.3)
    run_slice(organization_id=tenant.id, job_id=job.id)
    with enter(tenant.id):
        job = Job.objects.get(id=job.id)
        assert stored(job) == list(range(12))
    assert job.state == JobState.DONE
    assert job.seconds is not None
    assert job.seconds < 12 * 0.3


@pytest.mark.parametrize(
    ("kind", "beat"), [("count", 0.05), ("count_together", 60)], ids=["heartbeat", "items"]
)
def test_the_threads_of_a_slice_leave_no_connection_behind(
    tenant: Organization, kind: str, beat: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where connections are kept, and before the collector finds those of dead threads."""
    connections.close_all()
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 600)
    monkeypatch.setattr(runs, "HOLD", timedelta(seconds=3 * beat))
    job = start(tenant, kind=kind, items=8, seconds=0.05)
    gc.disable()
    try:
        before = connections_open()
        run_slice(organization_id=tenant.id, job_id=job.id)
        assert connections_open() == before
    finally:
        gc.enable()
    with enter(tenant.id):
        assert Job.objects.get(id=job.id).state == JobState.DONE


def connections_open() -> int:
    """How many the application's role has, once those that were closed are gone."""
    time.sleep(0.3)
    with connections["operator"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND usename = 'stoneware_app'"
        )
        return int(cursor.fetchone()[0])


def test_one_thread_can_pause_the_job_for_all(tenant: Organization) -> None:
    job = start(tenant, items=40, trouble={"5": "pause"})
    assert run_slice(organization_id=tenant.id, job_id=job.id) is False
    with enter(tenant.id):
        job = Job.objects.get(id=job.id)
        assert stored(job) == [seq for seq in range(40) if seq != 5][: job.done]
    assert job.state == JobState.PAUSED
    assert job.done < 15
