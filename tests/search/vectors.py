"""Datasets whose records carry vectors, and what a search must find among them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connections

from apps.annotation.ingest import log_records
from apps.datasets.models import Dataset, VectorSettings
from apps.records.inputs import RecordInput
from apps.search import vector_indexes
from tests import factories

Array = np.ndarray[Any, np.dtype[np.float32]]


def make_vectors(
    vectors: Any, dataset: Dataset | None = None
) -> tuple[Dataset, VectorSettings, list[UUID]]:
    """A dataset with one record a row, the row its vector ``v``; the records' ids in order."""
    array = np.asarray(vectors, dtype=np.float32)
    dataset = dataset or factories.make_dataset()
    settings, _ = VectorSettings.objects.get_or_create(
        dataset=dataset, name="v", defaults={"title": "V", "dimensions": array.shape[1]}
    )
    return dataset, settings, add_vectors(dataset, array)


def add_vectors(dataset: Dataset, vectors: Array) -> list[UUID]:
    """More records; ``n`` in the metadata is the row's number."""
    ids: list[UUID] = []
    for start in range(0, len(vectors), 500):
        items = [
            RecordInput(fields={"text": "x"}, vectors={"v": vector}, metadata={"n": start + n})
            for n, vector in enumerate(vectors[start : start + 500])
        ]
        ids += [row.id for row in log_records(dataset=dataset, items=items)]
    return ids


def clusters(count: int, dimensions: int, *, seed: int = 0) -> Array:
    """Vectors around 40 centres, as embeddings of texts lie."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(40, dimensions))
    spread = 0.6 * random.normal(size=(count, dimensions))
    return (centres[random.integers(0, 40, count)] + spread).astype(np.float32)


def noise(count: int, dimensions: int, *, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def truth(vectors: Array, query: Array, count: int) -> list[int]:
    """The rows nearest to the query by cosine similarity, best first."""
    similarity = (vectors @ query) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    return [int(row) for row in np.argsort(-similarity, kind="stable")[:count]]


def recall(found: Sequence[Sequence[Any]], wanted: Sequence[Sequence[Any]]) -> float:
    """The part of what is wanted that was found."""
    hits = sum(len(set(mine) & set(right)) for mine, right in zip(found, wanted, strict=True))
    return hits / sum(map(len, wanted))


@contextmanager
def indexes_dropped() -> Iterator[None]:
    """At the end no vector index is left, whatever the test did."""
    try:
        yield
    finally:
        with connections["owner"].cursor() as cursor:
            for index in list(vector_indexes._indexes(cursor)):
                cursor.execute(f"DROP INDEX {index.name}")
