"""The walk over every address of a running server: does anything of theirs come out on our side?

Each address is asked under each method by each role of our organization and by a stranger, once
with our ids and once with theirs; where an address has several, also with ours and one of theirs.
A leak is a success with an id of theirs, a text planted at theirs in any answer, or an error of
the server. Addresses come from the resolver, so a new one is asked without being named here.
"""

import http.client
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.crypto import get_random_string

from apps.operator.planting import Caller, Planted

READS: Final = ("GET",)
WRITES: Final = ("POST", "PUT", "PATCH", "DELETE")
PATIENCE: Final = 60  # seconds for one answer
AT_ONCE: Final = 4
LONGEST_TOLD: Final = 200  # characters of an answer in the report
# Hundreds of tables behind one door, which is asked at its other addresses.
_PASSED: Final = ("operator/admin/",)
# Words in an address whose argument is named otherwise than the table.
_TABLES: Final = {
    "user": "membership",
    "member": "membership",
    "key": "api_key",
    "property": "metadata_property",
    "settings": "vector_settings",
    "version": "guidelines_version",
    "delivery": "webhook_delivery",
    "evaluation": "prompt_evaluation",
}
_WORDS: Final = {"step": "retry", "tab": "general", "name": "text", "format": "jsonl"}


@dataclass(frozen=True, slots=True)
class Route:
    """An address with its arguments, e.g. ``datasets/<uuid:dataset_id>/``."""

    text: str
    arguments: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(name for name in self.arguments if name.endswith("_id"))

    def path(self, ids: Mapping[str, UUID]) -> str:
        text = self.text
        for name in self.arguments:
            value = str(ids.get(name) or _WORDS.get(name, "x"))
            for kind in ("", "uuid:", "str:", "slug:", "int:", "path:"):
                text = text.replace(f"<{kind}{name}>", value)
        return "/" + text.replace("^", "").removesuffix("$")


@dataclass(frozen=True, slots=True)
class Question:
    """One request: by whom, what, and whether an id of theirs is in it."""

    caller: Caller
    method: str
    path: str
    is_foreign: bool


@dataclass
class Report:
    """``checks`` requests were made; each leak says who asked what and what came."""

    checks: int = 0
    leaks: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> str:
        return json.dumps({"checks": self.checks, "leaks": self.leaks}, indent=2)


def routes(only: str = "") -> list[Route]:
    """Every address whose text begins with ``only``."""
    found = [Route(text, arguments) for text, arguments in _walk(get_resolver(), "")]
    return [one for one in found if one.text.startswith(only) and not one.text.startswith(_PASSED)]


def _walk(resolver: Any, before: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for entry in resolver.url_patterns:
        text = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, text)
        elif isinstance(entry, URLPattern) and "(?P" not in text:
            yield text, tuple(entry.pattern.converters)


