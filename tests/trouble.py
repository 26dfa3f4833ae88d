"""A database that refuses one organization what it does for others."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from apps.organizations.models import Organization


@contextmanager
def refusing(organization: Organization, verb: str, table: str) -> Iterator[None]:
    """INSERT into the table, or DELETE from it, fails for the organization's rows."""
    row = "OLD" if verb == "DELETE" else "NEW"
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN RAISE 'out of order'; END $$;
            CREATE TRIGGER refuse BEFORE {verb} ON {table} FOR EACH ROW
            WHEN ({row}.organization_id = '{organization.id}') EXECUTE FUNCTION refuse()
            """
        )
        try:
            yield
        finally:
            cursor.execute("DROP FUNCTION refuse() CASCADE")
