"""Records in, answers out, through HTTP, against the embedded default.

    python -m tests.benchmarks.bench_api [--large]

``--large`` also measures with 200,000 records in the dataset.
"""

import argparse
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from tests.benchmarks.client import Client
from tests.benchmarks.instance import Instance, running, use_django

BATCH = 500
WORDS = ["card", "payment", "lost", "refund", "transfer", "balance", "limit", "travel", "music"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--seconds", type=float, default=6)
    options = parser.parse_args()
    with running() as instance:
        use_django(instance)
        world = World(instance)
        print(f"{'memory at rest':<52}{instance.pss_mib():>10.0f} MiB")
        world.fill("first", 10_000)
        print(f"{'memory after 10,000 records':<52}{instance.pss_mib():>10.0f} MiB")
        world.measure_bulk("plain records", options.seconds, rich=False)
        world.measure_bulk(
            "rich records (2 metadata, suggestion, 256-d)", options.seconds, rich=True
        )
        print(f"{'memory after all of it':<52}{instance.pss_mib():>10.0f} MiB")
        world.measure_answers("2k records", 2_000, seconds=options.seconds)
        world.measure_finish()
        if options.large:
            world.fill("plain", 200_000)
            instance.settle()
            world.measure_bulk("plain, 200k in the dataset", options.seconds, rich=False, keep=True)
            world.measure_bulk("rich, 200k in the dataset", options.seconds, rich=True, keep=True)
            world.measure_answers("200k records", 0, seconds=options.seconds, keep=True)


@contextmanager
def world_of(about: str | None, *, records: int) -> Iterator[tuple["World", int]]:
    """A world in an instance of its own, and the number of records that the command line names."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--records", type=int, default=records)
    options = parser.parse_args()
    with running() as instance:
        use_django(instance)
        yield World(instance), options.records


class World:
    """An organization with eight annotators, and fresh datasets on demand."""

    def __init__(self, instance: Instance) -> None:
        from apps.core.tenancy import enter
        from apps.organizations.services import create_api_key, create_member, create_organization
        from apps.workspaces.services import add_workspace_member, create_workspace

        self.instance = instance
        self.organization = create_organization(name="Bench", slug="bench")
        with enter(self.organization.id):
            owner = create_member(username="owner", role="owner")
            self.owner_key = create_api_key(member=owner)[1]
            self.workspace = create_workspace(name="bench")
            self.keys = []
            for number in range(8):
                member = create_member(username=f"annotator-{number}")
                add_workspace_member(workspace=self.workspace, member=member)
                self.keys.append(create_api_key(member=member)[1])
        self.datasets: dict[str, tuple[UUID, UUID]] = {}

    def dataset(self, name: str) -> tuple[UUID, UUID]:
        """Ids of a published dataset and its label question."""
        from apps.core.tenancy import enter
        from apps.datasets.models import (
            Dataset,
            DatasetStatus,
            Field,
            MetadataProperty,
            Question,
            VectorSettings,
        )
        from apps.records.services import prepare_dataset

        if name in self.datasets:
            return self.datasets[name]
        with enter(self.organization.id):
            dataset = Dataset.objects.create(
                workspace=self.workspace, name=name, status=DatasetStatus.READY
            )
            prepare_dataset(dataset=dataset)
            Field.objects.create(
                dataset=dataset, name="text", title="Text", required=True, settings={"type": "text"}
            )
            options = [{"value": word, "text": word} for word in WORDS]
            question = Question.objects.create(
                dataset=dataset,
                name="intent",
                title="Intent",
                required=True,
                settings={"type": "label_selection", "options": options},
            )
            for number, (key, kind) in enumerate((("source", "terms"), ("score", "float")), 1):
                MetadataProperty.objects.create(
                    dataset=dataset, number=number, name=key, title=key, settings={"type": kind}
                )
            VectorSettings.objects.create(dataset=dataset, name="v", title="V", dimensions=256)
        self.datasets[name] = (dataset.id, question.id)
        return self.datasets[name]

    def bodies(self, question: UUID, count: int, *, rich: bool, start: int = 0) -> list[bytes]:
        """``count`` requests of 500 records, encoded beforehand."""
        rng = random.Random(7)
        vectors = [[round(rng.uniform(-1, 1), 6) for _ in range(256)] for _ in range(50)]
        result = []
        for batch in range(count):
            items: list[dict[str, Any]] = []
            for n in range(BATCH):
                item: dict[str, Any] = {
                    "external_id": f"{start + batch * BATCH + n}",
                    "fields": {"text": " ".join(rng.choices(WORDS, k=22))},
                }
                if rich:
                    item["metadata"] = {"source": rng.choice(WORDS), "score": rng.random()}
                    item["suggestions"] = [
                        {
                            "question_id": str(question),
                            "value": rng.choice(WORDS),
                            "score": rng.random(),
                            "agent": "bench/model",
                            "type": "model",
                        }
                    ]
                    item["vectors"] = {"v": vectors[n % 50]}
                items.append(item)
            result.append(json.dumps({"items": items}).encode())
        return result

    def fill(self, name: str, count: int) -> None:
        dataset, question = self.dataset(name)
        client = Client(self.instance.url, self.owner_key)
        for start in range(0, count, BATCH):
            (body,) = self.bodies(question, 1, rich=False, start=10_000_000 + start)
            client.call("PUT", f"datasets/{dataset}/records/bulk", body)

    def measure_bulk(self, label: str, seconds: float, *, rich: bool, keep: bool = False) -> None:
        """Records a second of one client, 500 a request."""
        name = "plain" if keep else label
        dataset, question = self.dataset(name)
        client = Client(self.instance.url, self.owner_key)
        bodies = self.bodies(
            question, 40 if rich else 150, rich=rich, start=50_000_000 * keep * (1 + rich)
        )
        client.call("PUT", f"datasets/{dataset}/records/bulk", bodies.pop())
        before, begin, done = self.instance.cpu_seconds(), time.perf_counter(), 0
        while bodies and time.perf_counter() - begin < seconds:
            client.call("PUT", f"datasets/{dataset}/records/bulk", bodies.pop())
            done += BATCH
        spent = time.perf_counter() - begin
        cpu = sum(self.instance.cpu_seconds().values()) - sum(before.values())
        print(f"{label:<52}{done / spent:>10.0f} records/s{cpu / done * 1e6:>8.0f} µs CPU each")

    def measure_answers(
        self, label: str, count: int, *, seconds: float, keep: bool = False
    ) -> None:
        """Claim and submit: CPU a pair with one client, answers a second with eight.

        Each way has a dataset of its own, but for one that is kept.
        """
        names = dict.fromkeys(WAYS, "plain") if keep else {way: f"{way} {label}" for way in WAYS}
        for name in () if keep else names.values():
            self.fill(name, count)
        self.fill("warm", 1_000)
        self.instance.settle()
        self._wake(self.dataset("warm")[0])
        for way, annotator_type in WAYS.items():
            dataset, _ = self.dataset(names[way])
            annotator = annotator_type(Client(self.instance.url, self.keys[0]), dataset)
            annotator.answer()
            before, begin, done = self.instance.cpu_seconds(), time.perf_counter(), 0
            while time.perf_counter() - begin < seconds / 2:
                done += annotator.answer() is not None
            spent = time.perf_counter() - begin
            cpu = sum(self.instance.cpu_seconds().values()) - sum(before.values())
            print(
                f"{way + ', ' + label:<52}{done / spent:>10.0f} pairs/s"
                f"{cpu / done * 1e3:>10.2f} ms CPU each"
            )
            self._race(f"8 clients, {way}, {label}", dataset, annotator_type, limit=seconds / 2)

    def _wake(self, dataset: UUID, *, answers: int = 200) -> None:
        """Work for a while: machines take memory away from processes that have been idle."""
        for annotator_type in WAYS.values():
            annotator = annotator_type(Client(self.instance.url, self.keys[0]), dataset)
            for _ in range(answers):
                annotator.answer()

    def measure_finish(self) -> None:
        """Eight people finish the last 300 records."""
        for name, annotator_type in WAYS.items():
            self.fill(name, 500)
            dataset, _ = self.dataset(name)
            annotator = InTwo(Client(self.instance.url, self.keys[0]), dataset)
            for _ in range(200):
                annotator.answer()
            self._race(f"8 clients finish the last 300, {name}", dataset, annotator_type, limit=60)

    def _race(
        self, label: str, dataset: UUID, annotator_type: "type[Annotator]", limit: float
    ) -> None:
        seen: list[list[str]] = [[] for _ in self.keys]

        def work(number: int) -> None:
            annotator = annotator_type(Client(self.instance.url, self.keys[number]), dataset)
            end = time.perf_counter() + limit
            while time.perf_counter() < end and (record := annotator.answer()):
                seen[number].append(record)

        threads = [threading.Thread(target=work, args=[n]) for n in range(len(self.keys))]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = time.perf_counter() - begin
        every = [record for mine in seen for record in mine]
        print(
            f"{label:<52}{len(set(every)) / spent:>10.0f} useful answers/s"
            f"{len(every) - len(set(every)):>6} double"
        )


class Annotator:
    """Answers what the queue hands out, as the client of one person."""

    def __init__(self, client: Client, dataset: UUID) -> None:
        self.client = client
        self.dataset = dataset

    def answer(self) -> str | None:
        """The id of the record that was answered; None when nothing was handed out."""
        raise NotImplementedError

    def _claim(self) -> str | None:
        return _record(self.client.call("POST", f"me/datasets/{self.dataset}/claim", {})["items"])

    def _submit(self, record: str, query: str = "") -> dict[str, Any]:
        body = {"status": "submitted", "values": {"intent": {"value": "card"}}}
        return self.client.call("POST", f"records/{record}/responses{query}", body)


class InTwo(Annotator):
    """A request to claim, a request to submit."""

    def answer(self) -> str | None:
        record = self._claim()
        if record:
            self._submit(record)
        return record


class InOne(Annotator):
    """Each answer claims the next record."""

    next: str | None = None

    def answer(self) -> str | None:
        record = self.next or self._claim()
        if record:
            self.next = _record(self._submit(record, "?claim=1")["claimed"])
        return record


def _record(items: list[dict[str, Any]]) -> str | None:
    return items[0]["record"]["id"] if items else None


WAYS: Final = {"claim + submit": InTwo, "in one request": InOne}


if __name__ == "__main__":
    main()
