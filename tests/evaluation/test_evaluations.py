"""Evaluations: measured, compared, and what follows from them."""

from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.db import IntegrityError, transaction

from apps.core.errors import ConflictError, InvalidError
from apps.evaluation.gold import freeze_gold
from apps.evaluation.models import Evaluation, GoldAnswer, GoldSet, Split
from apps.evaluation.reading import cell_records, compare, disagreements, measured_of
from apps.evaluation.services import evaluate_agent, send_to_review
from apps.quality.decisions import Ruling, decide
from apps.quality.models import ReviewCause, ReviewItem, ReviewReason
from apps.quality.review import Filters, start_refresh, take_next
from apps.records.models import Record, Suggestion
from tests.evaluation.worlds import VALUES, answered, other, skilled, suggest
from tests.factories import make_member
from tests.pipelines.conftest import run

pytestmark = pytest.mark.django_db


def splits(gold: GoldSet) -> dict[UUID, str]:
    return dict(GoldAnswer.objects.filter(gold_set=gold).values_list("record_id", "split"))


# --- Measuring -----------------------------------------------------------------------------------
def test_each_split_is_measured_by_itself(organization: Any) -> None:
    question, truth = answered(60, people=2)
    gold = freeze_gold(question=question)
    found = splits(gold)
    ids = list(Record.objects.in_order().values_list("id", flat=True))
    wrong = [found[id] == Split.TEST and n % 2 == 0 for n, id in enumerate(ids)]
    suggest(question, [other(t) if w else t for t, w in zip(truth, wrong, strict=True)])
    evaluation = evaluate_agent(agent="acme/tiny@v1", gold=gold, with_test=True)
    dev, test = evaluation.reports["dev"], evaluation.reports["test"]
    assert dev["n"] + test["n"] == 60 == gold.size
    assert test["n"] == gold.test_size == list(found.values()).count(Split.TEST)
    assert dev["metrics"]["accuracy"]["value"] == 1
    assert test["metrics"]["accuracy"]["value"] == pytest.approx(1 - sum(wrong) / test["n"])
    assert dev["ceiling"]["agreement"]["value"] == 1
    assert np.sum(test["confusion"]["counts"]) == test["n"]
    assert disagreements(evaluation) == [], "the test split names nothing"


def test_looks_at_the_test_split_are_counted(organization: Any) -> None:
    question, truth = answered(20)
    gold = freeze_gold(question=question)
    suggest(question, truth)
    looks = [
        evaluate_agent(agent="acme/tiny@v1", gold=gold, with_test=with_test).look
        for with_test in (False, True, False, True)
    ]
    assert looks == [None, 1, None, 2]
    gold.refresh_from_db()
    assert gold.test_looks == 2
    assert "test" not in evaluate_agent(agent="acme/tiny@v1", gold=gold).reports


def test_an_agent_that_said_nothing_cannot_be_measured(organization: Any) -> None:
    question, _ = answered(4)
    gold = freeze_gold(question=question, test_percent=0)
    with pytest.raises(InvalidError, match="has suggested nothing"):
        evaluate_agent(agent="nobody", gold=gold)


def test_what_was_not_answered_is_wrong(organization: Any) -> None:
    question, truth = answered(10)
    gold = freeze_gold(question=question, test_percent=0)
    suggest(question, truth)
    some = Suggestion.objects.order_by("record").values_list("id", flat=True)[:3]
    Suggestion.objects.filter(id__in=list(some)).delete()
    evaluation = evaluate_agent(agent="acme/tiny@v1", gold=gold)
    report = evaluation.reports["dev"]
    assert (report["n"], report["invalid"]) == (10, 3)
    assert report["metrics"]["accuracy"]["value"] == pytest.approx(0.7)
    shown = disagreements(evaluation)
    assert len(shown) == 3
    assert {one["answer"] for one in shown} == {None}


def test_a_cell_of_the_confusion_opens_its_records(organization: Any) -> None:
    question, truth = answered(30)
    gold = freeze_gold(question=question, test_percent=0)
    suggest(question, [other(t) if t == "mixed" else t for t in truth])
    evaluation = evaluate_agent(agent="acme/tiny@v1", gold=gold)
    ids = Record.objects.in_order().values_list("id", flat=True)
    mixed = [id for id, t in zip(ids, truth, strict=True) if t == "mixed"]
    assert cell_records(evaluation, true="mixed", answered=other("mixed")) == mixed
    assert cell_records(evaluation, true="mixed", answered="mixed") == []
    assert cell_records(evaluation, true="mixed", answered=None) == []
    counts = evaluation.reports["dev"]["confusion"]["counts"]
    place = VALUES.index("mixed"), VALUES.index(other("mixed"))
    assert counts[place[0]][place[1]] == len(mixed)
    with pytest.raises(InvalidError, match="no such option"):
        cell_records(evaluation, true="purple", answered=None)


def test_what_is_measured_is_read_in_two_statements(
    organization: Any, django_assert_num_queries: Any
) -> None:
    question, truth = answered(30)
    gold = freeze_gold(question=question)
    suggest(question, truth)
    evaluation = evaluate_agent(agent="acme/tiny@v1", gold=gold)
    measured_of(evaluation, Split.DEV)
    with django_assert_num_queries(2):
        measured_of(evaluation, Split.DEV)


