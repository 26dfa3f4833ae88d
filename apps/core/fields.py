"""Field types and defaults shared by all tables."""

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db import models

_ST = TypeVar("_ST")
_GT = TypeVar("_GT")


# Marks that turn what stands behind them, and what ends them.
_TURNING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")


class _Unturned:
    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)  # type: ignore[misc]
        return _TURNING.sub("", value) if isinstance(value, str) else value

    def deconstruct(self) -> Any:
        """To migrations it is a ``CharField``."""
        name, _, args, kwargs = super().deconstruct()  # type: ignore[misc]
        return name, "django.db.models.CharField", args, kwargs


if TYPE_CHECKING:  # Django's own has no parameters while it runs

    class LineField(_Unturned, models.CharField[_ST, _GT]): ...

else:

    class LineField(_Unturned, models.CharField):
        """A name, or another line of text that stands among others.

        It is kept, and looked for, without the marks that would show what follows it backwards.
        """


class TenantLink(models.ForeignKey[_ST, _GT]):
    """A foreign key between tenant tables.

    Django knows the relation; the database enforces it through the composite key that
    ``core.isolation.Isolate`` adds, whose ``database_delete`` rule is the one that counts.
    ``constrained=False`` is for a copy of what another key of the row implies already, as a
    record's dataset on the rows beside the record: checking it again would cost each insert.
    """

    def __init__(
        self,
        to: Any,
        *,
        database_delete: str = "CASCADE",
        constrained: bool = True,
        **kwargs: Any,
    ) -> None:
        self.database_delete = database_delete
        self.constrained = constrained
        super().__init__(to, **_without_constraint(kwargs), db_index=False)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        kwargs = {key: kwargs[key] for key in kwargs if key not in _IMPLIED}
        if self.database_delete != "CASCADE":
            kwargs["database_delete"] = self.database_delete
        if not self.constrained:
            kwargs["constrained"] = False
        return name, path, args, kwargs


class TenantKey(models.OneToOneField[_ST, _GT]):
    """The key of a row that lies beside exactly one parent row and goes with it."""

    database_delete = "CASCADE"
    constrained = True

    def __init__(self, to: Any, **kwargs: Any) -> None:
        super().__init__(to, **_without_constraint(kwargs), primary_key=True)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, {key: kwargs[key] for key in kwargs if key not in _IMPLIED}


_IMPLIED = {"on_delete", "db_constraint", "db_index", "primary_key"}


def _without_constraint(kwargs: dict[str, Any]) -> dict[str, Any]:
    kept = {key: kwargs[key] for key in kwargs if key not in _IMPLIED}
    return {**kept, "on_delete": models.DO_NOTHING, "db_constraint": False}
