"""Records whose vectors point in nearly the same direction: by cosine similarity.

Exact wherever that is quick: without an index (``vector_indexes``) and where a filter keeps few
records. Else the index proposes and the full vectors decide the order; should it come back with
too few, all are looked at. Vectors of nothing but zeros have no direction and are never found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import InvalidError
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset, VectorSettings
from apps.datasets.values import Vector, as_vector
from apps.records.models import Record, RecordVector
from apps.search.conditions import Condition
from apps.search.vector_indexes import VectorIndex, direction, find_index

FEW: Final = 5_000  # records kept by a filter, up to which each one's vector is compared
EXPLORED: Final = 200  # candidates the index weighs up at a time; at most 1,000

# Filters differ a hundredfold in what they keep, so a plan for any values would suit few. For the
# rest of the transaction.
_TUNE: Final = """
SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
    set_config('hnsw.iterative_scan', 'relaxed_order', true),
    set_config('hnsw.ef_search', %(explored)s, true)
"""
# Compares every vector, whatever the index.
_EXACT: Final = """
SELECT v.record_id, v.embedding <=> %(near_query)s::vector AS distance
FROM record_vector v WHERE {mine} {matching}
ORDER BY distance, v.record_id LIMIT %(near_count)s
"""
# How many records match, up to one too many; and unless they are, the nearest of them.
_EXACT_OF_FEW: Final = """
WITH wanted AS MATERIALIZED (
    SELECT r.id FROM record r WHERE {of_dataset} LIMIT %(near_few)s + 1
), counted AS (SELECT count(*) AS matches FROM wanted)
SELECT counted.matches, near.record_id, near.distance
FROM counted LEFT JOIN LATERAL (
    SELECT v.record_id, v.embedding <=> %(near_query)s::vector AS distance
    FROM wanted JOIN record_vector v ON v.record_id = wanted.id
    WHERE counted.matches <= %(near_few)s AND {mine}
    ORDER BY distance, v.record_id LIMIT %(near_count)s
) near ON true ORDER BY near.distance, near.record_id
"""
# What the index covers, and its tail.
_APPROXIMATE: Final = """
WITH near AS (
    (SELECT v.record_id, v.embedding FROM record_vector v
    WHERE {mine} AND v.record_id <= '{last}' {matching}
    ORDER BY {direction} <=> %(near_query)s::halfvec({dimensions}) LIMIT %(near_reach)s)
    UNION ALL
    (SELECT v.record_id, v.embedding FROM record_vector v
    WHERE {mine} AND v.record_id > '{last}' {matching}
    ORDER BY v.embedding <=> %(near_query)s::vector LIMIT %(near_count)s))
SELECT record_id, embedding <=> %(near_query)s::vector AS distance
FROM near ORDER BY distance, record_id LIMIT %(near_count)s
"""
_OF_DATASET: Final = "r.organization_id = %(near_organization)s AND r.dataset_id = %(near_dataset)s"
_MATCHING: Final = (
    "AND EXISTS (SELECT FROM record r WHERE {of_dataset} AND r.id = v.record_id {offset})"
)

Hits = list[tuple[UUID, float]]


def vector_of(record: Record, settings: VectorSettings) -> Vector | None:
    """The record's stored vector, (dimensions,) float32, or None. One query."""
    rows = RecordVector.objects.filter(settings=settings, record=record)
    for embedding in rows.values_list("embedding", flat=True):
        return np.asarray(embedding, dtype=np.float32)
    return None


