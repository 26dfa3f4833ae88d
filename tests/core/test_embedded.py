"""The embedded engines, started and stopped for real in directories of their own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from apps.core.embedded import postgres
from apps.core.embedded.errors import (
    DirectoryInUseError,
    DirectoryNotOursError,
    EmbeddedError,
    VersionError,
)
from apps.core.embedded.migrations import is_noted
from apps.core.embedded.paths import (
    LONGEST_SOCKET_PATH,
    PROJECT_ROOT,
    absolute,
    data_dir,
    log_file,
    postgres_directory,
    redis_socket,
    run_directory,
    socket_directory,
)
from apps.core.embedded.services import Services

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a cluster in it, at rest."""
    path = tmp_path_factory.mktemp("made")
    with Services(path, durable=False):
        pass
    return path


@pytest.fixture
def services(made: Path) -> Iterator[Services]:
    with Services(made, durable=False) as running:
        yield running


def connect(path: Path, role: str, database: str = "stoneware") -> psycopg.Connection:
    host = str(socket_directory(path))
    return psycopg.connect(host=host, user=role, dbname=database, autocommit=True)


def hold(path: Path) -> subprocess.Popen[str]:
    """Another process that runs the directory's engines, once it has said so."""
    program = (
        "import sys, time; from pathlib import Path;"
        "from apps.core.embedded.services import Services;"
        "services = Services(Path(sys.argv[1]), durable=False); services.start();"
        "print('running', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], cwd=PROJECT_ROOT, text=True, stdout=-1
    )
    assert holder.stdout
    assert holder.stdout.readline() == "running\n"
    return holder


def test_the_application_role_is_walled_in_and_the_operator_is_not(services: Services) -> None:
    assert services.postgres
    roles = services.postgres.query(
        "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreatedb FROM pg_roles "
        "WHERE rolname LIKE 'stoneware%' ORDER BY rolname",
        database="stoneware",
    )
    assert roles.splitlines() == [
        "stoneware_app|f|f|t|f",
        "stoneware_operator|f|t|t|f",
        "stoneware_owner|f|f|t|t",
        "stoneware_search|f|f|f|f",
    ]


@pytest.mark.parametrize("role", ["stoneware_app", "stoneware_owner"])
def test_a_statement_outside_an_organization_fails_readably(services: Services, role: str) -> None:
    statement = "SELECT current_setting('app.organization_id')::uuid"
    with (
        connect(services.directory.path, role) as connection,
        pytest.raises(psycopg.DataError, match="no organization entered"),
    ):
        connection.execute(statement)


def test_the_owner_makes_databases_that_the_application_can_use(services: Services) -> None:
    path = services.directory.path
    with connect(path, "stoneware_owner", "postgres") as owner:
        owner.execute("CREATE DATABASE another")
    with connect(path, "stoneware_owner", "another") as owner:
        owner.execute("CREATE TABLE note (id int GENERATED ALWAYS AS IDENTITY, place vector(2))")
        owner.execute("CREATE TABLE found (id int)")
        owner.execute("ALTER TABLE found OWNER TO stoneware_search")
        owner.execute("CREATE FUNCTION lookup() RETURNS int RETURN 1")
        owner.execute("ALTER FUNCTION lookup OWNER TO stoneware_operator")
    with connect(path, "stoneware_app", "another") as app:
        app.execute("INSERT INTO note (place) VALUES ('[1, 2]')")
        assert app.execute("SELECT count(*), lookup() FROM note").fetchone() == (1, 1)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("TRUNCATE note")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("CREATE TABLE mine (id int)")
    with connect(path, "stoneware_owner", "postgres") as owner:
        owner.execute("DROP DATABASE another")


def test_redis_answers_on_its_socket_and_refuses_to_evict(services: Services) -> None:
    client = redis.Redis(unix_socket_path=str(redis_socket(services.directory.path)))
    assert client.ping()
    assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert client.config_get("port") == {"port": "0"}


def test_nobody_else_can_reach_the_sockets(services: Services) -> None:
    sockets = socket_directory(services.directory.path)
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert log_file(services.directory.path, "postgres").parent.stat().st_mode & 0o777 == 0o700


def test_the_second_start_finds_the_data_and_the_first_leaves_nothing_running(made: Path) -> None:
    with Services(made, durable=False) as first:
        pids = [engine.process.pid for engine in first.engines]
        with connect(made, "stoneware_owner") as owner:
            owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert not any(is_alive(pid) for pid in pids)
    assert [file for file in socket_directory(made).iterdir() if file.is_socket()] == []
    with Services(made, durable=False), connect(made, "stoneware_app") as app:
        assert app.execute("SELECT answer FROM kept").fetchone() == (42,)


def is_alive(pid: int | None) -> bool:
    assert pid
    return Path(f"/proc/{pid}").exists()


def test_a_directory_in_use_is_refused_and_names_the_process(services: Services) -> None:
    with pytest.raises(DirectoryInUseError, match=f"in use by process {os.getpid()}"):
        Services(services.directory.path).start()
    assert all(engine.is_running for engine in services.engines)


def test_engines_end_with_a_killed_parent_and_the_next_start_waits_for_them(made: Path) -> None:
    holder = hold(made)
    with connect(made, "stoneware_owner") as owner:
        owner.execute("CREATE TABLE survivor AS SELECT 1 AS one")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with Services(made, durable=False), connect(made, "stoneware_app") as app:
        assert app.execute("SELECT one FROM survivor").fetchone() == (1,)


