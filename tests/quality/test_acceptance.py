"""Sure answers taken as decisions: what exports tell of them, who is asked, and the way back."""

import json
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.annotation.distribution import claim
from apps.annotation.ingest import log_records
from apps.annotation.services import save_response
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import current
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import load_schema
from apps.events.models import Event
from apps.exchange.exporter import export_pages
from apps.quality.acceptance import accept_suggestions, undo_acceptance
from apps.quality.answer_table import load_classes
from apps.quality.causes import load_crowd
from apps.quality.decisions import GivenAdjudication, Ruling, decide, import_adjudications
from apps.quality.measures.labels import NONE
from apps.quality.models import Acceptance, Adjudication, Flag
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import DatasetCounter, Record, RecordStatus, RecordTask
from tests.factories import make_dataset, make_member
from tests.pipelines.conftest import run

pytestmark = pytest.mark.django_db

AGENT = "acme/tiny@v1"


@pytest.fixture
def dataset(organization: Any) -> Dataset:
    return make_dataset()


def question_of(dataset: Dataset, name: str = "sentiment") -> Question:
    rows = Question.objects.select_related("dataset__workspace")
    return rows.get(dataset=dataset, name=name)


def suggested(dataset: Dataset, *scores: float, name: str = "sentiment") -> list[Record]:
    """Records with a suggestion of each score."""
    question, value = question_of(dataset, name), {"sentiment": "mixed", "quality": 3}[name]
    given = [
        SuggestionInput(question.id, value, score=score, agent=AGENT, type="model")
        for score in scores
    ]
    rows = log_records(
        dataset=dataset,
        items=[
            RecordInput(fields={"text": f"text {n}"}, external_id=f"r{n}", suggestions=[one])
            for n, one in enumerate(given)
        ],
    )
    return list(Record.objects.filter(id__in=[row.id for row in rows]).in_order())


def accept(dataset: Dataset, threshold: float = 0.8, name: str = "sentiment") -> Acceptance:
    acceptance, job = accept_suggestions(
        question=question_of(dataset, name), agent=AGENT, threshold=threshold
    )
    assert run(job).state == "done"
    return Acceptance.objects.select_related("question").get(id=acceptance.id)


def texts(**filters: Any) -> list[str]:
    return [record.fields["text"] for record in Record.objects.filter(**filters).in_order()]


def test_sure_answers_are_decided_and_the_others_asked_about(dataset: Dataset) -> None:
    suggested(dataset, 0.95, 0.5, 0.8, 0.79)
    acceptance = accept(dataset)
    assert acceptance.count == 2
    assert texts(status=RecordStatus.COMPLETED) == ["text 0", "text 2"]
    assert DatasetCounter.objects.get(dataset=dataset).completed == 2
    dataset.refresh_from_db()
    leases = claim(dataset=dataset, annotator=make_member(), limit=10)
    asked = [Record.objects.get(id=lease.record_id).fields["text"] for lease in leases]
    assert asked == ["text 1", "text 3"], "the least certain first"
    for decided in Adjudication.objects.all():
        assert decided.reviewer_id is None
        assert decided.values == {"sentiment": {"value": "mixed"}}
        assert decided.accepted == {"sentiment": str(acceptance.id)}


def test_an_export_tells_that_no_person_decided(dataset: Dataset) -> None:
    suggested(dataset, 0.95)
    accept(dataset)
    pages = export_pages(
        organization_id=current(), dataset_id=dataset.id, statuses=["pending", "completed"]
    )
    (line,) = b"".join(page.lines for page in pages).splitlines()
    decided = json.loads(line)["adjudication"]
    assert decided["reviewer"] is None
    assert decided["values"] == {"sentiment": {"value": "mixed"}}
    assert decided["note"] == f"{AGENT} ≥ 0.8"
    assert list(decided["accepted"]) == ["sentiment"]
    assert json.loads(line)["responses"] == []


