"""An order as text, as it stands in an address: ``score.intent``, ``-meta.price``.

- ``oldest``: as inserted; ``certainty``: what models are least certain of comes first
- ``score.<question>``, ``meta.<property>``: the lowest comes first, with ``-`` before it the
  highest; records without a value come last
"""

from typing import Any, Final

from apps.core.errors import InvalidError
from apps.datasets.schema import DatasetSchema
from apps.search.columns import Parameters, Scopes
from apps.search.query import MetadataScope, Scope, SuggestionScope, Viewpoint

OLDEST: Final = "oldest"
CERTAINTY: Final = "certainty"

_OF_TASK: Final = (
    "(SELECT t.certainty FROM record_task t"
    " WHERE t.organization_id = r.organization_id AND t.record_id = r.id)"
)


def sort_names(schema: DatasetSchema, viewpoint: Viewpoint) -> list[str]:
    """The orders that a person may choose, each once: the lowest first."""
    scores = [f"score.{name}" for name in schema.questions]
    properties = [f"meta.{name}" for name in schema.properties if name not in viewpoint.hidden]
    return [OLDEST, CERTAINTY, *scores, *properties]


def order_of(schema: DatasetSchema, text: str, viewpoint: Viewpoint) -> tuple[str, dict[str, Any]]:
    """What comes after ``ORDER BY``, over the record ``r``, and its parameters.

    Raises ``InvalidError`` for what is no order of this dataset.
    """
    name = text.removeprefix("-")
    if name not in sort_names(schema, viewpoint):
        raise InvalidError(f"there is no order {text[:100]!r}")
    if name == OLDEST:
        return "r.id", {}
    if name == CERTAINTY:
        return f"{_OF_TASK}, r.id", {}
    parameters = Parameters("sort")
    column = Scopes(schema, viewpoint, parameters).column(_scope(name))
    return f"{column.order(descending=text.startswith('-'))}, r.id", parameters.values


def _scope(name: str) -> Scope:
    kind, _dot, rest = name.partition(".")
    return MetadataScope(rest) if kind == "meta" else SuggestionScope(rest, "score")