def test_an_interrupted_first_start_is_begun_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18")
    with Services(tmp_path, durable=False, with_redis=False):
        assert postgres_directory(tmp_path).exists()
    assert not unfinished.exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("layout 99", "made by a newer version"),
        ("postgresql 19", "made by a newer version"),
        ("postgresql 17", "made by an older version"),
        ("colour 1", "made by a newer version"),
    ],
)
def test_a_directory_of_another_version_is_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "VERSION").write_text(f"{line}\n")
    with pytest.raises(VersionError, match=message):
        Services(tmp_path).start()
    assert not postgres_directory(tmp_path).exists()


@as_root
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(DirectoryNotOursError, match="belongs to nobody, not to root"):
        Services(tmp_path).start()
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_directory_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match="is not a directory"):
        Services(tmp_path / "file").start()


@as_root
@pytest.mark.parametrize("megabytes", [1, 20])
def test_a_full_disk_is_named_as_the_cause(tmp_path: Path, megabytes: int) -> None:
    """A disk of 1 MB fails in initdb's first files, one of 20 MB in the midst of its work."""
    script = (
        f'mount -t tmpfs -o size={megabytes}m tmpfs "$1" && exec "$2" '
        '-m apps.core.embedded.supervisor --port 0 --data-dir "$1/data"'
    )
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path), sys.executable]
    ended = subprocess.run(
        command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    if "mount:" in ended.stderr:
        pytest.skip("this machine forbids mounting")
    assert ended.stderr == f"error: No space is left on the disk of {tmp_path}/data.\n"
    assert ended.returncode == 1


@as_root
def test_without_user_namespaces_the_server_runs_as_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "user_namespaces_work", lambda: False)
    tmp_path.chmod(0o700)
    with Services(tmp_path, durable=False) as services:
        assert services.postgres
        assert Path(f"/proc/{services.postgres.process.pid}").stat().st_uid == postgres.NOBODY
        assert postgres_directory(tmp_path).stat().st_uid == postgres.NOBODY
    monkeypatch.undo()
    with Services(tmp_path, durable=False):
        pass  # the directory's owner decides, also where namespaces work


@as_root
def test_a_cluster_made_in_a_namespace_is_refused_without_one(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "user_namespaces_work", lambda: False)
    with pytest.raises(DirectoryNotOursError, match="chown"):
        Services(made).start()


@as_root
def test_an_ordinary_user_needs_nothing_of_this(tmp_path: Path) -> None:
    """Nobody, who here may read root's files only so that Python is found."""
    tmp_path.chmod(0o777)
    command = [
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
        *(sys.executable, "-m", "apps.core.embedded", "sh", "-c", "ls $STONEWARE_DATA_DIR"),
    ]
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    assert "postgres" in ended.stdout.split()


def test_an_engine_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path, made: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    (postgres_directory(copy) / "postgresql.conf").write_text("no_such_option = 1\n")
    with pytest.raises(EmbeddedError, match="PostgreSQL does not start") as caught:
        Services(copy).start()
    assert "no_such_option" in caught.value.log_tail


def test_a_long_or_odd_path_gets_its_sockets_elsewhere(tmp_path: Path) -> None:
    for odd in (tmp_path / ("long" * 30), tmp_path / "a b?c"):
        sockets = socket_directory(odd)
        assert len(str(sockets / ".s.PGSQL.5432")) <= LONGEST_SOCKET_PATH
        with Services(odd, durable=False), connect(odd, "stoneware_app") as app:
            assert app.execute("SELECT 1").fetchone() == (1,)
        assert not sockets.exists()


@as_root
def test_a_strangers_socket_directory_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / "a b"
    sockets = socket_directory(odd)
    sockets.mkdir()
    os.chown(sockets, 65534, 65534)
    with pytest.raises(DirectoryNotOursError, match=f"{sockets} belongs to nobody"):
        Services(odd).start()
    sockets.rmdir()


def test_the_data_directory_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STONEWARE_DATA_DIR", "elsewhere")
    assert data_dir() == PROJECT_ROOT / "elsewhere"
    monkeypatch.delenv("STONEWARE_DATA_DIR")
    assert data_dir() == PROJECT_ROOT / "var"
    assert absolute(Path("~")) == Path.home()


def test_without_a_note_or_with_another_database_migrations_are_asked_for(
    services: Services,
) -> None:
    note = run_directory(services.directory.path) / "migrations.json"
    assert services.postgres
    assert not is_noted(note, postgres=services.postgres)
    note.write_text("{")
    assert not is_noted(note, postgres=services.postgres)


def test_a_command_runs_beside_engines_of_its_own() -> None:
    started = time.monotonic()
    command = [sys.executable, "-m", "apps.core.embedded", "sh", "-c", "exit 3"]
    ended = subprocess.run(command, cwd=PROJECT_ROOT, env=plain_environment(), check=False)
    assert ended.returncode == 3
    assert time.monotonic() - started < 20


def test_two_suites_in_one_directory_are_refused(services: Services) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", __file__]
    environment = plain_environment()
    environment["STONEWARE_TEST_DATA_DIR"] = str(services.directory.path)
    ended = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"in use by process {os.getpid()}" in ended.stderr
    assert "STONEWARE_TEST_DATA_DIR names another directory" in ended.stderr


def plain_environment() -> dict[str, str]:
    hidden = {"DATABASE_URL", "REDIS_URL", "PYTEST_XDIST_WORKER"}
    return {name: value for name, value in os.environ.items() if name not in hidden}
