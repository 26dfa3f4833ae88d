"""Similarity search and pages by cursor in a large dataset, as the application's role.

    python -m tests.benchmarks.bench_similarity [--records 200000] [--dimensions 256]

Vectors lie around 500 centres, as embeddings do. The worker builds the index by itself meanwhile.
Recall is that of the ten nearest against a comparison of all vectors.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import numpy as np

from tests.benchmarks.client import Client
from tests.benchmarks.instance import Instance, running, use_django

QUERIES = 100
GROUPS = 100  # one of them is a filter that keeps 1 %
CENTRES = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--dimensions", type=int, default=256)
    options = parser.parse_args()
    with running() as instance:
        use_django(instance)
        world = World(instance, options.dimensions)
        world.load(options.records)
        world.wait_for_index()
        world.measure_searches()
        world.measure_pages()


class World:
    """One dataset with a vector and a metadata property of 100 values."""

    def __init__(self, instance: Instance, dimensions: int) -> None:
        from apps.core.tenancy import enter
        from apps.datasets.models import MetadataProperty, VectorSettings
        from apps.datasets.schema import load_schema
        from apps.organizations.services import create_api_key, create_member, create_organization
        from tests import factories

        self.instance = instance
        self.random = np.random.default_rng(0)
        self.centres = self.random.normal(size=(CENTRES, dimensions))
        self.organization = create_organization(name="Bench", slug="bench")
        with enter(self.organization.id):
            owner = create_member(username="owner", role="owner")
            self.key = create_api_key(member=owner)[1]
            self.dataset = factories.make_dataset(name="similar")
            MetadataProperty.objects.create(
                dataset=self.dataset,
                number=1,
                name="group",
                title="Group",
                settings={"type": "terms"},
            )
            self.settings = VectorSettings.objects.create(
                dataset=self.dataset, name="v", title="V", dimensions=dimensions
            )
            self.schema = load_schema(self.dataset)
        self.ids: list[UUID] = []
        self.vectors = np.zeros((0, dimensions), dtype=np.float32)

    def draw(self, count: int) -> Any:
        """(count, dimensions) float32."""
        near = self.centres[self.random.integers(0, CENTRES, count)]
        spread = 0.7 * self.random.normal(size=near.shape)
        return (near + spread).astype(np.float32)

    def load(self, count: int) -> None:
        from apps.annotation.ingest import log_records
        from apps.core.tenancy import enter
        from apps.records.inputs import RecordInput

        begin = time.perf_counter()
        self.vectors = self.draw(count)
        for start in range(0, count, 500):
            items = [
                RecordInput(
                    fields={"text": f"text number {n}"},
                    metadata={"group": str(n % GROUPS)},
                    vectors={"v": self.vectors[n]},
                )
                for n in range(start, min(start + 500, count))
            ]
            with enter(self.organization.id):
                rows = log_records(dataset=self.dataset, items=items, schema=self.schema)
            self.ids += [row.id for row in rows]
        tell("load, records/s", count / (time.perf_counter() - begin))

    def wait_for_index(self) -> None:
        """Until an index covers all but a tail that is worth none, and PostgreSQL has tidied up."""
        from apps.search.vector_indexes import MANY

        begin = time.perf_counter()
        while (1 - self._covered()) * len(self.ids) > MANY:
            time.sleep(1)
        tell("until the index is there, s", time.perf_counter() - begin)
        tell("vectors in the index, %", 100 * self._covered())
        self.instance.settle()

    def _covered(self) -> float:
        from apps.core.tenancy import enter
        from apps.search.vector_indexes import find_index

        with enter(self.organization.id):
            index = find_index(self.settings.id)
        return sum(id <= index.last for id in self.ids) / len(self.ids) if index else 0.0

    def measure_searches(self) -> None:
        from apps.search.conditions import Condition

        beside = (
            "EXISTS (SELECT FROM record_metadata m WHERE m.organization_id = r.organization_id"
            " AND m.dataset_id = r.dataset_id AND m.record_id = r.id AND m.number = 1"
            " AND m.term = ANY (%(groups)s::text[]))"
        )
        rows = np.arange(len(self.ids))
        for label, groups in (("no filter", GROUPS), ("1 %", 1), ("5 %", 5), ("50 %", 50)):
            kept = rows[rows % GROUPS < groups]
            names = [str(group) for group in range(groups)]
            matching = Condition(beside, {"groups": names}) if groups < GROUPS else None
            self._measure(f"ten nearest of {len(rows) // 1000}k, {label}", kept, 10, matching)
        self._measure("a thousand nearest, no filter", rows, 1_000, None)

    def _measure(self, label: str, kept: Any, count: int, matching: Any) -> None:
        from apps.core.tenancy import enter
        from apps.search.similarity import nearest

        lengths = np.linalg.norm(self.vectors[kept], axis=1)
        times, hits = [], 0
        for query in self.draw(QUERIES):
            begin = time.perf_counter()
            with enter(self.organization.id):
                found = nearest(
                    dataset=self.dataset,
                    settings=self.settings,
                    vector=query,
                    count=count,
                    matching=matching,
                )
            times.append(time.perf_counter() - begin)
            order = np.argsort(-(self.vectors[kept] @ query) / lengths)[:count]
            hits += len({id for id, _ in found} & {self.ids[row] for row in kept[order]})
        tell_times(label, times, f"recall {hits / QUERIES / count:.3f}")

    def measure_pages(self) -> None:
        """Pages of 50 by cursor at the beginning and near the end, through HTTP."""
        client = Client(self.instance.url, self.key)
        path = f"datasets/{self.dataset.id}/records?limit=50"
        deep = len(self.ids) * 19 // 20
        pages = {
            "first page": path,
            f"page after {deep:,} by cursor": f"{path}&after={self.ids[deep - 1]}",
            f"page after {deep:,} by offset": f"{path}&offset={deep}",
        }
        medians = {}
        for label, address in pages.items():
            times = timed(lambda address=address: client.call("GET", address), 60)
            medians[label] = tell_times(label, times)
        first, by_cursor, _ = medians.values()
        tell("cursor, deep page to first page", by_cursor / first)


def timed(call: Callable[[], Any], count: int) -> list[float]:
    """Seconds of each call, the first five left out."""
    times = []
    for _ in range(count + 5):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return times[5:]


def tell(label: str, figure: float) -> None:
    print(f"{label:<52}{figure:>10,.1f}", flush=True)


def tell_times(label: str, times: Sequence[float], more: str = "") -> float:
    """Print p50 and p95 in ms; returns the median in seconds."""
    middle, high = np.quantile(times, [0.5, 0.95])
    figures = f"{middle * 1e3:>10.1f} /{high * 1e3:>6.1f} ms p50/p95"
    print(f"{label:<52}{figures}   {more}", flush=True)
    return float(middle)


if __name__ == "__main__":
    main()