def test_whoever_is_at_it_keeps_the_record(dataset: Dataset) -> None:
    held, answered, flagged, decided, free = suggested(dataset, *[0.9] * 5)
    person = make_member()
    (lease,) = claim(dataset=dataset, annotator=make_member(), limit=1)
    assert lease.record_id == held.id
    values = {"sentiment": {"value": "positive"}}
    save_response(record=answered, annotator=person, status="draft", values=values)
    Flag.objects.create(record=flagged, member=person)
    reviewer = make_member(role="reviewer")
    decide(record=decided, reviewer=reviewer, ruling=Ruling(values))
    assert accept(dataset).count == 1
    (row,) = Adjudication.objects.exclude(accepted={})
    assert row.record_id == free.id


def test_taking_it_back_asks_people(dataset: Dataset) -> None:
    suggested(dataset, 0.95, 0.9)
    acceptance = accept(dataset)
    assert undo_acceptance(acceptance=acceptance) == 2
    assert not Adjudication.objects.exists()
    assert set(RecordTask.objects.values_list("open_slots", "settled")) == {(1, False)}
    assert Record.objects.filter(status=RecordStatus.PENDING).count() == 2
    assert DatasetCounter.objects.get(dataset=dataset).completed == 0
    with pytest.raises(ConflictError, match="taken back already"):
        undo_acceptance(acceptance=acceptance)
    kinds = list(Event.objects.filter(kind__startswith="acceptance").values_list("kind", flat=True))
    assert sorted(kinds) == ["acceptance.created", "acceptance.undone"]
    again = accept(dataset)
    assert again.count == 2


def test_what_a_reviewer_decided_since_stays(dataset: Dataset) -> None:
    first, _ = suggested(dataset, 0.95, 0.9)
    acceptance = accept(dataset)
    reviewer = make_member(role="reviewer")
    ruling = Ruling({"sentiment": {"value": "negative"}})
    decide(record=first, reviewer=reviewer, ruling=ruling)
    assert undo_acceptance(acceptance=acceptance) == 1
    (kept,) = Adjudication.objects.all()
    assert (kept.record_id, kept.accepted) == (first.id, {})
    assert kept.values == {"sentiment": {"value": "negative"}}


def test_a_record_is_settled_once_all_that_is_required_is_decided(organization: Any) -> None:
    dataset = make_dataset(questions=["sentiment", "quality"], required=["sentiment", "quality"])
    suggested(dataset, 0.95, 0.95)
    first = accept(dataset)
    assert texts(status=RecordStatus.COMPLETED) == []
    (one, _) = suggested(dataset, 0.9, 0.2, name="quality")
    second = accept(dataset, name="quality")
    assert texts(status=RecordStatus.COMPLETED) == ["text 0"]
    decided = Adjudication.objects.get(record=one)
    assert decided.values == {"sentiment": {"value": "mixed"}, "quality": {"value": 3}}
    assert undo_acceptance(acceptance=second) == 1
    decided.refresh_from_db()
    assert decided.values == {"sentiment": {"value": "mixed"}}
    assert decided.accepted == {"sentiment": str(first.id)}
    assert texts(status=RecordStatus.COMPLETED) == []


def test_what_required_questions_settle_stays_settled(organization: Any) -> None:
    dataset = make_dataset(questions=["sentiment", "quality"], required=["sentiment"])
    suggested(dataset, 0.9, name="quality")
    optional = accept(dataset, name="quality")
    suggested(dataset, 0.95)
    accept(dataset)
    assert undo_acceptance(acceptance=optional) == 1
    assert Adjudication.objects.get().values == {"sentiment": {"value": "mixed"}}
    assert texts(status=RecordStatus.COMPLETED) == ["text 0"]
    assert claim(dataset=dataset, annotator=make_member()) == []


def test_a_late_answer_leaves_the_record_completed(dataset: Dataset) -> None:
    (record,) = suggested(dataset, 0.95)
    accept(dataset)
    values = {"sentiment": {"value": "positive"}}
    saved = save_response(record=record, annotator=make_member(), status="submitted", values=values)
    assert saved.extra
    record.refresh_from_db()
    assert record.status == RecordStatus.COMPLETED


def test_one_acceptance_of_a_question_at_a_time(dataset: Dataset) -> None:
    suggested(dataset, 0.95)
    question = question_of(dataset)
    accept_suggestions(question=question, agent=AGENT, threshold=0.9)
    with pytest.raises(ConflictError, match="running already"):
        accept_suggestions(question=question, agent=AGENT, threshold=0.9)


