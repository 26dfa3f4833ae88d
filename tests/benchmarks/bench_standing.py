"""Progress and quality with many answers: the pages' frames, and what each card takes to count.

python -m tests.benchmarks.bench_standing [--records 200000]
"""

import time
from typing import Any, Final
from uuid import UUID

from tests.benchmarks.bench_api import WORDS, World, world_of

ANSWERS: Final = 3  # a record
RIGHT: Final = 0.8

_RECORDS: Final = """
INSERT INTO record (organization_id, id, dataset_id, external_id, fields, metadata, status,
    inserted_at, updated_at)
SELECT %(o)s, uuidv7(), %(d)s, n::text, jsonb_build_object('text', 'text ' || n), '{}',
    CASE WHEN n > 0.1 * %(n)s THEN 'completed' ELSE 'pending' END, now(), now()
FROM generate_series(1, %(n)s) AS n
"""
_ANSWERS: Final = """
INSERT INTO response (organization_id, id, record_id, user_id, dataset_id, values, status,
    inserted_at, updated_at)
SELECT %(o)s, uuidv7(), r.id, (%(people)s::uuid[])[1 + (r.external_id::int + 3 * k) %% 8], %(d)s,
    jsonb_build_object('intent', jsonb_build_object('value', (%(words)s::text[])[
        1 + CASE WHEN random() < %(right)s THEN r.external_id::int
            ELSE (random() * 1000)::int END %% cardinality(%(words)s::text[])])),
    'submitted', now() - interval '25 days' * random() - interval '1 hour', now()
FROM record r, generate_series(0, %(k)s - 1) AS k
WHERE r.organization_id = %(o)s AND r.dataset_id = %(d)s AND r.status = 'completed'
"""
_SUGGESTED: Final = """
INSERT INTO suggestion (organization_id, id, record_id, question_id, dataset_id, value, value_key,
    agent, type, inserted_at, updated_at)
SELECT %(o)s, uuidv7(), r.id, %(q)s, %(d)s, to_jsonb(w.word), w.word, 'bench/model', 'model',
    now(), now()
FROM record r, LATERAL (SELECT (%(words)s::text[])[1 + CASE WHEN random() < %(right)s
    THEN r.external_id::int ELSE (random() * 1000)::int END %% cardinality(%(words)s::text[])]
    AS word) AS w
WHERE r.organization_id = %(o)s AND r.dataset_id = %(d)s
"""


def main() -> None:
    with world_of(__doc__, records=200_000) as (world, records):
        dataset_id = fill(world, records)
        world.instance.settle()
        measure_cards(world, dataset_id)
        measure_pages(world, dataset_id)


def fill(world: World, records: int) -> UUID:
    """A dataset in which nine of ten records have their three answers, all a suggestion."""
    from apps.annotation.models import Annotator
    from apps.core.prepared import raw_cursor
    from apps.core.tenancy import enter
    from apps.datasets.models import Dataset
    from apps.organizations.models import Membership
    from apps.records.models import DatasetCounter

    dataset_id, question_id = world.dataset("standing")
    with enter(world.organization.id):
        people = list(Membership.objects.filter(username__startswith="annotator-"))
        facts = {
            "o": world.organization.id,
            "d": dataset_id,
            "q": question_id,
            "n": records,
            "k": ANSWERS,
            "people": [person.id for person in people],
            "words": list(WORDS),
            "right": RIGHT,
        }
        for statement in (_RECORDS, _ANSWERS, _SUGGESTED):
            raw_cursor().execute(statement, facts)
        Dataset.objects.filter(id=dataset_id).update(min_submitted=ANSWERS)
        done = DatasetCounter.objects.filter(dataset_id=dataset_id)
        done.update(records=records, completed=records - records // 10)
        for person in people:
            place = {"dataset_id": dataset_id, "user": person}
            Annotator.objects.update_or_create(
                **place, defaults={"first_response_at": person.inserted_at}
            )
    return dataset_id


def measure_cards(world: World, dataset_id: UUID) -> None:
    """Each card as a worker counts it: in all, and its statements."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from apps.console.figures import COUNTED
    from apps.console.standing_cards import read_look
    from apps.core.tenancy import enter
    from apps.datasets.models import Dataset

    for days in ("30", "all"):
        for key, count in COUNTED.items():
            with enter(world.organization.id):
                look = read_look(Dataset.objects.get(id=dataset_id), {"days": days})
                with CaptureQueriesContext(connection) as asked:
                    begin = time.perf_counter()
                    count(look)
                    took = time.perf_counter() - begin
            told = ", ".join(f"{1000 * float(one['time']):.0f}" for one in asked)
            tell(f"{key}, {days} days", took, f"{len(asked)} statements: {told}")


def measure_pages(world: World, dataset_id: UUID) -> None:
    """The frames, and a card that a worker is asked for."""
    from django.test import Client

    from apps.core.tenancy import enter
    from apps.organizations.services import create_member
    from apps.workspaces.services import add_workspace_member

    with enter(world.organization.id):
        owner = create_member(username="lead", role="owner", password="correct horse battery")
        add_workspace_member(workspace=world.workspace, member=owner)
    client: Any = Client(headers={"host": "localhost"})
    client.force_login(owner.user, backend="apps.organizations.backends.MemberBackend")
    for name in ("progress", "quality"):
        path = f"/datasets/{dataset_id}/{name}/"
        client.get(path)
        tell(f"{name}, the page", seconds_of(client, path), "")
        tell(f"{name}, all cards asked for", seconds_of(client, f"{path}?all=1"), "a worker counts")


def seconds_of(client: Any, path: str) -> float:
    begin = time.perf_counter()
    assert client.get(path).status_code == 200
    return time.perf_counter() - begin


def tell(name: str, seconds: float, more: str) -> None:
    print(f"{name:<40}{1000 * seconds:>8.0f} ms  {more}", flush=True)


if __name__ == "__main__":
    main()
