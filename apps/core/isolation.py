"""The migration operation that walls a table in."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Model

from apps.core.fields import TenantKey, TenantLink

APP_ROLE = "stoneware_app"
OPERATOR_ROLE = "stoneware_operator"


class Isolate(Operation):
    """Give a new tenant table its composite key, its composite foreign keys and its policy.

    ``top`` marks a table with no tenant parent: it references the organization itself.
    ``owner`` hands the table to another role, which then passes its policy (search only).
    ``tenant_column`` is ``id`` for the organization's own table.
    The model state does not change, so ``makemigrations --check`` stays quiet.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self,
        model: str,
        *,
        top: bool = False,
        owner: str | None = None,
        tenant_column: str = "organization_id",
    ) -> None:
        self.model = model
        self.top = top
        self.owner = owner
        self.tenant_column = tenant_column

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Nothing: the database knows more than Django's state does."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model)
        # Ordinary foreign keys wait for the end of the migration, when the wall would hide the
        # rows they must check: they go first.
        while schema_editor.deferred_sql:
            schema_editor.execute(schema_editor.deferred_sql.pop(0), params=None)
        for statement in self._statements(model):
            schema_editor.execute(statement)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Nothing: the table itself is dropped next."""

    def describe(self) -> str:
        return f"Isolate the rows of {self.model} by organization"

    def _statements(self, model: type[Model]) -> list[str]:
        table = model._meta.db_table
        statements = []
        key = model._meta.pk.column if model._meta.pk else None
        if len(model._meta.pk_fields) == 1 and key not in {"organization_id", self.tenant_column}:
            statements += [
                f'ALTER TABLE "{table}" DROP CONSTRAINT "{table}_pkey"',
                f'ALTER TABLE "{table}" ADD PRIMARY KEY (organization_id, "{key}")',
            ]
        for field in model._meta.local_fields:
            linked = isinstance(field, TenantLink | TenantKey) and field.constrained
            if linked and field.column != "organization_id":
                statements += _composite_key(table, field)
        if self.top:
            statements += _organization_key(table)
        return statements + self._policy(table)

    def _policy(self, table: str) -> list[str]:
        rule = f"{self.tenant_column} = current_setting('app.organization_id')::uuid"
        statements = [
            f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
            f'CREATE POLICY "{table}_tenant" ON "{table}" USING ({rule}) WITH CHECK ({rule})',
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO {APP_ROLE}, {OPERATOR_ROLE}',
        ]
        if self.owner is None:
            return [*statements, f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY']
        return [*statements, f'ALTER TABLE "{table}" OWNER TO {self.owner}']


def _composite_key(table: str, field: Any) -> list[str]:
    """The foreign key ``(organization_id, column)``; the parent's wall is lifted meanwhile.

    Under FORCE the owner sees no row of the parent, so PostgreSQL could not check the new key.
    """
    parent = field.related_model._meta.db_table
    column = field.column
    rule = {
        "CASCADE": "ON DELETE CASCADE",
        "SET NULL": f'ON DELETE SET NULL ("{column}")',
        "NO ACTION": "DEFERRABLE INITIALLY DEFERRED",
    }[field.database_delete]
    return [
        f'ALTER TABLE "{parent}" NO FORCE ROW LEVEL SECURITY',
        f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_{column}_fkey" '
        f'FOREIGN KEY (organization_id, "{column}") '
        f'REFERENCES "{parent}" (organization_id, "{field.target_field.column}") {rule}',
        f'ALTER TABLE "{parent}" FORCE ROW LEVEL SECURITY',
    ]


def _organization_key(table: str) -> list[str]:
    return [
        "ALTER TABLE organization NO FORCE ROW LEVEL SECURITY",
        f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_organization_id_fkey" '
        "FOREIGN KEY (organization_id) REFERENCES organization (id) ON DELETE CASCADE",
        "ALTER TABLE organization FORCE ROW LEVEL SECURITY",
    ]
