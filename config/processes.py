"""The application on one machine: web, workers and clock, forked from one process.

    python -m config.processes --listener 3 --schedule FILE

Everything is loaded before the forks, so the processes share most of their memory: together they
take about half of what they take when started one by one. A process that dies is forked again.
"""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from socket import gethostname
from typing import Any, Final, NoReturn

from apps.core.embedded.errors import EmbeddedError, PartFailedError
from apps.core.embedded.revival import watch
from config.celery import app, end_with

MOST_DEATHS: Final = 3  # of one process within a minute; then all end
LOADED_BEFORE: Final = (
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.concurrency.thread",
    "celery.worker.worker",
    "kombu.transport.redis",
    "config.wsgi",  # the last: it keeps the collector from what is there
)
ENDS: Final = (signal.SIGTERM, signal.SIGINT)


class Fork:
    """A part of the application, run by a fork of this process."""

    def __init__(self, name: str, run: Callable[[], object]) -> None:
        self.name = name
        self.run = run
        self.process: BaseProcess | None = None

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.is_alive()

    def start(self) -> None:
        """Fork; a signal to end that comes meanwhile is each side's own."""
        self.process = get_context("fork").Process(target=self._begin, args=[os.getpid()])
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
        self.process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)

    def _begin(self, parent: int) -> None:
        for one in ENDS:
            signal.signal(one, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
        end_with(parent)
        self.run()

    def failure(self, message: str) -> EmbeddedError:
        return PartFailedError(message)


def main() -> int:
    """Run all of them until a signal, or until one dies again and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listener", type=int, required=True, help="number of an open socket")
    parser.add_argument("--schedule", required=True, help="the file in which the clock notes turns")
    parser.add_argument("--patience", type=int, default=30, help="seconds for requests at the end")
    options = parser.parse_args()
    load()
    for one in ENDS:
        signal.signal(one, _end)
    try:
        run([Fork(name, part) for name, part in _parts(options).items()])
    except EmbeddedError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def run(forks: Sequence[Fork]) -> NoReturn:
    """Keep all of them running; ends by the exception of a signal or of one that cannot."""
    try:
        for fork in forks:
            fork.start()
        watch(forks, most_deaths=MOST_DEATHS)
    finally:
        for child in active_children():
            child.terminate()
        for child in active_children():
            child.join()


def load() -> None:
    """Import what the processes need, and keep the collector from touching it."""
    os.environ["CELERY_SKIP_CHECKS"] = "1"  # the migrations' step has made them
    gc.disable()  # it would look at all of it again and again
    app.loader.import_default_modules()
    app.finalize()
    for module in LOADED_BEFORE:
        import_module(module)
    gc.enable()


def _parts(options: argparse.Namespace) -> Mapping[str, Callable[[], object]]:
    return {
        "web": lambda: _serve(options.listener, patience=options.patience),
        "bulk": lambda: _work("bulk"),
        # A process of its own for what people wait for: bulk work may be busy as it likes.
        "interactive": lambda: _work("interactive", concurrency=2),
        "rounds": lambda: _work("rounds"),
        "clock": lambda: _keep_time(options.schedule),
    }


def _serve(listener: int, *, patience: int) -> None:
    from gunicorn.app import wsgiapp

    sys.argv = [
        *("gunicorn", "config.wsgi", "--config", "python:config.gunicorn"),
        *("--bind", f"fd://{listener}", "--graceful-timeout", str(patience)),
    ]
    wsgiapp.run()


def _work(queue: str, *, concurrency: int | None = None) -> None:
    worker = app.Worker(
        hostname=f"{queue}@{gethostname()}",
        queues=[queue],
        pool_cls="threads",
        concurrency=concurrency,
        loglevel="INFO",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


def _keep_time(schedule: str) -> None:
    app.Beat(schedule=schedule, loglevel="INFO").run()


def _end(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
