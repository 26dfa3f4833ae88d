"""Giving this thread's database connections back."""

from django.db import connections


def give_back() -> None:
    """Return the thread's connections to the pool, so that slow work keeps none from others.

    One in the middle of a transaction stays: somebody around us is using it.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
