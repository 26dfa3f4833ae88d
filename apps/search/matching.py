"""Everything that a search matches: as one condition, to count, to walk through, to list.

Words and likeness may both be needed, or either may do (``Matcher.either``). A likeness has a
bound, a cosine, so what matches is a set and not merely a ranking: it can be counted and
answered as a whole, however large. Listing shows the best ``SHOWN`` of a ranking; what has no
ranking is listed by key, as far as anybody scrolls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import numpy as np

from apps.core.errors import InvalidError
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import DatasetStatus, VectorSettings
from apps.datasets.schema import DatasetSchema
from apps.datasets.values import Vector
from apps.records.models import DatasetCounter
from apps.search.conditions import Condition, all_of, condition_for
from apps.search.hybrid import fuse
from apps.search.query import EVERYBODY, Filter, Viewpoint, Words
from apps.search.search import Page, search_records
from apps.search.similarity import nearest
from apps.search.words import word_query

SHOWN: Final = 1_000  # of a ranking that likeness takes part in
FIRST: Final = UUID(int=0)

_OF_DATASET: Final = "r.organization_id = %(organization)s AND r.dataset_id = %(dataset)s"
# A vector of zeros is at no distance (NaN), which lies between no bounds.
_NEAR: Final = (
    "r.id IN (SELECT v.record_id FROM record_vector v"
    " WHERE v.organization_id = %(like_organization)s AND v.settings_id = %(like_settings)s"
    " AND (%(like_record)s::uuid IS NULL OR v.record_id <> %(like_record)s::uuid)"
    " AND (v.embedding <=> %(like_query)s::vector)"
    " BETWEEN %(like_from)s::float8 AND %(like_to)s::float8)"
)
_ONLY: Final = "r.id = ANY (%(only_ids)s)"
_COSINES: Final = """
SELECT v.record_id, 1 - (v.embedding <=> %(query)s::vector) FROM record_vector v
WHERE v.organization_id = %(o)s AND v.settings_id = %(settings)s AND v.record_id = ANY(%(ids)s)
"""
_WITH_WORDS: Final = "SELECT record_id FROM rank_documents(%(d)s, %(words)s, %(ids)s, 0, NULL)"


@dataclass(frozen=True, slots=True)
class Near:
    """Likeness to a vector from the cosine ``bound`` on; the least similar up to it."""

    settings: VectorSettings
    vector: Vector
    bound: float
    least: bool = False
    without: UUID | None = None

    def condition(self) -> Condition:
        low, high = (1 - self.bound, 2.1) if self.least else (-0.1, 1 - self.bound)
        return Condition(
            _NEAR,
            {
                "like_organization": current(),
                "like_settings": self.settings.id,
                "like_record": self.without,
                "like_query": _literal(self.vector),
                "like_from": low,
                "like_to": high,
            },
        )

    def within(self, cosine: float) -> bool:
        return cosine <= self.bound if self.least else cosine >= self.bound


@dataclass(frozen=True, slots=True)
class Hit:
    """A record of a page: its cosine where there is one, and whether it has the words."""

    record_id: UUID
    cosine: float | None = None
    has_words: bool = False


@dataclass(frozen=True)
class Matcher:
    """Filters, words and a likeness over one dataset; ``either``: words or likeness will do.

    ``only`` names records one by one, ``upto`` the last one to be looked at.
    """

    schema: DatasetSchema
    filters: Sequence[Filter] = ()
    words: Words | None = None
    near: Near | None = None
    either: bool = False
    viewpoint: Viewpoint = EVERYBODY
    only: Sequence[UUID] | None = None
    upto: UUID | None = None

    @cached_property
    def filtered(self) -> Condition | None:
        only, upto = self.only, self.upto
        return all_of(
            condition_for(self.schema, self.filters, self.viewpoint),
            None if only is None else Condition(_ONLY, {"only_ids": list(only)}),
            None if upto is None else Condition("r.id <= %(upto)s", {"upto": upto}),
        )

    @cached_property
    def _word_query(self) -> Any:
        return word_query(self.schema, self.words) if self.words else None

    @cached_property
    def condition(self) -> Condition | None:
        """All of it; None where every record matches."""
        words = self._word_query.condition() if self._word_query else None
        near = self.near.condition() if self.near else None
        if self.either and words and near:
            both = Condition(f"{words.sql} OR {near.sql}", {**words.params, **near.params})
            return all_of(self.filtered, both)
        return all_of(self.filtered, words, near)

    @property
    def is_ranked(self) -> bool:
        return self.words is not None or self.near is not None

    # --- The set ------------------------------------------------------------------------------
    def count(self) -> int:
        """One statement."""
        if self.schema.dataset.status != DatasetStatus.READY:
            return 0
        if self.condition is None:
            counter = DatasetCounter.objects.filter(dataset=self.schema.dataset).first()
            return counter.records if counter else 0
        rows = self.select("SELECT count(*) FROM record r WHERE {matching}")
        return int(rows[0][0])

    def select(self, statement: str, **facts: Any) -> list[Any]:
        """Rows of a statement in which ``{matching}`` is true of the matching records ``r``."""
        sql = f"{_OF_DATASET} AND ({self.condition.sql})" if self.condition else _OF_DATASET
        known = {"organization": current(), "dataset": self.schema.dataset.id}
        params = {**(self.condition.params if self.condition else {}), **known, **facts}
        return raw_cursor().execute(statement.replace("{matching}", sql), params).fetchall()

    def ids_after(self, after: UUID, *, limit: int) -> list[UUID]:
        """The next matching ids in the order of insertion. One statement."""
        rows = self.select(
            "SELECT r.id FROM record r WHERE {matching} AND r.id > %(after)s"
            " ORDER BY r.id LIMIT %(limit)s",
            after=after,
            limit=limit,
        )
        return [row[0] for row in rows]

    # --- The list -----------------------------------------------------------------------------
    def page(self, *, offset: int = 0, after: UUID = FIRST, limit: int) -> list[Hit]:
        """A page of hits: from ``offset`` of a ranking, or ``after`` an id without one.

        Up to seven statements, one without words and likeness.
        """
        if self.schema.dataset.status != DatasetStatus.READY:
            return []
        if not self.is_ranked:
            return [Hit(id) for id in self.ids_after(after, limit=limit)]
        if self.near is None:
            found = self._by_words(Page(offset, limit))
            return [Hit(id, has_words=True) for id in found]
        if not self.either:
            ids = [id for id, _ in self._nearest(self.condition, offset + limit)][offset:]
        else:
            near = [id for id, _ in self._nearest(self.filtered, SHOWN)]
            ranking = fuse(self._by_words(Page(0, SHOWN)), near)
            ids = [id for id, _ in ranking[: min(offset + limit, SHOWN)]][offset:]
        return self._explain(ids)

    def _by_words(self, page: Page) -> list[UUID]:
        asked = {"words": self.words, "filters": self.filters, "viewpoint": self.viewpoint}
        found = search_records(schema=self.schema, page=page, **asked)  # type: ignore[arg-type]
        return [id for id, _ in found.hits]

    def _nearest(self, condition: Condition | None, count: int) -> list[tuple[UUID, float]]:
        near = self.near
        if near is None:
            return []
        found = nearest(
            dataset=self.schema.dataset,
            settings=near.settings,
            vector=near.vector,
            count=min(count, SHOWN),
            matching=condition,
            least=near.least,
            without=near.without,
        )
        sign = -1 if near.least else 1
        return [(id, sign * cosine) for id, cosine in found if near.within(sign * cosine)]

    def _explain(self, ids: list[UUID]) -> list[Hit]:
        """Cosine and words of each. Two statements."""
        near = self.near
        if not ids or near is None:
            return []
        facts = {"o": current(), "d": self.schema.dataset.id, "ids": ids}
        query = {"query": _literal(near.vector), "settings": near.settings.id}
        cosines = dict(raw_cursor().execute(_COSINES, {**facts, **query}).fetchall())
        worded: set[UUID] = set()
        if self._word_query is not None:
            words = {"words": self._word_query.text}
            worded = {row[0] for row in raw_cursor().execute(_WITH_WORDS, {**facts, **words})}
        return [Hit(id, cosines.get(id), id in worded) for id in ids]


def unit(vector: Any) -> Vector:
    """The vector at length 1. Raises ``InvalidError`` for zeros, which point nowhere."""
    given = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(given))
    if not length:
        raise InvalidError("a vector of zeros has no direction")
    return (given / length).astype(np.float32)


def _literal(vector: Vector) -> str:
    return "[" + ",".join(map(str, vector.tolist())) + "]"