# --- Comparing -----------------------------------------------------------------------------------
def versions(n: int, seed: int, *, lost: float, won: float) -> dict[str, Any]:
    """Four of five right, against one that loses and wins a share; on the development split."""
    question, truth = answered(n, seed=seed)
    gold = freeze_gold(question=question, test_percent=0)
    luck = np.random.default_rng(seed + 1).random(n)
    suggest(question, skilled(truth, luck, wrong=lambda x: x >= 0.8), agent="a")
    one = evaluate_agent(agent="a", gold=gold)
    suggest(question, skilled(truth, luck, wrong=lambda x: x < lost or x >= 0.8 + won), agent="b")
    return compare(one, evaluate_agent(agent="b", gold=gold))


def test_ten_points_are_seen_at_two_hundred(organization: Any) -> None:
    told = versions(200, 4, lost=0.02, won=0.12)
    assert told["n"] == 200
    assert told["test"]["verdict"] == "better"
    assert told["test"]["delta"]["low"] > 0
    assert told["macro_f1"]["verdict"] == "better"
    assert told["differing"] == told["test"]["only_a"] + told["test"]["only_b"]
    assert len(told["disagreements"]) == told["differing"]
    first = told["disagreements"][0]
    assert first["a"] == first["gold"] != first["b"], "what B lost comes first"


def test_the_same_skill_is_not_told_apart(organization: Any) -> None:
    told = versions(200, 5, lost=0.08, won=0.08)
    assert told["test"]["verdict"] == "not_distinguishable"
    assert told["differing"] > 10


def test_the_test_split_names_no_record(organization: Any) -> None:
    question, truth = answered(40)
    gold = freeze_gold(question=question)
    suggest(question, truth, agent="a")
    one = evaluate_agent(agent="a", gold=gold, with_test=True)
    suggest(question, [other(t) for t in truth], agent="b")
    two = evaluate_agent(agent="b", gold=gold, with_test=True)
    told = compare(one, two, split=Split.TEST)
    assert (told["n"], told["differing"], told["test_looks"]) == (gold.test_size,) * 2 + (2,)
    assert told["test"]["verdict"] == "worse"
    assert told["disagreements"] == []


def test_only_like_is_compared_with_like(organization: Any) -> None:
    question, truth = answered(10)
    suggest(question, truth)
    gold = freeze_gold(question=question)
    one = evaluate_agent(agent="acme/tiny@v1", gold=gold)
    again = freeze_gold(question=question, test_percent=0)
    with pytest.raises(InvalidError, match="same gold set"):
        compare(one, evaluate_agent(agent="acme/tiny@v1", gold=again))
    with pytest.raises(ConflictError, match="not measured for both"):
        compare(one, one, split=Split.TEST)


# --- Review --------------------------------------------------------------------------------------
def test_disagreements_go_to_review_and_come_back_as_gold(organization: Any) -> None:
    question, truth = answered(12)
    gold = freeze_gold(question=question, test_percent=0)
    suggest(question, [other(truth[0]), other(truth[1]), *truth[2:]])
    evaluation = evaluate_agent(agent="acme/tiny@v1", gold=gold)
    ids = list(Record.objects.in_order().values_list("id", flat=True))
    assert send_to_review(evaluation=evaluation) == 2
    assert send_to_review(evaluation=evaluation) == 2, "again changes nothing"
    causes = ReviewCause.objects.filter(reason=ReviewReason.EVALUATION)
    assert sorted(causes.values_list("record_id", flat=True)) == ids[:2]
    job = start_refresh(dataset=question.dataset)
    assert job is not None
    run(job)
    assert causes.count() == 2, "a refresh of the queue leaves them"
    reviewer = make_member(role="reviewer")
    item = take_next(
        dataset=question.dataset, reviewer=reviewer, filters=Filters(reason="evaluation")
    )
    assert item is not None
    record = Record.objects.select_related("dataset").get(id=item.record_id)
    value = other(truth[ids.index(record.id)])
    decide(record=record, reviewer=reviewer, ruling=Ruling({"sentiment": {"value": value}}))
    assert not ReviewItem.objects.filter(record=record).exists()
    again = freeze_gold(question=question, test_percent=0)
    assert GoldAnswer.objects.get(gold_set=again, record=record).value == value


def test_some_disagreements_can_be_chosen(organization: Any) -> None:
    question, truth = answered(6)
    gold = freeze_gold(question=question, test_percent=0)
    suggest(question, [other(t) for t in truth])
    evaluation = evaluate_agent(agent="acme/tiny@v1", gold=gold)
    ids = list(Record.objects.in_order().values_list("id", flat=True))
    assert send_to_review(evaluation=evaluation, record_ids=ids[:2]) == 2
    assert ReviewItem.objects.count() == 2


def test_a_look_counts_from_one(organization: Any) -> None:
    question, _ = answered(2)
    gold = freeze_gold(question=question)
    with (
        pytest.raises(IntegrityError, match="prompt_evaluation_look_counts"),
        transaction.atomic(),
    ):
        Evaluation.objects.create(gold_set=gold, agent="a", look=0)
