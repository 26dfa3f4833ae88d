"""Which organization the running code works for, and the only way to enter one.

The contextvar serves the default manager; the transaction-local setting serves the policies of
row-level security. Both end with the block, so nothing can outlive it on a pooled connection.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import connections, transaction

_current: ContextVar[UUID | None] = ContextVar("organization", default=None)
_aliases: ContextVar[frozenset[str]] = ContextVar("aliases", default=frozenset())


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
    outer = _current.get()
    if outer not in {None, organization_id}:
        raise WrongOrganizationError("Another organization is entered already.")
    connection = connections[using]
    nested = connection.in_atomic_block
    outermost = using not in _aliases.get()
    with transaction.atomic(using=using):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('app.organization_id', %s, true)", [str(organization_id)]
            )
        token, entered_on = _current.set(organization_id), _aliases.set(_aliases.get() | {using})
        try:
            yield
        finally:
            _current.reset(token)
            _aliases.reset(entered_on)
        # Rolling back to a savepoint takes the setting back, releasing one keeps it.
        if nested and outermost and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL app.organization_id TO DEFAULT")