def test_a_threshold_is_a_share(dataset: Dataset) -> None:
    question = question_of(dataset)
    with pytest.raises(InvalidError, match="between 0 and 1"):
        accept_suggestions(question=question, agent=AGENT, threshold=1.5)
    refused = pytest.raises(IntegrityError, match="acceptance_threshold_is_a_share")
    with refused, transaction.atomic():
        Acceptance.objects.create(dataset=dataset, question=question, agent=AGENT, threshold=2)


def test_what_a_reviewer_says_nothing_about_stays_accepted(organization: Any) -> None:
    dataset = make_dataset(questions=["sentiment", "quality"], required=["sentiment", "quality"])
    (record,) = suggested(dataset, 0.95)
    accept(dataset)
    suggested(dataset, 0.95, name="quality")
    second = accept(dataset, name="quality")
    reviewer = make_member(role="reviewer")
    decide(record=record, reviewer=reviewer, ruling=Ruling({"sentiment": {"value": "negative"}}))
    decided = Adjudication.objects.get()
    assert decided.values == {"sentiment": {"value": "negative"}, "quality": {"value": 3}}
    assert decided.accepted == {"quality": str(second.id)}
    assert texts(status=RecordStatus.COMPLETED) == ["text 0"]
    assert Adjudication.objects.by_people("sentiment").exists()
    assert not Adjudication.objects.by_people("quality").exists()
    assert undo_acceptance(acceptance=second) == 1
    decided = Adjudication.objects.get()
    assert (decided.values, decided.accepted) == ({"sentiment": {"value": "negative"}}, {})
    assert decided.reviewer == reviewer
    assert texts(status=RecordStatus.COMPLETED) == []
    assert accept(dataset, name="quality").count == 0, "a person has looked at the record"


@pytest.mark.parametrize("name", ["sentiment", "quality"])
def test_measures_take_a_decision_as_a_persons_by_question(organization: Any, name: str) -> None:
    dataset = make_dataset(questions=["sentiment", "quality"])
    (record,) = suggested(dataset, 0.95, name="quality")
    accept(dataset, name="quality")
    reviewer, person = make_member(role="reviewer"), make_member()
    values = {"sentiment": {"value": "negative"}}
    decide(record=record, reviewer=reviewer, ruling=Ruling(values))
    answer = {**values, "quality": {"value": 5}}
    save_response(record=record, annotator=person, status="submitted", values=answer)
    rule = load_schema(dataset).questions[name]
    (decided,) = load_classes(rule).decided.tolist()
    crowd = load_crowd(load_schema(dataset), rule)
    assert crowd is not None
    assert (decided == NONE) == (name == "quality")
    assert list(crowd.known.values()) == ([] if name == "quality" else [decided])


@pytest.mark.parametrize("required", [["sentiment"], ["sentiment", "quality"]])
def test_what_comes_with_a_file_is_settled_again(organization: Any, required: list[str]) -> None:
    here, there = (
        make_dataset(),
        make_dataset(questions=["sentiment", "quality"], required=required),
    )
    suggested(here, 0.95)
    acceptance = accept(here)
    (row,) = log_records(dataset=there, items=[RecordInput(fields={"text": "a text"})])
    values = {"sentiment": {"value": "mixed"}}
    given = GivenAdjudication(Ruling(values), accepted={"sentiment": str(acceptance.id)})
    import_adjudications(dataset=there, given=[(row.id, given)])
    is_settled = required == ["sentiment"]
    assert RecordTask.objects.get(record=row.id).settled == is_settled
    assert DatasetCounter.objects.get(dataset=there).completed == int(is_settled)
    assert len(claim(dataset=there, annotator=make_member())) == int(not is_settled)


def test_a_persons_decision_from_a_file_settles_nothing(dataset: Dataset) -> None:
    (row,) = log_records(dataset=dataset, items=[RecordInput(fields={"text": "a text"})])
    given = GivenAdjudication(Ruling({"sentiment": {"value": "mixed"}}))
    import_adjudications(dataset=dataset, given=[(row.id, given)])
    assert not RecordTask.objects.get().settled
