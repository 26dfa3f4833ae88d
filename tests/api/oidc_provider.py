"""An OpenID Connect provider in a thread: discovery, consent, tokens, user information."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

CLIENT_ID, CLIENT_SECRET = "stoneware", "shared secret"


@dataclass
class Provider:
    """What it says can be changed by the test while it runs."""

    url: str = ""
    profile: dict[str, Any] = field(default_factory=lambda: {"sub": "4711"})
    id_claims: dict[str, Any] = field(default_factory=dict)  # instead of the right ones
    broken: set[str] = field(default_factory=set)  # paths that answer nonsense
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def authorize(self, query: dict[str, str]) -> str:
        """The person agrees: where they are sent back to."""
        assert query["client_id"] == CLIENT_ID
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = query
        back = urlencode({"code": code, "state": query["state"]})
        return f"{query['redirect_uri']}?{back}"

    def exchange(self, form: dict[str, str]) -> dict[str, Any] | None:
        """Tokens for a code, once; None for a code, secret, address or verifier that is wrong."""
        begun = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        right = begun and (
            form["client_id"] == CLIENT_ID
            and form["client_secret"] == CLIENT_SECRET
            and form["redirect_uri"] == begun["redirect_uri"]
            and challenge == begun["code_challenge"]
        )
        if not right:
            return None
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": self.profile["sub"],
            "iat": now,
            "exp": now + 60,
        }
        key = "of the provider, thirty-two bytes and more"
        id_token = jwt.encode({**claims, **self.id_claims}, key, algorithm="HS256")
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": id_token}


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def log_message(self, *_: Any) -> None:
        """Silence."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.provider.asked.append(parts.path)
        if parts.path in self.provider.broken:
            self._say(200, b"<html>down for repairs</html>")
        elif parts.path == "/.well-known/openid-configuration":
            self._tell(200, self.provider.discovery())
        elif parts.path == "/authorize":
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            self._say(302, b"", Location=self.provider.authorize(query))
        elif parts.path == "/userinfo" and self.headers["Authorization"] == "Bearer opaque":
            self._tell(200, self.provider.profile)
        else:
            self._tell(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.provider.asked.append(self.path)
        if self.path in self.provider.broken:
            self._say(200, b'{"access_token": 1}')
            return
        form = {name: values[-1] for name, values in parse_qs(body).items()}
        tokens = self.provider.exchange(form)
        self._tell(200 if tokens else 400, tokens or {"error": "invalid_grant"})

    def _tell(self, status: int, document: dict[str, Any]) -> None:
        self._say(status, json.dumps(document).encode(), **{"Content-Type": "application/json"})

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "text/html", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running() -> Iterator[Provider]:
    """A provider that serves on a port of its own."""
    provider = Provider()
    handler = type("Handler", (_Handler,), {"provider": provider})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
