"""Migrations in a child process, and none at all when nothing can have changed.

Asking Django costs a second at every start. Two things decide the answer: the migrations that
the code knows and those that the database has. Both are noted after a successful run; while
both are as noted, there is nothing to apply.
"""

import json
import sys
from pathlib import Path

from apps.core.embedded.digests import digest_of
from apps.core.embedded.errors import EmbeddedError
from apps.core.embedded.paths import POSTGRES_DATABASE, PROJECT_ROOT, run_directory
from apps.core.embedded.postgres import Postgres
from apps.core.embedded.process import Process

APPLIED = "SELECT md5(string_agg(app || '.' || name, ',' ORDER BY id)) FROM django_migrations"


def migrate(*, data_dir: Path, postgres: Postgres | None) -> bool:
    """Apply what is missing and say whether anything was tried.

    ``postgres`` is the embedded server; without one (``DATABASE_URL``) Django is always asked.
    Raises ``PartFailedError`` when a migration fails; its log is ``migrate.log``.
    """
    note = run_directory(data_dir) / "migrations.json"
    if postgres and is_noted(note, postgres=postgres):
        return False
    command = [sys.executable, "manage.py", "migrate", "--database", "owner", "--no-input"]
    Process("migrate", command, data_dir=data_dir).run()
    if postgres:
        note.write_text(json.dumps({"known": known(), "applied": applied(postgres)}))
    return True


def is_noted(note: Path, *, postgres: Postgres) -> bool:
    """Whether code and database are as they were after the last run."""
    try:
        noted = json.loads(note.read_text())
        return bool(noted == {"known": known(), "applied": applied(postgres)})
    except (FileNotFoundError, ValueError, EmbeddedError):
        return False


def known() -> str:
    """A digest of our migrations' text and of the installed packages' names and versions."""
    return digest_of(PROJECT_ROOT.glob("apps/*/migrations/*.py"))


def applied(postgres: Postgres) -> str:
    """A digest of the migrations that the database has."""
    return postgres.query(APPLIED, database=POSTGRES_DATABASE)
