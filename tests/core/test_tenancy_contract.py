"""What the catalogue must say of every table of a tenant.

The tables are found in PostgreSQL, not in a list: a new one is checked from its first migration.
Each rule is shown to catch a table that breaks it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connections, models

from apps.core.fields import TenantKey, TenantLink

pytestmark = pytest.mark.django_db(databases=["default", "owner"])

Cursor = Any
APP = "stoneware_app"
TENANT_RULE = "({column} = (current_setting('app.organization_id'::text))::uuid)"

# Tables without a tenant: log-ins, sessions and what Django keeps about itself.
GLOBAL_APPS = {"auth", "contenttypes", "sessions", "account", "users", "mfa", "usersessions"}
GLOBAL_APPS |= {"socialaccount", "admin", "sites"}
# What nobody may change or remove, but for the cascade and the retention.
APPEND_ONLY = {"event", "event_seal"}
# Tables of the host in apps that otherwise have tenants.
GLOBAL_TABLES = {"announcement", "deletion_certificate", "invoice_counter"}
# Owned by the role of the search functions, which passes the policy; everybody else does not.
OWNERS = {"record_search": "stoneware_search"}
# Uniques that span organizations: the id of a random UUID, and the name in the address.
GLOBAL_UNIQUES = {"organization_pkey", "organization_slug_key", "organization_domain_unique"}
# Other indexes that do not begin with the organization, each with who reads across them.
CROSSING_INDEXES = {
    "invitation_digest": "find_invitation, before the tenant is known",
    "invitation_email": "is_invited, before the tenant is known",
    "api_key_digest": "find_api_key, before the tenant is known",
    "membership_user": "find_memberships, before the tenant is known",
    "idempotent_request_expiry": "the operator's sweep over expired answers",
    "lease_expiry": "the operator's sweep over expired leases",
    "response_version_age": "the operator's sweep over old versions of answers",
    "job_waiting": "the operator's sweep over waiting jobs",
    "llm_attempt_age": "the operator's sweep over calls whose worker died",
    "llm_batch_due": "the operator's look for batches that are due",
    "record_search_document": "the search function, with a lexeme of the dataset",
    "organization_slug": "find_organization, before the tenant is known",
    "organization_domain": "find_domain, before the tenant is known",
}

# Copies of what the row's other key implies: no key of their own, and why that is enough.
COPIES = {"record_task.dataset_id": "the record's; both are written by one statement"}


@pytest.fixture
def owner() -> Iterator[Cursor]:
    """The owner's connection, which may make a bad table; the test takes it back."""
    with connections["owner"].cursor() as cursor:
        yield cursor


def ask(cursor: Cursor, sql: str, **values: Any) -> list[tuple[Any, ...]]:
    cursor.execute(sql, values)
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def tenant_tables(cursor: Cursor) -> list[str]:
    rows = ask(
        cursor,
        "SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p')"
        " AND c.relnamespace = 'public'::regnamespace AND (c.relname = 'organization' OR EXISTS ("
        "SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'organization_id'"
        " AND NOT a.attisdropped)) ORDER BY 1",
    )
    return [row[0] for row in rows]


def tenant_column(table: str) -> str:
    return "id" if table == "organization" else "organization_id"


# --- The rules: each returns what is wrong with a table ------------------------------------------


def column_is_given(cursor: Cursor, table: str) -> list[str]:
    ((type, required),) = ask(
        cursor,
        "SELECT format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
        " WHERE attrelid = %(t)s::regclass AND attname = %(c)s",
        t=table,
        c=tenant_column(table),
    )
    return [] if (type, required) == ("uuid", True) else [f"{type}, required: {required}"]


def wall_stands(cursor: Cursor, table: str) -> list[str]:
    ((enabled, forced, owner),) = ask(
        cursor,
        "SELECT relrowsecurity, relforcerowsecurity, relowner::regrole::text FROM pg_class"
        " WHERE oid = %(t)s::regclass",
        t=table,
    )
    wanted = (True, table not in OWNERS, OWNERS.get(table, "stoneware_owner"))
    found = (enabled, forced, owner)
    return [] if found == wanted else [f"enabled, forced, owner: {found}, not {wanted}"]


