"""Selective automation: a threshold that the gold set bears, applied and taken back."""

from typing import Any

import numpy as np
import pytest

from apps.annotation.ingest import log_records
from apps.core.errors import ConflictError, InvalidError
from apps.datasets.models import Question
from apps.evaluation.automation import automate, plan_automation
from apps.evaluation.gold import freeze_gold
from apps.evaluation.models import Evaluation
from apps.evaluation.services import evaluate_agent
from apps.quality.acceptance import undo_acceptance
from apps.quality.models import Adjudication
from apps.records.inputs import RecordInput, SuggestionInput
from apps.records.models import Record, RecordStatus
from tests.evaluation.worlds import answered, other, suggest
from tests.pipelines.conftest import run

pytestmark = pytest.mark.django_db


def measured(n: int, *, with_test: bool = True, honest: bool = True) -> tuple[Question, Evaluation]:
    """An agent that is right above 0.8; if not ``honest``, on the dev split only.

    All others have one score: whichever records the splits get, no threshold takes in a few.
    """
    question, truth = answered(n)
    gold = freeze_gold(question=question)
    generator = np.random.default_rng(7)
    drawn = generator.random(n).round(3)
    scores = np.where(drawn > 0.8, drawn, 0.5).tolist()
    tested = dict(gold.answers.values_list("record_id", "split"))
    ids = Record.objects.in_order().values_list("id", flat=True)
    answers = []
    for id, value, score in zip(ids, truth, scores, strict=True):
        bluffs = not honest and tested[id] == "test" and generator.random() < 0.3
        answers.append(value if score > 0.8 and not bluffs else other(value))
    suggest(question, answers, scores=scores)
    return question, evaluate_agent(agent="acme/tiny@v1", gold=gold, with_test=with_test)


def more(question: Question, scores: list[float]) -> None:
    """New records with suggestions of the agent."""
    suggestion = {"question_id": question.id, "value": "mixed", "agent": "acme/tiny@v1"}
    log_records(
        dataset=question.dataset,
        items=[
            RecordInput(
                fields={"text": f"new {n}"},
                suggestions=[SuggestionInput(score=score, type="model", **suggestion)],
            )
            for n, score in enumerate(scores)
        ],
    )


def test_a_threshold_is_chosen_on_dev_and_confirmed_on_test(organization: Any) -> None:
    question, evaluation = measured(1_200)
    more(question, [0.99, 0.9, 0.3])
    plan = plan_automation(evaluation, target=0.95)
    assert plan.dev is not None
    assert plan.test is not None
    assert plan.dev.bound >= 0.95
    assert plan.dev.threshold == pytest.approx(0.8, abs=0.02)
    assert plan.dev.coverage == pytest.approx(0.2, abs=0.05)
    assert plan.test.precision == 1
    assert plan.holds
    assert plan.ready == 2, "nobody is asked again about what people answered"


def test_what_is_sure_is_accepted_and_the_rest_goes_to_people(organization: Any) -> None:
    question, evaluation = measured(1_200)
    more(question, [0.99, 0.9, 0.3])
    acceptance, job = automate(evaluation=evaluation, target=0.95)
    run(job)
    acceptance.refresh_from_db()
    assert acceptance.count == 2
    assert acceptance.basis["evaluation_id"] == str(evaluation.id)
    rows = Adjudication.objects.all()
    assert {row.record.fields["text"] for row in rows.select_related("record")} == {
        "new 0",
        "new 1",
    }
    pending = Record.objects.filter(status=RecordStatus.PENDING)
    assert [record.fields["text"] for record in pending] == ["new 2"]
    question.dataset.refresh_from_db()
    assert question.dataset.queue_order == "least_certain_first"
    assert undo_acceptance(acceptance=acceptance) == 2
    assert Record.objects.filter(status=RecordStatus.PENDING).count() == 3


def test_a_promise_that_the_test_split_breaks_is_not_kept(organization: Any) -> None:
    _, evaluation = measured(1_200, honest=False)
    plan = plan_automation(evaluation, target=0.95)
    assert plan.dev is not None
    assert not plan.holds
    with pytest.raises(ConflictError, match="does not confirm"):
        automate(evaluation=evaluation, target=0.95)


def test_nothing_is_accepted_without_a_look_at_the_test_split(organization: Any) -> None:
    _, evaluation = measured(1_200, with_test=False)
    with pytest.raises(ConflictError, match="Measure the test split"):
        automate(evaluation=evaluation, target=0.95)


def test_too_little_gold_bears_no_promise(organization: Any) -> None:
    _, evaluation = measured(40)
    assert plan_automation(evaluation, target=0.97).dev is None
    with pytest.raises(ConflictError, match="No threshold"):
        automate(evaluation=evaluation, target=0.97)
    with pytest.raises(InvalidError, match="above 0 and below 1"):
        plan_automation(evaluation, target=1)