class Walk:
    """The walk over ``found`` at ``url``, as people of ``ours``, looking for what is ``theirs``."""

    def __init__(self, url: str, ours: Planted, theirs: Planted, found: Iterable[Route]) -> None:
        self.place = urlsplit(url)
        self.ours, self.theirs = ours, theirs
        self.routes = list(found)
        self.callers = [Caller("stranger"), *ours.callers]
        self.report = Report()

    def run(self) -> Report:
        """Theirs first, then reading ours, then what may change or delete ours."""
        foreign = self._questions(READS + WRITES, self._foreign)
        reading = self._questions(READS, self._own)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for leaks in pool.map(self._ask_all, _batches(itertools.chain(foreign, reading), 50)):
                self._book(*leaks)
        for method in WRITES:
            for batch in _batches(self._questions((method,), self._own), 50):
                self._book(*self._ask_all(batch))
        return self.report

    def _book(self, checks: int, leaks: list[dict[str, Any]]) -> None:
        self.report.checks += checks
        self.report.leaks += leaks

    def _questions(self, methods: tuple[str, ...], paths: Any) -> Iterator[Question]:
        for route in self.routes:
            for path, is_foreign in paths(route):
                for caller, method in itertools.product(self.callers, methods):
                    yield Question(caller, method, path, is_foreign)

    def _own(self, route: Route) -> Iterator[tuple[str, bool]]:
        yield route.path({name: _id(name, self.ours.ids) for name in route.ids}), False

    def _foreign(self, route: Route) -> Iterator[tuple[str, bool]]:
        """All ids theirs; and, of several, each of them theirs among ours."""
        ours = {name: _id(name, self.ours.ids) for name in route.ids}
        theirs = {name: _id(name, self.theirs.ids) for name in route.ids}
        if theirs:
            yield route.path(theirs), True
        if len(theirs) > 1:
            for name in theirs:
                yield route.path({**ours, name: theirs[name]}), True

    def _ask_all(self, questions: list[Question]) -> tuple[int, list[dict[str, Any]]]:
        sessions: dict[str, str] = {}
        leaks = []
        line = self._open_line()
        try:
            for one in questions:
                if one.caller.role not in sessions or one.method != "GET":
                    sessions[one.caller.role] = one.caller.new_session()
                leaks += self._look(one, *self._ask(one, sessions[one.caller.role], line))
        finally:
            line.close()
            connections.close_all()
        return len(questions), leaks

    def _open_line(self) -> http.client.HTTPConnection:
        """Kept for many questions; where the server closes it, it is opened again by itself."""
        is_secure = self.place.scheme == "https"
        kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
        return kind(self.place.netloc, timeout=PATIENCE)

    def _ask(
        self, one: Question, session: str, line: http.client.HTTPConnection
    ) -> tuple[int, str]:
        """Status and body of the answer."""
        path, body = self.place.path.rstrip("/") + one.path, None
        headers = self._headers(one, session)
        if one.method == "DELETE":
            path += "?" + urlencode({"ids": str(_id("record_id", self.theirs.ids))})
        elif one.method != "GET":
            body = "{}" if headers["Content-Type"].endswith("json") else "nothing=1"
        try:
            line.request(one.method, path, body, headers)
            answer = line.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            line.close()  # the next question opens it again
            return 599, f"no answer: {error}"

    def _headers(self, one: Question, session: str) -> dict[str, str]:
        """A key for the API, a signed-in browser with its token against forgery for pages."""
        if one.path.startswith("/api/"):
            key = {"X-Argilla-Api-Key": one.caller.api_key} if one.caller.api_key else {}
            return {"Content-Type": "application/json", **key}
        token = get_random_string(32)
        cookies = {settings.CSRF_COOKIE_NAME: token, settings.SESSION_COOKIE_NAME: session}
        return {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items() if value),
            "X-CSRFToken": token,
            "Referer": f"{self.place.scheme}://{self.place.netloc}/",
        }

    def _look(self, one: Question, status: int, body: str) -> list[dict[str, Any]]:
        reasons = []
        if status >= 500:
            reasons.append("the server failed")
        if one.is_foreign and 200 <= status < 300:
            reasons.append("a success with an id of theirs")
        if self.theirs.mark in body:
            reasons.append("a text of theirs")
        told = {"role": one.caller.role, "method": one.method, "path": one.path, "status": status}
        return [told | {"why": why, "body": body[:LONGEST_TOLD]} for why in reasons]


def _id(argument: str, ids: Mapping[str, UUID]) -> UUID:
    """Of the row the argument means; of a table without one, an id that nobody has."""
    return ids.get(table_of(argument)) or uuid4()


def table_of(argument: str) -> str:
    """The table meant by ``dataset_id``, ``user_id``, …; empty when there is none."""
    name = argument.removesuffix("_id")
    known = {model._meta.db_table for model in apps.get_models()}
    for candidate in (name, name.rstrip("s"), _TABLES.get(name.split("_")[-1], "")):
        if candidate in known:
            return candidate
    return ""


def _batches(questions: Iterable[Question], size: int) -> Iterator[list[Question]]:
    waiting = iter(questions)
    while batch := list(itertools.islice(waiting, size)):
        yield batch