def policy_is_the_rule(cursor: Cursor, table: str) -> list[str]:
    policies = ask(
        cursor,
        "SELECT polpermissive, polcmd::text, polroles::text, pg_get_expr(polqual, polrelid),"
        " pg_get_expr(polwithcheck, polrelid) FROM pg_policy WHERE polrelid = %(t)s::regclass",
        t=table,
    )
    rule = TENANT_RULE.format(column=tenant_column(table))
    wanted = [(True, "*", "{0}", rule, rule)]
    return [] if policies == wanted else [f"policies: {policies}"]


def _indexes(cursor: Cursor, table: str) -> list[tuple[Any, ...]]:
    """``(name, is primary, is unique, first column)`` of each index."""
    return ask(
        cursor,
        "SELECT i.indexrelid::regclass::text, i.indisprimary, i.indisunique, a.attname"
        " FROM pg_index i LEFT JOIN pg_attribute a"
        " ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " WHERE i.indrelid = %(t)s::regclass",
        t=table,
    )


def key_leads_with_organization(cursor: Cursor, table: str) -> list[str]:
    primary = [first for _, is_primary, _, first in _indexes(cursor, table) if is_primary]
    wanted = [tenant_column(table)]
    return [] if primary == wanted else [f"primary key leads with {primary}"]


def uniques_lead_with_organization(cursor: Cursor, table: str) -> list[str]:
    return [
        f"unique {name} leads with {first}"
        for name, _, is_unique, first in _indexes(cursor, table)
        if is_unique and first != "organization_id" and name not in GLOBAL_UNIQUES
    ]


def indexes_lead_with_organization(cursor: Cursor, table: str) -> list[str]:
    return [
        f"index {name} leads with {first}"
        for name, _, is_unique, first in _indexes(cursor, table)
        if not is_unique
        and first != "organization_id"
        and not any(name == known or name.startswith(f"{known}_") for known in CROSSING_INDEXES)
    ]


