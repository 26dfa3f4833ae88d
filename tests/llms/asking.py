"""A kind of job that asks a provider about texts and leaves a trace of each answer."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from apps.events.log import Happening, emit_all
from apps.events.models import Event
from apps.jobs import kinds
from apps.jobs.errors import PauseJobError
from apps.jobs.kinds import Planned, StreamedKind, Undone, Work
from apps.jobs.models import Job
from apps.llms import calls
from apps.llms.calls import Ask, BudgetReachedError, Outcome, Prepared
from apps.llms.connections import connect
from apps.llms.models import Provider
from apps.llms.wire import Request
from apps.pipelines.steering import steer

KIND = "ask"
STORED = "ask.stored"


class Asking(StreamedKind[Prepared, Outcome]):
    """``{"provider": id, "items": 10, "texts": {"3": "another text"}, "max_tokens": 16}``."""

    concurrency: ClassVar[int] = 16

    def plan(self, job: Job, *, organization_id: UUID) -> Iterator[Planned]:
        other = job.params.get("texts", {})
        for number in range(job.params["items"]):
            yield Planned({"text": other.get(str(number), f"Text {number}")})

    def read_many(self, works: Sequence[Work]) -> Sequence[Prepared]:
        job = works[0].job
        connection = connect(provider=Provider.objects.get(id=job.params["provider"]))
        asks = [
            Ask(
                connection,
                request_of(work.payload["text"], job.params.get("max_tokens", 16)),
                job_id=job.id,
                workspace_id=job.workspace_id,
                seq=work.seq,
                attempt=work.attempt,
            )
            for work in works
        ]
        try:
            return calls.prepare(asks)
        except BudgetReachedError as error:
            raise PauseJobError(error.message) from error

    async def compute(self, work: Work, material: Prepared) -> Outcome:
        return await calls.send(material)

    def write_many(self, pairs: Sequence[tuple[Work, Outcome]]) -> Sequence[Decimal | Undone]:
        costs = calls.settle([outcome for _, outcome in pairs])
        emit_all(
            [
                Happening(STORED, object_id=work.job.id, payload={"seq": work.seq})
                for work, outcome in pairs
                if outcome.error is None
            ]
        )
        return [
            cost if outcome.error is None else Undone(steer(outcome.error), cost)
            for (_, outcome), cost in zip(pairs, costs, strict=True)
        ]

    def release_many(self, pairs: Sequence[tuple[Work, Prepared]]) -> None:
        calls.release([prepared for _, prepared in pairs])

    async def close(self) -> None:
        await calls.close()


def request_of(text: str, max_tokens: int | None = 16) -> Request:
    return Request("tiny", ({"role": "user", "content": text},), max_tokens=max_tokens)


def offer_asking() -> None:
    kinds.offer(KIND, "tests.llms.asking.Asking")


def stored(job: Job) -> list[int]:
    """The numbers of the items whose answer was stored, ascending, with repetitions if any."""
    events = Event.objects.filter(kind=STORED, object_id=job.id)
    return sorted(event.payload["seq"] for event in events)
