"""What must stand before anything is served: the wall between organizations, and static files."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import OperationalError

# gunicorn gives up on an application that ends with this code, instead of starting it anew.
REFUSED = 4
HINT = "Connect as a role made with NOSUPERUSER NOBYPASSRLS, such as stoneware_app."

NOT_COLLECTED = ["CVS", ".*", "*~"]  # what collectstatic passes over


@register(Tags.database)
def role_is_walled_in(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Refuse a database role that row-level security does not bind."""
    if "default" not in (databases or []):
        return []
    try:
        return _faults(connections["default"])
    except OperationalError:
        return []  # no database yet; connecting will say so more clearly


def refuse_unsafe_role(*, patience: float = 30) -> None:
    """End the process, with one line that says why, unless its database role is walled in.

    Called where web and worker begin to serve. A database that does not answer is waited for,
    ``patience`` seconds: nothing is served on trust. Uses a connection of its own, so that no pool
    is opened before a server forks.
    """
    connection = connections.create_connection("default")
    given = connection.settings_dict
    options = {name: given["OPTIONS"][name] for name in given["OPTIONS"] if name != "pool"}
    connection.settings_dict = {**given, "OPTIONS": options}
    deadline = time.monotonic() + patience
    while True:
        try:
            faults = [f"{fault.msg} {fault.hint}" for fault in _faults(connection)]
            break
        except OperationalError as error:
            if time.monotonic() > deadline:
                faults = [f"The database does not answer: {str(error).splitlines()[0]}"]
                break
            time.sleep(0.5)
        finally:
            connection.close()
    if faults:
        sys.stderr.write(f"error: {faults[0]}\n")
        raise SystemExit(REFUSED)


def refuse_missing_static_files() -> None:
    """End the process, with one line that says why, when pages would ask for what is not there.

    Where static files have names that tell their content, each page with one that nobody has
    collected would fail.
    """
    collected = getattr(staticfiles_storage, "hashed_files", None)
    if collected is None:
        return
    files = (name for finder in get_finders() for name, _ in finder.list(NOT_COLLECTED))
    missing = next((name for name in files if name not in collected), None)
    if missing is not None:
        sys.stderr.write(
            f"error: The static file {missing} has not been collected. Run"
            " `manage.py collectstatic --no-input`, here and after each update.\n"
        )
        raise SystemExit(REFUSED)


def role_attributes(alias: str) -> tuple[str, bool, bool]:
    """The connected role's name, whether it is a superuser, whether it bypasses RLS."""
    return _attributes(connections[alias])


def _faults(connection: BaseDatabaseWrapper) -> list[CheckMessage]:
    name, superuser, bypasses = _attributes(connection)
    if superuser or bypasses:
        reason = "is a superuser" if superuser else "has BYPASSRLS"
        code = "stoneware.E001"
    elif _owns_walled_tables(connection):
        reason, code = "owns tables of tenants", "stoneware.E002"
    else:
        return []
    message = f"The database role {name} {reason}: row-level security would not apply to it."
    return [Error(message, hint=HINT, id=code)]


def _attributes(connection: BaseDatabaseWrapper) -> tuple[str, bool, bool]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        row = cursor.fetchone()
    return str(row[0]), bool(row[1]), bool(row[2])


def _owns_walled_tables(connection: BaseDatabaseWrapper) -> bool:
    """Whether the role is an owner of one, or a member of its owner."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_class"
            " WHERE relrowsecurity AND pg_has_role(relowner, 'USAGE'))"
        )
        return bool(cursor.fetchone()[0])
