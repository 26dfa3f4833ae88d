"""The restore drill: the newest backup is restored, started, looked through, and removed again."""

# ruff: noqa: S603 (every command is a list of our own words; no shell reads it)

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.db.migrations.loader import MigrationLoader
from django.template.defaultfilters import filesizeformat

from apps.core.embedded.backups.folder import held, names, next_name
from apps.core.embedded.backups.making import serving
from apps.core.embedded.backups.reports import reported
from apps.core.embedded.backups.restoring import restore
from apps.core.embedded.directory import explained
from apps.core.embedded.errors import EmbeddedError
from apps.core.embedded.paths import POSTGRES_DATABASE, PROJECT_ROOT
from apps.core.embedded.postgres import Postgres

SCRATCH: Final = "drill"
# What would lead a command away from the restored instance.
LEADING_AWAY: Final = {
    *("DATABASE_URL", "OWNER_DATABASE_URL", "OPERATOR_DATABASE_URL", "REDIS_URL"),
    *("BACKUP_DIR", "EXPORTS_DIR", "PROMETHEUS_MULTIPROC_DIR", "METRICS_ADDRESS"),
}
_APPLIED: Final = "SELECT app || '.' || name FROM django_migrations"


@dataclass
class Drill:
    """What a drill has found; ``seconds`` by step, ``problems`` a sentence each."""

    backup: str
    bytes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    migrations_applied: int = 0
    organizations: int = 0
    records: int = 0
    events: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def detail(self) -> str:
        """The report's line."""
        if self.problems:
            return f"{self.backup}: {'; '.join(self.problems)}"
        size = filesizeformat(self.bytes).replace("\xa0", " ")
        told = [
            f"{size} in {sum(self.seconds.values()):.0f} s",
            f"{_count(self.organizations, 'organization')}, {_count(self.records, 'record')}",
            "event logs whole",
        ]
        if self.migrations_applied:
            told.append(f"{_count(self.migrations_applied, 'newer migration')} went through")
        return "; ".join(told)


def drill(source: Path, reports: Path, *, durable: bool = True) -> Drill:
    """Restore the newest backup of ``source`` beside the reports and look whether all is there.

    What is wrong inside is among the drill's problems. Raises an ``EmbeddedError`` when it cannot
    be restored at all. Either way there is a report, and no restored instance any more.
    """
    with explained(reports), held(reports, "drill"):
        scratch = reports / SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)  # of a killed run
        name = f"{next_name(reports)}-{SCRATCH}"
        with reported(reports, name, kind="drill") as outcome, explained(reports):
            try:
                found = _look_through(newest(source), scratch, durable=durable)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
            outcome.ok, outcome.bytes = not found.problems, found.bytes
            outcome.detail = found.detail
    return found


def newest(source: Path) -> Path:
    """The newest backup there, whether or not it can be restored."""
    there = names(source) if source.is_dir() else []
    if not there:
        raise EmbeddedError(f"There is no backup in {source}: `manage.py backup` makes one.")
    return source / there[-1]


def _look_through(backup: Path, scratch: Path, *, durable: bool) -> Drill:
    restored = restore(backup, scratch, durable=durable)
    found = Drill(backup.name, bytes=restored.bytes, seconds=restored.seconds)
    with ExitStack() as stack:
        with restored.step("start"):
            postgres = stack.enter_context(serving(scratch, durable=durable))
        with restored.step("migrations"):
            _migrate(postgres, found)
        if not found.problems:
            with restored.step("counters"):
                counters = _ask(scratch, "verify_counters")
            with restored.step("event_logs"):
                logs = _ask(scratch, "verify_audit")
            found.organizations, found.records = counters["organizations"], counters["records"]
            found.events = logs["events"]
            found.problems += counters["problems"]
            if not logs["valid"]:
                found.problems.append(f"{logs['organization']}: {logs['problem']}")
    return found


def _migrate(postgres: Postgres, found: Drill) -> None:
    """Bring an older backup up to the code's migrations; one of newer code is a problem."""
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    applied = _applied(postgres)
    if strange := applied - known:
        found.problems.append(f"the code lacks the migration {min(strange)}: it is older")
        return
    if known - applied:
        _run(postgres.data_dir, "migrate", "--database", "owner", "--no-input")
        found.migrations_applied = len(_applied(postgres) - applied)


def _applied(postgres: Postgres) -> set[str]:
    return {*postgres.query(_APPLIED, database=POSTGRES_DATABASE).split()}


def _ask(scratch: Path, command: str) -> dict[str, Any]:
    """The answer of one of the operator's commands, also when it finds something wrong."""
    done = _run(scratch, command, "--json", may_fail=True)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise _failure(command, done) from error
    return answer


def _run(
    scratch: Path, command: str, *arguments: str, may_fail: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command on the restored instance."""
    environment = {name: text for name, text in os.environ.items() if name not in LEADING_AWAY}
    done = subprocess.run(
        [sys.executable, "manage.py", command, *arguments],
        cwd=PROJECT_ROOT,
        env=environment | {"STONEWARE_DATA_DIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode != 0 and not may_fail:
        raise _failure(command, done)
    return done


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _failure(command: str, done: subprocess.CompletedProcess[str]) -> EmbeddedError:
    said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
    return EmbeddedError(f"`manage.py {command}` failed on the restored instance: {said[-1]}")
