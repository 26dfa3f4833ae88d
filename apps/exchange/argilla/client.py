"""The other server's REST API, asked with patience."""

import http.client
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import BaseModel, ValidationError

from apps.core.errors import DomainError, InvalidError
from apps.exchange.blueprint import first_fault

TIMEOUT: Final = 60.0  # seconds without a byte
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each further attempt
_KEY_HEADER: Final = "X-Argilla-Api-Key"
_BUSY: Final = {408, 425, 429}
_Document = TypeVar("_Document", bound=BaseModel)
_Params = Mapping[str, int | str | Sequence[str]]


class SourceError(DomainError):
    """The other server cannot be asked, or answers what nobody understands."""


class _UnavailableError(Exception):
    """No answer, or one that may be another next time."""


class Client:
    """One connection, kept alive; used by one thread."""

    def __init__(self, url: str, key: str) -> None:
        scheme, host, port, path = _address(url)
        if not key or not key.isascii() or not key.isprintable():
            raise InvalidError("The API key must be printable ASCII.")
        self.url = url.rstrip("/")
        self._prefix = path.rstrip("/") + "/api/v1"
        self._headers = {_KEY_HEADER: key, "Accept": "application/json"}
        self._connection = _connection(scheme, host, port)
        self._has_answered = False
        self.size = 0  # bytes of the last answer

    def get(self, path: str, **params: int | str | Sequence[str]) -> Any:
        """The JSON answer. Raises ``SourceError``."""
        query = "?" + urlencode(params, doseq=True) if params else ""
        target = self._prefix + quote(path) + query
        for pause in (*PAUSES, None):
            try:
                return self._ask(target, path)
            except _UnavailableError as error:
                self._connection.close()
                if pause is None:
                    raise SourceError(f"{self.url} does not answer GET {path}: {error}") from error
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def read(self, model: type[_Document], path: str) -> _Document:
        """An object. Raises ``SourceError``."""
        return self._understood(model, self.get(path), path)

    def items(self, model: type[_Document], path: str) -> list[_Document]:
        """A list that comes whole. Raises ``SourceError``."""
        answer = self.get(path)
        if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
            raise SourceError(f"{self.url} answers GET {path} without a list of items")
        return [self._understood(model, item, path) for item in answer["items"]]

    def _understood(self, model: type[_Document], answer: Any, path: str) -> _Document:
        try:
            return model.model_validate(answer)
        except ValidationError as error:
            reason = f"{self.url} answers GET {path} strangely: {first_fault(error)}"
            raise SourceError(reason) from error

    def _ask(self, target: str, path: str) -> Any:
        status, location, body = self._exchange(target)
        if status >= 500 or status in _BUSY:
            raise _UnavailableError(f"status {status}")
        self._has_answered = True
        self.size = len(body)
        if status != 200:
            raise SourceError(_refusal(self.url, status, location, path))
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self.url} is no Argilla server: GET {path} is no JSON") from error

    def _exchange(self, target: str) -> tuple[int, str, bytes]:
        try:
            self._connection.request("GET", target, headers=self._headers)
            answer = self._connection.getresponse()
            return answer.status, answer.headers.get("Location", ""), answer.read()
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            if not self._has_answered and _is_final(error):
                raise SourceError(f"{self.url} cannot be reached: {reason}") from error
            raise _UnavailableError(reason) from error


def _address(url: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port, path. Raises ``InvalidError``."""
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "@" not in url
    if scheme not in {"http", "https"} or not host or not is_plain:
        raise InvalidError(f"{url[:200]!r} is no address such as https://argilla.example.org")
    return scheme, host, port, parts.path


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)


def _is_final(error: Exception) -> bool:
    """Whether it looks like a wrong address rather than a bad moment."""
    passing = TimeoutError | ConnectionResetError | ConnectionAbortedError | BrokenPipeError
    return isinstance(error, OSError) and not isinstance(error, passing)


def _refusal(url: str, status: int, location: str, path: str) -> str:
    if status == 401:
        return f"{url} does not know this API key."
    if status == 403:
        return f"{url} does not let this API key GET {path}."
    if 300 <= status < 400:
        return f"{url} redirects to {location[:200]}: give that address."
    if status == 404 and path == "/me":
        return f"There is no Argilla 2 server at {url}: GET /api/v1/me is not found."
    return f"{url} answers GET {path} with status {status}."
