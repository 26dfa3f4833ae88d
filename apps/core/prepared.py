"""Look-ups on the hot paths through prepared statements.

The ORM composes its SQL anew for each query, which costs several times what PostgreSQL needs to
answer it. Here the text is made once and the server keeps its plan. Same transaction, same tenant.
"""

import json
from collections.abc import Sequence
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
    rows = raw_cursor().execute(
        f"{_select(model)} AND {condition}", {"organization_id": current(), **values}
    )
    return [build(model, row) for row in rows]


def fetch_one(model: type[_M], condition: str, **values: Any) -> _M | None:
    """The first such row, or None."""
    found = fetch(model, condition, **values)
    return found[0] if found else None


@cache
def columns(model: type[models.Model], alias: str) -> str:
    """The model's columns as a SELECT names them, in the order in which ``build`` takes them."""
    return ", ".join(f'{alias}."{field.column}"' for field in model._meta.concrete_fields)


@cache
def _select(model: type[models.Model]) -> str:
    table = model._meta.db_table
    return (
        f'SELECT {columns(model, "t")} FROM "{table}" t'  # noqa: S608  (constant text)
        " WHERE t.organization_id = %(organization_id)s"
    )


@cache
def _names(model: type[models.Model]) -> tuple[list[str], list[int]]:
    """The attributes of a row in order, and the positions of those that hold JSON."""
    fields = model._meta.concrete_fields
    documents = [n for n, field in enumerate(fields) if isinstance(field, models.JSONField)]
    return [field.attname for field in fields], documents


def build(model: type[_M], row: Sequence[Any]) -> _M:
    """The model instance of a row of ``columns``."""
    names, documents = _names(model)
    values = list(row)
    for position in documents:  # Django's connections leave JSON as text
        if values[position] is not None:
            values[position] = json.loads(values[position])
    return model.from_db("default", names, values)
