"""Filters as SQL conditions on a record."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Condition:
    """SQL that is true of the wanted records, over the alias ``r`` (a row of ``record``).

    It is always used with ``r.organization_id`` and ``r.dataset_id`` fixed beside it; ``params``
    are its named placeholders (``%(name)s``).
    """

    sql: str
    params: dict[str, Any] = field(default_factory=dict)
