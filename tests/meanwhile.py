"""Another request, while a test's own transaction is open."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from uuid import UUID

from django.db import connections

from apps.core.tenancy import enter

_Result = TypeVar("_Result")


def meanwhile(organization_id: UUID, work: Callable[[], _Result]) -> _Result:
    """What ``work`` returns, done and committed on a connection of its own."""

    def live() -> _Result:
        try:
            with enter(organization_id):
                return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(live).result(timeout=20)
