"""Streamed kinds of job that leave the same trace as those of ``tests.jobs.kinds``."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from apps.events.log import Happening, emit_all
from apps.jobs import kinds
from apps.jobs.kinds import Planned, StreamedKind, Undone, Work
from apps.jobs.models import Job
from apps.jobs.stream import in_database
from apps.organizations.models import Organization
from tests.jobs.kinds import COST, STORED, raise_trouble

RELEASED = "count.released"


class CountInStream(StreamedKind[int, int]):
    """Doubles numbers, eight at a time: ``{"items": 10, "seconds": 0, "trouble": {"3": "error"}}``.

    Trouble is named as in ``Count``, and where it comes: ``read:pause``, ``write:error*2``;
    without a place it comes while computing. ``undone:pause`` is what ``write_many`` returns.
    """

    concurrency: ClassVar[int] = 8

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        for number in range(job.params["items"]):
            time.sleep(job.params.get("plan_seconds", 0))
            yield Planned({"number": number})

    def read_many(self, works: Sequence[Work]) -> Sequence[int]:
        for work in works:
            self._meet_trouble("read", work)
        return [int(work.payload["number"]) for work in works]

    async def compute(self, work: Work, material: int) -> int:
        self._meet_trouble("compute", work)
        await asyncio.sleep(work.job.params.get("seconds", 0))
        if work.job.params.get("errand"):
            assert await in_database(Organization.objects.count) == 1
        return 2 * material

    def write_many(self, pairs: Sequence[tuple[Work, int]]) -> Sequence[Decimal | Undone]:
        for work, _ in pairs:
            self._meet_trouble("write", work)
        emit_all(
            [
                Happening(
                    STORED, object_id=work.job.id, payload={"seq": work.seq, "result": result}
                )
                for work, result in pairs
            ]
        )
        return [self._verdict(work) for work, _ in pairs]

    def release_many(self, pairs: Sequence[tuple[Work, int]]) -> None:
        emit_all([_happening(RELEASED, work) for work, _ in pairs])

    def _verdict(self, work: Work) -> Decimal | Undone:
        try:
            self._meet_trouble("undone", work)
        except Exception as error:  # noqa: BLE001  (it is what we want to return)
            return Undone(error, COST)
        return COST

    def _meet_trouble(self, place: str, work: Work) -> None:
        trouble = work.job.params.get("trouble", {}).get(str(work.seq), "")
        where, _, what = trouble.rpartition(":")
        if trouble and (where or "compute") == place:
            raise_trouble(what, work)


def _happening(kind: str, work: Work, **more: int) -> Happening:
    return Happening(kind, object_id=work.job.id, payload={"seq": work.seq, **more})


def offer_streams() -> None:
    """Register the kind ``count_in_stream``."""
    kinds.offer("count_in_stream", "tests.jobs.streams.CountInStream")
