"""Calls to providers by the OpenAI client: one attempt each, every failure with its meaning.

The client's own retries are off, so that every attempt is seen by the limiter and the ledger. A
call may be several on the wire while nobody knows how the model is asked (``dialects.py``).
Nothing here touches the database.

The client takes half a second and 15 MB to load: that waits for the first call.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import httpx2
import orjson

from apps.llms import limits, refusals, texts
from apps.llms.connections import ProviderConnection
from apps.llms.dialects import Memory, memory_of
from apps.llms.errors import RefusedError, SetupError, TransientError
from apps.llms.transport import new_client
from apps.llms.wire import REFUSAL, Reply, Request

if TYPE_CHECKING:
    import openai

_CONNECT_SECONDS: Final = 10.0
_MOST_TOKENS: Final = 100_000_000  # a count beyond is no count
_LONGEST_REASON: Final = 50  # characters, as its column
_NO_TIMEOUT: Final = httpx2.Timeout(None, connect=_CONNECT_SECONDS)
# What the client would tell of this machine and its environment.
_TELLTALE: Final = (
    *("OpenAI-Organization", "OpenAI-Project", "X-Stainless-Arch", "X-Stainless-OS"),
    *("X-Stainless-Runtime", "X-Stainless-Runtime-Version", "X-Stainless-Package-Version"),
    *("X-Stainless-Lang", "X-Stainless-Async", "X-Stainless-Retry-Count"),
)


class _Clients:
    """The clients of one event loop: one pool of connections, one client a provider and key."""

    def __init__(self) -> None:
        self.http = new_client()
        self.openai: dict[tuple[str, str], openai.AsyncOpenAI] = {}

    def of(self, connection: ProviderConnection) -> "openai.AsyncOpenAI":
        import openai

        key = (connection.base_url, connection.api_key)
        if key not in self.openai:
            self.openai[key] = openai.AsyncOpenAI(
                base_url=connection.base_url,
                api_key=connection.api_key or "none",
                http_client=self.http,
            )
        return self.openai[key]


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Clients] = WeakKeyDictionary()


def client_of(connection: ProviderConnection) -> "openai.AsyncOpenAI":
    """The client in the running loop; ``close`` ends it."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        _clients[loop] = _Clients()
    return _clients[loop].of(connection)


async def close() -> None:
    """Close the running loop's connections, the limiter's too: the last thing a loop does."""
    await limits.close()
    clients = _clients.pop(asyncio.get_running_loop(), None)
    if clients is not None:
        await clients.http.aclose()


async def complete(connection: ProviderConnection, request: Request) -> Reply:
    """One attempt to have the request answered. Raises an error of ``errors.py``."""
    memory = memory_of(connection)
    if request.schema is not None and memory.dialect.form is None:
        async with memory.turn():  # one call finds out, the others know then
            if memory.dialect.form is None:
                return await _converse(connection, request, memory)
    return await _converse(connection, request, memory)


def estimate(connection: ProviderConnection, request: Request, *, answer: int = 256) -> int:
    """About how many tokens prompt and answer will have; ``answer`` without a ``max_tokens``."""
    return prompt_estimate(connection, request) + (request.max_tokens or answer)


def prompt_estimate(connection: ProviderConnection, request: Request) -> int:
    """About how many tokens the prompt has."""
    ratio = memory_of(connection).characters_per_token
    return math.ceil(_length(request) / ratio) + 4 * len(request.messages)


async def list_models(connection: ProviderConnection) -> list[str]:
    """The names of the models that the server offers."""
    document = await fetch(connection, "GET", "/models")
    rows = document.get("data")
    names = [row.get("id") for row in rows if isinstance(row, dict)] if rows else []
    return [texts.clean(name) for name in names if isinstance(name, str)]


async def fetch(
    connection: ProviderConnection, method: str, path: str, **sent: Any
) -> dict[str, Any]:
    """A JSON document of the provider, ``sent`` ``body`` or ``files``. Raises as ``complete``."""
    try:
        response = await send(connection, method, path, **sent)
    except refusals.AnsweredError as error:
        raise error.meaning from error
    return _document(response)


async def fetch_bytes(connection: ProviderConnection, path: str) -> bytes:
    """What lies at the path, as it is. Raises as ``complete``."""
    try:
        return (await send(connection, "GET", path)).content
    except refusals.AnsweredError as error:
        raise error.meaning from error


