"""Look-ups on the hot paths through prepared statements.

The ORM composes its SQL anew for each query, which costs several times what PostgreSQL needs to
answer it. Here the text is made once and the server keeps its plan. Same transaction, same tenant.
"""

import json
from functools import cache
from typing import Any, TypeVar, cast

import psycopg
from django.db import connection, models

from apps.core.tenancy import current

_M = TypeVar("_M", bound=models.Model)


def raw_cursor() -> psycopg.Cursor[Any]:
    """A cursor in Django's current transaction, whose ``execute`` returns the cursor itself.

    Connections bind on the server and prepare (settings), so a statement asked twice has a plan.
    """
    return cast("psycopg.Cursor[Any]", connection.cursor())


def fetch(model: type[_M], condition: str, **values: Any) -> list[_M]:
    """Rows of the entered organization as model instances.

    ``condition`` is constant SQL with named placeholders, such as ``id = %(id)s``, and may end in
    an ORDER BY. One statement.
    """
    statement, documents = _select(model)
    rows = raw_cursor().execute(
        f"{statement} AND {condition}",
        {"organization_id": current(), **values},
    )
    return [_instance(model, row, documents) for row in rows]


def fetch_one(model: type[_M], condition: str, **values: Any) -> _M | None:
    """The first such row, or None."""
    found = fetch(model, condition, **values)
    return found[0] if found else None


@cache
def _select(model: type[models.Model]) -> tuple[str, tuple[int, ...]]:
    """The SELECT without its condition, and which columns hold JSON."""
    fields = model._meta.concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    documents = tuple(n for n, field in enumerate(fields) if isinstance(field, models.JSONField))
    table = model._meta.db_table
    return (
        f'SELECT {columns} FROM "{table}" WHERE organization_id = %(organization_id)s',  # noqa: S608
        documents,
    )


def _instance(model: type[_M], row: tuple[Any, ...], documents: tuple[int, ...]) -> _M:
    values = list(row)
    for position in documents:  # Django's connections leave JSON as text
        if values[position] is not None:
            values[position] = json.loads(values[position])
    names = [field.attname for field in model._meta.concrete_fields]
    return model.from_db("default", names, values)
