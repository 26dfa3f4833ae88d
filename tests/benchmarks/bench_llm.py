"""What a job adds to the calls it makes: time a call, at once and one by one; who waits for whom.

Against the scripted server, with the bare client of the provider measured in the same run.
"""

# ruff: noqa: F811 (fixtures of another module, which arguments are named after)

import asyncio
import time
from dataclasses import dataclass
from typing import ClassVar

import openai
import pytest
from celery import Celery

from apps.core import doorbell as core_doorbell
from apps.core.tenancy import enter
from apps.jobs import kinds
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, Queue
from apps.jobs.services import enqueue
from apps.llms.models import Provider
from tests.llm_server.controls import LlmServer
from tests.llms.asking import KIND, Asking
from tests.llms.test_survival import (  # noqa: F401
    AskingWorker,
    look,
    provider,
    start,
    tenant,
    wait,
    worker,
)

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.django_db(transaction=True, databases=["default", "owner", "operator"]),
]

SUGGESTIONS, LATENCY, AT_ONCE = 2_000, 0.05, 32
FACTOR = 1.5  # of the ideal time
OVERHEAD = 0.005  # seconds a call


@dataclass(frozen=True, slots=True)
class Spent:
    """Time on the clock and of the processor, in seconds."""

    clock: float
    cpu: float

    @classmethod
    def so_far(cls) -> "Spent":
        return cls(time.perf_counter(), time.process_time())

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.clock - other.clock, self.cpu - other.cpu)


class AskingWide(Asking):
    concurrency: ClassVar[int] = AT_ONCE


class AskingAlone(Asking):
    concurrency: ClassVar[int] = 1


@pytest.fixture(autouse=True, scope="module")
def _kinds() -> None:
    for name, kind in ((KIND, Asking), ("ask_wide", AskingWide), ("ask_alone", AskingAlone)):
        kinds.offer(name, f"{kind.__module__}.{kind.__name__}")


def run(provider: Provider, kind: str, items: int, prefix: str) -> Spent:
    """What it takes for a planned job of so many items that nobody has asked before."""
    texts = {str(number): f"{prefix} {number}" for number in range(items)}
    params = {"provider": str(provider.id), "items": items, "texts": texts}
    with enter(provider.organization_id):
        job = enqueue(kind=kind, params=params)
    run_slice(organization_id=job.organization_id, job_id=job.id, seconds=0)
    began = Spent.so_far()
    while run_slice(organization_id=job.organization_id, job_id=job.id):
        pass
    spent = Spent.so_far() - began
    with enter(provider.organization_id):
        assert Job.objects.get(id=job.id).done == items
    return spent


def ask_bare(server: LlmServer, items: int, at_once: int, prefix: str) -> Spent:
    """What it takes for as many calls by the bare client."""

    async def ask_all() -> Spent:
        client = openai.AsyncOpenAI(base_url=server.url, api_key="sk-1", max_retries=0)
        numbers = iter(range(items))

        async def ask() -> None:
            for number in numbers:
                message = {"role": "user", "content": f"{prefix} {number}"}
                await client.chat.completions.create(
                    model="tiny",
                    messages=[message],  # type: ignore[list-item]
                    max_tokens=16,
                    temperature=0,
                )

        began = Spent.so_far()
        await asyncio.gather(*(ask() for _ in range(at_once)))
        spent = Spent.so_far() - began
        await client.close()
        return spent

    return asyncio.run(ask_all())


def test_many_at_once_take_little_longer_than_the_provider(
    provider: Provider,
    llm_server: LlmServer,
) -> None:
    llm_server.configure(latency_ms=1000 * LATENCY)
    run(provider, "ask_wide", 100, "Warm")
    ideal = SUGGESTIONS / AT_ONCE * LATENCY
    bare = ask_bare(llm_server, SUGGESTIONS, AT_ONCE, "Bare")
    mine = run(provider, "ask_wide", SUGGESTIONS, "Wide")
    print(
        f"\n{SUGGESTIONS} calls of {1000 * LATENCY:.0f} ms, {AT_ONCE} at once: {mine.clock:.2f} s,"
        f" ideal {ideal:.2f} s (x{mine.clock / ideal:.2f}), bare client {bare.clock:.2f} s;"
        f" overhead {1000 * (mine.clock - bare.clock) / SUGGESTIONS:.2f} ms a call,"
        f" CPU {1000 * mine.cpu / SUGGESTIONS:.2f} ms, bare {1000 * bare.cpu / SUGGESTIONS:.2f} ms"
    )
    assert mine.clock <= FACTOR * ideal


def test_one_by_one_the_engine_adds_little_to_a_call(
    provider: Provider,
    llm_server: LlmServer,
) -> None:
    items = 300
    run(provider, "ask_alone", 20, "Warm")
    bare = ask_bare(llm_server, items, 1, "Bare")
    mine = run(provider, "ask_alone", items, "Alone")
    overhead = (mine.clock - bare.clock) / items
    print(
        f"\none by one: {1000 * mine.clock / items:.2f} ms a call,"
        f" bare client {1000 * bare.clock / items:.2f} ms, overhead {1000 * overhead:.2f} ms;"
        f" CPU {1000 * mine.cpu / items:.2f} ms, bare {1000 * bare.cpu / items:.2f} ms"
    )
    assert overhead <= OVERHEAD


def test_a_dry_run_starts_at_once_during_a_long_job(
    provider: Provider,
    llm_server: LlmServer,
    worker: AskingWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    llm_server.configure(latency_ms=1000 * LATENCY)
    broker = worker.environment["REDIS_URL"].replace("unix://", "redis+socket://")
    rung = Celery(broker=broker, set_as_current=False)
    monkeypatch.setattr(core_doorbell, "current_app", rung)
    quick = AskingWorker(worker.directory, worker.socket)
    quick.environment = worker.environment
    try:
        worker.start(queues="bulk")
        quick.start(queues="interactive,rounds")
        long = start(provider, 10_000)
        wait(long, lambda job: job.done > 100, worker)
        start_quickly(provider)  # the first one imports what is needed
        delays = sorted(start_quickly(provider) for _ in range(10))
    finally:
        quick.kill()
    assert look(long).state == "running"
    print(f"\na dry run begins after {delays[5]:.2f} s (at most {delays[-1]:.2f} s)")
    assert delays[-1] < 1


def start_quickly(provider: Provider) -> float:
    """Seconds until a job of five items has begun, which is waited for."""
    with enter(provider.organization_id):
        params = {"provider": str(provider.id), "items": 5}
        job = enqueue(kind=KIND, params=params, queue=Queue.INTERACTIVE)
    while not look(job).has_ended:
        time.sleep(0.02)
    job = look(job)
    assert job.started_at is not None
    return (job.started_at - job.inserted_at).total_seconds()
