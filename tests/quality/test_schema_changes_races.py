"""Edits of the questions that meet answers on their way: real threads, real commits."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connections

from apps.annotation.bulk import BulkAnswer, answer_records
from apps.annotation.ingest import log_records
from apps.annotation.models import Response
from apps.annotation.services import save_response
from apps.core.errors import ConflictError, InvalidError
from apps.core.tenancy import enter
from apps.datasets.edits import read_edit
from apps.datasets.models import Dataset, Question
from apps.datasets.schema import DatasetSchema, load_schema
from apps.datasets.services import archive_dataset
from apps.jobs.kinds import Work
from apps.jobs.models import Job
from apps.organizations.models import Membership
from apps.quality.acceptance import AcceptSuggestions, accept_suggestions
from apps.quality.decisions import Ruling, decide
from apps.quality.few_shot import FewShotSuggestions, Proposals
from apps.quality.head import Proposal
from apps.quality.models import Adjudication
from apps.quality.schema_changes.services import apply_edit
from apps.records.inputs import RecordInput, ResponseInput, SuggestionInput
from apps.records.models import Record, Suggestion
from apps.records.services import upsert_suggestion
from tests.conftest import ALL_DATABASES
from tests.factories import make_dataset, make_member, make_organization, make_records
from tests.meanwhile import waiting

pytestmark = pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
MIXED = {"sentiment": {"value": "mixed"}}


class World:
    """One record, one annotator, and a schema that was read before anything happened."""

    def __init__(self) -> None:
        self.tenant = make_organization().id
        with enter(self.tenant):
            self.ana: Membership = make_member()
            self.dataset: Dataset = make_dataset()
            make_records(self.dataset, 1)
            self.record = Record.objects.select_related("dataset").get()
            self.schema: DatasetSchema = load_schema(self.record.dataset)
            assert "mixed" in self.schema.questions["sentiment"].options

    # --- Ways to say “mixed” ------------------------------------------------------------------
    def save(self) -> None:
        save_response(
            record=self.record,
            annotator=self.ana,
            status="submitted",
            values=MIXED,
            schema=self.schema,
        )

    def bulk(self) -> None:
        outcome = answer_records(
            schema=self.schema,
            annotator=self.ana,
            answer=BulkAnswer("submitted", MIXED),
            record_ids=[self.record.id],
            request_key=uuid4(),
        )
        if outcome.refused:
            raise InvalidError(outcome.refused[self.record.id])

    def bring(self) -> None:
        response = ResponseInput(user_id=self.ana.id, status="submitted", values=MIXED)
        item = RecordInput(
            fields=self.record.fields,
            external_id=self.record.external_id,
            responses=[response],
        )
        log_records(dataset=self.record.dataset, items=[item], schema=self.schema)

    def suggest(self) -> None:
        question: UUID = self.schema.questions["sentiment"].id
        given = SuggestionInput(question_id=question, value="mixed")
        upsert_suggestion(record=self.record, given=given)

    def decide(self) -> None:
        decide(record=self.record, reviewer=self.ana, ruling=Ruling(MIXED))

    # --- What meets them ----------------------------------------------------------------------
    def rename(self) -> None:
        document = {
            "kind": "rename_label",
            "question": "sentiment",
            "label": "mixed",
            "to": {"value": "both", "text": "Both"},
        }
        apply_edit(dataset=self.dataset, edit=read_edit(document))

    def archive(self) -> None:
        archive_dataset(dataset=self.dataset)

    def said(self) -> list[Any]:
        """Everything that stands about the record."""
        with enter(self.tenant):
            found = [*Response.objects.all(), *Adjudication.objects.all()]
            values = [row.values["sentiment"]["value"] for row in found]
            return values + [row.value for row in Suggestion.objects.all()]

    def meet(self, first: Callable[[], None], second: Callable[[], None]) -> Future[None]:
        """``first`` commits when ``second`` waits for it, or has not waited at all."""
        is_written, may_commit = threading.Event(), threading.Event()

        def act(work: Callable[[], None], *, goes_first: bool) -> None:
            try:
                with enter(self.tenant):
                    work()
                    if goes_first:
                        is_written.set()
                        assert may_commit.wait(30)
            finally:
                is_written.set()
                connections.close_all()

        with ThreadPoolExecutor(2) as pool:
            one = pool.submit(act, first, goes_first=True)
            assert is_written.wait(30)
            other = pool.submit(act, second, goes_first=False)
            while not (other.done() or waiting()):
                time.sleep(0.01)
            may_commit.set()
            one.result(30)
            other.exception(30)
        return other


@pytest.fixture
def world() -> World:
    return World()


WAYS = pytest.mark.parametrize("way", ["save", "bulk", "bring", "suggest", "decide"])


@WAYS
def test_an_edit_finds_what_was_said_while_it_began(world: World, way: str) -> None:
    world.meet(getattr(world, way), world.rename).result()
    assert world.said() == ["both"]


@WAYS
def test_what_is_said_while_an_edit_ends_meets_the_new_questions(world: World, way: str) -> None:
    late = world.meet(world.rename, getattr(world, way))
    assert isinstance(late.exception(), InvalidError)
    assert world.said() == []


@WAYS
def test_nothing_is_said_of_a_dataset_that_was_archived_meanwhile(world: World, way: str) -> None:
    late = world.meet(world.archive, getattr(world, way))
    assert isinstance(late.exception(), ConflictError)
    assert world.said() == []


def test_what_is_accepted_while_a_question_is_renamed_has_the_new_name(world: World) -> None:
    with enter(world.tenant):
        question = Question.objects.select_related("dataset__workspace").get()
        given = SuggestionInput(question.id, "mixed", score=0.9, agent="tiny", type="model")
        upsert_suggestion(record=world.record, given=given)
        _, job = accept_suggestions(question=question, agent="tiny", threshold=0.5)
        edit = {"kind": "rename_question", "question": "sentiment", "to": "mood", "title": "Mood"}

    def rename() -> None:
        apply_edit(dataset=world.dataset, edit=read_edit(edit))

    def accept() -> None:
        work = Work(world.tenant, job, seq=0, payload={}, size=1, attempt=1, failures=0)
        AcceptSuggestions().write(work, [world.record.id])

    world.meet(rename, accept).result()
    with enter(world.tenant):
        (decided,) = Adjudication.objects.all()
        assert (list(decided.values), list(decided.accepted)) == (["mood"], ["mood"])


def test_what_was_learnt_before_a_label_was_renamed_does_not_bring_it_back(world: World) -> None:
    with enter(world.tenant):
        question = Question.objects.select_related("dataset__workspace").get()
        params = {"question_id": str(question.id), "overwrite": False}
        job = Job(kind="suggest", params=params)
        two = make_records(world.dataset, 1)[0].id
    learnt = [Proposal("mixed", 0.9), Proposal("positive", 0.9)]

    def write() -> None:
        work = Work(world.tenant, job, seq=0, payload={}, size=2, attempt=1, failures=0)
        FewShotSuggestions().write(work, Proposals([world.record.id, two], learnt))

    world.meet(world.rename, write).result()
    assert world.said() == ["positive"]
