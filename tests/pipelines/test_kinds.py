"""What a page of a run costs the database, whatever its size."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.tenancy import current
from apps.datasets.edits.base import NewLabel
from apps.datasets.edits.labels import RenameLabel
from apps.datasets.models import Dataset
from apps.jobs.engine import run_slice
from apps.jobs.kinds import Undone, Work
from apps.jobs.models import Job, JobItem
from apps.jobs.services import pause_job, resume_job
from apps.llms import calls
from apps.organizations.models import Membership
from apps.pipelines.kinds import Loaded, RecipeKind
from apps.pipelines.models import SuggestionVersion
from apps.quality.schema_changes.services import apply_edit
from apps.records.models import Record, Suggestion
from tests.llm_server.controls import LlmServer
from tests.pipelines.conftest import answer, run
from tests.pipelines.recipes import BUSY, waiting

__all__ = ["waiting"]


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is asked of the database meanwhile, but for savepoints."""
    found: list[str] = []
    with CaptureQueriesContext(connection) as queries:
        yield found
    found += [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]


def works(job: Job, records: list[Record]) -> list[Work]:
    return [
        Work(current(), job, seq, {"record": str(record.id)}, 1, 1, 0)
        for seq, record in enumerate(records)
    ]


async def compute(kind: RecipeKind, page: list[Work], loaded: Sequence[Loaded]) -> list[Any]:
    """One after the other."""
    try:
        return [await kind.compute(*pair) for pair in zip(page, loaded, strict=True)]
    finally:
        await calls.close()


@pytest.mark.parametrize("size", [2, 5])
def test_a_page_of_suggestions(size: int, order: Callable[..., Job], records: list[Record]) -> None:
    """Read: version of the questions, provider, model, price, records, cache, attempts, budgets.
    Write: the same version, held; attempts, responses, ledger, what was learned of the model, lock
    and count of records, history twice, suggestions, certainties."""
    answer(records[5], sentiment="mixed")
    job, kind = order(shots=1), RecipeKind()
    kind.read_many(works(job, records[5:]))  # context and examples are read once a process
    page = works(job, records[:size])
    with statements() as read:
        loaded = kind.read_many(page)

    talks = asyncio.run(compute(kind, page, loaded))
    with statements() as written:
        costs = kind.write_many(list(zip(page, talks, strict=True)))
    assert (len(read), len(written)) == (8, 11)
    assert all(cost > 0 for cost in costs)  # type: ignore[operator]
    assert Suggestion.objects.count() == size


def test_what_is_given_up_is_released(order: Callable[..., Job], records: list[Record]) -> None:
    job, kind = order(budget={"max_usd": 1}), RecipeKind()
    (work,) = works(job, records[:1])
    (loaded,) = kind.read_many([work])
    kind.release_many([(work, loaded), (work, Loaded(loaded.context))])
    (again,) = kind.read_many([work])
    assert not again.prepared[0].is_busy


def test_a_page_written_twice_leaves_one_result(
    order: Callable[..., Job], records: list[Record]
) -> None:
    job, kind = order(), RecipeKind()
    page = works(job, records)
    loaded = kind.read_many(page)

    talks = asyncio.run(compute(kind, page, loaded))
    first = kind.write_many(list(zip(page, talks, strict=True)))
    rows = list(Suggestion.objects.order_by("id").values_list("id", "value", "updated_at"))
    again = kind.write_many(list(zip(page, talks, strict=True)))
    assert sum(first, Decimal(0)) > 0  # type: ignore[arg-type]
    assert sum(again, Decimal(0)) == 0  # type: ignore[arg-type]
    assert list(Suggestion.objects.order_by("id").values_list("id", "value", "updated_at")) == rows
    assert SuggestionVersion.objects.count() == len(records)


def test_an_answer_that_cannot_be_stored_yet_is_not_paid_twice(
    waiting: None, order: Callable[..., Job], records: list[Record], llm_server: LlmServer
) -> None:
    BUSY.add(records[1].fields["text"])
    job = order(recipe="waiting")
    run_slice(organization_id=current(), job_id=job.id, seconds=1)
    BUSY.clear()
    job.refresh_from_db()
    assert (job.state, job.done) == ("running", 5)
    cost = job.cost
    JobItem.objects.filter(job=job).update(available_at=None)
    assert (run(job).state, job.done) == ("done", 6)
    assert llm_server.ledger()["calls"] == 6
    assert job.cost == cost > 0
    assert Suggestion.objects.count() == 6


def test_a_run_goes_on_with_the_questions_as_they_are(
    order: Callable[..., Job],
    records: list[Record],
    dataset: Dataset,
    member: Membership,
    llm_server: LlmServer,
) -> None:
    llm_server.script(r"\bbad\b", answer={"label": "bad", "confidence": 0.9})
    llm_server.script(".", answer={"label": "negative", "confidence": 0.9})
    answer(records[5], sentiment="negative")
    job = order(shots=1)
    run_slice(organization_id=current(), job_id=pause_job(job=job).id)
    kind = RecipeKind()
    page = works(job, records)
    loaded = kind.read_many(page)
    talks = asyncio.run(compute(kind, page, loaded))

    to = NewLabel(value="bad", text="Bad")
    edit = RenameLabel(question="sentiment", label="negative", to=to)
    apply_edit(dataset=dataset, edit=edit, created_by=member)
    undone = kind.write_many(list(zip(page, talks, strict=True)))
    assert all(isinstance(one, Undone) and one.cost > 0 for one in undone)
    assert not Suggestion.objects.exists()
    assert run(resume_job(job=job)).state == "done"
    assert set(Suggestion.objects.values_list("value", flat=True)) == {"bad"}
    assert len(Suggestion.objects.all()) == len(records)
