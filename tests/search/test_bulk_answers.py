"""One answer to many records: what the dry run says is what the job does, and undo takes back."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.annotation import distribution, history
from apps.annotation.bulk import BulkAnswer, answer_records
from apps.annotation.ingest import log_records
from apps.annotation.models import Annotator, Lease, Response
from apps.annotation.services import save_response
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import enter
from apps.datasets.models import Dataset
from apps.datasets.schema import load_schema
from apps.events.models import Event
from apps.jobs.engine import run_slice
from apps.jobs.models import Job, JobReject
from apps.organizations.models import Membership, Organization
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import DatasetCounter, Record
from apps.search import bulk_answers
from apps.search.asked import read, read_text
from apps.search.bulk_answers import Selection, dry_run, start, undo
from apps.search.matching import Matcher
from apps.search.query import EVERYBODY
from apps.workspaces.models import Workspace
from tests import factories
from tests.conftest import ALL_DATABASES
from tests.jobs.test_worker import Worker, wait, worker  # noqa: F401

POSITIVE = {"sentiment": {"value": "positive"}}


@pytest.fixture
def dataset(workspace: Workspace) -> Dataset:
    return make_dataset(workspace, 10)


@pytest.fixture
def me(workspace: Workspace) -> Membership:
    return factories.make_member(workspace=workspace)


def make_dataset(workspace: Workspace, count: int) -> Dataset:
    """Records in order, every second one suggested negative, the others nothing."""
    dataset = factories.make_dataset(
        workspace, questions=("sentiment", "order", "entities", "comment"), required=("sentiment",)
    )
    question = load_schema(dataset).questions["sentiment"].id
    for first in range(0, count, 200):
        items = [
            RecordInput(
                fields={"text": f"text {n}"},
                external_id=f"{n:03}",
                suggestions=[SuggestionInput(question, "negative", 0.5)] if n % 2 else [],
            )
            for n in range(first, min(first + 200, count))
        ]
        log_records(dataset=dataset, items=items)
    return dataset


def ids(dataset: Dataset) -> list[UUID]:
    records = Record.objects.filter(dataset=dataset).order_by("external_id")
    return list(records.values_list("id", flat=True))


def give(dataset: Dataset, member: Membership, number: int, status: str, **values: Any) -> None:
    record = Record.objects.get(id=ids(dataset)[number])
    given = {name: {"value": value} for name, value in values.items()}
    save_response(record=record, annotator=member, status=status, values=given)


def given(dataset: Dataset, member: Membership) -> dict[str, tuple[str, dict[str, Any]]]:
    rows = Response.objects.filter(dataset=dataset, user=member).select_related("record")
    return {
        row.record.external_id: (row.status, {n: v["value"] for n, v in row.values.items()})
        for row in rows
    }


def run(job: Job, organization: Organization) -> Job:
    while run_slice(organization_id=organization.id, job_id=job.id):
        pass
    return Job.objects.get(id=job.id)


def begin(dataset: Dataset, me: Membership, answer: BulkAnswer, query: str = "") -> Job:
    asked, _ = read_text(load_schema(dataset), query, EVERYBODY)
    return start(dataset=dataset, member=me, selection=Selection(asked), answer=answer, expected=0)


# --- What is counted is what happens -------------------------------------------------------------


ANSWERS = [
    BulkAnswer("submitted", POSITIVE),
    BulkAnswer("submitted", POSITIVE, keeps_mine=False),
    BulkAnswer("submitted", {}, ("sentiment",)),
    BulkAnswer("submitted", {}, ("sentiment",), keeps_mine=False),
    BulkAnswer("submitted", {"comment": {"value": "fine"}}, keeps_mine=False),
    BulkAnswer("submitted", {"entities": {"value": []}}, ("sentiment", "order"), keeps_mine=False),
    BulkAnswer("submitted", POSITIVE, ("sentiment",), keeps_mine=False),
    BulkAnswer("draft", {}, ("sentiment",)),
    BulkAnswer("discarded", keeps_mine=False),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
def test_the_dry_run_says_what_the_job_does(
    dataset: Dataset, me: Membership, organization: Organization, answer: BulkAnswer
) -> None:
    other = factories.make_member()
    give(dataset, me, 0, "submitted", sentiment="mixed", comment="mine")
    give(dataset, me, 1, "draft", comment="later")
    give(dataset, me, 2, "discarded")
    give(dataset, other, 3, "submitted", sentiment="mixed")
    told = dry_run(Matcher(load_schema(dataset)), me, answer)
    assert told.matched == told.answered + told.kept + told.incomplete == 10
    before = given(dataset, me)
    completed = DatasetCounter.objects.get(dataset=dataset).completed
    job = run(begin(dataset, me, answer), organization)
    after = given(dataset, me)
    key = Response.objects.filter(user=me, request_key=job.id)
    assert (job.state, job.done) == ("done", 10)
    assert key.count() == told.answered
    assert len(after) - len(before) == told.new
    assert JobReject.objects.filter(job=job).count() == told.incomplete
    counter = DatasetCounter.objects.get(dataset=dataset)
    submits = answer.status == "submitted"
    assert not submits or counter.completed - completed == told.completing
    for name, values in after.items():
        if answer.keeps_mine and name in before:
            assert values == before[name]
    if not submits or not answer.keeps_mine:
        taken = undo(job=job, member=me)
        assert run(taken, organization).done == told.answered
        assert given(dataset, me) == before
        assert DatasetCounter.objects.get(dataset=dataset).completed == completed


def test_an_answer_is_put_together_from_all_three(
    dataset: Dataset, me: Membership, organization: Organization
) -> None:
    give(dataset, me, 1, "draft", comment="kept", sentiment="mixed")
    answer = BulkAnswer("submitted", {"entities": {"value": []}}, ("sentiment",), keeps_mine=False)
    run(begin(dataset, me, answer, "mine=draft"), organization)
    assert given(dataset, me) == {
        "001": ("submitted", {"sentiment": "negative", "comment": "kept", "entities": []})
    }


def test_a_search_that_answers_change_is_settled_first(
    dataset: Dataset, me: Membership, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_answers, "PAGE", 3)
    job = run(begin(dataset, me, BulkAnswer("submitted", POSITIVE), "mine=pending"), organization)
    assert (job.state, job.total, job.done) == ("done", 10, 10)
    assert len(given(dataset, me)) == 10


# --- A page --------------------------------------------------------------------------------------


def test_a_page_costs_the_same_however_many_records(
    dataset: Dataset, me: Membership, django_assert_num_queries: Any
) -> None:
    schema, answer = load_schema(dataset), BulkAnswer("submitted", {}, ("sentiment",))
    everything = ids(dataset)
    answer_records(
        schema=schema,
        annotator=me,
        answer=answer,
        record_ids=everything[:2],
        request_key=uuid4(),
    )
    for record_ids in (everything[2:4], everything[4:]):
        with django_assert_num_queries(13):
            answer_records(
                schema=schema,
                annotator=me,
                answer=answer,
                record_ids=record_ids,
                request_key=uuid4(),
            )


def test_the_same_key_again_changes_nothing(
    dataset: Dataset, me: Membership, organization: Organization
) -> None:
    schema, key = load_schema(dataset), uuid4()
    gone = uuid4()
    for round in range(2):
        outcome = answer_records(
            schema=schema,
            annotator=me,
            answer=BulkAnswer("submitted", POSITIVE, keeps_mine=False),
            record_ids=[*ids(dataset)[:3], gone],
            request_key=key,
        )
        assert (outcome.stored, outcome.kept) == ((3, 0) if round == 0 else (0, 3))
        assert outcome.refused == {gone: "the record is gone"}
    assert Event.objects.filter(kind="response.created").count() == 3
    assert Annotator.objects.get(user=me).submitted_today == 3
    answer_records(
        schema=schema,
        annotator=me,
        answer=BulkAnswer("discarded", keeps_mine=False),
        record_ids=ids(dataset)[:2],
        request_key=uuid4(),
    )
    assert Annotator.objects.get(user=me).submitted_today == 1


def test_leases_end_and_records_complete_once(dataset: Dataset, me: Membership) -> None:
    distribution.claim(dataset=dataset, annotator=me, limit=2)
    answer_records(
        schema=load_schema(dataset),
        annotator=me,
        answer=BulkAnswer("submitted", POSITIVE),
        record_ids=ids(dataset),
        request_key=uuid4(),
    )
    assert not Lease.objects.exists()
    assert Event.objects.filter(kind="record.completed").count() == 10
    assert DatasetCounter.objects.get(dataset=dataset).completed == 10


@pytest.mark.parametrize(
    "answer",
    [
        BulkAnswer("submitted"),
        BulkAnswer("submitted", {"gone": {"value": 1}}),
        BulkAnswer("submitted", {}, ("gone",)),
        BulkAnswer("submitted", {"sentiment": {"value": "gone"}}),
        BulkAnswer("submitted", {"order": {"value": []}}),
        BulkAnswer(
            "submitted", {"entities": {"value": [{"start": 0, "end": 1, "label": "place"}]}}
        ),
    ],
)
def test_what_is_wrong_for_every_record_is_refused(dataset: Dataset, answer: BulkAnswer) -> None:
    with pytest.raises(InvalidError):
        answer.check(load_schema(dataset))


# --- What may happen meanwhile ------------------------------------------------------------------


def test_a_filter_that_is_gone_answers_nothing(
    dataset: Dataset, me: Membership, organization: Organization
) -> None:
    job = begin(dataset, me, BulkAnswer("submitted", POSITIVE), "suggested.sentiment=negative")
    params = {**job.params, "query": "suggested.gone=negative"}
    Job.objects.filter(id=job.id).update(params=params)
    job = run(job, organization)
    assert (job.state, job.total) == ("cancelled", 0)
    assert "gone" in job.error_sample[0]["error"]
    assert given(dataset, me) == {}


def test_of_a_long_search_nothing_is_lost_on_the_way(dataset: Dataset, me: Membership) -> None:
    schema = load_schema(dataset)
    phrase = "語" * 1_000  # nine characters each, as it stands in an address
    asked, problems = read(schema, [("q", phrase), ("status", "pending")], EVERYBODY)
    assert problems == []
    again = Selection.from_json(Selection(asked).as_json(), schema, EVERYBODY)
    assert again.asked == asked


@pytest.mark.parametrize("loss", ["dataset", "member"])
def test_who_or_what_is_gone_ends_it(
    dataset: Dataset, me: Membership, organization: Organization, loss: str
) -> None:
    job = begin(dataset, me, BulkAnswer("submitted", POSITIVE))
    if loss == "dataset":
        Job.objects.filter(id=job.id).update(dataset_id=uuid4())
    else:
        Workspace.objects.get(id=dataset.workspace_id).memberships.all().delete()
    assert run(job, organization).state == "cancelled"
    assert not Response.objects.exists()


def test_a_persons_last_act_is_none_of_a_jobs(
    dataset: Dataset, me: Membership, organization: Organization
) -> None:
    """Undo on the annotate page takes back one answer, never thousands in one request."""
    record = Record.objects.get(id=ids(dataset)[0])
    key = uuid4()
    values = {"sentiment": {"value": "mixed"}}
    save_response(record=record, annotator=me, status="submitted", values=values, request_key=key)
    done = run(begin(dataset, me, BulkAnswer("submitted", POSITIVE)), organization)
    assert (done.done, done.failed) == (10, 0)
    act = history.last_act(dataset=dataset, annotator=me)
    assert act is not None
    assert act.request_key == key
    run(undo(job=done, member=me), organization)
    assert len(given(dataset, me)) == 1
    assert history.last_undone(dataset=dataset, annotator=me) is None


def test_taking_back_has_its_time(
    dataset: Dataset, me: Membership, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = begin(dataset, me, BulkAnswer("submitted", POSITIVE))
    with pytest.raises(ConflictError):
        undo(job=job, member=me)  # not yet
    job = run(job, organization)
    give(dataset, me, 0, "submitted", sentiment="mixed")  # changed since: stays
    first = undo(job=job, member=me)
    with pytest.raises(ConflictError):
        undo(job=job, member=me)  # a double click
    assert run(first, organization).done == 9
    assert given(dataset, me) == {"000": ("submitted", {"sentiment": "mixed"})}
    monkeypatch.setattr(bulk_answers, "UNDO_FOR", bulk_answers.UNDO_FOR * 0)
    with pytest.raises(ConflictError):
        undo(job=job, member=me)


# --- A real worker, killed -----------------------------------------------------------------------


class SmallPages(Worker):
    script = "tests/search/bulk_worker.py"


@pytest.fixture
def killed(worker: Worker) -> Worker:  # noqa: F811
    worker.script = SmallPages.script
    return worker


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
def test_a_killed_worker_stores_and_takes_back_each_answer_once(killed: Worker) -> None:
    organization = factories.make_organization("Many")
    with enter(organization.id):
        workspace = factories.make_workspace()
        me = factories.make_member(workspace=workspace)
        dataset = make_dataset(workspace, 300)
        job = begin(dataset, me, BulkAnswer("submitted", POSITIVE))
    job = _through_kills(killed, organization, job, 300)
    assert (job.state, job.done, job.failed, job.total) == ("done", 300, 0, 300)
    with enter(organization.id):
        assert len(given(dataset, me)) == 300
        assert Event.objects.filter(kind="response.created").count() == 300
        assert Annotator.objects.get(user=me).submitted_today == 300
        assert DatasetCounter.objects.get(dataset=dataset).completed == 300
        taken = undo(job=job, member=me)
    taken = _through_kills(killed, organization, taken, 300)
    assert (taken.state, taken.done) == ("done", 300)
    with enter(organization.id):
        assert given(dataset, me) == {}
        assert Event.objects.filter(kind="response.deleted").count() == 300
        assert DatasetCounter.objects.get(dataset=dataset).completed == 0


def _through_kills(killed: Worker, organization: Organization, job: Job, count: int) -> Job:
    for part in (1, 2):
        killed.start()
        reached: Callable[[Job], bool] = lambda job, part=part: (  # noqa: E731
            job.done > part * count // 4 or job.has_ended
        )
        wait(organization, job, reached, killed)
        killed.kill()
        killed.redis.flushall()
    killed.start()
    ended = wait(organization, job, lambda job: job.has_ended, killed)
    killed.kill()
    return ended
