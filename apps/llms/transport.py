"""HTTP to providers: to judged addresses only, without redirects, and not more than fits.

The rules are those of ``core.outbound``: a name is resolved once, every address it has is judged,
and the connection is made to a judged address itself. Proxies of the environment are not asked.

Answers are short and read whole, so this is HTTP/1.1 over asyncio's streams and nothing more: it
costs a call a fraction of what a transport for all purposes does.
"""

import asyncio
import ssl
import time
from collections import defaultdict
from contextlib import suppress
from functools import cache
from typing import Any, Final

import h11
import httpx2

from apps.core import outbound

MAX_ANSWER: Final = 32 * 1024 * 1024  # bytes
MAX_HEAD: Final = 100 * 1024  # bytes
MAX_CONNECTIONS: Final = 512
KEPT_SECONDS: Final = 30.0  # that an idle connection waits for another call
_READ: Final = 64 * 1024  # bytes at a time


class OversizeError(Exception):
    """The answer is larger than ``MAX_ANSWER``, or packed in a way that could make it so."""


class Line:
    """A connection, for one exchange after another.

    It keeps no time: whoever calls says how long all of it may take.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.state = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self.idle_since = 0.0

    async def exchange(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request and read the answer. Raises as an httpx transport does."""
        try:
            with suppress(ConnectionError):  # who hangs up meanwhile may have said why
                await self._send(request)
            return await self._receive()
        except h11.RemoteProtocolError as error:
            raise httpx2.RemoteProtocolError(str(error)) from error
        except h11.LocalProtocolError as error:
            raise httpx2.LocalProtocolError(str(error)) from error
        except OSError as error:
            raise httpx2.ReadError(str(error)) from error

    def rest(self) -> bool:
        """Whether the line is good for another exchange; it waits for it from now on."""
        is_over = self.state.our_state is self.state.their_state is h11.DONE
        if not is_over or self.state.trailing_data[0]:
            return False
        self.state.start_next_cycle()
        self.idle_since = time.monotonic()
        return True

    @property
    def is_stale(self) -> bool:
        """Whether it waited too long, or the other side hung up."""
        is_old = time.monotonic() > self.idle_since + KEPT_SECONDS
        return is_old or self.reader.at_eof() or self.reader.exception() is not None

    def close(self) -> None:
        self.writer.close()

    async def _send(self, request: httpx2.Request) -> None:
        head = h11.Request(
            method=request.method, target=request.url.raw_path, headers=request.headers.raw
        )
        unsent = self.state.send(head) or b""
        assert isinstance(request.stream, httpx2.AsyncByteStream)  # noqa: S101
        async for part in request.stream:
            self.writer.write(unsent + (self.state.send(h11.Data(part)) or b""))
            await self.writer.drain()
            unsent = b""
        if unsent := unsent + (self.state.send(h11.EndOfMessage()) or b""):
            self.writer.write(unsent)
            await self.writer.drain()

    async def _receive(self) -> httpx2.Response:
        head = await self._event()
        while isinstance(head, h11.InformationalResponse):
            head = await self._event()
        if not isinstance(head, h11.Response):
            raise httpx2.RemoteProtocolError("The server changed the protocol.")
        headers, body = httpx2.Headers(head.headers.raw_items()), bytearray()
        if headers.get("content-encoding", "identity") != "identity":
            raise OversizeError("The answer is packed, though that was not asked for.")
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > MAX_ANSWER:
                raise OversizeError(f"The answer is larger than {MAX_ANSWER // 2**20} MB.")
        return httpx2.Response(head.status_code, headers=headers, content=bytes(body))

    async def _event(self) -> Any:
        while (event := self.state.next_event()) is h11.NEED_DATA:
            data = await self.reader.read(_READ)
            if not data and self.state.their_state is h11.SEND_RESPONSE:
                raise httpx2.RemoteProtocolError("The server hung up without an answer.")
            self.state.receive_data(data)
        return event


class JudgedTransport(httpx2.AsyncBaseTransport):
    """Lines to judged addresses, kept for the next call; TLS knows the name that was asked for."""

    def __init__(self) -> None:
        self.room = asyncio.Semaphore(MAX_CONNECTIONS)
        self.resting: dict[outbound.Place, list[Line]] = defaultdict(list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        place = _place(request.url)
        async with self.room:
            line = self._rested(place) or await _connect(place, _patience(request))
            try:
                response = await line.exchange(request)
            except BaseException:
                line.close()
                raise
        if line.rest():
            self.resting[place].append(line)
        else:
            line.close()
        return response

    def _rested(self, place: outbound.Place) -> Line | None:
        lines = self.resting[place]
        while lines:
            line = lines.pop()
            if not line.is_stale:
                return line
            line.close()
        return None

    async def aclose(self) -> None:
        for lines in self.resting.values():
            for line in lines:
                line.close()
        self.resting.clear()


def new_client() -> httpx2.AsyncClient:
    """A client whose every request goes through ``JudgedTransport``."""
    return httpx2.AsyncClient(
        transport=JudgedTransport(),
        headers={"Accept-Encoding": "identity"},
        follow_redirects=False,
        trust_env=False,
        timeout=None,
    )


async def _connect(place: outbound.Place, patience: float | None) -> Line:
    """A line to the first of the place's addresses that answers, all of which are judged."""
    checked = await asyncio.to_thread(outbound.addresses, place)
    share = None if patience is None else patience / len(checked)
    tls: dict[str, Any] = {}
    if place.scheme == "https":
        tls = {"ssl": _tls(), "server_hostname": place.host}
    for number, address in enumerate(checked, start=1):
        try:
            async with asyncio.timeout(share):
                return Line(*await asyncio.open_connection(address, place.port, **tls))
        except OSError as error:  # too late is one of them
            if number == len(checked):
                raise httpx2.ConnectError(str(error) or "It took too long.") from error
    raise outbound.UnreachableError("The name has no address.")


def _place(url: httpx2.URL) -> outbound.Place:
    host, port = url.raw_host.decode().rstrip("."), 443 if url.scheme == "https" else 80
    return outbound.Place(url.scheme, host, url.port or port, "/")


def _patience(request: httpx2.Request) -> float | None:
    timeouts: dict[str, float | None] = request.extensions.get("timeout") or {}
    return timeouts.get("connect")


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
