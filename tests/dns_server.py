"""A small DNS server on a local port: it answers from a table of texts."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

POINTER = b"\xc0\x0c"  # to the name in the question


@dataclass
class Zone:
    """``texts`` by name; ``mode`` is "", "silent", "garbage", "refused", "cut" or "other"."""

    address: tuple[str, int]
    texts: dict[str, list[str]] = field(default_factory=dict)
    mode: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, query: bytes) -> bytes | None:
        name, at = _name(query)
        self.asked.append(name)
        question = query[12 : at + 4]
        if self.mode == "silent":
            return None
        if self.mode == "garbage":
            return query[:2] + b"\xff\xff\xff"
        id = query[:2] if self.mode != "other" else bytes([query[0] ^ 1, query[1]])
        records = [_record(text) for text in self.texts.get(name, [])]
        flags = {"refused": 0x8185, "cut": 0x8380}.get(self.mode, 0x8180 if records else 0x8183)
        head = struct.pack(">5H", flags, 1, len(records), 0, 0)
        return id + head + question + b"".join(records)


def _name(query: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += length + 1
    return ".".join(labels), at + 1


def _record(text: str) -> bytes:
    data = text.encode()
    parts = [data[at : at + 200] for at in range(0, len(data), 200)]
    body = b"".join(bytes([len(part)]) + part for part in parts)
    return POINTER + struct.pack(">2HIH", 16, 1, 60, len(body)) + body


@contextmanager
def serving() -> Iterator[Zone]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        zone = Zone(server.getsockname())
        thread = threading.Thread(target=_serve, args=(server, zone), daemon=True)
        thread.start()
        yield zone
        server.sendto(b"", server.getsockname())  # the last word
        thread.join()


def _serve(server: socket.socket, zone: Zone) -> None:
    while True:
        query, peer = server.recvfrom(4096)
        if not query:
            return
        answer = zone.answer(query)
        if answer is not None:
            server.sendto(answer, peer)
