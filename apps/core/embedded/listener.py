"""The web server's address: taken by the supervisor before anything else is started.

The supervisor keeps the listening socket and hands it to each web server it starts. So a port
in use is found at once, and a visitor who comes early, or while the web server is started
again, waits a moment instead of being refused.
"""

import errno
import socket
from contextlib import suppress

from apps.core.embedded.errors import EmbeddedError, PortInUseError

LAST_PORT = 65_535
EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 (compared with, not bound to)


def listen(*, host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ``PortInUseError``."""
    if not 0 <= port <= LAST_PORT:  # the system would listen on what is left of it in 16 bits
        raise EmbeddedError(f"A port is a number from 0 to {LAST_PORT}, not {port}.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise EmbeddedError(f"The host {host!r} is unknown.") from error
    # "localhost" means both families: every client tries IPv4 too.
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"Port {port} of {host} is in use: stop the program there or choose another --port."
            ) from error
        raise EmbeddedError(f"Cannot listen on {host}, port {port}: {error.strerror}.") from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The address to open in a browser on this machine."""
    host, port = listener.getsockname()[:2]
    if host in EVERY_ADDRESS:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answers(listener: socket.socket, *, patience: float) -> bool:
    """Whether a web server answers there within ``patience`` seconds, whatever it answers."""
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    with suppress(OSError), socket.create_connection((local, port), timeout=patience) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client.recv(5) == b"HTTP/"
    return False
