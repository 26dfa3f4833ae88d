"""PostgreSQL and Redis for the test suite, started before Django's settings are read.

``pytest -p tests.services`` (in pyproject's ``addopts``) runs the embedded engines in
``var/test`` while the suite runs; the next run finds the cluster there and starts in a moment.
``STONEWARE_TEST_DATA_DIR`` names another directory, so that suites can run side by side. With
``DATABASE_URL`` set nothing is started.
"""

import fcntl
import os
from collections.abc import Generator
from pathlib import Path
from tempfile import gettempdir

import pytest

from apps.core.embedded.errors import EmbeddedError
from apps.core.embedded.paths import absolute
from apps.core.embedded.services import Services

_running: list[Services] = []


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None]:
    """Start the engines; as a wrapper, so before pytest-django imports the settings."""
    if not is_xdist_worker() and not os.environ.get("DATABASE_URL"):
        directory = absolute(Path(os.environ.get("STONEWARE_TEST_DATA_DIR") or "var/test"))
        os.environ["STONEWARE_DATA_DIR"] = str(directory)
        start(directory)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None]:
    """Tests marked ``alone`` run while no other process of the suite is in a test.

    What a server does only when no older transaction runs would wait for the neighbours'.
    """
    how = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    with Path(os.environ.get("STONEWARE_DATA_DIR") or gettempdir(), "tests.lock").open("a") as lock:
        fcntl.flock(lock, how)
        return (yield)


def pytest_unconfigure() -> None:
    """Stop what was started here; xdist's workers have ended by now."""
    while _running:
        _running.pop().stop()


def start(directory: Path) -> None:
    """Run the engines in the directory; a clear end of the whole run when that fails."""
    services = Services(directory, durable=False, with_redis=not os.environ.get("REDIS_URL"))
    try:
        services.start()
    except EmbeddedError as error:
        hint = "STONEWARE_TEST_DATA_DIR names another directory for this run."
        raise pytest.UsageError(f"{error}\n{hint}\n{error.log_tail}") from error
    _running.append(services)


def is_xdist_worker() -> bool:
    """Whether this is one of xdist's processes, which use what the first one started."""
    return "PYTEST_XDIST_WORKER" in os.environ
