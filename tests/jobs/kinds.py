"""Kinds of job that leave a trace: one event for each result that was stored."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.core.errors import InvalidError
from apps.events.log import emit
from apps.events.models import Event
from apps.jobs import chain, kinds
from apps.jobs.errors import AbandonJobError, PauseJobError, RetryLaterError
from apps.jobs.kinds import Kind, Planned, Work
from apps.jobs.models import Job

STORED = "count.stored"
COST = Decimal("0.25")


class Count(Kind[int, int]):
    """Doubles numbers: ``{"items": 10, "size": 1, "seconds": 0, "trouble": {"3": "error"}}``.

    ``trouble`` names what an item raises: always, or with a count as in ``error*2`` that often.
    """

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        if job.params.get("plan_trouble"):
            _raise(job.params["plan_trouble"])
        for number in range(job.params["items"]):
            time.sleep(job.params.get("plan_seconds", 0))
            yield Planned({"number": number}, size=job.params.get("size", 1))

    def read(self, work: Work) -> int:
        return int(work.payload["number"])

    def compute(self, work: Work, material: int) -> int:
        time.sleep(work.job.params.get("seconds", 0))
        raise_trouble(work.job.params.get("trouble", {}).get(str(work.seq), ""), work)
        return 2 * material

    def write(self, work: Work, result: int) -> Decimal:
        emit(STORED, object_id=work.job.id, payload={"seq": work.seq, "result": result})
        return COST


class CountTogether(Count):
    """The same, four items at a time."""

    concurrency = 4


class CountInChain(Count):
    """The same, each number leading to the next; odd ones are left out."""

    is_chain = True

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        yield Planned({"number": 0}, size=0)

    def write(self, work: Work, result: int) -> Decimal:
        cost = super().write(work, result)
        number = work.payload["number"]
        if number + 1 < work.job.params["items"]:
            chain.append(work, {"number": number + 1})
        if number % 2:
            chain.reject(work, {number: "odd"})
        chain.advance(work, done=1 - number % 2, failed=number % 2, expected=3)
        return cost


def offer_all() -> None:
    """Register the kinds ``count``, ``tidy``, ``count_together`` and ``count_in_chain``."""
    kinds.offer("count", "tests.jobs.kinds.Count")
    kinds.offer("tidy", "tests.jobs.kinds.Count", is_upkeep=True)
    kinds.offer("count_together", "tests.jobs.kinds.CountTogether")
    kinds.offer("count_in_chain", "tests.jobs.kinds.CountInChain")


def stored(job: Job) -> list[int]:
    """The item numbers whose result was stored, ascending, with repetitions if there are any."""
    events = Event.objects.filter(kind=STORED, object_id=job.id)
    return sorted(event.payload["seq"] for event in events)


def raise_trouble(trouble: str, work: Work) -> None:
    """Raise what ``trouble`` names, e.g. ``error*2`` in the item's first two attempts."""
    name, _, times = trouble.partition("*")
    if name and (not times or work.attempt <= int(times)):
        _raise(name)


def _raise(trouble: str) -> None:
    errors: dict[str, Any] = {
        "error": RuntimeError("out of order"),
        "invalid": InvalidError("not a number"),
        "abandon": AbandonJobError("the numbers are gone"),
        "pause": PauseJobError("no budget"),
        "later": RetryLaterError("busy", seconds=0),
        "twice": RetryLaterError("busy", seconds=0, most=2),
    }
    raise errors[trouble]
