"""Jobs that pay for answers, on real workers that are killed, with a provider that fails.

``STONEWARE_SURVIVAL_ITEMS=10000`` makes it the long run, with five kills.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.models import Sum
from django.utils import timezone

from apps.core.embedded.paths import redis_socket
from apps.core.embedded.services import Services
from apps.core.tenancy import enter
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobItem
from apps.jobs.services import cancel_job, enqueue, resume_job, retry_failed
from apps.llms import calls
from apps.llms.budgets import set_budget
from apps.llms.connections import connect
from apps.llms.models import Budget, BudgetScope, LedgerEntry, LLMAttempt, Provider
from apps.llms.services import ModelInput, PriceInput, create_provider
from apps.organizations.models import Organization
from tests.factories import make_organization
from tests.jobs.test_worker import Worker
from tests.llm_server.controls import LlmServer
from tests.llms.asking import KIND, Asking, offer_asking, request_of, stored

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"])

ITEMS = int(os.environ.get("STONEWARE_SURVIVAL_ITEMS", "1000"))
KILLS = 5 if ITEMS >= 10_000 else 2
PATIENCE = 30 + ITEMS / 20  # seconds
# Few refusals for haste: each halves how many calls go at once.
FAILING: dict[str, Any] = {
    "failure_rate": 0.2,
    "failures": ["rate_limit", *6 * ["server_error", "reset"]],
    "failures_per_body": 5,
}
PRICES = [PriceInput(Decimal(10), Decimal(20))]


class AskingWorker(Worker):
    script = "tests/llms/worker.py"


@pytest.fixture(autouse=True, scope="module")
def _kind() -> None:
    offer_asking()


@pytest.fixture
def tenant() -> Organization:
    return make_organization("Paying")


@pytest.fixture
def provider(tenant: Organization, llm_server: LlmServer) -> Provider:
    with enter(tenant.id):
        return create_provider(
            name="Local",
            base_url=llm_server.url,
            api_key="sk-1234567890",
            models=[ModelInput("tiny", prices=PRICES)],
            concurrency=64,
        )


@pytest.fixture
def worker(llm_server: LlmServer) -> Iterator[Worker]:
    with tempfile.TemporaryDirectory(prefix="sw-") as directory:
        data_dir = Path(directory)
        with Services(data_dir, with_postgres=False):
            worker = AskingWorker(data_dir, redis_socket(data_dir))
            worker.environment["OUTBOUND_ALLOW"] = f"{llm_server.host}:{llm_server.port}"
            try:
                yield worker
            finally:
                worker.kill()


def start(provider: Provider, items: int = ITEMS, **params: Any) -> Job:
    params = {"provider": str(provider.id), "items": items, **params}
    with enter(provider.organization_id):
        return enqueue(kind=KIND, params=params)


def look(job: Job) -> Job:
    with enter(job.organization_id):
        return Job.objects.get(id=job.id)


def run(job: Job) -> Job:
    """Run it in this process until it ends or stands still."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        run_slice(organization_id=job.organization_id, job_id=job.id)
        job = look(job)
        if job.has_ended or job.state == "paused":
            return job
        time.sleep(0.05)
    pytest.fail(f"{job.state} {job.counters}")


def wait(job: Job, until: Callable[[Job], bool], worker: Worker) -> Job:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        job = look(job)
        if until(job):
            return job
        time.sleep(0.02)
    pytest.fail(f"{job.state} {job.counters} {job.error_sample}\n{worker.log()[-5000:]}")


def kinds_of(job: Job) -> dict[str, int]:
    with enter(job.organization_id):
        found = LedgerEntry.objects.filter(job_id=job.id).values_list("kind", flat=True)
        return {kind: list(found).count(kind) for kind in set(found)}


