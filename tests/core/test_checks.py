"""Nothing is served by a database role that row-level security does not bind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery.signals import worker_init
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections

from apps.core.checks import REFUSED, refuse_unsafe_role, role_attributes, role_is_walled_in
from apps.core.embedded.paths import POSTGRES_SUPERUSER, PROJECT_ROOT

pytestmark = pytest.mark.django_db

UNSAFE = [
    (POSTGRES_SUPERUSER, "is a superuser", "stoneware.E001"),
    ("stoneware_operator", "has BYPASSRLS", "stoneware.E001"),
    ("stoneware_owner", "owns tables of tenants", "stoneware.E002"),
    ("stoneware_search", "owns tables of tenants", "stoneware.E002"),
]
# The role of the search tables never logs in; the others are tried for real.
LOGINS = [case for case in UNSAFE if case[0] != "stoneware_search"]


@contextmanager
def connected_as(user: str) -> Iterator[None]:
    """The default connection with another role's log-in, through the same socket."""
    usual = connections["default"]
    other = connections.create_connection("default")
    other.settings_dict = {**usual.settings_dict, "USER": user}
    connections["default"] = other
    try:
        yield
    finally:
        other.close()
        connections["default"] = usual


def test_the_applications_role_passes() -> None:
    assert role_attributes("default") == ("stoneware_app", False, False)
    assert role_is_walled_in(databases=["default"]) == []
    call_command("check", databases=["default"])
    refuse_unsafe_role()


@pytest.mark.parametrize(("user", "reason", "code"), LOGINS)
def test_a_role_that_passes_the_walls_is_an_error(user: str, reason: str, code: str) -> None:
    with connected_as(user):
        (error,) = role_is_walled_in(databases=["default"])
        assert (error.id, error.level) == (code, 40)
        assert f"{user} {reason}" in error.msg
        assert "stoneware_app" in str(error.hint)
        with pytest.raises(SystemCheckError, match=reason):
            call_command("check", databases=["default"])


def test_a_member_of_an_owner_is_an_error_too() -> None:
    """The owner of the search documents never logs in, but its members read past the policy."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_has_role('stoneware_owner', 'stoneware_search', 'USAGE')")
        assert cursor.fetchone() == (True,)


def test_other_databases_are_not_asked() -> None:
    with connected_as(POSTGRES_SUPERUSER):
        assert role_is_walled_in(databases=["owner"]) == []
        assert role_is_walled_in(databases=None) == []


def test_the_check_of_a_missing_database_is_left_to_whoever_connects() -> None:
    with connected_as("nobody_of_this_name"):
        assert role_is_walled_in(databases=["default"]) == []


def test_a_server_does_not_trust_a_database_that_does_not_answer(capsys) -> None:
    usual = dict(connections["default"].settings_dict)
    connections["default"].settings_dict["HOST"] = "/nowhere"
    connections.settings["default"]["HOST"] = "/nowhere"
    try:
        with pytest.raises(SystemExit) as ended:
            refuse_unsafe_role(patience=0)
    finally:
        connections.settings["default"]["HOST"] = usual["HOST"]
    assert ended.value.code == REFUSED
    assert capsys.readouterr().err.startswith("error: The database does not answer: ")


def start(*command: str, user: str) -> subprocess.CompletedProcess[str]:
    """A command as production runs it, with a database URL of this role."""
    database = connections["default"].settings_dict
    url = f"postgresql://{user}@/{database['NAME']}?host={database['HOST']}"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.development"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=PROJECT_ROOT,
        env={**environment, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


SERVERS = {
    "web": ["-c", "import config.wsgi; print('serving')"],
    "gunicorn": ["-m", "gunicorn", "config.wsgi", "--bind", "127.0.0.1:0", "--no-control-socket"],
    "all of them": ["-m", "config.processes", "--listener", "0", "--schedule", "/dev/null"],
    "worker": ["-m", "celery", "--app", "config", "--skip-checks", "worker", "--pool", "threads"],
}


@pytest.mark.parametrize("server", SERVERS)
def test_no_server_starts_with_a_superuser(server: str) -> None:
    done = start(*SERVERS[server], user=POSTGRES_SUPERUSER)
    assert done.returncode != 0
    assert "serving" not in done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines == [
        "error: The database role postgres is a superuser: row-level security would not apply to"
        " it. Connect as a role made with NOSUPERUSER NOBYPASSRLS, such as stoneware_app."
    ]
    assert "Traceback" not in done.stderr


def test_web_starts_with_the_applications_role() -> None:
    done = start(*SERVERS["web"], user="stoneware_app")
    assert (done.returncode, done.stdout) == (0, "serving\n"), done.stderr


def test_the_worker_asks_before_it_begins() -> None:
    asking = [receiver for _, receiver in worker_init.receivers if receiver]
    assert any("refuse_unsafe_role" in repr(receiver) for receiver in asking)
