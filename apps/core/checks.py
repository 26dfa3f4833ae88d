"""System checks: the wall between organizations must be standing before anything is served."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections
from django.db.utils import OperationalError


@register(Tags.database)
def role_is_walled_in(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Refuse a database role that row-level security does not bind."""
    if "default" not in (databases or []):
        return []
    try:
        name, superuser, bypasses = role_attributes("default")
    except OperationalError:
        return []  # no database yet; connecting will say so more clearly
    if not superuser and not bypasses:
        return []
    attribute = "is a superuser" if superuser else "has BYPASSRLS"
    return [
        Error(
            f"The database role {name} {attribute}: row-level security would not apply to it.",
            hint="Connect as a role made with NOSUPERUSER NOBYPASSRLS, such as stoneware_app.",
            id="stoneware.E001",
        )
    ]


def role_attributes(alias: str) -> tuple[str, bool, bool]:
    """The connected role's name, whether it is a superuser, whether it bypasses RLS."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        row = cursor.fetchone()
    return str(row[0]), bool(row[1]), bool(row[2])
