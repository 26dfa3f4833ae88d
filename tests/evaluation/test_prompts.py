"""Prompt versions against gold sets, through a real client and the scripted server."""

from typing import Any

import pytest
from django.utils import timezone

from apps.core.errors import InvalidError
from apps.datasets.models import Question
from apps.datasets.schema import load_schema
from apps.evaluation.gold import freeze_gold
from apps.evaluation.models import Evaluation, EvaluationAnswer, GoldAnswer, Split
from apps.evaluation.reading import compare
from apps.evaluation.recipe import without_test
from apps.evaluation.services import delete_evaluation, evaluate, finish, finish_all, promote
from apps.jobs.models import Job
from apps.jobs.services import retry_failed
from apps.llms.models import Provider, ProviderModel
from apps.pipelines.models import PromptVersion
from apps.pipelines.orders import RunOrder, start_run
from apps.pipelines.shots import load_pool
from apps.pipelines.versions import prompt_now, save_prompt
from apps.records.models import Record, Suggestion
from tests.evaluation.worlds import answered, other
from tests.llm_server.controls import LlmServer
from tests.pipelines.conftest import provider, run

__all__ = ["provider"]
pytestmark = pytest.mark.django_db


def version_of(question: Question, provider: Provider, template: str = "") -> PromptVersion:
    return save_prompt(
        schema=load_schema(question.dataset),
        question=question,
        prompt=prompt_now(
            question.dataset, question, template=template, shots=0, strategy="nearest"
        ),
        provider_id=provider.id,
        model="tiny",
    )


def teach(server: LlmServer, truth: list[str], *, wrong: set[int], mark: str = "") -> None:
    """Answers by the record's number; those of ``wrong`` are."""
    server.scripts(
        [
            {
                "match": rf"{mark}.*sentence {n}\b",
                "answer": {"label": other(t) if n in wrong else t, "confidence": 0.9},
            }
            for n, t in enumerate(truth)
        ]
    )


def test_a_version_answers_the_gold_set_and_touches_no_suggestion(
    organization: Any, provider: Provider, llm_server: LlmServer
) -> None:
    question, truth = answered(20)
    gold = freeze_gold(question=question)
    ids = list(Record.objects.in_order().values_list("id", flat=True))
    dev = set(GoldAnswer.objects.filter(split=Split.DEV).values_list("record_id", flat=True))
    teach(llm_server, truth, wrong={n for n, id in enumerate(ids) if id in dev and n % 4 == 0})
    evaluation = evaluate(version=version_of(question, provider), gold=gold)
    assert evaluation.job is not None
    assert evaluation.agent == "stub/tiny@v1"
    assert finish(evaluation=evaluation).measured_at is None, "its job has not ended"
    run(evaluation.job)
    done = finish(evaluation=evaluation)
    report = done.reports["dev"]
    wrong = sum(id in dev and n % 4 == 0 for n, id in enumerate(ids))
    assert report["n"] == len(dev) == llm_server.ledger()["calls"]
    assert report["metrics"]["accuracy"]["value"] == pytest.approx(1 - wrong / len(dev))
    assert report["cost"]["usd"] > 0
    assert report["calibration"]["n"] == len(dev)
    assert not Suggestion.objects.exists()
    assert set(EvaluationAnswer.objects.values_list("record_id", flat=True)) == dev
    assert "test" not in done.reports


def test_again_costs_nothing_and_two_versions_are_compared(
    organization: Any, provider: Provider, llm_server: LlmServer
) -> None:
    question, truth = answered(30)
    gold = freeze_gold(question=question, test_percent=0)
    teach(llm_server, truth, wrong=set(range(12)), mark="first")
    teach(llm_server, truth, wrong=set(), mark="second")
    measured = []
    for template in ("first {{ record }}", "second {{ record }}", "first {{ record }}"):
        version = version_of(question, provider, template)
        evaluation = evaluate(version=version, gold=gold)
        assert evaluation.job is not None
        run(evaluation.job)
        measured.append(finish(evaluation=evaluation))
    assert llm_server.ledger()["calls"] == 60
    paid = [evaluation.job.cost for evaluation in measured if evaluation.job is not None]
    assert paid[0] > 0
    assert paid[2] == 0
    prices = [evaluation.reports["dev"]["cost"]["usd"] for evaluation in measured]
    assert prices[0] == prices[2] == pytest.approx(float(paid[0]))
    told = compare(measured[0], measured[1])
    assert told["test"]["delta"]["value"] == pytest.approx(0.4)
    assert told["test"]["verdict"] == "better"
    same = compare(measured[0], measured[2])
    assert (same["test"]["verdict"], same["differing"]) == ("not_distinguishable", 0)


