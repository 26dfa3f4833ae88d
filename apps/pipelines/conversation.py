"""The calls of one item: asked together, read, repaired once each, followed up, understood."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from apps.core.errors import DomainError, InvalidError
from apps.jobs.stream import in_database
from apps.llms.calls import Outcome, Prepared, send
from apps.llms.errors import RefusedError
from apps.llms.wire import REFUSAL, Reply, Request
from apps.pipelines.errors import InvalidAnswerError
from apps.pipelines.parsers import read_answer
from apps.pipelines.recipes.base import Context, Recipe
from apps.pipelines.steering import steer

MAX_ROUNDS: Final = 12  # follow-ups of an item, so that no recipe asks for ever
KEPT: Final = 4_000  # characters of a wrong answer that the model is shown again

Prepare = Callable[[Sequence[Request]], list[Prepared]]  # inside the organization


@dataclass
class Call:
    """A request and what came back: the last text, and the document read from it."""

    request: Request
    prepared: Prepared
    text: str = ""
    document: Any = None
    cut_at: int | None = None  # tokens
    repaired: bool = False


@dataclass
class Conversation:
    """An item's calls so far. ``outcomes`` are all that were sent, paid for or not."""

    recipe: Recipe[Any, Any]
    context: Context
    material: Any
    prepare: Prepare
    calls: list[Call] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    result: Any = None
    error: Exception | None = None

    async def hold(self, requests: Sequence[Request], prepared: Sequence[Prepared]) -> None:
        """Go through with it. What goes wrong is kept as ``error``: the outcomes still count."""
        try:
            await self._ask(requests, prepared)
            for _ in range(MAX_ROUNDS):
                if not await self._follow_up():
                    break
            await self._understand()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  (whoever stores the outcomes decides)
            self.error = steer(error)

    @property
    def _documents(self) -> list[Any]:
        return [call.document for call in self.calls]

    async def _ask(self, requests: Sequence[Request], prepared: Sequence[Prepared]) -> None:
        fresh = [Call(*pair) for pair in zip(requests, prepared, strict=True)]
        self.calls += fresh
        results = await asyncio.gather(*map(self._call, fresh), return_exceptions=True)
        for error in (result for result in results if isinstance(result, BaseException)):
            raise error

    async def _call(self, call: Call) -> None:
        await self._send(call)
        await self._read(call)

    async def _send(self, call: Call) -> None:
        outcome = await send(call.prepared)
        self.outcomes.append(outcome)
        if outcome.error is not None:
            raise outcome.error
        if outcome.reply is not None:
            check_whole(outcome.reply, call.request)
            call.text = outcome.reply.text
            is_cut = outcome.reply.finish_reason == "length"
            call.cut_at = outcome.reply.completion_tokens if is_cut else None

    async def _read(self, call: Call) -> None:
        try:
            call.document = read_answer(call.text, call.request.schema)
        except InvalidError as error:
            await self._repair(call, error.message)

    async def _repair(self, call: Call, message: str) -> None:
        """Tell the model what is wrong with its answer, once. Raises ``InvalidError``."""
        if call.repaired:
            cut = "" if call.cut_at is None else f" It was cut off at {call.cut_at:,} tokens."
            raise InvalidError(f"The answer cannot be used: {message}{cut}")
        call.repaired = True
        request = replace(
            call.request,
            messages=(
                *call.request.messages,
                {"role": "assistant", "content": call.text[:KEPT]},
                {"role": "user", "content": correction(message)},
            ),
        )
        (call.prepared,) = await in_database(partial(self.prepare, [request]))
        await self._call(call)

    async def _follow_up(self) -> bool:
        """Whether there was more to ask."""
        requests = await self._mended(self.recipe.follow_up)
        if not requests:
            return False
        prepared = await in_database(partial(self.prepare, requests))
        await self._ask(requests, prepared)
        return True

    async def _understand(self) -> None:
        self.result = await self._mended(self.recipe.parse)

    async def _mended(self, step: Callable[[Context, Any, list[Any]], Any]) -> Any:
        """What the step makes of the answers, each of which may be repaired once."""
        while True:
            try:
                return step(self.context, self.material, self._documents)
            except InvalidAnswerError as error:
                await self._repair(self.calls[error.index], error.message)


def check_whole(reply: Reply, request: Request) -> None:
    """Raise ``RefusedError`` for what is no answer, or half a text.

    Half a document does not pass as a whole one, so that the model may be asked for it again.
    """
    if reply.finish_reason == REFUSAL:
        raise RefusedError(f"The model refused to answer: {reply.text[:KEPT]}")
    if request.schema is None and reply.finish_reason == "content_filter":
        raise RefusedError("The provider's filter held the answer back.")
    if request.schema is None and reply.finish_reason == "length":
        raise RefusedError(
            f"The answer was cut off at {reply.completion_tokens:,} tokens:"
            " allow longer ones, or ask for less."
        )


def correction(message: str) -> str:
    """What the model is told about an answer that cannot be used."""
    return f"This answer cannot be used: {message}\nAnswer again, and only in the form asked for."


def reason(error: Exception) -> str:
    """Why an item has no result, for people."""
    return error.message if isinstance(error, DomainError) else f"{type(error).__name__}: {error}"
