"""Backups of a real instance, running and at rest, and what becomes of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from apps.core.embedded import postgres
from apps.core.embedded.backups.folder import held, moment, names, prune, whole_chains
from apps.core.embedded.backups.making import Made, back_up
from apps.core.embedded.backups.manifest import (
    Backup,
    DamagedBackupError,
    read_backup,
    write_manifest,
)
from apps.core.embedded.backups.restoring import restore
from apps.core.embedded.errors import (
    DirectoryInUseError,
    DirectoryNotOursError,
    EmbeddedError,
    VersionError,
)
from apps.core.embedded.paths import (
    PROJECT_ROOT,
    postgres_directory,
    socket_directory,
)
from apps.core.embedded.services import Services

MONTH = timedelta(days=35)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")


def engines(path: Path) -> Services:
    return Services(path, with_redis=False, durable=False)


def make(data_dir: Path, folder: Path, *, full: bool = False) -> Made:
    return back_up(data_dir, folder, full=full, keep=MONTH, durable=False)


def bring_back(backup: Path, data_dir: Path) -> None:
    restore(backup, data_dir, durable=False)


def connect(path: Path) -> psycopg.Connection:
    host = str(socket_directory(path))
    return psycopg.connect(host=host, user="postgres", dbname="stoneware", autocommit=True)


def ask(path: Path, statement: str) -> int:
    with connect(path) as connection:
        (number,) = connection.execute(statement.encode()).fetchone() or (0,)
        return int(number)


class Writer:
    """Someone who writes a row after the other and knows what PostgreSQL has confirmed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.confirmed = 0
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        with connect(self.path) as connection:
            while not self.ends.is_set():
                connection.execute("INSERT INTO note VALUES (%s)", [self.confirmed + 1])
                self.confirmed += 1

    def __enter__(self) -> "Writer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ends.set()
        self.thread.join()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory at rest, with what lies beside the cluster."""
    path = tmp_path_factory.mktemp("instance")
    with engines(path), connect(path) as connection:
        connection.execute("CREATE TABLE note (id bigint PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE bulk AS SELECT i, md5(i::text) FROM generate_series(1, 50000) i"
        )
    (path / "secret_key").touch(mode=0o600)
    (path / "secret_key").write_text("the secret of this instance")
    for name in ("uploads/of-one/sketch", "uploads/parts/half", "exports/all.zip", "backups/x.txt"):
        (path / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        (path / name).write_text(name * 1000)
    return path


@pytest.fixture(scope="module")
def chain(instance: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Made], list[int]]:
    """A full backup and one that continues it, taken while somebody writes; and what was
    confirmed before each.
    """
    folder = tmp_path_factory.mktemp("chain") / "made on the way"
    made, confirmed = [], []
    with engines(instance), Writer(instance) as writer:
        for _ in range(2):
            time.sleep(0.3)
            confirmed.append(writer.confirmed)
            made.append(make(instance, folder))
    return made, confirmed


def test_what_was_written_before_a_backup_comes_back_with_it(
    chain: tuple[list[Made], list[int]], instance: Path, tmp_path: Path
) -> None:
    (full, second), (first_count, second_count) = chain
    assert (full.backup.kind, second.backup.kind) == ("full", "incremental")
    assert second.backup.after == full.backup.name
    assert second.backup.bytes < full.backup.bytes / 2
    assert 0 < first_count < second_count
    for made, confirmed in ((full, first_count), (second, second_count)):
        back = tmp_path / made.backup.name
        bring_back(made.backup.path, back)
        with engines(back):
            assert ask(back, "SELECT count(*) FROM note") >= confirmed
            # Nothing of a later moment, and no gap.
            assert ask(back, "SELECT max(id) - count(*) FROM note") == 0
            assert ask(back, "SELECT count(DISTINCT md5) FROM bulk") == 50_000
            assert ask(back, "SELECT pg_is_in_recovery()::int") == 0
        assert (back / "secret_key").read_text() == "the secret of this instance"
        assert (back / "secret_key").stat().st_mode & 0o777 == 0o600
        assert (back / "uploads/of-one/sketch").is_file()
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []


def test_a_backup_is_private_and_holds_what_cannot_be_made_anew(
    chain: tuple[list[Made], list[int]],
) -> None:
    for made in chain[0]:
        path = made.backup.path
        found = {str(f.relative_to(path / "files")) for f in (path / "files").rglob("*")}
        files = {name for name in found if (path / "files" / name).is_file()}
        assert files == {"VERSION", "secret_key", "uploads/of-one/sketch"}
        for directory in (path, *(one for one in path.rglob("*") if one.is_dir())):
            assert directory.stat().st_mode & 0o077 == 0, directory
        for file in ("files/secret_key", "manifest.json", "postgres/backup_manifest"):
            assert (path / file).stat().st_mode & 0o077 == 0
    first, second = (made.backup.path / "files/uploads/of-one/sketch" for made in chain[0])
    assert first.samefile(second)  # it takes no space again


@contextmanager
def harmed(file: Path, harm: Callable[[Path], object]) -> Iterator[None]:
    """A file that is harmed for a while."""
    content = file.read_bytes() if file.exists() else None
    harm(file)
    try:
        yield
    finally:
        # In place: a file that did not change is one file in two backups.
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def shorten(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("file", "harm", "says"),
    [
        ("postgres/global/pg_control", flip, "is damaged: its checksum differs"),
        ("postgres/base/1/PG_VERSION", shorten, "is damaged: 2 bytes instead of 3"),
        ("postgres/base/1/PG_VERSION", Path.unlink, "is missing"),
        ("postgres/backup_manifest", flip, "is damaged: its checksum differs"),
        ("postgres/pg_wal/*0*", flip, "is damaged: its checksum differs"),
        ("files/secret_key", flip, "is damaged: its checksum differs"),
        ("files/VERSION", Path.unlink, "is missing"),
        ("manifest.json", flip, "is damaged"),
        ("manifest.json", Path.unlink, "is missing"),
        ("postgres/recovery.signal", Path.touch, "does not belong to the backup"),
    ],
)
def test_what_is_damaged_is_named_and_nothing_is_restored(
    chain: tuple[list[Made], list[int]],
    tmp_path: Path,
    which: int,
    file: str,
    harm: Callable[[Path], object],
    says: str,
) -> None:
    """Of the backup itself, and of the one that it continues."""
    made = chain[0]
    path = made[which].backup.path
    target = min(path.glob(file), default=path / file)
    with harmed(target, harm), pytest.raises(EmbeddedError, match=says) as caught:
        bring_back(made[1].backup.path, tmp_path / "new")
    assert target.name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_chain_with_a_link_missing_is_refused(
    chain: tuple[list[Made], list[int]], tmp_path: Path
) -> None:
    alone = tmp_path / "copy" / chain[0][1].backup.name
    shutil.copytree(chain[0][1].backup.path, alone)
    with pytest.raises(DamagedBackupError, match=f"{chain[0][0].backup.name}, which is missing"):
        bring_back(alone, tmp_path / "new")


def test_a_backup_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "2026-01-01T00-00-00Z"
    (path / "files").mkdir(parents=True)
    (path / "files/VERSION").write_text("layout 1\npostgresql 19\n")
    write_manifest(Backup(path, None, "1", 1, {}))
    with pytest.raises(VersionError, match="made by a newer version"):
        bring_back(path, tmp_path / "new")


def test_a_directory_that_is_not_empty_is_left_alone(
    chain: tuple[list[Made], list[int]], tmp_path: Path
) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(EmbeddedError, match="is not empty"):
        bring_back(chain[0][0].backup.path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_history_of_its_own_begins_with_a_full_backup(
    chain: tuple[list[Made], list[int]], instance: Path, tmp_path: Path
) -> None:
    """A restored directory, or an earlier state of one, must not continue what came after it."""
    folder = chain[0][0].backup.path.parent
    back, copy = tmp_path / "back", tmp_path / "folder"
    shutil.copytree(folder, copy)
    bring_back(copy / chain[0][0].backup.name, back)
    began = make(back, copy)  # at rest: its PostgreSQL runs for the time being
    assert began.backup.kind == "full"
    assert not (postgres_directory(back) / "postmaster.pid").exists()
    assert make(back, copy).backup.after == began.backup.name
    earlier = tmp_path / "earlier"
    shutil.copytree(back, earlier)
    assert make(back, copy).backup.kind == "incremental"
    with engines(earlier), connect(earlier) as connection:
        for _ in range(3):  # past the other's end, where PostgreSQL would mix the two
            connection.execute("CREATE TABLE another ()")
            connection.execute("DROP TABLE another")
            connection.execute("SELECT pg_switch_wal()")
        assert make(earlier, copy).backup.kind == "full"


def test_without_summaries_or_when_asked_a_full_one_is_made(
    instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engines(instance):
        kinds = [make(instance, tmp_path, full=full).backup.kind for full in (False, True, False)]
        assert kinds == ["full", "full", "incremental"]
    monkeypatch.setitem(postgres.OPTIONS, "summarize_wal", "off")
    assert make(instance, tmp_path).backup.kind == "full"
    assert len(names(tmp_path)) == 4  # each has its own name, however quickly they follow


def test_a_chain_of_a_week_ends(
    instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(instance, tmp_path)
    monkeypatch.setattr("apps.core.embedded.backups.making.LONGEST_CHAIN", -timedelta(minutes=1))
    assert make(instance, tmp_path).backup.kind == "full"


def command(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    hidden = {"DATABASE_URL", "REDIS_URL", "STONEWARE_DATA_DIR", "BACKUP_DIR"}
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT_ROOT,
        env=inherited | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def report(folder: Path, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_backup_that_was_ended_counts_for_nothing_and_the_next_one_works(
    instance: Path, tmp_path: Path, how: signal.Signals
) -> None:
    with engines(instance):
        running = command(
            *("backup", "--data-dir", str(instance), "--to", str(tmp_path)),
            BACKUP_DIR=str(tmp_path),
        )
        while not [*tmp_path.glob("*.unfinished/postgres/base/*/*")]:
            assert running.poll() is None, running.communicate()[0]
            time.sleep(0.002)
        running.send_signal(how)
        running.communicate()
        assert running.returncode != 0
        assert names(tmp_path) == []
        left = [path.name for path in tmp_path.glob("*.unfinished")]
        assert bool(left) == (how == signal.SIGKILL)
        (interrupted,) = (path.stem for path in tmp_path.glob("*.json"))
        assert (report(tmp_path, interrupted)["finished_at"] is None) == bool(left)
        done = command(
            *("backup", "--data-dir", str(instance), "--to", str(tmp_path), "--json"),
            BACKUP_DIR=str(tmp_path),
        )
        told = json.loads(done.communicate()[0])
    assert (told["kind"], told["secret_key"]) == ("full", True)
    assert names(tmp_path) == [Path(told["backup"]).name]
    assert [*tmp_path.glob("*.unfinished")] == []
    first, second = report(tmp_path, interrupted), report(tmp_path, names(tmp_path)[0])
    assert (first["ok"], first["detail"]) == (False, "Interrupted.")
    assert (second["ok"], second["bytes"]) == (True, told["bytes"])
    assert whole_chains(tmp_path)[0][0].system


def test_a_restored_instance_comes_from_the_command_too(
    chain: tuple[list[Made], list[int]], tmp_path: Path
) -> None:
    backup = str(chain[0][1].backup.path)
    done = command("restore", backup, "--data-dir", str(tmp_path / "new"), "--json")
    told = json.loads(done.communicate()[0])
    assert (told["backup"], done.returncode) == (chain[0][1].backup.name, 0)
    assert {*told["seconds"]} == {"check", "copy", "recovery"}
    again = command("restore", backup, "--data-dir", str(tmp_path / "new"))
    assert again.communicate()[0].startswith(f"error: {tmp_path}/new is not empty")
    assert again.returncode == 1


def test_chains_go_when_all_of_them_is_too_old(tmp_path: Path) -> None:
    now = datetime(2026, 6, 30, tzinfo=UTC)
    links = {
        "2026-04-01T00-00-00Z": None,
        "2026-04-02T00-00-00Z": "2026-04-01T00-00-00Z",
        "2026-05-20T00-00-00Z": None,
        "2026-05-26T00-00-00Z": "2026-05-20T00-00-00Z",  # of the last 35 days
        "2026-05-20T12-00-00Z": "2026-05-19T00-00-00Z",  # which is not there
    }
    for name, after in links.items():
        (tmp_path / name).mkdir()
        write_manifest(Backup(tmp_path / name, after, "1", 1, {}))
    (tmp_path / "other").mkdir()
    removed = prune(tmp_path, keep=MONTH, now=now)
    assert removed == ["2026-04-01T00-00-00Z", "2026-04-02T00-00-00Z", "2026-05-20T12-00-00Z"]
    assert names(tmp_path) == ["2026-05-20T00-00-00Z", "2026-05-26T00-00-00Z"]
    assert prune(tmp_path, keep=timedelta(0), now=now) == []  # never the newest
    assert (tmp_path / "other").is_dir()


def test_a_backup_removes_what_is_too_old(instance: Path, tmp_path: Path) -> None:
    old = make(instance, tmp_path).backup
    past = old.path.with_name((moment(old.name) - MONTH * 2).strftime("%Y-%m-%dT%H-%M-%SZ"))
    old.path.rename(past)
    made = make(instance, tmp_path)
    assert made.backup.kind == "full"
    assert made.removed == [past.name]
    assert names(tmp_path) == [made.backup.name]


@pytest.mark.parametrize(
    ("data_dir", "folder", "says"),
    [
        ("nowhere", "folder", "There is no instance in"),
        (".", "postgres/base", "is inside the database cluster"),
        (".", "secret_key", "is not a directory"),
    ],
)
def test_what_cannot_be_is_refused(instance: Path, data_dir: str, folder: str, says: str) -> None:
    before = sorted(instance.iterdir())
    with pytest.raises(EmbeddedError, match=says):
        make((instance / data_dir).resolve(), (instance / folder).resolve())
    assert sorted(instance.iterdir()) == before


def test_a_database_of_ones_own_is_not_ours_to_back_up(
    instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://stoneware_app@db.example/stoneware")
    with pytest.raises(EmbeddedError, match="with its own tools, and with it secret_key"):
        make(instance, tmp_path)


def test_two_backups_do_not_run_at_once(instance: Path, tmp_path: Path) -> None:
    said = f"Another backup runs in {tmp_path} .process {os.getpid()}."
    with held(tmp_path, "backup"), pytest.raises(DirectoryInUseError, match=said):
        make(instance, tmp_path)


def test_the_backups_of_another_instance_are_left_alone(instance: Path, tmp_path: Path) -> None:
    other = tmp_path / "2026-01-01T00-00-00Z"
    other.mkdir()
    write_manifest(Backup(other, None, "12", 1, {}))
    with pytest.raises(EmbeddedError, match="holds backups of another instance"):
        make(instance, tmp_path)
    assert read_backup(other).system == "12"
    failed = max((instance / "backups").glob("*.json"))
    assert "of another instance" in str(report(failed.parent, failed.stem)["detail"])


def test_an_instance_that_does_not_answer_is_named_with_its_process(
    instance: Path, tmp_path: Path
) -> None:
    directory = engines(instance).directory
    directory.open()
    try:
        said = f"in use by process {os.getpid()}, and its PostgreSQL does not answer"
        with pytest.raises(DirectoryInUseError, match=said):
            make(instance, tmp_path)
    finally:
        directory.close()
    assert names(tmp_path) == []


@as_root
def test_a_strangers_folder_is_refused(instance: Path, tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(DirectoryNotOursError, match="belongs to nobody, not to root"):
        make(instance, tmp_path)
    assert list(tmp_path.iterdir()) == []


@as_root
def test_a_full_disk_is_named_and_leaves_nothing(instance: Path, tmp_path: Path) -> None:
    script = (
        'mount -t tmpfs -o size=8m tmpfs "$1" && "$2" manage.py backup --data-dir "$3" --to "$1";'
        ' echo "rc $?"; ls "$1"'
    )
    words = ["unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path), sys.executable]
    ended = subprocess.run(
        [*words, str(instance)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "BACKUP_DIR"},
    )
    if "mount:" in ended.stderr:
        pytest.skip("this machine forbids mounting")
    assert ended.stderr == f"error: No space is left on the disk of {tmp_path}.\n"
    assert ended.stdout.split() == ["rc", "1", "backup.lock"]


@as_root
def test_without_user_namespaces_a_restored_cluster_is_nobodys(
    chain: tuple[list[Made], list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "user_namespaces_work", lambda: False)
    back = tmp_path / "back"
    bring_back(chain[0][1].backup.path, back)
    assert (postgres_directory(back) / "PG_VERSION").stat().st_uid == postgres.NOBODY
    with engines(back):
        assert ask(back, "SELECT count(*) FROM note") >= chain[1][1]
        assert make(back, tmp_path / "folder").backup.kind == "full"


def test_a_restore_that_fails_leaves_nothing(
    chain: tuple[list[Made], list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here PostgreSQL does not come up; what a killed one left before is swept."""
    left = tmp_path / "new.unfinished"
    (left / "postgres").mkdir(parents=True)
    (left / "VERSION").write_text("layout 99")
    monkeypatch.setitem(postgres.OPTIONS, "no_such_option", "1")
    with pytest.raises(EmbeddedError, match="PostgreSQL does not start"):
        bring_back(chain[0][0].backup.path, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
