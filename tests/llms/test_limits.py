"""Who may call when: shared by processes and organizations, through Redis and without it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from django.conf import settings as django_settings

from apps.llms import limits
from apps.llms.connections import ProviderConnection
from apps.llms.errors import RateLimitedError, TransientError
from apps.llms.limits import slot

ORGANIZATION, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture(autouse=True)
def store() -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(django_settings.REDIS_URL)
    client.flushall()
    yield client
    client.close()


def connect(**values: Any) -> ProviderConnection:
    values.setdefault("organization_id", ORGANIZATION)
    return ProviderConnection(
        provider_id=UUID(int=3),
        provider="Local",
        model=values.pop("model", "tiny"),
        base_url="https://models.example/v1",
        api_key="",
        **{"model_id": UUID(int=4), **values},
    )


class Inside:
    """How many calls are under way, and were at most."""

    def __init__(self) -> None:
        self.now = self.most = self.total = 0

    async def call(self, connection: ProviderConnection, seconds: float = 0.01) -> None:
        async with slot(connection, tokens=10) as settle:
            self.now, self.total = self.now + 1, self.total + 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(seconds)
            self.now -= 1
            settle(10)


def run(main: Callable[[], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        try:
            return await main()
        finally:
            await limits.close()

    return asyncio.run(whole())


def clock(store: redis.Redis) -> int:
    """Microseconds, as the script counts them."""
    seconds, microseconds = store.time()  # type: ignore[misc]
    return int(seconds * 1_000_000 + microseconds)


def state(store: redis.Redis, connection: ProviderConnection) -> dict[str, float]:
    found: Any = store.hgetall(f"llm:{connection.organization_id}:{connection.model_id}:state")
    return {name.decode(): float(value) for name, value in found.items()}


def gates(store: redis.Redis, connection: ProviderConnection) -> dict[str, list[str]]:
    found: Any = store.hgetall(f"llm:{connection.organization_id}:{connection.model_id}:gates")
    return {name.decode(): value.decode().split() for name, value in found.items()}


# --- Calls at once -------------------------------------------------------------------------------


def test_processes_keep_one_limit_together(store: redis.Redis) -> None:
    """Loops in threads of their own share nothing but Redis, as processes do."""
    inside, connection = Inside(), connect(concurrency=6)

    async def process() -> None:
        await asyncio.gather(*(inside.call(connection) for _ in range(40)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run(process), range(4)))
    assert inside.total == 160
    assert inside.most <= 6
    assert gates(store, connection) == {}, "nothing is left behind"


class Endless:
    """Workers that call as long as they are not stopped, and how many calls that were."""

    def __init__(self, connection: ProviderConnection, workers: int) -> None:
        self.connection, self.workers = connection, workers
        self.count, self.is_stopped = 0, False

    async def work(self) -> None:
        while not self.is_stopped:
            async with slot(self.connection, tokens=1):
                await asyncio.sleep(0.02)
            self.count += 1

    async def process(self) -> None:
        await asyncio.gather(*(self.work() for _ in range(self.workers)))


async def few(connection: ProviderConnection, long: Endless) -> int:
    """Make twelve calls; how many the others made meanwhile."""

    async def call() -> None:
        async with slot(connection, tokens=1):
            await asyncio.sleep(0.02)

    before = long.count
    await asyncio.gather(*(call() for _ in range(12)))
    return long.count - before


def test_a_process_that_comes_later_gets_its_share(store: redis.Redis) -> None:
    """A long job on one process does not keep a short one on another waiting for its end."""
    long = Endless(connect(concurrency=4), workers=50)
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(run, long.process)
        while not long.count:
            time.sleep(0.005)
        meanwhile = pool.submit(run, lambda: few(long.connection, long)).result()
        long.is_stopped = True
        running.result()
    assert meanwhile <= 40, "twelve, were it exact"


def test_one_slot_is_taken_in_turns(store: redis.Redis) -> None:
    connection = connect(concurrency=1)
    order: list[str] = []

    async def process(name: str) -> None:
        async def call() -> None:
            async with slot(connection, tokens=1):
                order.append(name)
                await asyncio.sleep(0.01)

        await asyncio.gather(*(call() for _ in range(20)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: run(lambda: process(name)), "ab"))
    half = order[:20]
    assert 5 <= half.count("a") <= 15, "neither was kept out while the other had work"


def test_a_process_that_died_is_forgotten(store: redis.Redis) -> None:
    connection = connect(concurrency=1)
    key = f"llm:{connection.organization_id}:{connection.model_id}:gates"
    now = clock(store)
    store.hset(key, "dead", f"{ORGANIZATION} {now - 11_000_000} 1 1 {now}")
    inside = Inside()
    run(lambda: inside.call(connection))
    assert inside.total == 1
    assert gates(store, connection) == {}


def test_a_call_that_gives_up_leaves_no_trace(store: redis.Redis) -> None:
    connection, inside = connect(concurrency=1), Inside()

    async def main() -> None:
        first = asyncio.create_task(inside.call(connection, 0.2))
        await asyncio.sleep(0.05)
        late = [asyncio.create_task(inside.call(connection)) for _ in range(5)]
        await asyncio.sleep(0.05)
        for task in late[:4]:
            task.cancel()
        await asyncio.gather(first, *late, return_exceptions=True)

    run(main)
    assert (inside.total, inside.now) == (2, 0)
    assert gates(store, connection) == {}


# --- Organizations -------------------------------------------------------------------------------


def test_an_organization_cannot_starve_another_on_one_host(settings: Any) -> None:
    settings.LLM_HOST_CONCURRENCY = 4
    greedy = Endless(connect(concurrency=50), workers=50)

    async def main() -> int:
        running = asyncio.create_task(greedy.process())
        await asyncio.sleep(0.05)
        meanwhile = await few(connect(organization_id=OTHER, concurrency=50), greedy)
        greedy.is_stopped = True
        await running
        return meanwhile

    assert run(main) <= 40, "half of the slots were the other's while it asked for them"


def test_who_waits_for_limits_of_their_own_takes_no_share_of_the_host(settings: Any) -> None:
    settings.LLM_HOST_CONCURRENCY = 1
    limited = connect(organization_id=OTHER, rpm=1)
    inside = Inside()

    async def main() -> None:
        await inside.call(limited)
        waiting = asyncio.create_task(inside.call(limited))
        await asyncio.sleep(0.05)
        await asyncio.gather(*(inside.call(connect()) for _ in range(10)))
        waiting.cancel()
        await asyncio.wait([waiting])

    run(main)
    assert inside.total == 11


# --- Calls and tokens a minute -------------------------------------------------------------------


def test_calls_a_minute_hold_between_processes() -> None:
    connection, times = connect(rpm=600, concurrency=100), []

    async def process() -> None:
        async def call() -> None:
            async with slot(connection, tokens=1):
                times.append(time.monotonic())

        await asyncio.gather(*(call() for _ in range(40)))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: run(process), range(2)))
    times.sort()
    took = times[-1] - times[0]
    assert len(times) == 80
    assert 60 + 1 + took * 541 / 60 >= 80, "a tenth at once, the rest as time goes by"


@pytest.mark.parametrize(
    ("reserved", "used", "error", "spent"),
    [
        (5000, 5000, None, 5000),
        (500, 5000, None, 5000),
        (5000, 500, None, 500),
        (5000, None, None, 5000),
        (5000, None, RateLimitedError("slow down"), 0),
        (5000, None, TransientError("lost"), 5000),
    ],
)
def test_tokens_are_reserved_and_settled(
    store: redis.Redis, reserved: int, used: int | None, error: Exception | None, spent: int
) -> None:
    connection = connect(tpm=60_000)

    async def use() -> None:
        with contextlib.suppress(TransientError):
            async with slot(connection, tokens=reserved) as settle:
                if used is not None:
                    settle(used)
                if error is not None:
                    raise error

    before = clock(store)
    run(use)
    full_again = state(store, connection)["tokens"]
    price = spent * 60_000_000 / 54_000  # microseconds until so many tokens have come back
    assert before - 1 <= full_again - price <= clock(store) + 1


def test_a_call_larger_than_the_bucket_still_goes() -> None:
    inside = Inside()

    async def main() -> None:
        async with slot(connect(tpm=100), tokens=5000) as settle:
            inside.total += 1
            settle(5000)

    run(main)
    assert inside.total == 1


# --- Refusals ------------------------------------------------------------------------------------


def test_a_429_halves_and_successes_add(store: redis.Redis) -> None:
    connection, inside = connect(concurrency=8), Inside()

    async def refused() -> None:
        with contextlib.suppress(RateLimitedError):
            async with slot(connection, tokens=1):
                await asyncio.sleep(0.05)
                raise RateLimitedError("slow down")

    async def main() -> list[float]:
        ceilings = []
        await asyncio.gather(*(refused() for _ in range(4)))  # one burst is one reason
        await asyncio.sleep(0.1)
        ceilings.append(state(store, connection)["ceiling"])
        await refused()
        await asyncio.sleep(0.1)
        ceilings.append(state(store, connection)["ceiling"])
        await asyncio.gather(*(inside.call(connection, 0.001) for _ in range(40)))
        await asyncio.sleep(0.1)
        ceilings.append(state(store, connection)["ceiling"])
        return ceilings

    assert run(main) == [4, 2, 4]
    assert inside.most <= 4


def test_who_is_told_to_wait_waits_and_all_others_too(store: redis.Redis) -> None:
    connection, later = connect(), []

    async def refused() -> None:
        with contextlib.suppress(RateLimitedError):
            async with slot(connection, tokens=1):
                raise RateLimitedError("slow down", 0.5)

    async def main() -> float:
        await refused()
        start = time.monotonic()
        async with slot(connection, tokens=1):
            later.append(time.monotonic() - start)
        return later[0]

    assert run(main) >= 0.4


# --- Without Redis -------------------------------------------------------------------------------


def test_without_redis_a_process_goes_on_by_itself(settings: Any, tmp_path: Any) -> None:
    settings.REDIS_URL = f"unix://{tmp_path / 'nobody.sock'}"
    inside, connection = Inside(), connect(concurrency=50)
    run(lambda: asyncio.gather(*(inside.call(connection) for _ in range(30))))
    assert (inside.total, inside.most) == (30, limits.LOCAL_CONCURRENCY)


def test_without_redis_rates_are_kept_at_a_share(settings: Any, tmp_path: Any) -> None:
    settings.REDIS_URL = f"unix://{tmp_path / 'nobody.sock'}"
    connection, times = connect(rpm=1200), []

    async def call() -> None:
        async with slot(connection, tokens=1):
            times.append(time.monotonic())

    run(lambda: asyncio.gather(*(call() for _ in range(5))))
    assert times[-1] - times[0] >= 4 * 60 / (1200 * limits.LOCAL_SHARE) * 0.9


def test_an_emptied_redis_loses_nobody_and_lets_nobody_in_twice(store: redis.Redis) -> None:
    inside, connection = Inside(), connect(concurrency=5)

    async def main() -> None:
        calls = asyncio.gather(*(inside.call(connection, 0.02) for _ in range(60)))
        for _ in range(5):
            await asyncio.sleep(0.03)
            store.flushall()
            store.script_flush()
        await calls

    run(main)
    assert (inside.total, inside.now) == (60, 0)
    assert inside.most <= 5


def test_many_calls_share_their_round_trips(store: redis.Redis) -> None:
    connection = connect(concurrency=32)
    inside, before = Inside(), calls_of_scripts(store)
    run(lambda: asyncio.gather(*(inside.call(connection, 0.005) for _ in range(640))))
    assert inside.total == 640
    assert calls_of_scripts(store) - before <= 640


def calls_of_scripts(store: redis.Redis) -> int:
    commands: Any = store.info("commandstats")
    return int(commands.get("cmdstat_evalsha", {}).get("calls", 0))


def test_models_do_not_wait_for_each_other() -> None:
    inside = Inside()
    slow = replace(connect(concurrency=1), model_id=uuid4())

    async def main() -> None:
        async with slot(slow, tokens=1):
            await asyncio.gather(*(inside.call(connect()) for _ in range(20)))

    run(main)
    assert inside.total == 20