def kill_until_done(job: Job, worker: Worker, items: int) -> tuple[Job, int]:
    """The job at its end, and how many calls were open when its workers were killed."""
    in_flight = 0
    for part in range(1, KILLS + 1):
        worker.start()
        wait(job, lambda job, part=part: job.done > part * items // (KILLS + 2), worker)
        if part == 2:
            worker.redis.flushall()
            done = look(job).done
            wait(job, lambda job, done=done: job.done > done, worker)
        worker.kill()
        with enter(job.organization_id):
            in_flight += LLMAttempt.objects.count()
    worker.start()
    return wait(job, lambda job: job.has_ended, worker), in_flight


def test_kills_and_failures_lose_nothing_and_pay_twice_for_no_more_than_was_in_flight(
    worker: Worker, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.configure(**FAILING, latency_ms=10, seed=7)
    job, in_flight = kill_until_done(start(provider), worker, ITEMS)
    paid = llm_server.ledger()
    with enter(job.organization_id):
        assert (job.state, job.done, job.failed) == ("done", ITEMS, 0)
        assert stored(job) == list(range(ITEMS))
        assert not LLMAttempt.objects.exists()
        booked = LedgerEntry.objects.filter(job_id=job.id, kind="call")
        assert booked.count() == paid["distinct"] == ITEMS
        assert job.cost == booked.aggregate(usd=Sum("usd"))["usd"] > 0
        unknown = LedgerEntry.objects.filter(kind="unknown_outcome")
        assert paid["double_paid"] <= unknown.count() == in_flight
        assert in_flight <= KILLS * 2 * Asking.concurrency
        assert unknown.filter(usd__gt=0).count() == in_flight
    again = run_again(provider, llm_server, paid["calls"])
    assert kinds_of(again) == {"hit": ITEMS}
    one_edited(provider, llm_server)


def run_again(provider: Provider, llm_server: LlmServer, before: int) -> Job:
    """The same job once more asks nothing."""
    job = run(start(provider))
    assert (job.state, job.done, job.cost) == ("done", ITEMS, 0)
    assert llm_server.ledger()["calls"] == before
    return job


def one_edited(provider: Provider, llm_server: LlmServer) -> None:
    """With one text changed, one call is made."""
    llm_server.configure(failure_rate=0)
    before = llm_server.ledger()["calls"]
    job = run(start(provider, texts={"17": "Edited"}))
    assert kinds_of(job) == {"hit": ITEMS - 1, "call": 1}
    assert llm_server.ledger()["calls"] == before + 1


def test_sixteen_workers_never_exceed_a_budget(
    tenant: Organization, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.configure(latency_ms=5, jitter_ms=10)
    with enter(tenant.id):
        most = calls.most(connect(provider=provider), request_of("Worker 15 asks 39")).usd
        limit = 4 * most  # less than one job of them needs
        set_budget(scope=BudgetScope.ORGANIZATION, subject_id=tenant.id, usd=limit)
    texts = [{str(n): f"Worker {each} asks {n}" for n in range(40)} for each in range(16)]
    jobs = [start(provider, 40, texts=each) for each in texts]

    def work(job: Job) -> Job:
        try:
            return Context().run(run, job)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(16) as pool:
        ended = list(pool.map(work, jobs))
    assert {job.state for job in ended} == {"paused"}
    reason = ended[0].error_sample[0]["error"]
    assert reason.startswith("The organization's budget of this month is reached")
    with enter(tenant.id):
        budget = Budget.objects.get()
        spent = LedgerEntry.objects.aggregate(usd=Sum("usd"))["usd"]
        assert budget.spent_usd == spent == sum(job.cost for job in ended)
        assert limit - 2 * most < spent <= limit
        assert budget.reserved_usd == 0
        assert not LLMAttempt.objects.exists()
        set_budget(scope=BudgetScope.ORGANIZATION, subject_id=tenant.id, usd=1000 * most)
        resume_job(job=ended[0])
    assert run(ended[0]).state == "done"


def test_a_jobs_own_budget_pauses_it_and_it_can_be_resumed(
    tenant: Organization, provider: Provider, llm_server: LlmServer
) -> None:
    job = start(provider, 40)
    with enter(tenant.id):
        most = calls.most(connect(provider=provider), request_of("Text 39")).usd
        set_budget(scope=BudgetScope.JOB, subject_id=job.id, usd=2 * most)
    job = run(job)
    assert job.state == "paused"
    assert job.error_sample[0]["error"].startswith("The job's budget is reached")
    assert most < job.cost <= 2 * most
    with enter(tenant.id):
        set_budget(scope=BudgetScope.JOB, subject_id=job.id, usd=1000 * most)
        resume_job(job=job)
    job = run(job)
    assert (job.state, job.done) == ("done", 40)
    assert job.error_sample == []
    assert llm_server.ledger()["double_paid"] == 0


@pytest.mark.parametrize(
    ("trouble", "cure", "reason"),
    [
        ({"quota_calls": 10}, {"quota_calls": None}, "quota"),
        ({"keys": ["sk-another"]}, {"keys": None}, ""),
    ],
)
def test_no_credit_or_no_access_pauses_the_job_without_blame(
    provider: Provider, llm_server: LlmServer, trouble: Any, cure: Any, reason: str
) -> None:
    llm_server.configure(**trouble)
    job = run(start(provider, 60))
    assert (job.state, job.failed) == ("paused", 0)
    assert reason in job.error_sample[0]["error"]
    with enter(provider.organization_id):
        assert not JobItem.objects.filter(job=job, failures__gt=0).exists()
        assert not LLMAttempt.objects.exists()
    refused = llm_server.ledger()["calls"] - job.done
    assert refused <= 2 * Asking.concurrency
    llm_server.configure(**cure)
    with enter(provider.organization_id):
        resume_job(job=job)
    assert (run(job).state, llm_server.ledger()["double_paid"]) == ("done", 0)


def test_a_provider_that_says_when_to_come_back_is_obeyed(
    provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.configure(
        failure_rate=1, failures=["rate_limit"], failures_per_body=1, retry_after=1.0
    )
    began = time.monotonic()
    job = run(start(provider, 4))
    assert (job.state, job.done) == ("done", 4)
    assert time.monotonic() - began >= 1
    with enter(provider.organization_id):
        items = JobItem.objects.filter(job=job).values_list("attempts", "failures")
        assert set(items) == {(2, 0)}
    by_text: dict[str, list[float]] = {}
    for call in llm_server.calls():
        by_text.setdefault(str(call["body"]), []).append(call["at"])
    assert all(second - first >= 1 for first, second in by_text.values())


def test_what_failed_is_asked_again_alone(provider: Provider, llm_server: LlmServer) -> None:
    llm_server.script("Text 3", status=400, error="context_length_exceeded", times=1)
    job = run(start(provider, 10))
    assert job.counters == {"total": 10, "done": 9, "failed": 1}
    before = llm_server.ledger()["calls"]
    with enter(provider.organization_id):
        retry_failed(job=job)
    job = run(job)
    assert job.counters == {"total": 10, "done": 10, "failed": 0}
    assert llm_server.ledger()["calls"] == before + 1


def test_a_cancelled_job_keeps_what_it_paid_and_goes_on_when_resumed(
    worker: Worker, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.configure(latency_ms=100)
    job = start(provider, 200)
    worker.start()
    wait(job, lambda job: job.done > 20, worker)
    with enter(provider.organization_id):
        cancel_job(job=Job.objects.get(id=job.id))
    job = wait(job, lambda job: job.has_ended, worker)
    assert job.state == "cancelled"
    assert job.done == llm_server.ledger()["answered"] < 200
    with enter(provider.organization_id):
        assert not LLMAttempt.objects.exists()
        resume_job(job=job)
    job = wait(job, lambda job: job.has_ended, worker)
    assert (job.state, job.done) == ("done", 200)
    assert llm_server.ledger()["answered"] == 200


def test_a_text_that_stands_twice_is_asked_once(provider: Provider, llm_server: LlmServer) -> None:
    job = run(start(provider, 30, texts={str(n): "the same" for n in range(0, 30, 2)}))
    assert (job.state, job.done) == ("done", 30)
    assert llm_server.ledger()["calls"] == 16
    assert kinds_of(job) == {"call": 16, "hit": 14}


def test_a_call_that_nobody_takes_up_again_is_booked_in_the_end(
    tenant: Organization, provider: Provider
) -> None:
    with enter(tenant.id):
        calls.prepare([calls.Ask(connect(provider=provider), request_of("Lost"))])
    assert calls.book_old() == 0
    with enter(tenant.id):
        LLMAttempt.objects.update(inserted_at=timezone.now() - calls.ABANDONED_AFTER)
    assert calls.book_old() == 1
    with enter(tenant.id):
        assert LedgerEntry.objects.get().kind == "unknown_outcome"
        assert not LLMAttempt.objects.exists()