def _foreign_keys(cursor: Cursor, table: str) -> list[dict[str, Any]]:
    names = "name", "parent", "columns", "parent_columns", "rule", "deferred", "valid", "nulled"
    columns = (
        "(SELECT array_agg(a.attname::text ORDER BY k.n)"
        " FROM unnest(c.{key}) WITH ORDINALITY k (number, n)"
        " JOIN pg_attribute a ON a.attrelid = c.{table} AND a.attnum = k.number)"
    )
    own = columns.format(key="conkey", table="conrelid")
    others = columns.format(key="confkey", table="confrelid")
    nulled = columns.format(key="confdelsetcols", table="conrelid")
    rows = ask(
        cursor,
        f"SELECT c.conname::text, c.confrelid::regclass::text, {own}, {others},"  # noqa: S608
        f" c.confdeltype::text, c.condeferrable AND c.condeferred, c.convalidated, {nulled}"
        " FROM pg_constraint c WHERE c.conrelid = %(t)s::regclass AND c.contype = 'f'",
        t=table,
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def foreign_keys_stay_inside(cursor: Cursor, table: str) -> list[str]:
    """Composite and led by the organization; what the database does not cascade, it defers."""
    walled = set(tenant_tables(cursor))
    faults = []
    for key in _foreign_keys(cursor, table):
        if key["parent"] not in walled:
            continue
        name, wide = key["name"], len(key["columns"]) > 1
        leads = (key["columns"][0], key["parent_columns"][0])
        to_organization = key["parent"] == "organization"
        if leads != ("organization_id", "id" if to_organization else "organization_id"):
            faults.append(f"{name} leads with {leads}")
        if wide == to_organization:
            faults.append(f"{name} is not composite")
        if key["rule"] not in "acn" or (key["rule"] == "a" and not key["deferred"]):
            faults.append(f"{name} would stop the deletion of an organization")
        if key["rule"] == "n" and "organization_id" in (key["nulled"] or ["organization_id"]):
            faults.append(f"{name} would forget the organization")
        if not key["valid"]:
            faults.append(f"{name} was never checked")
    return faults


def goes_with_its_organization(cursor: Cursor, table: str) -> list[str]:
    """Deleting an organization reaches the table, whatever lies between."""
    walled = set(tenant_tables(cursor))
    cascades = [k for k in _foreign_keys(cursor, table) if k["rule"] == "c"]
    reached = table == "organization" or any(key["parent"] in walled for key in cascades)
    return [] if reached else ["no foreign key that cascades from a tenant table"]


def grants_are_exact(cursor: Cursor, table: str) -> list[str]:
    rows = ask(
        cursor,
        "SELECT coalesce(r.rolname, 'PUBLIC')::text, a.privilege_type, a.is_grantable"
        " FROM pg_class c, aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee"
        " WHERE c.oid = %(t)s::regclass AND a.grantee <> c.relowner"
        " UNION ALL SELECT 'column ' || attname, attacl::text, true FROM pg_attribute"
        " WHERE attrelid = %(t)s::regclass AND attacl IS NOT NULL",
        t=table,
    )
    words = ("SELECT", "INSERT", "UPDATE", "DELETE")[: 2 if table in APPEND_ONLY else 4]
    wanted = {(role, word, False) for role in (APP, "stoneware_operator") for word in words}
    return [f"grant {grant}" for grant in sorted(set(rows) ^ wanted)]


RULES: list[Callable[[Cursor, str], list[str]]] = [
    column_is_given,
    wall_stands,
    policy_is_the_rule,
    key_leads_with_organization,
    uniques_lead_with_organization,
    indexes_lead_with_organization,
    foreign_keys_stay_inside,
    goes_with_its_organization,
    grants_are_exact,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_table_of_a_tenant_obeys(owner: Cursor, rule: Callable[..., list[str]]) -> None:
    tables = tenant_tables(owner)
    assert len(tables) > 20
    assert {t: faults for t in tables if (faults := rule(owner, t))} == {}


GOOD = """
CREATE TABLE trial (organization_id uuid NOT NULL, id uuid, record_id uuid, user_id uuid,
    PRIMARY KEY (organization_id, id),
    CONSTRAINT link FOREIGN KEY (organization_id, record_id)
        REFERENCES record (organization_id, id) ON DELETE CASCADE);
ALTER TABLE trial ENABLE ROW LEVEL SECURITY;
ALTER TABLE trial FORCE ROW LEVEL SECURITY;
CREATE POLICY trial_tenant ON trial
    USING (organization_id = current_setting('app.organization_id')::uuid)
    WITH CHECK (organization_id = current_setting('app.organization_id')::uuid);
"""
RELINK = "ALTER TABLE trial DROP CONSTRAINT link, ADD CONSTRAINT link FOREIGN KEY "
COMPOSITE = "(organization_id, record_id) REFERENCES record (organization_id, id)"
BROKEN = {
    "ALTER TABLE trial DROP CONSTRAINT trial_pkey; "
    "ALTER TABLE trial ALTER organization_id DROP NOT NULL": column_is_given,
    "ALTER TABLE trial DISABLE ROW LEVEL SECURITY": wall_stands,
    "ALTER TABLE trial NO FORCE ROW LEVEL SECURITY": wall_stands,
    "ALTER TABLE trial OWNER TO stoneware_search": wall_stands,
    "DROP POLICY trial_tenant ON trial": policy_is_the_rule,
    "ALTER POLICY trial_tenant ON trial WITH CHECK (true)": policy_is_the_rule,
    "ALTER POLICY trial_tenant ON trial USING (true)": policy_is_the_rule,
    "ALTER POLICY trial_tenant ON trial TO stoneware_app": policy_is_the_rule,
    "CREATE POLICY more ON trial FOR SELECT USING (id IS NOT NULL)": policy_is_the_rule,
    "ALTER TABLE trial DROP CONSTRAINT trial_pkey, ADD PRIMARY KEY (id, organization_id)": (
        key_leads_with_organization
    ),
    "ALTER TABLE trial ADD UNIQUE (user_id)": uniques_lead_with_organization,
    "CREATE UNIQUE INDEX ON trial (lower(user_id::text))": uniques_lead_with_organization,
    "CREATE INDEX ON trial (user_id)": indexes_lead_with_organization,
    "ALTER TABLE trial DROP CONSTRAINT link": goes_with_its_organization,
    f"{RELINK} {COMPOSITE}": foreign_keys_stay_inside,
    f"{RELINK} {COMPOSITE} ON DELETE RESTRICT": foreign_keys_stay_inside,
    f"{RELINK} {COMPOSITE} ON DELETE SET NULL": foreign_keys_stay_inside,
    f"{RELINK} {COMPOSITE} ON DELETE CASCADE NOT VALID": foreign_keys_stay_inside,
    "CREATE UNIQUE INDEX lone ON record (id); "
    f"{RELINK} (record_id) REFERENCES record (id) ON DELETE CASCADE": foreign_keys_stay_inside,
    "GRANT TRUNCATE ON trial TO stoneware_app": grants_are_exact,
    "GRANT SELECT ON trial TO PUBLIC": grants_are_exact,
    "GRANT SELECT (id) ON trial TO stoneware_search": grants_are_exact,
    "REVOKE DELETE ON trial FROM stoneware_app": grants_are_exact,
}


@pytest.mark.parametrize(("harm", "rule"), BROKEN.items())
def test_a_table_that_breaks_a_rule_is_caught(
    owner: Cursor, harm: str, rule: Callable[..., list[str]]
) -> None:
    # A key on a walled table is checked under the wall: here, as nobody in particular.
    owner.execute("SELECT set_config('app.organization_id', uuidv7()::text, true)")
    owner.execute(GOOD)
    assert "trial" in tenant_tables(owner)
    assert [fault for each in RULES for fault in each(owner, "trial")] == []
    for statement in harm.split("; "):
        owner.execute(statement)
    assert rule(owner, "trial") != []


def test_no_table_is_forgotten(owner: Cursor) -> None:
    """Every model is walled in or global by name, and every table belongs to a model."""
    walled, everything = set(tenant_tables(owner)), set()
    for model in apps.get_models(include_auto_created=True):
        table, label = model._meta.db_table, model._meta.app_label
        everything.add(table)
        everywhere = label in GLOBAL_APPS or table in GLOBAL_TABLES
        assert (table in walled) != everywhere, f"{model} is not walled in"
    rows = ask(
        owner,
        "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p', 'v', 'm', 'f')",
    )
    assert {name for name, _ in rows} - everything == {"django_migrations"}
    assert {kind for _, kind in rows} == {"r"}, "a view would need security_invoker"


def test_every_relation_of_a_model_is_a_composite_key(owner: Cursor) -> None:
    for model in apps.get_models():
        table = model._meta.db_table
        if table not in tenant_tables(owner):
            continue
        keys = {tuple(k["columns"]): k["parent"] for k in _foreign_keys(owner, table)}
        for field in model._meta.local_fields:
            related = field.related_model
            if not isinstance(related, type) or field.column == "organization_id":
                continue
            assert issubclass(related, models.Model)
            parent = related._meta.db_table
            if parent in tenant_tables(owner):
                assert isinstance(field, TenantLink | TenantKey), f"{field} is no TenantLink"
                if not field.constrained:
                    assert f"{table}.{field.column}" in COPIES
                    continue
                assert keys.get(("organization_id", field.column)) == parent, f"{field} has no key"
