"""The leanest HTTP client there is, so that the server is what is measured."""

import http.client
from typing import Any
from urllib.parse import urlsplit

import orjson


class Client:
    """One kept-open connection with an API key."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        self.headers = {"X-Argilla-Api-Key": key, "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: bytes | Any = None) -> Any:
        """The answer's JSON; raises on any status of 400 or more."""
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        self.connection.request(method, f"/api/v1/{path}", body=data, headers=self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
        return orjson.loads(content) if content else None
