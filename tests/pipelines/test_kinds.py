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
from apps.jobs.stream import in_database
from apps.llms import calls
from apps.llms.models import (
    Budget,
    LedgerEntry,
    LLMAttempt,
    LLMResponse,
    Provider,
    ProviderModel,
)
from apps.organizations.models import Membership
from apps.pipelines.kinds import Loaded, RecipeKind
from apps.pipelines.models import SuggestionVersion
from apps.pipelines.steering import MOST_WAITS
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


def test_a_long_reason_to_end_is_cut(
    order: Callable[..., Job], records: list[Record], llm_server: LlmServer
) -> None:
    reason = "stop because the model has reached a natural end of its turn"
    llm_server.script(".", finish_reason=reason)
    job = run(order())
    assert (job.state, job.done) == ("done", 6)
    kept = set(LLMResponse.objects.values_list("finish_reason", flat=True))
    assert kept == {reason[:50]}


@pytest.mark.parametrize(("wait", "earlier"), [("0", 0), ("1", MOST_WAITS)])
def test_a_provider_that_never_gets_better_is_not_asked_for_ever(
    order: Callable[..., Job], llm_server: LlmServer, wait: str, earlier: int
) -> None:
    error = {"message": "overloaded"}
    llm_server.script(".", status=503, headers={"Retry-After": wait}, error=error)
    job = order()
    run_slice(organization_id=current(), job_id=job.id, seconds=0)
    JobItem.objects.filter(job=job).update(waits=earlier)
    run_slice(organization_id=current(), job_id=job.id, seconds=0.4)
    assert set(JobItem.objects.filter(job=job).values_list("failures", flat=True)) == {1}
    assert llm_server.ledger()["calls"] == 6


def test_a_provider_that_says_when_to_come_back_is_obeyed(
    order: Callable[..., Job], llm_server: LlmServer
) -> None:
    error = {"message": "overloaded"}
    llm_server.script(".", status=503, headers={"Retry-After": "0.01"}, error=error, times=6)
    job = order()
    run_slice(organization_id=current(), job_id=job.id, seconds=0.4)
    assert llm_server.ledger()["calls"] == 6, "nobody is asked more than once a second"
    assert not JobItem.objects.filter(job=job, failures__gt=0).exists()


def test_a_document_cut_off_says_so(order: Callable[..., Job], llm_server: LlmServer) -> None:
    llm_server.script("cheese", answer='{"label": ', finish_reason="length")
    job = run(order())
    [error] = job.error_sample
    assert error["error"].endswith("not one JSON object. It was cut off at 3 tokens.")


def test_a_repair_waits_for_what_others_have_set_aside(
    order: Callable[..., Job], llm_server: LlmServer, provider: Provider
) -> None:
    """Each of the six calls reserves some 5,000 tokens, and takes about 200."""
    Provider.objects.update(concurrency=1)
    ProviderModel.objects.update(answer_form="json_schema")
    llm_server.configure(latency_ms=50)
    llm_server.script("Ana flew", answer="oops", times=1)
    job = order(budget={"max_tokens": 20_000})
    while run(job).state == "running":
        JobItem.objects.filter(job=job).update(available_at=None)
    assert (job.state, job.done, job.error_sample) == ("done", 6, [])
    assert Budget.objects.get().spent_tokens < 5_000


def test_a_repair_that_no_budget_is_left_for_pauses_the_job(
    order: Callable[..., Job], llm_server: LlmServer, records: list[Record]
) -> None:
    llm_server.script("Ana flew", answer="oops " * 3_000)
    job = order(budget={"max_tokens": 8_000}, selection={"record_ids": [records[0].id]})
    while run(job).state == "running":
        JobItem.objects.filter(job=job).update(available_at=None)
    assert (job.state, job.done) == ("paused", 0)
    assert "budget is reached" in job.error_sample[0]["error"]
    assert llm_server.ledger()["calls"] == 1


def test_answers_that_come_too_late_are_kept_and_booked(
    order: Callable[..., Job], llm_server: LlmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, compute = order(), RecipeKind.compute
    mine = JobItem.objects.filter(job=job)

    async def lose(self: RecipeKind, work: Work, material: Loaded) -> Any:
        """Another run takes the item, as if this one had been silent for too long."""
        await in_database(lambda: mine.filter(seq=work.seq).update(attempts=2))
        return await compute(self, work, material)

    with monkeypatch.context() as patch:
        patch.setattr(RecipeKind, "compute", lose)
        run_slice(organization_id=current(), job_id=job.id)
    job.refresh_from_db()
    assert (job.done, Suggestion.objects.count(), LLMAttempt.objects.count()) == (0, 0, 0)
    paid = LedgerEntry.objects.of_job(job.id).totals()
    assert (paid["call"], paid["usd"]) == (6, job.cost)
    assert job.cost > 0
    mine.update(state="pending", run=None)
    assert (run(job).state, job.done) == ("done", 6)
    assert llm_server.ledger()["calls"] == 6, "the other run finds the answers"
    assert job.cost == paid["usd"]


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
