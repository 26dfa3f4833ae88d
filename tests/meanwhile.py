"""Another request, while a test's own transaction is open."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar
from uuid import UUID

from django.db import connection, connections

from apps.core.tenancy import enter

_Result = TypeVar("_Result")


def meanwhile(organization_id: UUID, work: Callable[[], _Result]) -> _Result:
    """What ``work`` returns, done and committed on a connection of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_live, organization_id, work).result(timeout=20)


def overlapping(
    organization_id: UUID,
    first: Callable[[], object],
    second: Callable[[], _Result],
    *,
    finish: Callable[[], object] = lambda: None,
) -> Future[_Result]:
    """``second``, which begins when ``first`` has done its work and not committed it.

    As soon as ``second`` waits for it, or needs no wait, ``finish`` goes on with the first
    transaction and it is committed.
    """
    with ThreadPoolExecutor(1) as pool:
        with enter(organization_id):
            first()
            other = pool.submit(_live, organization_id, second)
            while not (other.done() or _is_somebody_waiting()):
                time.sleep(0.01)
            finish()
        other.exception(timeout=20)
    return other


def _live(organization_id: UUID, work: Callable[[], _Result]) -> _Result:
    try:
        with enter(organization_id):
            return work()
    finally:
        connections.close_all()


def _is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        [found] = cursor.fetchone() or (False,)
    return bool(found)
