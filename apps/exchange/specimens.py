"""A row of each table of tenants, full of a mark: what the walk for leaks looks for.

``fill`` goes by what the models say, so a new table is in it without being named here. It runs
inside the organization; ``forget`` takes organization and accounts away again.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID, uuid4

from django.apps import apps
from django.db import DatabaseError, connections, models, transaction
from django.utils import timezone

from apps.core.fields import TenantKey, TenantLink
from apps.users.models import User


def _tables() -> list[type[models.Model]]:
    """Models of tenants whose rows have an id of their own."""
    return [
        model
        for model in apps.get_models()
        if any(one.column == "organization_id" for one in model._meta.local_fields)
        and model._meta.pk_fields
        and model._meta.pk_fields[0].name == "id"
    ]


def find_ids() -> dict[str, UUID]:
    """The id of one row of each table that has any, by the table's name."""
    found = {}
    for model in _tables():
        row = model._default_manager.order_by("pk").values_list("pk", flat=True).first()
        if row is not None:
            found[model._meta.db_table] = row
    return found


def fill(mark: str) -> None:
    """Add a row of each table that has none, as far as its rules allow one.

    Twice over all tables: the first round may make what the second needs.
    """
    for _ in range(2):
        ids = find_ids()
        for model in _tables():
            if model._meta.db_table not in ids:
                _try_row(model, mark, ids)


def _try_row(model: type[models.Model], mark: str, ids: Mapping[str, UUID]) -> None:
    values = {}
    for one in model._meta.local_concrete_fields:
        optional = one.null or one.has_default() or not one.column
        if not optional:
            values[one.attname] = _value(one, mark, ids)
    try:
        with transaction.atomic():
            model(**values).save(force_insert=True)
    except (DatabaseError, ValueError, TypeError):
        return  # it has rules of its own; an id that nobody has will stand for its rows


def _value(one: Any, mark: str, ids: Mapping[str, UUID]) -> Any:
    """Something of the column's type, with the mark where there is room for it."""
    if isinstance(one, TenantLink | TenantKey):
        return ids.get(one.related_model._meta.db_table, uuid4())
    if one.choices:
        return one.choices[0][0]
    return next(
        (make(mark) for kind, make in _MADE if isinstance(one, kind)),
        mark[: one.max_length] if getattr(one, "max_length", None) else mark,
    )


_MADE: Final[tuple[tuple[Any, Any], ...]] = (
    (models.UUIDField, lambda mark: uuid4()),
    (models.DateTimeField, lambda mark: timezone.now()),
    (models.DateField, lambda mark: timezone.now().date()),
    (models.JSONField, lambda mark: {"text": mark}),
    (models.BinaryField, lambda mark: mark.encode()),
    (models.BooleanField, lambda mark: False),
    (models.DecimalField | models.IntegerField | models.FloatField, lambda mark: 1),
)


# --- And away again ------------------------------------------------------------------------------
def forget(organization_id: UUID, users: Iterable[UUID]) -> None:
    """Delete the organization with everything in it, and the accounts with what hangs on them."""
    with connections["operator"].cursor() as cursor:
        cursor.execute("DELETE FROM organization WHERE id = %s", [organization_id])
    ids = list(users)
    with transaction.atomic(), connections["default"].cursor() as cursor:
        for relation in User._meta.related_objects:
            table, column = relation.related_model._meta.db_table, relation.field.column
            if table != "membership":  # these have gone with the organization
                cursor.execute(f'DELETE FROM "{table}" WHERE "{column}" = ANY(%s)', [ids])
        cursor.execute("DELETE FROM user_account WHERE id = ANY(%s)", [ids])
