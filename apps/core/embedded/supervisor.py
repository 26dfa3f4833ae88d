"""Runs a whole instance: engines, migrations, the application; one signal stops it all.

It is a small process of its own (``python -m apps.core.embedded.supervisor``), which
``manage.py up`` turns into: a process with Django loaded would hold 70 MB for nothing.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import FrameType

from apps.core.embedded.directory import DataDirectory
from apps.core.embedded.errors import EmbeddedError
from apps.core.embedded.listener import answers, listen, url_of
from apps.core.embedded.migrations import migrate
from apps.core.embedded.paths import (
    absolute,
    credentials_file,
    data_dir,
    log_directory,
    metrics_directory,
    metrics_socket,
    run_directory,
    supervisor_file,
)
from apps.core.embedded.process import Process
from apps.core.embedded.revival import say, watch
from apps.core.embedded.services import Services
from apps.core.embedded.static_files import collect

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 6900  # Argilla's, so existing scripts connect unchanged

FIRST_PAGE_PATIENCE = 180.0  # seconds
STOP_PATIENCE = 3.0  # seconds for requests and jobs under way; jobs resume by themselves
MOST_DEATHS = 5  # of one part within a minute; then the supervisor gives up


class Supervisor:
    """One running instance of Stoneware on one data directory and one address."""

    def __init__(self, *, data_dir: Path, host: str, port: int, demo: bool) -> None:
        self.data_dir = data_dir
        self.host = host
        self.port = port
        self.demo = demo
        self.url = ""

    def run(self) -> None:
        """Start everything, then keep it running until a signal or a failure ends it."""
        with ExitStack() as stack:
            listener = stack.enter_context(closing(listen(host=self.host, port=self.port)))
            self.url = url_of(listener)
            services = stack.enter_context(self._services())
            supervisor_file(self.data_dir).unlink(missing_ok=True)  # a killed predecessor's
            if migrate(data_dir=self.data_dir, postgres=services.postgres):
                say("The database is up to date.")
            if collect(data_dir=self.data_dir):
                say("The static files are collected.")
            self._forget_figures()
            application = self._application(listener)
            stack.callback(self._stop, application)
            application.start()
            if self.demo and not credentials_file(self.data_dir).exists():
                self._load_demo()
            self._wait_for_first_page(listener, application)
            stack.callback(supervisor_file(self.data_dir).unlink, missing_ok=True)
            self._announce()
            watch([*services.engines, application], most_deaths=MOST_DEATHS)

    def _services(self) -> Services:
        return Services(
            self.data_dir,
            with_postgres=not os.environ.get("DATABASE_URL"),
            with_redis=not os.environ.get("REDIS_URL"),
        )

    def _application(self, listener: socket.socket) -> Process:
        schedule = run_directory(self.data_dir) / "beat-schedule"
        return Process(
            "application",
            [
                *(sys.executable, "-m", "config.processes"),
                *("--listener", str(listener.fileno()), "--schedule", str(schedule)),
                *("--patience", str(int(STOP_PATIENCE))),
            ],
            data_dir=self.data_dir,
            inherited=[listener.fileno()],
            environment=self._counting(),
        )

    def _counting(self) -> dict[str, str]:
        """Where a process counts, and where one of them tells the figures of all."""
        address = os.environ.get("METRICS_ADDRESS") or str(metrics_socket(self.data_dir))
        directory = str(metrics_directory(self.data_dir))
        return {"PROMETHEUS_MULTIPROC_DIR": directory, "METRICS_ADDRESS": address}

    def _forget_figures(self) -> None:
        """Counters begin at 0 with the instance."""
        shutil.rmtree(metrics_directory(self.data_dir), ignore_errors=True)
        metrics_directory(self.data_dir).mkdir(parents=True)

    def _load_demo(self) -> None:
        say("Loading the demo.")
        command = [
            *(sys.executable, "manage.py", "load_demo"),
            *("--data-dir", str(self.data_dir), "--url", self.url),
        ]
        Process("demo", command, data_dir=self.data_dir).run()

    def _wait_for_first_page(self, listener: socket.socket, application: Process) -> None:
        deadline = time.monotonic() + FIRST_PAGE_PATIENCE
        while not answers(listener, patience=1):
            if not application.is_running or time.monotonic() > deadline:
                raise application.failure("The web server does not start.")

    def _announce(self) -> None:
        state = {"pid": os.getpid(), "url": self.url}
        supervisor_file(self.data_dir).write_text(json.dumps(state))
        say("\n".join(announcement(url=self.url, data_dir=self.data_dir)))

    def _stop(self, application: Process) -> None:
        say("Stopping.")
        application.stop(patience=STOP_PATIENCE)


def announcement(*, url: str, data_dir: Path) -> list[str]:
    """What a person needs to know when everything runs, line by line."""
    lines = [
        "",
        f"  Stoneware runs at  {url}",
        f"  Data directory     {data_dir}",
        f"  Logs               {log_directory(data_dir)}",
    ]
    with suppress(FileNotFoundError, ValueError, KeyError):
        owner = json.loads(credentials_file(data_dir).read_text())["owner"]
        lines += [
            f"  Log in as          {owner['email']}",
            f"  Password           {owner['password']}",
            f"  API key            {owner['api_key']}",
        ]
    return [*lines, "", "  Ctrl-C stops it.", ""]


def end_on_signals() -> None:
    """Let the first stop signal end the program in order, and ignore those that follow."""
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
        signals.remove(signal.SIGHUP)

    def end(_signal: int, _frame: FrameType | None) -> None:
        for one in signals:
            signal.signal(one, lambda _signal, _frame: None)
        raise KeyboardInterrupt

    for one in signals:
        signal.signal(one, end)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an instance until it is stopped; the exit code is 1 when it could not go on."""
    parser = argparse.ArgumentParser(
        prog="manage.py up", description="Runs a whole Stoneware here."
    )
    parser.add_argument("--host", default=DEFAULT_HOST)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--demo", action="store_true")
    options = parser.parse_args(arguments)
    directory = absolute(options.data_dir.absolute()) if options.data_dir else data_dir()
    os.environ["STONEWARE_DATA_DIR"] = str(directory)
    # Compiled anew at each start, the application would take a third longer to load.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    end_on_signals()
    try:
        Supervisor(
            data_dir=directory, host=options.host, port=options.port, demo=options.demo
        ).run()
    except KeyboardInterrupt:
        say("Stopped.")
    except EmbeddedError as error:
        return refuse(error)
    except OSError as error:
        return refuse(DataDirectory(directory).explain(error))
    return 0


def refuse(error: EmbeddedError) -> int:
    """Tell why there is no instance (any more); the exit code."""
    sys.stderr.write(f"error: {error}\n")
    if error.log_tail:
        sys.stderr.write(f"{error.log_tail}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
