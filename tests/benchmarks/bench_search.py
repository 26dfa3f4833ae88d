"""How quickly records are found by their words, with and without a filter.

    python -m tests.benchmarks.bench_search [--records 200000]

Through HTTP, 50 records a page. Each text is two real utterances where ``STONEWARE_BENCH_DATA``
names the directory of ``clinc150.json``, else made-up ones; the words asked for are drawn from the
texts, so that frequent words are asked for often. The metadata filter keeps one record of 100.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.benchmarks.client import Client
from tests.benchmarks.instance import Instance, running, use_django

BATCH = 500
SEED = 7
GROUPS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--searches", type=int, default=300)
    options = parser.parse_args()
    with running() as instance:
        use_django(instance)
        world = World(instance, options.records)
        for title, body in SEARCHES.items():
            world.measure(title, body, options.searches)


def some_words(rng: random.Random, texts: list[str], count: int) -> str:
    words = rng.choice(texts).split()
    return " ".join(rng.sample(words, min(count, len(words))))


def group(rng: random.Random) -> dict[str, Any]:
    scope = {"entity": "metadata", "metadata_property": "group"}
    return {"and": [{"type": "terms", "scope": scope, "values": [str(rng.randrange(GROUPS))]}]}


def of_text(q: str) -> dict[str, Any]:
    return {"query": {"text": {"q": q}}}


# The body of a search, made anew each time from a generator and the texts there are.
Maker = Callable[[random.Random, list[str]], dict[str, Any]]
SEARCHES: dict[str, Maker] = {
    "one word": lambda rng, texts: of_text(some_words(rng, texts, 1)),
    "two words": lambda rng, texts: of_text(some_words(rng, texts, 2)),
    "one word or another": lambda rng, texts: of_text(
        some_words(rng, texts, 2).replace(" ", " | ")
    ),
    "the most frequent word": lambda rng, texts: of_text(most_frequent(texts)),
    "one word, filter keeps 1 %": lambda rng, texts: (
        of_text(some_words(rng, texts, 1)) | {"filters": group(rng)}
    ),
    "two words, filter keeps 1 %": lambda rng, texts: (
        of_text(some_words(rng, texts, 2)) | {"filters": group(rng)}
    ),
    "filter keeps 1 %": lambda rng, texts: {"filters": group(rng)},
    "filter keeps all": lambda rng, texts: {"filters": PENDING},
    "sorted by metadata": lambda rng, texts: {"sort": [{"scope": SHARE, "order": "desc"}]},
}
SHARE = {"entity": "metadata", "metadata_property": "share"}
STATUS = {"entity": "record", "property": "status"}
PENDING = {"and": [{"type": "terms", "scope": STATUS, "values": ["pending"]}]}


def most_frequent(texts: list[str]) -> str:
    words = [word for text in texts[:2000] for word in set(text.split())]
    return max(set(words), key=words.count)


class World:
    """One dataset of many records."""

    def __init__(self, instance: Instance, count: int) -> None:
        self.instance = instance
        self.texts = texts()
        self.dataset_id, key = make_dataset()
        self.client = Client(instance.url, key)
        self.fill(count)

    def fill(self, count: int) -> None:
        began = time.perf_counter()
        rng = random.Random(SEED)
        for start in range(0, count, BATCH):
            items = [self.record(rng, start + n) for n in range(min(BATCH, count - start))]
            path = f"datasets/{self.dataset_id}/records/bulk"
            self.client.call("PUT", path, {"items": items})
        print(f"{f'{count} records in':<44}{time.perf_counter() - began:>10.0f} s", flush=True)
        self.instance.settle()

    def record(self, rng: random.Random, number: int) -> dict[str, Any]:
        return {
            "external_id": str(number),
            "fields": {"text": " ".join(rng.sample(self.texts, 2))},
            "metadata": {"group": str(rng.randrange(GROUPS)), "share": rng.random()},
        }

    def measure(self, title: str, make: Maker, searches: int) -> None:
        rng = random.Random(SEED)
        path = f"datasets/{self.dataset_id}/records/search"
        times: list[float] = []
        found = 0
        frequent = make(rng, self.texts) if title.startswith("the most") else None
        for _ in range(searches):
            body = json.dumps(frequent or make(rng, self.texts)).encode()
            began = time.perf_counter()
            found += self.client.call("POST", path, body)["total"]
            times.append(time.perf_counter() - began)
        times.sort()
        middle, high = times[len(times) // 2], times[int(len(times) * 0.95)]
        print(f"{title:<44}{middle * 1e3:>10.1f} ms", end="")
        print(f"{high * 1e3:>10.1f} ms at 95 %{found / searches:>12,.0f} found", flush=True)


def texts() -> list[str]:
    file = Path(os.environ.get("STONEWARE_BENCH_DATA", "-")) / "clinc150.json"
    if file.exists():
        parts = json.loads(file.read_text()).values()
        return [text for part in parts if isinstance(part, list) for text, _ in part]
    return list(made_up(random.Random(SEED)))


def made_up(rng: random.Random) -> Iterator[str]:
    """Sentences of words whose frequency falls with their rank, as in a language."""
    words = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("a", "el", "in", "o", "ur", "esta", "im")]
    words += [first + second for first in words for second in words]
    weights = [1 / (rank + 10) for rank in range(len(words))]
    for _ in range(20_000):
        yield " ".join(rng.choices(words, weights, k=9))


def make_dataset() -> tuple[UUID, str]:
    """The id of an empty dataset and the owner's key."""
    from apps.core.tenancy import enter
    from apps.datasets.models import MetadataProperty
    from apps.organizations.services import create_api_key, create_organization
    from tests import factories

    organization = create_organization(name="Bench", slug="bench")
    with enter(organization.id):
        dataset = factories.make_dataset(factories.make_workspace("bench"), name="utterances")
        for number, (name, type) in enumerate([("group", "terms"), ("share", "float")], start=1):
            MetadataProperty.objects.create(
                dataset=dataset, number=number, name=name, title=name, settings={"type": type}
            )
        owner = factories.make_member(role="owner", username="owner")
        return dataset.id, create_api_key(member=owner)[1]


if __name__ == "__main__":
    main()
