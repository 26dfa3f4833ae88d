"""``manage.py up`` as a person meets it: real processes, one data directory for the module."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg
import pytest

from apps.core.embedded.errors import EmbeddedError, PartFailedError, PortInUseError
from apps.core.embedded.listener import answers, listen, url_of
from apps.core.embedded.paths import (
    PROJECT_ROOT,
    credentials_file,
    log_file,
    postgres_directory,
    redis_socket,
    socket_directory,
    supervisor_file,
)
from apps.core.embedded.revival import Revival
from apps.core.embedded.services import Services
from apps.core.embedded.supervisor import MOST_DEATHS, announcement

OUR_VARIABLES = {"DATABASE_URL", "REDIS_URL", "STONEWARE_DATA_DIR", "DJANGO_SETTINGS_MODULE"}
OUR_VARIABLES |= {"OWNER_DATABASE_URL", "OPERATOR_DATABASE_URL"}


class Instance:
    """One ``manage.py up`` and what it has started."""

    def __init__(self, data_dir: Path, *, port: int = 0, **environment: str) -> None:
        self.data_dir = data_dir
        self.process = up("--data-dir", str(data_dir), "--port", str(port), **environment)
        self.url = ""

    def is_ready(self) -> bool:
        try:
            state = json.loads(supervisor_file(self.data_dir).read_text())
        except (FileNotFoundError, ValueError):
            return False
        self.url = state["url"]
        return bool(state["pid"] == self.process.pid)

    def wait_until_ready(self, *, patience: float = 180) -> None:
        deadline = time.monotonic() + patience
        while not self.is_ready():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def descendants(self) -> dict[int, str]:
        """Process id → command line of every process below the supervisor."""
        listing = subprocess.check_output(["ps", "-ww", "-eo", "pid=,ppid=,args="], text=True)
        rows = [line.split(None, 2) for line in listing.splitlines()]
        found = {self.process.pid: ""}
        for _ in range(5):  # supervisor → application → gunicorn → its workers
            found |= {int(pid): args for pid, parent, args in rows if int(parent) in found}
        del found[self.process.pid]
        return {pid: args for pid, args in found.items() if not args.startswith("ps ")}

    def pid_of(self, part: str) -> int | None:
        """The part's first process; None between two lives."""
        return min((pid for pid, args in self.descendants().items() if part in args), default=None)

    def output(self) -> str:
        return self.process.communicate(timeout=30)[0]


def up(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "up", *arguments],
        cwd=PROJECT_ROOT,
        env={**plain_environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def plain_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in OUR_VARIABLES}


