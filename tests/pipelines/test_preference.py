"""Pairwise preferences: both orders, ties, rankings, win rates."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidError
from apps.datasets.models import Dataset
from apps.llms.models import Provider
from apps.pipelines.recipes.preference import (
    FIRST,
    INCONSISTENT,
    SECOND,
    TIE,
    agreed,
    bradley_terry,
    ranked,
    ranking,
    wins,
)
from apps.pipelines.win_rates import win_rates
from apps.records.models import Record, Suggestion
from apps.records.services import update_record
from tests.llm_server.controls import LlmServer
from tests.pipelines.worlds import RESPONSES, finish, make_answers, metadata_of, start

PARAMS = {"instruction": "text", "responses": list(RESPONSES)}


@pytest.fixture
def answers(organization: object) -> Dataset:
    return make_answers()


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ("A", "B", FIRST),
        ("B", "A", SECOND),
        ("tie", "tie", TIE),
        ("A", "A", INCONSISTENT),
        ("B", "B", INCONSISTENT),
        ("A", "tie", TIE),
        ("tie", "B", TIE),
    ],
)
def test_only_what_holds_in_both_orders_counts(one: str, other: str, verdict: str) -> None:
    assert agreed(one, other) == verdict


NAMES = ["a", "b", "c", "d"]
PAIRS = [(x, y) for n, x in enumerate(NAMES) for y in NAMES[n + 1 :]]
VERDICTS = st.fixed_dictionaries(
    {pair: st.sampled_from([FIRST, SECOND, TIE, INCONSISTENT]) for pair in PAIRS}
)


@given(VERDICTS)
def test_every_ranking_is_whole_whatever_the_verdicts(verdicts: dict[Any, str]) -> None:
    for strengths in (wins(NAMES, verdicts), bradley_terry(NAMES, verdicts)):
        places = ranking(ranked(strengths))
        assert sorted(item["value"] for item in places) == NAMES
        ranks = sorted({item["rank"] for item in places})
        assert ranks == list(range(1, len(ranks) + 1))
    assert sum(wins(NAMES, verdicts).values()) == len(PAIRS)
    assert sum(bradley_terry(NAMES, verdicts).values()) == pytest.approx(1)


def test_who_wins_always_is_first_and_strengths_stay_finite() -> None:
    verdicts = dict.fromkeys(PAIRS, FIRST)
    for strengths in (wins(NAMES, verdicts), bradley_terry(NAMES, verdicts)):
        assert ranked(strengths) == [["a"], ["b"], ["c"], ["d"]]


def test_equals_share_a_place() -> None:
    assert ranked(bradley_terry(NAMES, dict.fromkeys(PAIRS, TIE))) == [NAMES]


def prefer(server: LlmServer, text: str) -> None:
    """The judge likes this response, wherever it stands."""
    for letter in "AB":
        pattern = rf'name="response_{letter}">\n{text}'
        server.script(pattern, answer={"rationale": "it is so", "winner": letter})


def test_a_steady_preference_becomes_a_ranking(
    answers: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    prefer(llm_server, "(Open the app|An order to|Yes, in every)")
    job = finish("preference", answers, provider, question="best", params=PARAMS)
    assert job.state == "done", job.error_sample
    assert llm_server.ledger()["calls"] == 6
    rows = Suggestion.objects.filter(question__name="best").order_by("record_id")
    first = [next(i["value"] for i in row.value if i["rank"] == 1) for row in rows]
    assert first == ["answer_2", "answer_1", "answer_1"]


def test_a_judge_who_likes_a_place_sees_ties(
    answers: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    llm_server.script("response_A", answer={"rationale": "it came first", "winner": "A"})
    finish("preference", answers, provider, question="best", params=PARAMS)
    for row in Suggestion.objects.filter(question__name="best"):
        assert {item["rank"] for item in row.value} == {1}
    for metadata in metadata_of(answers):
        assert [pair["verdict"] for pair in metadata["preference"]["pairs"]] == [INCONSISTENT]


def test_win_rates_name_the_models(
    answers: Dataset, provider: Provider, llm_server: LlmServer
) -> None:
    for record in Record.objects.filter(dataset=answers):
        models = {"answer_1_model": "large", "answer_2_model": "small"}
        update_record(record=record, metadata=models, sets_metadata=True)
    prefer(llm_server, "(Open the app|An order to|Yes, in every)")
    job = finish("preference", answers, provider, params=PARAMS, write_mode="metadata")
    assert job.state == "done", job.error_sample
    rates = win_rates(answers)
    assert [(one.model, one.wins, one.losses, one.ties) for one in rates.models] == [
        ("large", 2, 1, 0),
        ("small", 1, 2, 0),
    ]
    best = rates.models[0]
    assert best.win_rate == pytest.approx(2 / 3)
    assert best.low is not None
    assert best.high is not None
    assert best.low < best.win_rate < best.high
    assert rates.pairs == [
        {"first": "large", "second": "small", "wins": 2, "losses": 1, "ties": 0, "inconsistent": 0}
    ]
    assert win_rates(answers, agent="another judge").models == []


def test_odd_metadata_is_no_preference(answers: Dataset) -> None:
    odd: list[Any] = ["x", {"pairs": "x"}, {"pairs": [1, {"first": "a"}]}]
    records = Record.objects.filter(dataset=answers).in_order()
    for record, value in zip(records, odd, strict=True):
        update_record(record=record, metadata={"preference": value}, sets_metadata=True)
    assert win_rates(answers).models == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "A ranking question is needed"),
        ({"question": "rating_1"}, "not for rating"),
        ({"question": "best", "params": {**PARAMS, "responses": ["text", "answer_1"]}}, "options"),
        ({"params": {**PARAMS, "responses": ["answer_1"]}}, "responses"),
    ],
)
def test_what_cannot_be_is_said_before(
    answers: Dataset, provider: Provider, values: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidError, match=reason):
        start("preference", answers, provider, **{"params": PARAMS, **values})