async def send(
    connection: ProviderConnection,
    method: str,
    path: str,
    *,
    body: Any = None,
    files: Any = None,
) -> httpx2.Response:
    """One exchange. Raises ``AnsweredError`` for a refusal, else an error of ``errors.py``."""
    import openai

    form = {"Content-Type": "multipart/form-data"} if files else {}
    headers = {**_unsaid(keyless=not connection.api_key), **form}
    options: Any = {"headers": headers, "max_retries": 0, "timeout": _NO_TIMEOUT}
    url = f"{connection.base_url.rstrip('/')}{path}"  # whole, else the client puts it together
    try:
        client = client_of(connection)
        async with asyncio.timeout(connection.timeout):
            if method == "GET":
                return await client.get(url, cast_to=httpx2.Response, options=options)
            if files:
                return await client.post(
                    url, cast_to=httpx2.Response, body=body, files=files, options=options
                )
            return await client.post(
                url, cast_to=httpx2.Response, content=orjson.dumps(body), options=options
            )
    except openai.APIStatusError as error:
        raise refusals.answered(error, secret=connection.api_key) from error
    except (openai.OpenAIError, *refusals.BROKEN) as error:
        raise refusals.broken(error) from error


@cache
def _unsaid(*, keyless: bool) -> Mapping[str, Any]:
    """The headers that the client would send and shall not."""
    from openai import Omit

    return dict.fromkeys((*_TELLTALE, "Authorization") if keyless else _TELLTALE, Omit())


async def _converse(connection: ProviderConnection, request: Request, memory: Memory) -> Reply:
    """Ask, and where the refusal is about how it was asked, ask in another way."""
    dialect, first = memory.dialect, None
    while True:
        started = time.monotonic()
        try:
            response = await send(
                connection, "POST", "/chat/completions", body=dialect.body(request)
            )
        except refusals.AnsweredError as error:
            first = first or error
            other = memory.next_try(dialect, request, error)
            if other is None:
                told = first if isinstance(error.meaning, RefusedError) else error
                raise told.meaning from error
            dialect = other
            continue
        latency_ms = round((time.monotonic() - started) * 1000)
        reply = read_reply(connection, request, _document(response), latency_ms)
        memory.learn(dialect, request)
        return reply


def read_reply(
    connection: ProviderConnection,
    request: Request,
    document: Mapping[str, Any],
    latency_ms: int = 0,
) -> Reply:
    """The provider's answer in our words. Raises ``TransientError`` when it holds none."""
    try:
        choice = document["choices"][0]
        message = choice["message"]
        written, is_refusal = _written(message)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise TransientError("The answer holds no choice.") from error
    text = texts.answer_of(written)
    told = REFUSAL if is_refusal else texts.clean(str(choice.get("finish_reason") or ""))
    reason = told[:_LONGEST_REASON] or None
    if len(written) > texts.MAX_TEXT:
        reason = "length"
    usage = document.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    prompt = _count(usage.get("prompt_tokens"))
    if prompt is not None:
        memory_of(connection).count(_length(request), prompt)
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    completion = _count(usage.get("completion_tokens"))
    ratio = memory_of(connection).characters_per_token
    return Reply(
        text=text,
        finish_reason=reason,
        prompt_tokens=prompt_estimate(connection, request) if prompt is None else prompt,
        completion_tokens=math.ceil(len(text) / ratio) if completion is None else completion,
        cached_tokens=min(cached or 0, prompt or 0),
        latency_ms=latency_ms,
        raw=_kept(document, texts.clean(written), reason, usage),
    )


def _written(message: Mapping[str, Any]) -> tuple[str, bool]:
    """What the model wrote, a text or parts of one; or why it would not, and True."""
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content)
    refusal = "" if content else str(message.get("refusal") or "")
    return str(content or refusal), bool(refusal)


def _kept(
    document: Mapping[str, Any], text: str, reason: str | None, usage: Mapping[str, Any]
) -> dict[str, Any]:
    """What of the answer is stored."""
    names = {
        name: texts.clean(str(document[name]))[:200]
        for name in ("id", "model", "system_fingerprint")
        if document.get(name) is not None
    }
    counts = {str(name)[:50]: value for name, value in usage.items() if _count(value) is not None}
    return {
        **names,
        "choices": [{"message": {"content": text}, "finish_reason": reason}],
        "usage": counts,
    }


def _document(response: httpx2.Response) -> dict[str, Any]:
    try:
        document = orjson.loads(response.content)
    except ValueError as error:
        kind = response.headers.get("content-type", "")
        if kind.startswith("text/html"):
            raise SetupError("A web page came back: is the base URL complete?") from error
        raise TransientError("The answer is not JSON.") from error
    if not isinstance(document, dict):
        raise TransientError("The answer is not a JSON object.")
    return document


def _count(value: Any) -> int | None:
    """A number of tokens, None for anything else."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 <= value <= _MOST_TOKENS else None


def _length(request: Request) -> int:
    return sum(len(message.get("content") or "") for message in request.messages)


@asynccontextmanager
async def closing() -> AsyncIterator[None]:
    """Close the loop's connections at the end of the block."""
    try:
        yield
    finally:
        await close()
