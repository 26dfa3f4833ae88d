"""Rounds: work that is found in all organizations, and done inside one after the other."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from django.db import connections

_T = TypeVar("_T")

logger = logging.getLogger(__name__)


def find(statement: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of all organizations, by column; asked as the operator."""
    with connections["operator"].cursor() as cursor:
        cursor.execute(statement, parameters)
        columns = [column.name for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def for_each(places: Iterable[Mapping[str, Any]], work: Callable[..., _T]) -> list[_T]:
    """What ``work(**place)`` returns for each place, e.g. an organization and a dataset.

    What fails at one is logged: it must not keep the others from theirs.
    """
    done = []
    for place in places:
        try:
            done.append(work(**place))
        except Exception:
            where = ", ".join(f"{key.removesuffix('_id')} {id}" for key, id in place.items())
            logger.exception("%s.%s failed for %s", work.__module__, work.__qualname__, where)
    return done
