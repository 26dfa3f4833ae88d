"""HTTP to providers: to judged addresses only, without redirects, and not more than fits.

The rules are those of ``core.outbound``: a name is resolved once, every address it has is judged,
and the connection is made to a judged address itself. Proxies of the environment are not asked.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from functools import cache
from typing import Any, Final, cast

import httpcore2
import httpx2

from apps.core import outbound

MAX_ANSWER: Final = 32 * 1024 * 1024  # bytes
MAX_CONNECTIONS: Final = 512


class OversizeError(Exception):
    """The answer is larger than ``MAX_ANSWER``, or packed in a way that could make it so."""


class Line(httpcore2.AsyncNetworkStream):
    """A connection as asyncio's streams, which cost a call less than the client's own.

    They keep no time: whoever calls says how long all of it may take.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await self.reader.read(max_bytes)
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            self.writer.write(buffer)
            await self.writer.drain()
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self.writer.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "Line":
        try:
            async with asyncio.timeout(timeout):
                await self.writer.start_tls(ssl_context, server_hostname=server_hostname)
        except OSError as error:
            self.writer.close()
            raise httpcore2.ConnectError(str(error)) from error
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # asked of an idle line: whether the other side hung up
            return self.reader.at_eof() or self.reader.exception() is not None
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return self.writer.get_extra_info(names.get(info, info))


class JudgedBackend(httpcore2.AnyIOBackend):
    """Connects to an address that was judged; TLS still knows the name that was asked for."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        place = outbound.Place("https" if port == 443 else "http", host.rstrip("."), port, "/")
        checked = await asyncio.to_thread(outbound.addresses, place)
        share = None if timeout is None else timeout / len(checked)
        for number, address in enumerate(checked, start=1):
            try:
                async with asyncio.timeout(share):
                    return Line(*await asyncio.open_connection(address, port))
            except OSError as error:  # too late is one of them
                if number == len(checked):
                    raise httpcore2.ConnectError(str(error) or "It took too long.") from error
        raise outbound.UnreachableError("The name has no address.")


class JudgedTransport(httpx2.AsyncHTTPTransport):
    """httpx's transport over ``JudgedBackend``, with a limit on what is read."""

    def __init__(self) -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=_tls(),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=30.0,
            network_backend=JudgedBackend(),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise OversizeError("The answer is packed, though that was not asked for.")
        response.stream = _Limited(cast(httpx2.AsyncByteStream, response.stream))
        return response


class _Limited(httpx2.AsyncByteStream):
    """The stream, up to ``MAX_ANSWER`` bytes of it."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        async for part in self.stream:
            total += len(part)
            if total > MAX_ANSWER:
                raise OversizeError(f"The answer is larger than {MAX_ANSWER // 2**20} MB.")
            yield part

    async def aclose(self) -> None:
        await self.stream.aclose()


def new_client() -> httpx2.AsyncClient:
    """A client whose every request goes through ``JudgedTransport``."""
    return httpx2.AsyncClient(
        transport=JudgedTransport(), follow_redirects=False, trust_env=False, timeout=None
    )


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
