"""Just enough of HTTP/1.1: keep-alive, bodies with a length, one answer after another."""

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

REASONS = {200: "OK", 201: "Created", 302: "Found"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and what is written as JSON; ``delay`` in seconds; ``ending`` of the connection."""

    status: int = 200
    content: Any = None
    headers: Mapping[str, str] | None = None
    delay: float = 0.0
    ending: str | None = None  # "reset": no answer, the connection breaks
    on_send: Callable[[], None] | None = None  # when the delay is over, whoever still listens

    def encoded(self) -> bytes:
        raw = self.content if isinstance(self.content, bytes) else orjson.dumps(self.content)
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Error')}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(raw)}"]
        lines += [f"{name}: {value}" for name, value in (self.headers or {}).items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + raw


Handler = Callable[[Call], Answer]


class Connection(asyncio.Protocol):
    """Reads calls and answers each when its delay is over."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.buffer = bytearray()
        self.busy = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.busy:
            self.read()

    def read(self) -> None:
        """Take the next complete call off the buffer, if there is one."""
        head, found, _ = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        start = len(head) + 4
        end = start + int(headers.get("content-length") or 0)
        if len(self.buffer) < end:
            return
        body = bytes(self.buffer[start:end])
        del self.buffer[:end]
        method, path, _ = first.split(" ", 2)
        self.busy = True
        self.respond(self.handler(Call(method, path, headers, body)))

    def respond(self, answer: Answer) -> None:
        if answer.delay > 0:
            asyncio.get_running_loop().call_later(answer.delay, self.send, answer)
        else:
            self.send(answer)

    def send(self, answer: Answer) -> None:
        if answer.on_send is not None:
            answer.on_send()
        if answer.ending == "reset":
            self.break_line()
        elif not self.transport.is_closing():
            self.transport.write(answer.encoded())
            self.busy = False
            self.read()

    def break_line(self) -> None:
        """End the connection with a reset rather than a farewell."""
        line = self.transport.get_extra_info("socket")
        if not self.transport.is_closing():
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
