"""Trying a provider out: one tiny call, told in plain words.

It is prepared in one transaction and booked in another. In between none is open, since the call may
take long, and what it has set aside in budgets is theirs for whom it is locked.
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext

from apps.core.tenancy import current, enter
from apps.llms import calls, client, embeddings
from apps.llms.budgets import Payer
from apps.llms.connections import ProviderConnection, connect
from apps.llms.dialects import memory_of
from apps.llms.errors import ProviderError, RateLimitedError, TransientError
from apps.llms.models import ModelKind, Provider, ProviderModel
from apps.llms.wire import Reply, Request

PATIENCE: Final = 25.0  # seconds for all of it
MAX_OFFERED: Final = 500  # names of models that are told
_SCHEMA: Final = {
    "type": "object",
    "properties": {"ready": {"type": "boolean"}},
    "required": ["ready"],
    "additionalProperties": False,
}
_QUESTION: Final = 'Are you ready to label data? Answer {"ready": true}.'


_DECODER: Final = json.JSONDecoder(strict=False)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Probe:
    """How the call went: ``error`` says what is wrong, None means that the provider works.

    ``answer_form`` is how the model is asked for JSON from now on; ``dimensions`` are those of an
    embedding. ``offered`` are the models that the server lists, None when it does not say.
    """

    model: str | None = None
    error: str | None = None
    answer_form: str | None = None
    is_schema_kept: bool | None = None
    dimensions: int | None = None
    text: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_ms: int | None = None
    usd: Decimal = Decimal(0)
    offered: list[str] | None = None


Trial = Callable[[], Probe]


def begin(*, provider: Provider, model: str | None = None) -> Trial:
    """Prepare a call of the model, by default the provider's default one.

    What is returned makes the call, books it and remembers what was learned. It is called when
    this is committed, outside the organization, and takes ``PATIENCE`` seconds at most. Neither
    raises an error of the provider.
    """
    try:
        connection = connect(provider=provider, model=model)
    except ProviderError as error:
        return partial(Probe, model or provider.default_model, error.message)
    kind = ProviderModel.objects.values_list("kind", flat=True).get(id=connection.model_id)
    try:
        with transaction.atomic():
            return _embed(connection) if kind == ModelKind.EMBEDDING else _chat(connection)
    except calls.BudgetReachedError as error:
        return partial(Probe, connection.model, error.message)


def _chat(connection: ProviderConnection) -> Trial:
    """A call through cache, budget and books like any other; the salt makes it a new one."""
    request = Request(
        connection.model,
        ({"role": "user", "content": _QUESTION},),
        _SCHEMA,
        max_tokens=500,
        salt=uuid.uuid4().hex,
    )
    (prepared,) = calls.prepare([calls.Ask(connection, request)])
    return partial(_finish_chat, current(), prepared)


def _finish_chat(organization_id: UUID, prepared: calls.Prepared) -> Probe:
    connection = prepared.ask.connection

    async def send() -> tuple[calls.Outcome, list[str] | None]:
        outcome = await calls.send(prepared)
        return outcome, await _offered(connection) if outcome.error is None else None

    found = asyncio.run(_within(send()))
    outcome, offered = found or (calls.Outcome(prepared, error=TransientError(_too_late())), None)
    with enter(organization_id):
        (usd,) = calls.settle([outcome])
    return replace(_told(connection, outcome, offered), usd=usd)


def _told(
    connection: ProviderConnection, outcome: calls.Outcome, offered: list[str] | None
) -> Probe:
    if outcome.reply is None:
        return Probe(connection.model, _in_words(outcome.error))
    reply = outcome.reply
    return Probe(
        connection.model,
        answer_form=memory_of(connection).dialect.form,
        is_schema_kept=_is_kept(reply),
        text=reply.text[:500],
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        latency_ms=reply.latency_ms,
        offered=offered,
    )


def _embed(connection: ProviderConnection) -> Trial:
    """A text's vector, booked like any call."""
    portions = embeddings.prepare(connection, [_QUESTION], Payer(None, None))
    return partial(_finish_embedding, current(), portions)


def _finish_embedding(organization_id: UUID, portions: list[embeddings.Portion]) -> Probe:
    connection = portions[0].connection

    async def send() -> tuple[list[embeddings.Embedded], list[str] | None]:
        sent = await embeddings.send(portions)
        return sent, await _offered(connection) if sent[0].error is None else None

    late = embeddings.Embedded(portions[0], error=TransientError(_too_late()))
    sent, offered = asyncio.run(_within(send())) or ([late], None)
    with enter(organization_id):
        usd = embeddings.settle(sent)
    try:
        (vector,) = embeddings.vectors_of(sent)
    except ProviderError as error:
        return Probe(connection.model, _in_words(error), usd=usd)
    tokens = sent[0].tokens or 0
    return Probe(
        connection.model,
        dimensions=len(vector),
        offered=offered,
        prompt_tokens=tokens,
        usd=usd,
    )


async def _within(work: Coroutine[Any, Any, _T]) -> _T | None:
    """What the work came to; None when the time is up."""
    async with client.closing():
        try:
            async with asyncio.timeout(PATIENCE):
                return await work
        except TimeoutError:
            return None


async def _offered(connection: ProviderConnection) -> list[str] | None:
    try:
        return sorted(await client.list_models(connection))[:MAX_OFFERED]
    except ProviderError:
        return None


def _is_kept(reply: Reply) -> bool:
    """Whether the answer is JSON as the schema wants it."""
    try:
        document = _DECODER.raw_decode(reply.text, max(reply.text.find("{"), 0))[0]
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and isinstance(document.get("ready"), bool)


def _too_late() -> str:
    return gettext("There was no answer within %d seconds, or no room for a call.") % PATIENCE


def _in_words(error: ProviderError | None) -> str:
    if error is None:
        return gettext("The call came to nothing.")
    if isinstance(error, RateLimitedError):
        return gettext("The provider limits the rate of calls. %s") % error.message
    if isinstance(error, TransientError):
        return gettext("This may pass: %s") % error.message
    return error.message
