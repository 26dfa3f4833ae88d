"""A real HTTP server between a client and another server, which may spoil what passes."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

Answer = tuple[int, Any]


class Between:
    """``rules`` are asked in turn; the first that returns an answer gives it.

    A rule takes the path and the answer of the server behind: ``(status, document)``, or None
    to close the connection. ``page_size`` is the most records a page has,
    beside the one before its first.
    """

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind)
        self.asked: list[str] = []
        self.page_size: int | None = None
        self.rules: list[Callable[[str, Answer], Answer | None]] = []
        self.url = ""

    def answer(self, target: str, headers: dict[str, str]) -> Answer | None:
        self.asked.append(target)
        connection = http.client.HTTPConnection(str(self.behind.netloc), timeout=30)
        connection.request("GET", self._smaller(target), headers=headers)
        response = connection.getresponse()
        answer: Answer | None = response.status, json.loads(response.read())
        connection.close()
        for rule in self.rules:
            if answer is not None:
                answer = rule(target, answer)
        return answer

    def _smaller(self, target: str) -> str:
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        if self.page_size and "limit" in query:
            most = self.page_size + (query["offset"] != ["0"])
            query["limit"] = [str(min(most, int(query["limit"][0])))]
        return f"{parts.path}?{urlencode(query, doseq=True)}"


@contextmanager
def stand_between(behind: str) -> Iterator[Between]:
    between = Between(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            passed = {"X-Argilla-Api-Key": self.headers.get("X-Argilla-Api-Key", "")}
            answer = between.answer(self.path, passed)
            if answer is None:
                self.close_connection = True
                return
            status, document = answer
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that are killed close connections as they like."""

    server = Server(("127.0.0.1", 0), Handler)
    between.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield between
    server.shutdown()
    server.server_close()
