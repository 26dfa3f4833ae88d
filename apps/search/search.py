"""The records of a dataset that match words, filters and likenesses, page by page.

Every write is found by the very next search: there is no index to refresh. Orders:

- by ``sort``, where given; records without a value come last;
- words without ``sort``: by score, equal ones in the order of insertion. Of more than ``RANKED``
  matches the first ones are ranked, the others follow in order and have no score;
- likeness: by similarity, ``sort`` is not asked;
- otherwise in the order of insertion, or shuffled: at random, but always the same for one member.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from apps.core.errors import InvalidError
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import Dataset, DatasetStatus, VectorSettings
from apps.datasets.schema import DatasetSchema
from apps.records.models import DatasetCounter, Record
from apps.search.columns import Parameters, Scopes
from apps.search.conditions import Condition, all_of, condition_for
from apps.search.hybrid import fuse
from apps.search.query import EVERYBODY, Filter, Similar, Sort, Viewpoint, Words
from apps.search.similarity import Hits, nearest, vector_of
from apps.search.words import WordQuery, word_query

RANKED: Final = 5_000
MOST_SIMILAR: Final = 1_000  # further ones are never given
FUSED: Final = 200  # at least so many of each ranking are fused
FEW: Final = 20_000  # matches that are gathered before they are put in order

_OF_DATASET: Final = "r.organization_id = %(organization)s AND r.dataset_id = %(dataset)s"
_COUNT: Final = "SELECT count(*) FROM record r WHERE {of_dataset}"
# The page is read off the index, unless so few match that it would have to be read to the end.
_PAGE: Final = """
WITH hits AS {materialized} (SELECT r.id FROM record r WHERE {of_dataset})
SELECT id, NULL FROM hits ORDER BY {tie} OFFSET %(offset)s LIMIT %(limit)s
"""
# A record's keys are looked up one by one, or joined to it to be read off their index.
_SORTED_PAGE: Final = """
SELECT r.id, NULL FROM record r {join} WHERE {of_dataset}
ORDER BY {order}, r.id OFFSET %(offset)s LIMIT %(limit)s
"""
_JOIN: Final = "JOIN {source} ON {rows} AND {key} IS NOT NULL"
_COUNT_DOCUMENTS: Final = "SELECT count_documents(%(dataset)s, %(words)s, %(at_most)s)"
_DOCUMENTS_IN_ORDER: Final = """
SELECT record_id, NULL FROM rank_documents(%(dataset)s, %(words)s, NULL, %(offset)s, %(limit)s)
"""
_RANK: Final = """
WITH chosen AS MATERIALIZED ({chosen}), hits AS MATERIALIZED ({found})
SELECT (SELECT count(*) FROM chosen), counted.total, page.id, page.score
FROM (SELECT count(*) AS total FROM hits) counted
LEFT JOIN (
    SELECT id, score FROM hits ORDER BY score DESC, {tie} OFFSET %(offset)s LIMIT %(limit)s
) page ON true ORDER BY score DESC, {tie}
"""
_FIRST_DOCUMENTS: Final = """
SELECT record_id AS id, score FROM rank_documents(%(dataset)s, %(words)s, NULL, 0, %(ranked)s)
"""
# Few records pass the filter, and are asked for the words …
_CHOSEN: Final = "SELECT r.id FROM record r WHERE {of_dataset} LIMIT %(ranked)s + 1"
_RANK_CHOSEN: Final = """
SELECT record_id AS id, score FROM rank_documents(%(dataset)s, %(words)s,
    ARRAY (SELECT id FROM chosen), 0, NULL)
WHERE (SELECT count(*) FROM chosen) <= %(ranked)s
"""
# … or few documents have the words, and each of them is asked for the filter …
_FILTER_DOCUMENTS: Final = f"""
SELECT r.id, d.score FROM ({_FIRST_DOCUMENTS}) d JOIN record r ON r.id = d.id
WHERE {{of_dataset}}
"""
# … or many do both.
_DOCUMENTS_AMONG: Final = """
SELECT record_id AS id, score FROM rank_documents(%(dataset)s, %(words)s,
    ARRAY (SELECT r.id FROM record r WHERE {of_dataset}), 0, NULL)
