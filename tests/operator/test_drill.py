"""The restore drill on an instance of its own, from the shell as a cron job runs it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from apps.core.embedded.backups.making import back_up
from apps.core.embedded.backups.manifest import DamagedBackupError
from apps.core.embedded.paths import PROJECT_ROOT, socket_directory
from apps.core.embedded.services import Services
from apps.operator.backups import read_reports
from apps.operator.drill import drill

HIDDEN = {"DATABASE_URL", "OWNER_DATABASE_URL", "OPERATOR_DATABASE_URL", "REDIS_URL", "SECRET_KEY"}
PLANT = "from apps.operator.planting import plant; plant('Acme')"


def manage(data_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: text for name, text in os.environ.items() if name not in HIDDEN}
    inherited["DJANGO_SETTINGS_MODULE"] = "config.settings.development"
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=PROJECT_ROOT,
        env=inherited | {"STONEWARE_DATA_DIR": str(data_dir)},
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An instance with an organization whose event log is sealed."""
    path = tmp_path_factory.mktemp("running")
    with Services(path, durable=False):
        for words in (
            ("migrate", "--database", "owner", "--no-input"),
            ("shell", "-c", PLANT),
            ("verify_audit",),
        ):
            done = manage(path, *words)
            assert done.returncode == 0, done.stderr
        yield path


@pytest.fixture(scope="module")
def folder(running: Path) -> Path:
    return running / "backups"


def make(running: Path) -> str:
    keep = timedelta(days=35)
    folder = running / "backups"
    return back_up(running, folder, full=False, keep=keep, durable=False).backup.name


def tamper(running: Path, *statements: str) -> None:
    """As someone who can do anything to the database, and no trigger notices."""
    host = str(socket_directory(running))
    with psycopg.connect(host=host, user="postgres", dbname="stoneware") as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())


def drilled(running: Path) -> tuple[int, dict[str, Any], str]:
    """Its exit code, its answer, and its complaint; and nothing is left of it."""
    done = manage(running, "restore_drill", "--json")
    left = [path.name for path in (running / "backups").iterdir() if path.name[0] != "2"]
    assert sorted(left) == ["backup.lock", "drill.lock"]
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


OLDER = (
    "DELETE FROM django_migrations"
    " WHERE (app, name) = ('socialaccount', '0006_alter_socialaccount_extra_data')"
)
NEWER = "INSERT INTO django_migrations (app, name, applied) VALUES ('records', '0999_x', now())"
COUNTER = "UPDATE record_volume SET records = records + 5"
EVENT = (
    """UPDATE event SET payload = '{"changed": true}'"""
    " WHERE id = (SELECT min(id::text)::uuid FROM event)"
)


def test_a_drill_finds_all_there_and_what_was_tampered_with(
    running: Path, folder: Path, settings: Any
) -> None:
    tamper(running, OLDER)
    first = make(running)
    code, told, complaint = drilled(running)
    assert (code, told["ok"], told["problems"]) == (0, True, []), complaint
    assert (told["backup"], told["organizations"], told["migrations_applied"]) == (first, 1, 1)
    assert told["records"] > 0
    assert told["events"] > 0
    steps = {"check", "copy", "recovery", "start", "migrations", "counters", "event_logs"}
    assert {*told["seconds"]} == steps

    tamper(running, COUNTER, EVENT)
    second = make(running)
    code, told, complaint = drilled(running)
    assert (code, told["ok"], told["backup"]) == (1, False, second)
    volume, log = told["problems"]
    assert "records are there, and" in volume
    assert "an event under seal 1 was changed" in log
    assert volume in complaint

    settings.BACKUP_DIR = folder
    bad, _, good, _ = reports = read_reports()
    assert [(one.kind, one.ok) for one in reports] == [
        *(("drill", False), ("backup", True), ("drill", True), ("backup", True))
    ]
    assert bad.detail == f"{second}: {volume}; {log}"
    assert re.search(
        r"^[\d.]+ MB in \d+ s; 1 organization, \d+ records; event logs whole; "
        "1 newer migration went through$",
        good.detail,
    )


def test_a_backup_of_newer_code_fails_the_drill(running: Path, folder: Path) -> None:
    tamper(running, NEWER)
    make(running)
    found = drill(folder, folder, durable=False)
    (problem,) = found.problems
    assert "lacks the migration records.0999_x" in problem
    assert not (folder / "drill").exists()


def test_a_damaged_backup_fails_the_drill(running: Path, folder: Path) -> None:
    path = folder / make(running)
    (path / "files/secret_key").write_text("x")
    with pytest.raises(DamagedBackupError, match="files/secret_key is damaged"):
        drill(folder, folder, durable=False)
    report = json.loads(max(folder.glob("*-drill.json")).read_text())
    assert report["ok"] is False
    assert "files/secret_key is damaged" in report["detail"]


def test_a_counter_of_a_dataset_is_looked_at_too(running: Path) -> None:
    tamper(running, "UPDATE dataset_counter SET records = records + 1")
    done = manage(running, "verify_counters", "--json")
    assert done.returncode == 1
    (problem,) = (one for one in json.loads(done.stdout)["problems"] if "dataset" in one)
    assert problem.endswith(": 4 records (1 completed) are there, and 5 (1) are counted")


def test_without_a_backup_there_is_nothing_to_drill(running: Path, tmp_path: Path) -> None:
    done = manage(running, "restore_drill", "--from", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "There is no backup in" in done.stderr
    assert "`manage.py backup` makes one" in done.stderr
