"""Finding an object by its id, or saying that there is none."""

from typing import Final, TypeVar
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet

from apps.core.errors import NotFoundError

_Row = TypeVar("_Row", bound=Model)
_WIRE_NAMES: Final = {"Membership": "User"}


def find(rows: QuerySet[_Row], id: UUID) -> _Row:
    """The row with this id. Raises ``NotFoundError`` with the contract's text."""
    try:
        return rows.get(pk=id)
    except ObjectDoesNotExist:
        name = rows.model.__name__
        raise NotFoundError(f"{_WIRE_NAMES.get(name, name)} with id `{id}` not found") from None
