"""Giving this thread's database connections back."""

from collections.abc import Callable
from typing import ParamSpec

from django.db import connections

_P = ParamSpec("_P")


def give_back() -> None:
    """Close the thread's connections that are broken or older than they may be.

    There is no pool: a good one stays open for the thread's next statement. One in the middle of
    a transaction stays too: somebody around us is using it.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def and_close(run: Callable[_P, None]) -> Callable[_P, None]:
    """``run`` for a thread that ends with it: its connections are nobody's afterwards."""

    def closing(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            run(*args, **kwargs)
        finally:
            connections.close_all()

    return closing
