"""One operating system process of an instance: its log, its end, and what it leaves behind."""

# ruff: noqa: S603 (every command is a list of our own words; no shell reads it)

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from apps.core.embedded.errors import DiskFullError, EmbeddedError, PartFailedError
from apps.core.embedded.paths import PROJECT_ROOT, log_file

LONGEST_LOG = 10 * 1024 * 1024  # bytes; a longer one is set aside at the next start
TAIL_LINES = 12
LEAST_SPACE = 256 * 1024  # bytes; with less, no engine can go on


class Process:
    """A child process that writes to its own log and never outlives its parent.

    It leads a session of its own, so Ctrl-C in the terminal reaches the supervisor alone, which
    then stops its children in order. ``orphan_signal`` is what the kernel sends it when the
    parent is killed (Linux only; it counts the starting thread as the parent, so start from the
    main one). ``identity`` wraps the command in one that changes user; it comes first, because a
    change of credentials clears the signal for orphans.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        data_dir: Path,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        orphan_signal: signal.Signals = signal.SIGTERM,
        inherited: Sequence[int] = (),
        identity: Callable[[Sequence[str]], Sequence[str]] = list,
    ) -> None:
        self.name = name
        self.command = [*dying_with_parent(orphan_signal), *command]
        self.identity = identity
        self.log = log_file(data_dir, name)
        self.environment = {**os.environ, **(environment or {})}
        self.stop_signal = stop_signal
        self.inherited = inherited
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0  # bytes of the log that belong to earlier starts

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The exit code (minus the signal's number when killed); None before the end."""
        return self._process.poll() if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; its output goes to the end of its log."""
        set_aside_long_log(self.log)
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                [*self.identity(self.command)],
                cwd=PROJECT_ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=self.inherited,
            )

    def stop(self, *, patience: float) -> None:
        """Stop the process within ``patience`` seconds, else kill it and its own children."""
        if self._process is None:
            return
        if self.is_running:
            self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
        finally:
            # A child that was killed itself may have left children (celery: its beat).
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def run(self) -> None:
        """Run the process to its end; raises ``PartFailedError`` unless it exits with 0."""
        self.start()
        try:
            while self.is_running:
                time.sleep(0.05)
        finally:
            self.stop(patience=3)
        if self.exit_code != 0:
            raise self.failure(f"The step {self.name!r} failed.")

    def output(self) -> str:
        """What the process has written since its last start."""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def failure(self, message: str) -> EmbeddedError:
        """The error that tells of this process, with the last lines of its log."""
        return failure(
            f"{message[:-1]} (see {self.log}).", self.output(), directory=self.log.parent
        )


def failure(message: str, output: str, *, directory: Path) -> EmbeddedError:
    """The error for a process that ended badly; a full disk is the cause whatever else it says."""
    full = shutil.disk_usage(directory).free < LEAST_SPACE
    if full or "No space left on device" in output:
        return DiskFullError(f"No space is left on the disk of {directory}.")
    return PartFailedError(message, log_tail="\n".join(output.splitlines()[-TAIL_LINES:]))


@cache
def dying_with_parent(signal_: signal.Signals) -> tuple[str, ...]:
    """The command prefix with which the kernel sends ``signal_`` when the parent dies."""
    setpriv = shutil.which("setpriv")
    name = signal_.name.removeprefix("SIG")
    return (setpriv, "--pdeathsig", name, "--") if setpriv else ()


def set_aside_long_log(log: Path) -> None:
    """Move a long log to ``<name>.log.1``, so that the two of them stay bounded."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > LONGEST_LOG:
            log.replace(log.with_name(f"{log.name}.1"))
