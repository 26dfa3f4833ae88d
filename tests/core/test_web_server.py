"""What the web server itself lets through."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from apps.core.embedded.paths import PROJECT_ROOT


def test_the_web_server_lets_a_long_search_through(tmp_path: Path) -> None:
    """As long as a search may be, in the address and in a header that repeats it."""
    address = tmp_path / "socket"
    asked = "/?q=" + "%E8%AA%9E" * 1_700
    command = "-m gunicorn wsgiref.simple_server:demo_app --config python:config.gunicorn"
    server = subprocess.Popen(
        [sys.executable, *command.split(), "--workers", "1", "--bind", f"unix:{address}"],
        cwd=PROJECT_ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.development"},
    )
    try:
        told = [answer_of(address, asked, asked), answer_of(address, "/?q=" + "x" * 40_000, "")]
    finally:
        server.terminate()
        server.wait(30)
    assert told == [b"HTTP/1.1 200 OK", b"HTTP/1.1 414 URI Too Long"]


def answer_of(address: Path, asked: str, header: str) -> bytes:
    """The first line of the answer, once the server listens."""
    for _ in range(300):
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(address))
            lines = f"GET {asked} HTTP/1.1\r\nHost: x\r\nHX-Current-URL: {header}\r\n\r\n"
            client.sendall(lines.encode())
            return client.recv(4096).splitlines()[0]
        time.sleep(0.1)
    raise AssertionError(address)
