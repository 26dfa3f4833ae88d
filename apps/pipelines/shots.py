"""Examples for a prompt: records of the same dataset that people have answered.

By nearness of meaning (offline embeddings of the text, or a vector the records carry), by chance,
or from those that the present suggestion gets wrong. A record is never its own example.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from apps.annotation.models import Response
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current
from apps.datasets.models import VectorSettings
from apps.datasets.schema import DatasetSchema, QuestionRule
from apps.datasets.values import says_same
from apps.pipelines.prompts import Shot
from apps.quality.causes import known_answers
from apps.quality.consensus import consensus
from apps.quality.embeddings import embed
from apps.quality.models import Adjudication
from apps.records.models import Suggestion
from apps.records.text import searchable_text

NEWEST: Final = 5_000  # answers that examples are taken from
REMEMBERED: Final = 8  # pools of running jobs that a process keeps

_NEAREST: Final = """
SELECT near.asked, near.found FROM unnest(%(ids)s::uuid[]) AS wanted (id)
JOIN record_vector q ON q.organization_id = %(o)s AND q.settings_id = %(settings)s
    AND q.record_id = wanted.id
CROSS JOIN LATERAL (
    SELECT wanted.id AS asked, v.record_id AS found, v.embedding <=> q.embedding AS distance
    FROM record_vector v WHERE v.organization_id = %(o)s AND v.settings_id = %(settings)s
        AND v.record_id = ANY (%(pool)s::uuid[]) AND v.record_id <> wanted.id
    ORDER BY distance, v.record_id LIMIT %(k)s
) near ORDER BY near.asked, near.distance, near.found
"""


@dataclass(frozen=True, slots=True)
class Pool:
    """Answered records, with their embeddings (n, 256) and which of them are suggested wrongly."""

    ids: list[UUID]
    shots: list[Shot]
    vectors: NDArray[np.float32]
    wrong: NDArray[np.bool_]

    def at(self, place: int) -> Shot:
        return self.shots[place]


def load_pool(schema: DatasetSchema, rule: QuestionRule, *, before: datetime | None) -> Pool:
    """What people have agreed on, of the newest answers ``before`` a time. Four queries."""
    rows = _submitted(schema, before).order_by("-id").values_list("record_id", "record__fields")
    fields = dict(rows[:NEWEST])
    values = agreed_values(schema, rule, list(fields), before=before)
    ids = sorted(values)
    suggestions = Suggestion.objects.filter(question_id=rule.id, record_id__in=ids)
    suggested = dict(suggestions.values_list("record_id", "value"))
    return Pool(
        ids,
        [Shot(fields[id], values[id]) for id in ids],
        embed([searchable_text(fields[id], schema.fields) for id in ids]),
        np.array(
            [id in suggested and not says_same(suggested[id], values[id]) for id in ids], dtype=bool
        ),
    )


def agreed_values(
    schema: DatasetSchema,
    rule: QuestionRule,
    record_ids: Sequence[UUID],
    *,
    before: datetime | None = None,
) -> dict[UUID, Any]:
    """What people have come to on the records, as far as they agree. Two queries.

    A reviewer's decision about the question comes first; where it calls that ambiguous, there is
    none. What a model's answer was taken for is nobody's.
    """
    given: dict[UUID, list[Any]] = {}
    answered = _submitted(schema, before).filter(record_id__in=record_ids)
    for id, values in answered.values_list("record_id", "values"):
        given.setdefault(id, []).extend(_answers(schema, rule, values))
    agreed = {id: consensus(rule, answers) for id, answers in given.items()}
    decisions = Adjudication.objects.by_people(rule.name).filter(dataset_id=schema.dataset.id)
    decided = decisions.filter(record_id__in=record_ids)
    if before is not None:
        decided = decided.filter(decided_at__lte=before)
    for id, values, ambiguous in decided.values_list("record_id", "values", "ambiguous"):
        if rule.name in ambiguous:
            agreed[id] = None
        elif found := _answers(schema, rule, values):
            agreed[id] = found[0]
    return {id: value for id, value in agreed.items() if value is not None}


def _submitted(schema: DatasetSchema, before: datetime | None) -> QuerySet[Response]:
    answered = Response.objects.submitted().filter(dataset_id=schema.dataset.id)
    return answered if before is None else answered.filter(updated_at__lte=before)


def _answers(schema: DatasetSchema, rule: QuestionRule, values: Mapping[str, Any]) -> list[Any]:
    return [value for name, value in known_answers(schema, values) if name == rule.name]


def choose(
    pool: Pool,
    texts: Mapping[UUID, str],
    *,
    count: int,
    strategy: str,
    settings: VectorSettings | None = None,
) -> dict[UUID, list[Shot]]:
    """Up to ``count`` examples for each record, whose text is given; the best one stands last,
    next to the record itself. ``settings``: nearness by this vector, where records carry it."""
    if not pool.ids or not count:
        return {id: [] for id in texts}
    if settings is not None and strategy == "nearest":
        places = _nearest_by_vector(pool, list(texts), settings, count)
        missing = {id: text for id, text in texts.items() if not places.get(id)}
    else:
        places, missing = {}, dict(texts)
    places |= _ranked(pool, missing, count, strategy)
    return {id: [pool.at(place) for place in reversed(places[id])] for id in texts}


def _ranked(
    pool: Pool, texts: Mapping[UUID, str], count: int, strategy: str
) -> dict[UUID, list[int]]:
    if not texts:
        return {}
    with threadpool_limits(1):  # other threads would spin for a page's few examples
        likeness = embed(list(texts.values())) @ pool.vectors.T
    own = {id: place for place, id in enumerate(pool.ids)}
    found = {}
    for row, id in zip(likeness, texts, strict=True):
        if strategy == "random":
            row = np.random.default_rng(id.int % 2**63).random(len(pool.ids))
        elif strategy == "errors" and pool.wrong.any():
            row = row + 2 * pool.wrong
        # Stable, so that equal texts get equal prompts.
        order = np.argsort(-row, kind="stable")[: count + 1]
        found[id] = [int(place) for place in order if place != own.get(id)][:count]
    return found


def _nearest_by_vector(
    pool: Pool, ids: Sequence[UUID], settings: VectorSettings, count: int
) -> dict[UUID, list[int]]:
    """One statement for all the records."""
    facts = {"o": current(), "settings": settings.id, "ids": ids, "pool": pool.ids, "k": count}
    places = {id: place for place, id in enumerate(pool.ids)}
    found: dict[UUID, list[int]] = {}
    for asked, near in raw_cursor().execute(_NEAREST, facts):
        found.setdefault(asked, []).append(places[near])
    return found


_pools: OrderedDict[tuple[UUID, UUID, UUID, int], Pool] = OrderedDict()
_lock = Lock()


def pool_of_job(
    job_id: UUID | None, schema: DatasetSchema, rule: QuestionRule, before: datetime | None
) -> Pool:
    """The pool of a running job, the same for all its items in this process until the dataset's
    questions are edited."""
    if job_id is None:
        return load_pool(schema, rule, before=before)
    key = (current(), job_id, rule.id, schema.dataset.schema_version)
    with _lock:
        known = _pools.get(key)
    if known is None:
        known = load_pool(schema, rule, before=before)
        with _lock:
            _pools[key] = known
            while len(_pools) > REMEMBERED:
                _pools.popitem(last=False)
    return known