"""


class MissingVectorError(InvalidError):
    """The record that others should be similar to has no such vector."""


@dataclass(frozen=True, slots=True)
class Found:
    """One page: ids with their scores, None where nothing was scored; ``total`` of all pages."""

    total: int
    hits: Sequence[tuple[UUID, float | None]]


NOTHING: Final = Found(0, ())


@dataclass(frozen=True, slots=True)
class Page:
    offset: int = 0
    limit: int = 50


FIRST_PAGE: Final = Page()


@dataclass(frozen=True, slots=True)
class Fusion:
    """Words and a likeness, each with its own ranking, put into one by reciprocal rank."""

    words: Words | None = None
    similar: Similar | None = None


def search_records(
    *,
    schema: DatasetSchema,
    words: Words | None = None,
    similar: Similar | None = None,
    fusion: Fusion | None = None,
    filters: Sequence[Filter] = (),
    sort: Sequence[Sort] = (),
    viewpoint: Viewpoint = EVERYBODY,
    shuffled_for: UUID | None = None,
    page: Page = FIRST_PAGE,
) -> Found:
    """The records that match all that is asked; nothing in a draft.

    Raises ``InvalidError`` for a name that the dataset does not know, ``MissingVectorError``.
    """
    if schema.dataset.status != DatasetStatus.READY:
        return NOTHING
    condition = condition_for(schema, filters, viewpoint)
    search = _Search(schema, viewpoint, shuffled_for, page)
    if fusion is not None:
        return search.fused(fusion, condition)
    query = word_query(schema, words) if words else None
    if similar is not None:
        return search.similar(similar, all_of(condition, query.condition() if query else None))
    return search.worded(query, condition, sort)


@dataclass(frozen=True, slots=True)
class _Search:
    schema: DatasetSchema
    viewpoint: Viewpoint
    shuffled_for: UUID | None
    page: Page

    def worded(
        self, query: WordQuery | None, condition: Condition | None, sort: Sequence[Sort]
    ) -> Found:
        if query is not None and query.is_ranked and not sort:
            return self.ranked(query, condition)
        return self.browsed(all_of(condition, query.condition() if query else None), sort)

    # --- Without a score ----------------------------------------------------------------------
    def browsed(self, condition: Condition | None, sort: Sequence[Sort]) -> Found:
        """Two statements, three where a sorted page reaches the records without a key."""
        total = self._count(condition)
        if self.page.offset >= total:
            return Found(total, ())
        many = condition is None or total > FEW
        if sort:
            return Found(total, self._sorted(condition, sort, total if many else 0))
        statement = _PAGE.format(
            materialized="NOT MATERIALIZED" if many else "MATERIALIZED",
            of_dataset=_of_dataset(condition),
            tie=self._tie(),
        )
        return Found(total, raw_cursor().execute(statement, self._facts(condition)).fetchall())

    def _sorted(self, condition: Condition | None, sort: Sequence[Sort], many: int) -> list[Any]:
        """The page by its keys; of ``many`` matches, those that have the first key are joined."""
        parameters = Parameters("sort")
        scopes = Scopes(self.schema, self.viewpoint, parameters)
        columns = [scopes.column(one.scope) for one in sort]
        keys = [c.order(descending=s.descending) for c, s in zip(columns, sort, strict=True)]
        of_dataset = _of_dataset(condition)
        facts = {**self._facts(condition), **parameters.values}
        first = columns[0]
        if many and first.source and first.single:
            key = first.key or first.expression
            join = _JOIN.format(source=first.source, rows=first.rows, key=key)
            order = ", ".join([first.joined_order(descending=sort[0].descending), *keys[1:]])
            statement = _SORTED_PAGE.format(join=join, of_dataset=of_dataset, order=order)
            rows = raw_cursor().execute(statement, facts).fetchall()
            if len(rows) == min(self.page.limit, many - self.page.offset):
                return rows
        statement = _SORTED_PAGE.format(join="", of_dataset=of_dataset, order=", ".join(keys))
        return raw_cursor().execute(statement, facts).fetchall()

    def _count(self, condition: Condition | None) -> int:
        if condition is None:
            counter = DatasetCounter.objects.filter(dataset=self.schema.dataset).first()
            return counter.records if counter else 0
        statement = _COUNT.format(of_dataset=_of_dataset(condition))
        return _number(statement, self._facts(condition))

    # --- By words -----------------------------------------------------------------------------
    def ranked(self, query: WordQuery, condition: Condition | None) -> Found:
        """One statement, up to three where many match or the page reaches beyond the ranked."""
        facts = {**self._facts(condition), "words": query.text, "ranked": RANKED}
        if condition is None:
            return self._ranked_only(facts)
        of_dataset = _of_dataset(condition)
        chosen, found = self._rank(_RANK_CHOSEN, facts, _CHOSEN.format(of_dataset=of_dataset))
        if chosen <= RANKED:
            return found
        documents = _number(_COUNT_DOCUMENTS, {**facts, "at_most": RANKED + 1})
        rest = _FILTER_DOCUMENTS if documents <= RANKED else _DOCUMENTS_AMONG
        return self._rank(rest.format(of_dataset=of_dataset), facts)[1]

    def _ranked_only(self, facts: dict[str, Any]) -> Found:
        _, first = self._rank(_FIRST_DOCUMENTS, facts)
        if first.total < RANKED:
            return first
        total = _number(_COUNT_DOCUMENTS, {**facts, "at_most": None})
        offset, missing = self.page.offset, self.page.limit - len(first.hits)
        if not missing or total == RANKED:
            return Found(total, first.hits)
        beyond = {"offset": max(offset, RANKED), "limit": missing}
        rows = raw_cursor().execute(_DOCUMENTS_IN_ORDER, {**facts, **beyond}).fetchall()
        return Found(total, [*first.hits, *rows])

    def _rank(self, found: str, facts: dict[str, Any], chosen: str = "SELECT") -> tuple[int, Found]:
        """How many rows were ``chosen``, and the page of what was found."""
        statement = _RANK.format(chosen=chosen, found=found, tie=self._tie())
        rows = raw_cursor().execute(statement, facts).fetchall()
        hits = [(id, score) for _, _, id, score in rows if id]
        return rows[0][0], Found(rows[0][1], hits)

    # --- By likeness --------------------------------------------------------------------------
    def similar(self, similar: Similar, condition: Condition | None) -> Found:
        """``total`` is what this page and those before it hold, as the contract has it."""
        count = min(self.page.offset + self.page.limit, MOST_SIMILAR)
        if self.page.offset >= count:
            return NOTHING
        hits = self._nearest(similar, condition, count)
        scored = [(id, (1 + cosine) / 2) for id, cosine in hits]
        return Found(len(scored), scored[self.page.offset :])

    def _nearest(self, similar: Similar, condition: Condition | None, count: int) -> Hits:
        dataset = self.schema.dataset
        settings = self.schema.vectors.get(similar.name)
        if settings is None:
            raise InvalidError(f"Vector `{similar.name}` not found in dataset `{dataset.id}`.")
        vector = similar.value
        if similar.record_id is not None:
            vector = _vector_of(dataset, settings, similar.record_id)
        return nearest(
            dataset=dataset,
            settings=settings,
            vector=vector,
            count=count,
            matching=condition,
            least=similar.least,
            without=similar.record_id,
        )

    def fused(self, fusion: Fusion, condition: Condition | None) -> Found:
        """``total`` counts what was fused: each ranking is followed to a certain depth."""
        offset, limit = self.page.offset, self.page.limit
        depth = min(max(offset + limit, FUSED), MOST_SIMILAR)
        rankings: list[list[UUID]] = []
        if fusion.words is not None:
            first = _Search(self.schema, self.viewpoint, None, Page(0, depth))
            found = first.worded(word_query(self.schema, fusion.words), condition, ())
            rankings.append([id for id, _ in found.hits])
        if fusion.similar is not None:
            rankings.append([id for id, _ in self._nearest(fusion.similar, condition, depth)])
        hits = fuse(*rankings)
        return Found(len(hits), hits[offset : offset + limit])

    # --- Shared -------------------------------------------------------------------------------
    def _facts(self, condition: Condition | None) -> dict[str, Any]:
        return {
            **(condition.params if condition else {}),
            "organization": current(),
            "dataset": self.schema.dataset.id,
            "offset": self.page.offset,
            "limit": self.page.limit,
        }

    def _tie(self) -> str:
        """The order among equals; a hash of the id with the member's number as its seed."""
        if self.shuffled_for is None:
            return "id"
        return f"uuid_hash_extended(id, {self.shuffled_for.int % 2**63}), id"


def _of_dataset(condition: Condition | None) -> str:
    return f"{_OF_DATASET} AND ({condition.sql})" if condition else _OF_DATASET


def _number(statement: str, facts: dict[str, Any]) -> int:
    """What a statement counts."""
    ((number,),) = raw_cursor().execute(statement, facts).fetchall()
    return int(number)


def _vector_of(dataset: Dataset, settings: VectorSettings, record_id: UUID) -> Any:
    record = Record.objects.filter(dataset=dataset, id=record_id).first()
    if record is None:
        raise InvalidError(f"Record with id `{record_id}` not found in dataset `{dataset.id}`.")
    vector = vector_of(record, settings)
    if vector is None:
        raise MissingVectorError(
            f"Record `{record_id}` does not have a vector for vector settings `{settings.name}`"
        )
    return vector
