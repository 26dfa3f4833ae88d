"""The database roles, and the few functions that run with the rights of another."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from tests.core.test_tenancy_contract import APP, ask

pytestmark = pytest.mark.django_db(databases=["default", "owner"])

Cursor = Any
DEFINER_FUNCTIONS = {
    "count_documents": "stoneware_search",
    "find_api_key": "stoneware_operator",
    "find_domain": "stoneware_operator",
    "find_invitation": "stoneware_operator",
    "find_member": "stoneware_operator",
    "find_memberships": "stoneware_operator",
    "find_only_organization": "stoneware_operator",
    "find_organization": "stoneware_operator",
    "is_invited": "stoneware_operator",
    "prune_events": "stoneware_owner",
    "rank_documents": "stoneware_search",
    "take_invoice_number": "stoneware_operator",
}


@pytest.fixture
def owner() -> Iterator[Cursor]:
    """The owner's connection, which may open a function; the test takes it back."""
    with connections["owner"].cursor() as cursor:
        yield cursor


def test_the_application_owns_nothing_and_is_nobody_special(owner: Cursor) -> None:
    attributes = (
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
        " FROM pg_roles WHERE rolname = %(r)s"
    )
    assert ask(owner, attributes, r=APP) == [(False,) * 5]
    assert not ask(owner, "SELECT FROM pg_auth_members WHERE member = %(r)s::regrole", r=APP)
    owned = (  # here or in the cluster; another database's suite makes its temporary tables
        "SELECT FROM pg_shdepend WHERE refobjid = %(r)s::regrole AND deptype = 'o' AND dbid IN"
        " (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
    )
    assert not ask(owner, owned, r=APP)
    for schema in ("public", "pg_catalog"):
        may = "SELECT has_schema_privilege(%(r)s, %(s)s, 'CREATE')"
        assert ask(owner, may, r=APP, s=schema) == [(False,)]


def test_only_the_operator_passes_the_walls(owner: Cursor) -> None:
    passing = ask(
        owner,
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'stoneware%%'"
        " AND (rolsuper OR rolbypassrls)",
    )
    assert passing == [("stoneware_operator",)]


def test_outside_an_organization_the_text_of_the_error_is_readable(owner: Cursor) -> None:
    settings = ask(
        owner,
        "SELECT setrole::regrole::text, setconfig FROM pg_db_role_setting WHERE setrole <> 0",
    )
    told = {
        role for role, given in settings if given == ["app.organization_id=no organization entered"]
    }
    assert {"stoneware_app", "stoneware_owner"} <= told


def definer_faults(cursor: Cursor) -> list[str]:
    """Functions that run with their owner's rights: known, with a path nobody can step into."""
    rows = ask(
        cursor,
        "SELECT p.proname::text, p.proowner::regrole::text, p.proconfig::text[],"
        " ARRAY(SELECT coalesce(r.rolname, 'PUBLIC')::text FROM aclexplode(p.proacl) a"
        " LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE a.grantee <> p.proowner ORDER BY 1)"
        " FROM pg_proc p WHERE p.prosecdef"
        " AND p.pronamespace NOT IN ('pg_catalog'::regnamespace,"
        " 'information_schema'::regnamespace)",
    )
    faults = []
    for name, function_owner, configuration, callers in rows:
        if DEFINER_FUNCTIONS.get(name) != function_owner:
            faults.append(f"{name} of {function_owner} is not on the list")
        path = [c for c in configuration or () if c.startswith("search_path=")]
        if path != ["search_path=pg_catalog, public, pg_temp"]:
            faults.append(f"{name} has the path {path}")
        if not set(callers) <= {APP, "stoneware_operator"} or APP not in callers:
            faults.append(f"{name} may be called by {callers}")
    return faults


def test_functions_with_other_rights_are_few_and_closed(owner: Cursor) -> None:
    assert definer_faults(owner) == []


@pytest.mark.parametrize(
    "harm",
    [
        "CREATE FUNCTION peep() RETURNS int LANGUAGE sql SECURITY DEFINER"
        " SET search_path = pg_catalog, public, pg_temp AS 'SELECT 1'",
        "SET LOCAL ROLE stoneware_operator; ALTER FUNCTION find_organization RESET search_path",
        "SET LOCAL ROLE stoneware_operator; GRANT EXECUTE ON FUNCTION find_organization TO PUBLIC",
        "SET LOCAL ROLE stoneware_operator; ALTER FUNCTION find_organization"
        " SET search_path = public, pg_temp",
    ],
)
def test_an_open_function_is_caught(owner: Cursor, harm: str) -> None:
    for statement in harm.split("; "):
        owner.execute(statement)
    assert definer_faults(owner) != []


def test_a_temporary_table_cannot_stand_in_for_a_real_one(db: None) -> None:
    """Whoever can run SQL as the application must not run code as the operator."""
    with connections["default"].cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE organization (id uuid, slug text, name text)")
        cursor.execute("INSERT INTO pg_temp.organization VALUES (uuidv7(), 'ghost', 'Ghost')")
        assert ask(cursor, "SELECT * FROM find_organization('ghost')") == []
