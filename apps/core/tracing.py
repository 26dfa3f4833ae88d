"""Which request runs here, for the log and the event log: one object a request, set by the
interface's middleware.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

_SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")


@dataclass(slots=True)
class Trace:
    """A request's id, and the organization it has entered so far."""

    request_id: str
    organization_id: UUID | None = None


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace | None:
    """The request that runs here; None in jobs and commands."""
    return _current.get()


def request_id() -> str:
    """The id of the request that runs here; empty in jobs and commands."""
    trace = _current.get()
    return trace.request_id if trace else ""


@contextmanager
def tracing(given: str) -> Iterator[Trace]:
    """Trace a request under the id its sender gave, if that is a sane one, else a new one."""
    trace = Trace(given if _SANE.fullmatch(given) else uuid4().hex)
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


def note_organization(organization_id: UUID) -> None:
    """Remember, past its end, which organization the request was in."""
    trace = _current.get()
    if trace is not None:
        trace.organization_id = organization_id
