"""Coroutines in tests: a browser test of the same process has left its own event loop running."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")


def finish(main: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine comes to, on a thread with a loop of its own and the caller's context."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, asyncio.run, main).result()
