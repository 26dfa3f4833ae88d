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
            while not (other.done() or waiting()):
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


def waiting() -> int:
    """How many connections to this test's database wait for another one.

    The server has other tests' databases, too, in which somebody may wait at any time.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        [count] = cursor.fetchone() or (0,)
    return int(count)
