"""Which organization the running code works for, and the only way to enter one.

The contextvar serves the default manager; the transaction-local setting serves the policies of
row-level security. Both end with the block, so nothing can outlive it on a pooled connection.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar
from uuid import UUID

from django.db import connection, connections, transaction

from apps.core.tracing import note_organization

_current: ContextVar[UUID | None] = ContextVar("organization", default=None)
_aliases: ContextVar[frozenset[str]] = ContextVar("aliases", default=frozenset())


class _OfOrganization(Protocol):
    @property
    def organization_id(self) -> UUID: ...


_Found = TypeVar("_Found", bound=_OfOrganization)


class OutsideOrganizationError(RuntimeError):
    """Tenant data was touched outside ``enter``: a bug, never a user's fault."""


class WrongOrganizationError(RuntimeError):
    """A second organization was entered inside the first."""


def current() -> UUID:
    """The entered organization's id; raises ``OutsideOrganizationError`` when there is none."""
    organization_id = _current.get()
    if organization_id is None:
        raise OutsideOrganizationError("No organization is entered.")
    return organization_id


def entered() -> UUID | None:
    """The entered organization's id, or None outside."""
    return _current.get()


@contextmanager
def enter(organization_id: UUID, *, using: str = "default") -> Iterator[None]:
    """Open a transaction inside the organization; its end leaves the organization.

    Entering the same organization again nests (a savepoint). Entering another one raises
    ``WrongOrganizationError``. Do not ``yield`` rows to a consumer from inside the block.
    """
    _refuse_other(organization_id)
    with _leaving(using), transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(organization_id)]
            )
        with _inside(organization_id, using):
            yield


@contextmanager
def enter_snapshot(organization_id: UUID) -> Iterator[None]:
    """``enter`` to read alone, and everything as it is at one moment.

    In a transaction that runs already it is ``enter``: too late to choose.
    """
    if connection.in_atomic_block:
        with enter(organization_id):
            yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        with enter(organization_id):
            yield


@contextmanager
def enter_found(find: Callable[[], _Found | None]) -> Iterator[_Found | None]:
    """Open a transaction and enter the organization that ``find`` comes upon in it.

    ``find`` has set ``app.organization_id`` in the statement that found it, which spares a round
    trip; it names the organization as ``organization_id``. None enters nothing.
    """
    with _leaving("default"), transaction.atomic():
        found = find()
        if found is None:
            yield None
            return
        _refuse_other(found.organization_id)
        with _inside(found.organization_id, "default"):
            yield found


def _refuse_other(organization_id: UUID) -> None:
    if _current.get() not in {None, organization_id}:
        raise WrongOrganizationError("Another organization is entered already.")


@contextmanager
def _inside(organization_id: UUID, using: str) -> Iterator[None]:
    token, entered_on = _current.set(organization_id), _aliases.set(_aliases.get() | {using})
    note_organization(organization_id)
    try:
        yield
    finally:
        _current.reset(token)
        _aliases.reset(entered_on)


@contextmanager
def _leaving(using: str) -> Iterator[None]:
    """Take the setting back after the outermost block of a transaction that goes on.

    Rolling back to a savepoint takes it back by itself, releasing one keeps it.
    """
    connection = connections[using]
    nested, outermost = connection.in_atomic_block, using not in _aliases.get()
    yield
    if nested and outermost and not connection.needs_rollback:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL app.organization_id TO DEFAULT")
