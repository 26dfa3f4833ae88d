"""Look-ups on the hot paths through prepared statements.

The ORM composes its SQL anew for each query, which costs several times what PostgreSQL needs to
answer it. Here the text is made once and the server keeps its plan. Same transaction, same tenant.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, TypeVar, cast

import orjson
import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections, models

from apps.core.tenancy import current

_M = TypeVar("_M", bound=models.Model)


def raw_cursor() -> psycopg.Cursor[Any]:
    """A cursor in Django's current transaction, whose ``execute`` returns the cursor itself.

    Connections bind on the server and prepare (settings), so a statement asked twice has a plan.
    """
    return cast("psycopg.Cursor[Any]", connection.cursor())


def execute(statement: str, values: Mapping[str, Any]) -> psycopg.Cursor[Any]:
    """Execute a hot statement in Django's current transaction, at less cost than its cursors.

    The statement is constant SQL with named placeholders; how it reads is worked out once, however
    long it is. Raises what Django's cursors raise.
    """
    django = connections[DEFAULT_DB_ALIAS]
    if django.queries_logged or django.execute_wrappers:
        return raw_cursor().execute(statement, values)
    django.ensure_connection()
    django.validate_no_broken_transaction()
    text, names = _numbered(statement)
    with django.wrap_database_errors:
        cursor = psycopg.RawCursor(django.connection)
        return cursor.execute(text, [values[name] for name in names])


@lru_cache(maxsize=512)
def _numbered(statement: str) -> tuple[bytes, list[str]]:
    """The statement with PostgreSQL's own placeholders, and whose values they are."""
    names: dict[str, str] = {}
    text = re.sub(
        r"%\((\w+)\)s|%%",
        lambda found: names.setdefault(found[1], f"${len(names) + 1}") if found[1] else "%",
        statement,
    )
    return text.encode(), list(names)


def as_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Many rows as one value, for ``json_to_recordset``: cheaper than an array for each column.

    Bytes, decimals, ids and times become what PostgreSQL reads as such.
    """
    return orjson.dumps(list(rows), default=_as_text).decode()


def _as_text(value: Any) -> str:
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


def fetch(model: type[_M], condition: str, **values: Any) -> list[_M]:
    """Rows of the entered organization as model instances.

    ``condition`` is constant SQL with named placeholders, such as ``id = %(id)s``, and may end in
    an ORDER BY. One statement.
    """
    rows = execute(f"{_select(model)} AND {condition}", {"organization_id": current(), **values})
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