def nearest(
    *,
    dataset: Dataset,
    settings: VectorSettings,
    vector: Sequence[float] | NDArray[Any],
    count: int,
    matching: Condition | None = None,
    least: bool = False,
    without: UUID | None = None,
) -> Hits:
    """Up to ``count`` records with their cosine similarity (−1 to 1), the most similar first.

    Equal ones come in the order of their insertion. ``matching`` limits the records, ``without``
    leaves one out. ``least`` looks for the nearest to the opposite of ``vector``, and the
    similarities are those to the opposite. Three queries while there is no index, else up to five.

    Raises ``InvalidError`` for a vector of the wrong length, of no finite numbers or of zeros.
    """
    query = _query(settings, vector)
    if count < 1:
        return []
    search = _Search(dataset, settings, -query if least else query, count, matching, without)
    search.tune()
    index = find_index(settings.id)
    if index is None:
        return search.exact()
    if matching is not None:
        found = search.exact_of_few()
        if found is not None:
            return found
    found = search.approximate(index)
    return found if len(found) == count else search.exact()


def _query(settings: VectorSettings, given: Sequence[float] | NDArray[Any]) -> Vector:
    """The vector of length 1 in the given direction."""
    try:
        vector = as_vector(given)
    except InvalidError as error:
        raise InvalidError(f"vector with name={settings.name} {error.message}") from None
    if len(vector) != settings.dimensions:
        raise InvalidError(
            f"vector value for vector name={settings.name} must have {settings.dimensions}"
            f" elements, got {len(vector)} elements"
        )
    length = np.linalg.norm(vector.astype(np.float64))
    if length == 0:
        raise InvalidError(f"vector with name={settings.name} holds zeros alone: nothing is near")
    return (vector / length).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Search:
    """One search; each way of doing it is one statement."""

    dataset: Dataset
    settings: VectorSettings
    query: Vector
    count: int
    matching: Condition | None
    without: UUID | None

    @property
    def _reach(self) -> int:
        """How many the index is asked for: it meets them nearly in order, then they are sorted."""
        return self.count + 10

    def tune(self) -> None:
        explored = min(max(EXPLORED, self._reach), 1_000)
        raw_cursor().execute(_TUNE, {"explored": str(explored)})

    def exact(self) -> Hits:
        return _hits(self._run(_EXACT, matching=self._matching()))

    def exact_of_few(self) -> Hits | None:
        """None when the filter keeps too many."""
        rows = self._run(_EXACT_OF_FEW, of_dataset=self._of_dataset())
        if rows[0][0] > FEW:
            return None
        return _hits((id, distance) for _, id, distance in rows if id)

    def approximate(self, index: VectorIndex) -> Hits:
        # A subquery with OFFSET is asked for each candidate, instead of being gathered up.
        return _hits(
            self._run(
                _APPROXIMATE,
                matching=self._matching("OFFSET 0"),
                last=index.last,
                direction=direction(self.settings.dimensions, "v.embedding"),
                dimensions=self.settings.dimensions,
                near_reach=self._reach,
            )
        )

    def _run(self, statement: str, *, near_reach: int = 0, **parts: object) -> list[Any]:
        # The index is chosen only when the setting's id stands in the text.
        mine = (
            "v.organization_id = %(near_organization)s"
            f" AND v.settings_id = '{self.settings.id}'"
            " AND (%(near_without)s::uuid IS NULL OR v.record_id <> %(near_without)s)"
        )
        facts = {
            **(self.matching.params if self.matching else {}),
            "near_organization": current(),
            "near_dataset": self.dataset.id,
            "near_query": "[" + ",".join(map(str, self.query.tolist())) + "]",
            "near_count": self.count,
            "near_reach": near_reach,
            "near_few": FEW,
            "near_without": self.without,
        }
        return raw_cursor().execute(statement.format(mine=mine, **parts), facts).fetchall()

    def _matching(self, offset: str = "") -> str:
        if self.matching is None:
            return ""
        return _MATCHING.format(of_dataset=self._of_dataset(), offset=offset)

    def _of_dataset(self) -> str:
        return f"{_OF_DATASET} AND ({self.matching.sql})" if self.matching else _OF_DATASET


def _hits(rows: Any) -> Hits:
    """Distances to similarities; a vector of zeros is at no distance (NaN, sorted last)."""
    return [(id, 1 - distance) for id, distance in rows if not math.isnan(distance)]