def test_an_answer_that_breaks_the_schema_is_invalid(
    organization: Any, provider: Provider, llm_server: LlmServer
) -> None:
    question, truth = answered(6)
    gold = freeze_gold(question=question, test_percent=0)
    llm_server.script(r"sentence 3\b", answer={"label": "purple"})
    teach(llm_server, truth, wrong=set())
    evaluation = evaluate(version=version_of(question, provider), gold=gold)
    assert evaluation.job is not None
    assert run(evaluation.job).failed == 1
    report = finish(evaluation=evaluation).reports["dev"]
    assert (report["n"], report["invalid"]) == (6, 1)
    assert report["metrics"]["accuracy"]["value"] == pytest.approx(5 / 6)


def test_what_a_job_does_after_it_was_measured_is_measured(
    organization: Any, provider: Provider, llm_server: LlmServer
) -> None:
    question, truth = answered(6)
    gold = freeze_gold(question=question, test_percent=0)
    refused = {"type": "invalid_request_error", "message": "bad moon"}
    llm_server.script(r"sentence [0-2]\b", status=400, times=3, error=refused)
    teach(llm_server, truth, wrong=set())
    ProviderModel.objects.update(answer_form="json_schema")
    evaluation = evaluate(version=version_of(question, provider), gold=gold)
    assert evaluation.job is not None
    assert run(evaluation.job).failed == 3
    assert finish(evaluation=evaluation).reports["dev"]["invalid"] == 3
    assert list(Evaluation.objects.current()) == [evaluation]

    job = retry_failed(job=evaluation.job)
    assert list(Evaluation.objects.outdated()) == [evaluation]
    finish_all(dataset=gold.dataset)
    waiting = Evaluation.objects.get()
    assert (waiting.measured_at, waiting.reports) == (None, {}), "its job is at work"
    run(job)
    finish_all(dataset=gold.dataset)
    assert Evaluation.objects.get().reports["dev"]["invalid"] == 0

    # Whoever did not look meanwhile finds the new figures as well.
    EvaluationAnswer.objects.first().delete()  # type: ignore[union-attr]
    Job.objects.update(finished_at=timezone.now())
    assert not Evaluation.objects.get().is_current
    assert finish(evaluation=evaluation).reports["dev"]["invalid"] == 1
    assert Evaluation.objects.get().is_current


def test_a_promoted_version_suggests(
    organization: Any, provider: Provider, llm_server: LlmServer
) -> None:
    question, truth = answered(5)
    teach(llm_server, truth, wrong={2})
    version = version_of(question, provider)
    run(promote(version=version))
    rows = Suggestion.objects.order_by("record")
    assert {row.agent for row in rows} == {"stub/tiny@v1"}
    assert [row.value for row in rows] == [*truth[:2], other(truth[2]), *truth[3:]]


def test_the_test_split_is_never_an_example(organization: Any) -> None:
    question, _ = answered(30)
    gold = freeze_gold(question=question)
    schema = load_schema(question.dataset)
    pool = load_pool(schema, schema.questions["sentiment"], before=None)
    assert len(pool.ids) == 30
    kept = without_test(pool, gold.test_percent)
    dev = GoldAnswer.objects.filter(split=Split.DEV).values_list("record_id", flat=True)
    assert set(kept.ids) == set(dev)
    assert len(kept.shots) == len(kept.vectors) == len(kept.wrong) == len(kept.ids)


def test_a_version_of_another_question_is_refused(organization: Any, provider: Provider) -> None:
    question, _ = answered(2)
    elsewhere, _ = answered(2)
    gold = freeze_gold(question=elsewhere)
    with pytest.raises(InvalidError, match="different questions"):
        evaluate(version=version_of(question, provider), gold=gold)


def test_a_version_of_another_recipe_is_refused(organization: Any, provider: Provider) -> None:
    question, _ = answered(4)
    gold = freeze_gold(question=question)
    PromptVersion.objects.filter(id=version_of(question, provider).id).update(recipe="preference")
    version = PromptVersion.objects.get()
    with pytest.raises(InvalidError, match="v1 belongs to the recipe preference"):
        evaluate(version=version, gold=gold, with_test=True)
    gold.refresh_from_db()
    assert gold.test_looks == 0
    assert not Job.objects.exists()


def test_a_deleted_evaluation_stops_its_job(
    organization: Any, provider: Provider, llm_server: LlmServer
) -> None:
    question, truth = answered(4)
    teach(llm_server, truth, wrong=set())
    gold = freeze_gold(question=question, test_percent=0)
    evaluation = evaluate(version=version_of(question, provider), gold=gold)
    job = evaluation.job
    assert job is not None
    delete_evaluation(evaluation=evaluation)
    assert run(job).state == "cancelled"


def test_a_run_that_only_measures_needs_an_evaluation(
    organization: Any, provider: Provider, llm_server: LlmServer
) -> None:
    question, _truth = answered(4)
    order = RunOrder(recipe="evaluate", question=question.name, provider_id=provider.id)
    with pytest.raises(InvalidError, match="start an evaluation"):
        start_run(dataset=question.dataset, order=order)
    assert not Job.objects.exists()
