"""Filters as SQL conditions on a record.

A filter on a row beside the record is an EXISTS, which PostgreSQL turns into a join from whichever
side is rarer. Only leakproof comparisons can use an index behind row-level security: metadata,
scores and the values of label and rating suggestions have one. Lists (multi-label suggestions,
their scores) and responses are JSON, looked at row by row: about 1 µs for each suggestion to the
question, or each response in the dataset.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from apps.datasets.schema import DatasetSchema
from apps.search.columns import Parameters, Scopes
from apps.search.query import EVERYBODY, Filter, Viewpoint


@dataclass(frozen=True)
class Condition:
    """SQL that is true of the wanted records, over the alias ``r`` (a row of ``record``).

    It is always used with ``r.organization_id`` and ``r.dataset_id`` fixed beside it; ``params``
    are its named placeholders (``%(name)s``).
    """

    sql: str
    params: dict[str, Any] = field(default_factory=dict)


def condition_for(
    schema: DatasetSchema, filters: Iterable[Filter], viewpoint: Viewpoint = EVERYBODY
) -> Condition | None:
    """All filters at once; None for none. Parameters are named ``filter_…``.

    Raises ``InvalidError`` for an unknown question or property, or a bound that is no number or
    no time where one is needed.
    """
    parameters = Parameters("filter")
    scopes = Scopes(schema, viewpoint, parameters)
    parts = [scopes.column(one.scope).condition(one) for one in filters]
    return Condition(" AND ".join(parts), parameters.values) if parts else None


def all_of(*conditions: Condition | None) -> Condition | None:
    """The conditions that there are, at once."""
    given = [condition for condition in conditions if condition is not None]
    if not given:
        return None
    params = {name: value for condition in given for name, value in condition.params.items()}
    return Condition(" AND ".join(f"({condition.sql})" for condition in given), params)