@contextmanager
def running(data_dir: Path, *, port: int = 0, **environment: str) -> Iterator[Instance]:
    """A running instance, which a failing test does not leave behind."""
    instance = Instance(data_dir, port=port, **environment)
    try:
        instance.wait_until_ready()
        yield instance
    finally:
        if instance.process.poll() is None:
            instance.process.terminate()
        instance.process.wait(timeout=30)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory in which one instance has run: the later starts are quick."""
    path = tmp_path_factory.mktemp("up")
    with running(path) as instance:
        assert status(instance.url) < 500
        leave_a_mark(path)
    return path


def leave_a_mark(data_dir: Path) -> None:
    with as_owner(data_dir) as owner:
        owner.execute("CREATE TABLE mark AS SELECT 'still here' AS text")


def read_the_mark(data_dir: Path) -> str:
    with as_owner(data_dir) as owner:
        row = owner.execute("SELECT text FROM mark").fetchone()
    assert row
    return str(row[0])


def as_owner(data_dir: Path) -> psycopg.Connection:
    host = str(socket_directory(data_dir))
    return psycopg.connect(host=host, user="stoneware_owner", dbname="stoneware", autocommit=True)


def status(url: str) -> int:
    try:
        with urlopen(url, timeout=20) as response:  # noqa: S310
            return int(response.status)
    except HTTPError as error:
        return error.code


def wait_until_gone(pids: dict[int, str], *, patience: float) -> None:
    deadline = time.monotonic() + patience
    while left := {pid: args for pid, args in pids.items() if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_the_second_start_finds_everything_and_ctrl_c_stops_it_in_order(data_dir: Path) -> None:
    with running(data_dir) as instance:
        assert status(instance.url) < 500
        assert read_the_mark(data_dir) == "still here"
        parts = instance.descendants()
        for part in ("bin/postgres", "redis-server", "gunicorn", "celery"):
            assert any(part in args for args in parts.values()), part

        instance.process.send_signal(signal.SIGINT)
        output = instance.output()
    assert instance.process.returncode == 0
    assert "Stoneware runs at  http://127.0.0.1:" in output
    assert "The database is up to date" not in output  # nothing to apply, so nobody asked
    assert output.endswith("Stopping.\nStopped.\n")
    wait_until_gone(parts, patience=15)
    assert not supervisor_file(data_dir).exists()
    assert "database system is shut down" in log_file(data_dir, "postgres").read_text()


def test_a_killed_supervisor_takes_everything_along(data_dir: Path) -> None:
    with running(data_dir) as instance:
        parts = instance.descendants()
        instance.process.kill()
        instance.process.wait()
        wait_until_gone(parts, patience=15)
    with running(data_dir):
        assert read_the_mark(data_dir) == "still here"


def test_a_stop_during_the_start_leaves_nothing(tmp_path: Path) -> None:
    instance = Instance(tmp_path)
    while not log_file(tmp_path, "migrate").exists():
        assert instance.process.poll() is None
        time.sleep(0.01)
    parts = instance.descendants()
    instance.process.terminate()
    assert instance.output().endswith("Stopped.\n")
    assert instance.process.returncode == 0
    wait_until_gone(parts, patience=1)


PARTS = [
    *("gunicorn: master", "gunicorn: worker", "celeryd: bulk@", "celeryd: interactive@"),
    *("celeryd: rounds@", "[celery beat]", "config.processes", "redis-server", "bin/postgres"),
]


def test_whatever_dies_is_started_again(data_dir: Path) -> None:
    with running(data_dir) as instance:
        for part in PARTS:
            died = wait_for_part(instance, part)
            os.kill(died, signal.SIGKILL)
            wait_for_part(instance, part, instead_of=died)
        assert wait_for_the_mark(data_dir) == "still here"
        assert status(instance.url) < 500
        wait_for_part(instance, "gunicorn: worker")
        wait_until_only(instance, "celery", 4)  # nothing is left of those that were killed
        instance.process.terminate()
        assert "The part 'postgres' has died; starting it again." in instance.output()


def wait_until_only(instance: Instance, name: str, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(left := [args for args in instance.descendants().values() if name in args]) != count:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def wait_for_part(instance: Instance, part: str, *, instead_of: int | None = None) -> int:
    deadline = time.monotonic() + 60
    while (pid := instance.pid_of(part)) in {None, instead_of}:
        assert time.monotonic() < deadline, part
        assert instance.process.poll() is None, instance.output()
        time.sleep(0.05)
    assert pid is not None
    return pid


def wait_for_the_mark(data_dir: Path) -> str:
    deadline = time.monotonic() + 20
    while True:
        try:
            return read_the_mark(data_dir)
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_commands_in_another_terminal_use_the_running_instance(data_dir: Path) -> None:
    with running(data_dir):
        command = [sys.executable, "manage.py", "migrate", "--check", "--database", "owner"]
        environment = {**plain_environment(), "STONEWARE_DATA_DIR": str(data_dir)}
        subprocess.run(command, cwd=PROJECT_ROOT, env=environment, check=True, timeout=60)


HEAVY = {"datasets", "openai", "pyarrow", "scipy", "sklearn", "wordllama"}


def test_what_only_some_jobs_need_is_not_loaded_at_the_start(data_dir: Path) -> None:
    program = "import sys; from config.processes import load; load(); print(*sys.modules)"
    environment = {**plain_environment(), "STONEWARE_DATA_DIR": str(data_dir)}
    with Services(data_dir, durable=False):
        loaded = subprocess.check_output(
            [sys.executable, "-c", program], cwd=PROJECT_ROOT, env=environment, text=True
        ).split()
    assert {"apps.console.urls", "apps.llms.calls"} < set(loaded)
    assert not HEAVY & set(loaded)


def test_the_application_is_compiled_once_whatever_the_shell_says(data_dir: Path) -> None:
    with running(data_dir, PYTHONDONTWRITEBYTECODE="1") as instance:
        application = Path(f"/proc/{instance.pid_of('config.processes')}")
        assert b"PYTHONDONTWRITEBYTECODE" not in (application / "environ").read_bytes()


def test_with_servers_of_ones_own_nothing_embedded_starts(data_dir: Path, tmp_path: Path) -> None:
    host = socket_directory(data_dir)
    environment = {
        f"{prefix}DATABASE_URL": f"postgresql://stoneware_{role}@/stoneware?host={host}"
        for prefix, role in (("", "app"), ("OWNER_", "owner"), ("OPERATOR_", "operator"))
    }
    environment["REDIS_URL"] = f"unix://{redis_socket(data_dir)}"
    with Services(data_dir, durable=False), running(tmp_path, **environment) as instance:
        assert status(instance.url) < 500
        parts = " ".join(instance.descendants().values())
        assert "gunicorn" in parts
        assert "bin/postgres" not in parts
        assert "redis-server" not in parts
    assert not postgres_directory(tmp_path).exists()


def test_a_second_start_on_a_directory_in_use_is_refused(data_dir: Path) -> None:
    with running(data_dir) as instance:
        second = up("--data-dir", str(data_dir), "--port", "0")
        message = f"error: {data_dir} is in use by process {instance.process.pid}: "
        assert second.communicate(timeout=30)[0].startswith(message)
        assert second.returncode == 1
        assert status(instance.url) < 500


def test_a_port_in_use_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with listen(host="127.0.0.1", port=0) as taken:
        port = taken.getsockname()[1]
        refused = up("--data-dir", str(tmp_path), "--port", str(port))
        assert refused.communicate(timeout=30)[0] == (
            f"error: Port {port} of 127.0.0.1 is in use: "
            "stop the program there or choose another --port.\n"
        )
    assert refused.returncode == 1
    assert not postgres_directory(tmp_path).exists()


def test_a_directory_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("layout 2\n")
    refused = up("--data-dir", str(tmp_path), "--port", "0")
    assert "was made by a newer version of Stoneware" in refused.communicate(timeout=30)[0]
    assert refused.returncode == 1


class Mortal:
    """A part that dies the moment it is started."""

    name = "web"
    is_running = False
    starts = 0

    def start(self) -> None:
        self.starts += 1

    def failure(self, message: str) -> EmbeddedError:
        return PartFailedError(message)


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[float]], int]:
    """Looks after a mortal part at the given moments and counts its starts."""

    def look_at(moments: Iterable[float]) -> int:
        part = Mortal()
        revival = Revival(part, most_deaths=MOST_DEATHS)
        for moment in moments:
            monkeypatch.setattr(time, "monotonic", lambda now=moment: now)
            revival.look()
        return part.starts

    return look_at


def test_a_part_that_keeps_dying_ends_the_instance(
    mortal: Callable[[Iterable[float]], int],
) -> None:
    assert mortal([tick / 4 for tick in range(30)]) == MOST_DEATHS - 2
    with pytest.raises(PartFailedError, match="'web' dies again and again"):
        mortal([tick / 4 for tick in range(60)])


def test_a_part_that_dies_now_and_then_is_always_started_again(
    mortal: Callable[[Iterable[float]], int],
) -> None:
    assert mortal([half_minute * 30.0 for half_minute in range(40)]) == 20


def test_listening_takes_a_free_port_and_says_where() -> None:
    with listen(host="localhost", port=0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://127.0.0.1:{port}"
        assert not answers(listener, patience=0.1)  # taken, but nobody serves yet
        with pytest.raises(PortInUseError):
            listen(host="127.0.0.1", port=port)
    with listen(host="0.0.0.0", port=0) as listener:  # noqa: S104
        assert url_of(listener) == f"http://localhost:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("host", "message"),
    [("no such host", "is unknown"), ("192.0.2.1", "Cannot listen on 192.0.2.1")],
)
def test_an_address_that_is_not_ours_is_a_clear_error(host: str, message: str) -> None:
    with pytest.raises(EmbeddedError, match=message):
        listen(host=host, port=0)


@pytest.mark.parametrize("port", [-1, 65_536, 70_000, 2**70])
def test_what_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(EmbeddedError, match=f"from 0 to 65535, not {port}"):
        listen(host="127.0.0.1", port=port)


def test_an_ipv6_address_is_written_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        listener = listen(host="::1", port=0)
    except EmbeddedError:
        pytest.skip("no IPv6 here")
    with listener:
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_the_announcement_shows_the_log_in_of_the_demo(tmp_path: Path) -> None:
    lines = announcement(url="http://127.0.0.1:6900", data_dir=tmp_path)
    assert "Password" not in "\n".join(lines)
    owner = {"email": "ada@example.org", "password": "clay", "username": "ada", "api_key": "sw_1"}
    credentials_file(tmp_path).write_text(json.dumps({"owner": owner}))
    text = "\n".join(announcement(url="http://127.0.0.1:6900", data_dir=tmp_path))
    assert "Log in as          ada@example.org\n" in text
    assert "Password           clay\n" in text
    assert "API key            sw_1\n" in text
