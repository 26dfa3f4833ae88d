"""Asking the domain name system for the texts of a name (RFC 1035), in one datagram.

The server is ``settings.DNS_SERVER`` (host, port), else the first of ``/etc/resolv.conf``.
"""

import secrets
import socket
import struct
from pathlib import Path
from typing import Final

from django.conf import settings

TIMEOUT: Final = 3.0  # seconds a try
_TRIES: Final = 2
_TXT: Final = 16
_ANSWER_SIZE: Final = 4096


class UnresolvedError(Exception):
    """No server answered, or what it answered is no answer."""


def read_texts(name: str) -> list[str]:
    """The TXT records of ``name``; none where there is no such name. Raises ``UnresolvedError``."""
    id = secrets.randbelow(1 << 16)
    try:
        question = _question(name)
        return _texts(_ask(struct.pack(">6H", id, 0x0100, 1, 0, 0, 0) + question), question)
    except (OSError, struct.error, IndexError, UnicodeError) as error:
        raise UnresolvedError(str(error)) from error


def _question(name: str) -> bytes:
    labels = [label.encode("idna") for label in name.rstrip(".").split(".")]
    if not all(labels):
        raise UnicodeError("A name has no empty labels.")
    told = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return told + struct.pack(">2H", _TXT, 1)


def _ask(message: bytes) -> bytes:
    """The answer with the same id, from the server that was asked."""
    host, port = settings.DNS_SERVER or (_system_server(), 53)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect((host, port))  # datagrams of others do not arrive
        for left in reversed(range(_TRIES)):
            connection.send(message)
            try:
                answer = connection.recv(_ANSWER_SIZE)
            except TimeoutError:
                if left:
                    continue
                raise
            if answer[:2] == message[:2]:
                return answer
    raise UnresolvedError("The answer is to another question.")


def _texts(answer: bytes, question: bytes) -> list[str]:
    flags, _, count = struct.unpack(">3H", answer[2:8])
    if not flags & 0x8000 or flags & 0x000F not in {0, 3} or flags & 0x0200:
        raise UnresolvedError("The server did not answer, or not all of it.")
    if answer[12 : 12 + len(question)].lower() != question.lower():
        raise UnresolvedError("The answer is to another question.")
    found, at = [], 12 + len(question)
    for _number in range(count):
        at = _after_name(answer, at)
        type, _, _, length = struct.unpack(">2HIH", answer[at : at + 10])
        at += 10
        if type == _TXT:
            found.append(_joined(answer[at : at + length]))
        at += length
    return found


def _after_name(answer: bytes, at: int) -> int:
    while (length := answer[at]) != 0:
        if length & 0xC0:  # the rest stands elsewhere
            return at + 2
        at += length + 1
    return at + 1


def _joined(data: bytes) -> str:
    """The strings of a record, each with its length before it, as one."""
    parts, at = [], 0
    while at < len(data):
        parts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(parts).decode("utf-8", "replace")


def _system_server() -> str:
    lines = Path("/etc/resolv.conf").read_text().splitlines()
    named = [line.split()[1] for line in lines if line.startswith("nameserver ")]
    if not named:
        raise UnresolvedError("No DNS server is configured.")
    return named[0]
