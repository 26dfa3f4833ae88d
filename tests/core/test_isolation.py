"""The operation that walls a table in: the SQL it writes, and that it leaves the state alone."""

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, migrations, models
from django.db.migrations.loader import MigrationLoader

from apps.core.fields import TenantKey, TenantLink
from apps.core.isolation import Isolate
from tests.core.test_tenancy_contract import RULES, tenant_tables


@pytest.mark.django_db(databases=["default", "owner"])
def test_a_new_table_comes_out_walled_in() -> None:
    """Made as a migration makes it, then held against the contract of every table."""
    before = MigrationLoader(connections["owner"]).project_state()
    create = migrations.CreateModel(
        "Trial",
        fields=[
            ("id", models.UUIDField(primary_key=True)),
            ("organization", TenantLink("organizations.Organization", related_name="+")),
            ("record", TenantLink("records.Record", related_name="+")),
            (
                "author",
                TenantLink(
                    "organizations.Membership",
                    database_delete="SET NULL",
                    null=True,
                    related_name="+",
                ),
            ),
            (
                "user",
                TenantLink(
                    "organizations.Membership", database_delete="NO ACTION", related_name="+"
                ),
            ),
        ],
        options={"db_table": "trial"},
    )
    isolate = Isolate("Trial")
    after = before.clone()
    create.state_forwards("records", after)
    unchanged = after.clone()
    isolate.state_forwards("records", unchanged)
    assert unchanged.models["records", "trial"] == after.models["records", "trial"]

    owner = connections["owner"]
    with owner.cursor() as cursor:  # keys on walled tables are checked under the wall
        cursor.execute("SELECT set_config('app.organization_id', uuidv7()::text, true)")
    with owner.schema_editor(atomic=False) as editor:
        create.database_forwards("records", editor, before, after)
        isolate.database_forwards("records", editor, after, unchanged)
    with owner.cursor() as cursor:
        assert "trial" in tenant_tables(cursor)
        assert [fault for rule in RULES for fault in rule(cursor, "trial")] == []
        assert [fault for rule in RULES for fault in rule(cursor, "record")] == []
    with owner.schema_editor(atomic=False) as editor:
        isolate.database_backwards("records", editor, unchanged, after)
        create.database_backwards("records", editor, after, before)


def test_it_says_what_it_does() -> None:
    assert Isolate("Record").describe() == "Isolate the rows of Record by organization"
    assert Isolate("Record").reversible


@pytest.mark.parametrize(
    "field",
    [
        TenantLink("records.Record", related_name="+"),
        TenantLink("records.Record", database_delete="SET NULL", null=True),
        TenantLink("records.Record", constrained=False, related_name="+"),
        TenantKey("records.Record", related_name="+"),
    ],
)
def test_a_link_survives_its_migration(field: Any) -> None:
    _, path, args, kwargs = field.deconstruct()
    again = type(field)(*args, **kwargs)
    assert again.deconstruct()[1:] == (path, args, kwargs)
    assert again.database_delete == field.database_delete
    assert again.constrained == field.constrained
    assert (again.db_constraint, again.remote_field.on_delete) == (False, models.DO_NOTHING)
    assert not {"on_delete", "db_constraint", "db_index", "primary_key"} & set(kwargs)


@pytest.mark.django_db(databases=["default", "owner"])
def test_models_and_migrations_say_the_same() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
