"""The one way to the outside: a request goes to public addresses only, and to the one checked.

A name is resolved once, every address it has is judged, and the connection is made to a judged
address itself, so that a name which changes its mind between check and use changes nothing.
Redirects are not followed, proxies of the environment not asked. ``OUTBOUND_ALLOW``, a list of
``host:port``, names the inner hosts that may be reached all the same.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext

from apps.core.errors import DomainError, InvalidError

PATIENCE_WITH_NAMES: Final = 5.0  # seconds for the resolver
_PORTS: Final = {"http": 80, "https": 443}
_NAT64: Final = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


class ForbiddenAddressError(InvalidError):
    """The URL leads, or may lead, to where requests must not go (422)."""


class UnreachableError(DomainError):
    """Nobody answered: no such name, no connection, no valid certificate, or too late."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads to; ``path`` includes the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def written_host(self) -> str:
        """The host as it stands before a port: an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def netloc(self) -> str:
        """Host and port as the Host header writes them."""
        is_usual = self.port == _PORTS[self.scheme]
        return self.written_host if is_usual else f"{self.written_host}:{self.port}"

    @property
    def is_allowed(self) -> bool:
        """Whether ``OUTBOUND_ALLOW`` names it."""
        return (self.host, self.port) in settings.OUTBOUND_ALLOW


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``body`` is cut off at the length that was asked for."""

    status: int
    body: bytes


def read_url(url: str) -> Place:
    """The parts of an http or https URL. Raises ``ForbiddenAddressError`` for odd ones."""
    if not url.isascii() or not url.isprintable() or set(url) & set(" \\"):
        raise ForbiddenAddressError(gettext("The URL holds characters that it must not hold."))
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise ForbiddenAddressError(gettext("The URL is not valid: %s.") % error) from error
    if parts.scheme not in _PORTS or not host:
        raise ForbiddenAddressError(
            gettext("The URL must begin with http:// or https:// and a host.")
        )
    if "@" in parts.netloc:
        raise ForbiddenAddressError(gettext("The URL must not hold a user name or password."))
    if not _literal(host) and _is_number(host.rsplit(".", 1)[-1]):
        told = gettext("%s is an unusual way to write an address.")
        raise ForbiddenAddressError(told % host)
    if port == 0:
        raise ForbiddenAddressError(gettext("The URL's port must not be 0."))
    return Place(parts.scheme, host, port or _PORTS[parts.scheme], _path(parts))


def check_url(url: str) -> None:
    """Raise ``ForbiddenAddressError`` when the URL leads to where requests must not go.

    A name that cannot be resolved now passes: each request asks again.
    """
    place = read_url(url)
    with suppress(UnreachableError):
        addresses(place)


def addresses(place: Place) -> list[str]:
    """The place's addresses, all of them judged.

    Raises ``ForbiddenAddressError`` when a single one is not public, ``UnreachableError`` when
    there is none.
    """
    found = _resolve(place.host, place.port)
    for text in found:
        if not place.is_allowed and not is_public(ip_address(text.partition("%")[0])):
            told = gettext(
                "%(host)s leads to %(address)s, which is not a public address. An operator can"
                " allow it: OUTBOUND_ALLOW=%(place)s"
            )
            allowed = f"{place.written_host}:{place.port}"
            names = {"host": place.netloc, "address": text, "place": allowed}
            raise ForbiddenAddressError(told % names)
    return found


def is_public(address: Address) -> bool:
    """Whether the address is a single machine on the internet.

    An IPv4 address inside an IPv6 one is judged itself.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float,
    max_bytes: int,
) -> Answer:
    """Send ``body`` and read up to ``max_bytes`` of the answer, whatever its status.

    All of it takes ``timeout`` seconds at most, beside the resolver's. Raises
    ``ForbiddenAddressError`` and ``UnreachableError``.
    """
    return _exchange("POST", url, body, headers, timeout, max_bytes)


def get(url: str, headers: Mapping[str, str], *, timeout: float, max_bytes: int) -> Answer:
    """Read up to ``max_bytes`` of what lies there; otherwise as ``post``."""
    return _exchange("GET", url, None, headers, timeout, max_bytes)


def _exchange(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    timeout: float,
    max_bytes: int,
) -> Answer:
    place = read_url(url)
    try:
        with _connection(place, timeout) as connection:
            connection.request(method, place.path, body, {"Host": place.netloc, **headers})
            response = connection.getresponse()
            return Answer(response.status, response.read(max_bytes))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(_in_words(error)) from error


class _Connection(http.client.HTTPConnection):
    """A connection to one of the checked addresses; TLS knows the name that was asked for."""

    def __init__(self, place: Place, checked: list[str], timeout: float) -> None:
        super().__init__(place.host, place.port, timeout=timeout)
        self.place = place
        self.checked = checked

    def connect(self) -> None:
        self.sock = _first_that_answers(self.checked, self.port, self.timeout or 0.0)
        if self.place.scheme == "https":
            self.sock = _tls().wrap_socket(self.sock, server_hostname=self.host)


@contextmanager
def _connection(place: Place, timeout: float) -> Iterator[_Connection]:
    """Closed at the end; and in the middle of whatever it does, when the time is up."""
    connection = _Connection(place, addresses(place), timeout)
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(timeout, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield connection
    except (OSError, http.client.HTTPException) as error:
        if late.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
        connection.close()


def _first_that_answers(checked: list[str], port: int, timeout: float) -> socket.socket:
    """Connecting takes half of the time at most: before there is a socket, nobody can hang up."""
    for number, address in enumerate(checked, start=1):
        try:
            return socket.create_connection((address, port), timeout / 2 / len(checked))
        except OSError:
            if number == len(checked):
                raise
    raise UnreachableError(gettext("The name has no address."))


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _resolve(host: str, port: int) -> list[str]:
    """The addresses of a name or literal; in a thread of its own, since it cannot be hurried."""
    found: Future[list[str]] = Future()

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.set_result(list(dict.fromkeys(str(row[4][0]) for row in rows)))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return found.result(PATIENCE_WITH_NAMES)
    except (OSError, UnicodeError) as error:
        raise UnreachableError(gettext("The name %s could not be resolved.") % host) from error


def _literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_number(label: str) -> bool:
    """What a resolver reads as a part of an address: 2130706433, 0x7f, 0177."""
    return label.isdecimal() or label.startswith("0x")


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return gettext("There was no complete answer in time.")
    return f"{type(error).__name__}: {error}"
