"""Every rule of a value: the table of the wire contract, spans and ranks by properties."""

from collections.abc import Mapping
from contextlib import suppress
from math import inf, nan
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.errors import InvalidError
from apps.datasets import values
from apps.datasets.models import Question
from apps.datasets.schema import QuestionRule
from tests.factories import QUESTIONS

FIELDS = {"text": "Ann lives in Rome."}


def rule_of(name: str, **changes: Any) -> QuestionRule:
    """No database is asked: a rule is made of a question's settings."""
    question = Question(
        organization_id=uuid4(),
        name=name,
        required=changes.pop("required", False),
        settings={**QUESTIONS[name], **changes},
    )
    return QuestionRule(question)


def clean(name: str, value: Any, *, complete: bool = True, fields: Any = None, **more: Any) -> Any:
    return values.clean_value(
        rule_of(name, **more), value, FIELDS if fields is None else fields, complete=complete
    )


GOOD: list[tuple[str, Any]] = [
    ("comment", ""),
    ("comment", "any text\r\n\t👩‍👩‍👧"),
    ("sentiment", "positive"),
    ("genre", ["drama"]),
    ("genre", ["horror", "comedy"]),
    ("quality", 1),
    ("quality", 5),
    ("entities", []),
    ("entities", [{"label": "person", "start": 0, "end": 3}]),
]
BAD: list[tuple[str, Any, str]] = [
    *(("comment", value, "expects a text value") for value in (None, 1, True, 1.5, ["x"], {})),
    *(
        ("sentiment", value, "not a valid label")
        for value in ("great", "", "Positive", 1, True, None, ["positive"], {"value": "positive"})
    ),
    *(("genre", value, "expects a list") for value in ("drama", None, 1, {"drama": 1})),
    ("genre", [], "found empty"),
    ("genre", ["drama", "drama"], "duplicates were found"),
    ("genre", ["drama", "western"], "western.*not valid labels"),
    *(("genre", [value], "not valid labels") for value in (1, None, ["drama"], {}, True)),
    *(
        ("quality", value, "not a valid rating")
        for value in (0, 6, "1", 1.0, True, None, [1], {}, -1, 10**400)
    ),
    *(("order", value, "expects a list of values") for value in ("a", None, ["a"], [1], {"a": 1})),
    *(("entities", value, "expects a list of values") for value in ("x", None, [1], {"a": 1})),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
@pytest.mark.parametrize("complete", [True, False])
def test_a_right_value_is_stored_as_it_is(name: str, value: Any, complete: bool) -> None:
    assert clean(name, value, complete=complete) == value


@pytest.mark.parametrize(("name", "value", "reason"), BAD)
@pytest.mark.parametrize("complete", [True, False])
def test_a_wrong_value_is_refused_in_words(
    name: str, value: Any, reason: str, complete: bool
) -> None:
    with pytest.raises(InvalidError, match=reason):
        clean(name, value, complete=complete)


# --- Ranking -------------------------------------------------------------------------------------


def ranked(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"value": value, "rank": rank} for value, rank in pairs]


@pytest.mark.parametrize("ranks", [(1, 2, 3), (1, 1, 1), (2, 2, 1), (3, 3, 3), (1, 1, 3)])
def test_ties_and_gaps_are_ranks_too(ranks: tuple[int, ...]) -> None:
    given = ranked(*zip("abc", ranks, strict=True))
    stored = clean("order", given)
    assert stored == sorted(given, key=lambda item: item["rank"]), "sorted, ties as they came"


def test_a_list_without_ranks_ranks_by_its_order() -> None:
    assert clean("order", [{"value": v} for v in "cab"]) == ranked(("c", 1), ("a", 2), ("b", 3))


def test_a_suggestion_and_a_draft_may_rank_some() -> None:
    assert clean("order", [{"value": "b"}], complete=False) == ranked(("b", 1))
    assert clean("order", [], complete=False) == []
    partly = [{"value": "a"}, {"value": "b", "rank": 1}]
    assert clean("order", partly, complete=False) == ranked(("b", 1), ("a", None))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (ranked(("a", 1), ("b", 2)), "all options to be ranked, found 2 of 3"),
        ([], "all options to be ranked, found 0 of 3"),
        (ranked(("a", 1), ("b", 2), ("c", None)), "a rank for every option"),
    ],
)
def test_a_submitted_ranking_is_whole(value: Any, reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        clean("order", value)


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (ranked(("a", 1), ("b", 2), ("x", 3)), "x.*not valid options"),
        (ranked(("a", 1), ("a", 2), ("b", 3)), "duplicates were found"),
        ([{"rank": 1}], "not valid options"),
        ([{"value": ["a"], "rank": 1}], "not valid options"),
        *(
            (ranked(("a", bad), ("b", 1), ("c", 2)), "ranks from 1 to 3")
            for bad in (0, 4, -1, 1.0, "1", True)
        ),
    ],
)
def test_a_ranking_names_options_once_with_ranks_in_range(
    value: Any, reason: str, complete: bool
) -> None:
    with pytest.raises(InvalidError, match=reason):
        clean("order", value, complete=complete)


def test_other_keys_of_an_item_are_dropped() -> None:
    value = [{"value": v, "rank": n, "score": 0.5} for n, v in enumerate("abc", start=1)]
    assert clean("order", value) == ranked(("a", 1), ("b", 2), ("c", 3))


@given(st.permutations(range(1, 13)), st.booleans())
def test_any_order_of_many_options_comes_out_sorted(ranks: list[int], complete: bool) -> None:
    options = [{"value": f"o{n}"} for n in range(12)]
    value = [{"value": f"o{n}", "rank": rank} for n, rank in enumerate(ranks)]
    stored = clean("order", value, complete=complete, options=options)
    assert [item["rank"] for item in stored] == list(range(1, 13))
    assert {item["value"]: item["rank"] for item in stored} == {
        item["value"]: item["rank"] for item in value
    }


# --- Spans ---------------------------------------------------------------------------------------

# What browsers, editors and databases count differently: astral, joined, combining, right to left.
PIECES = ["a", " ", "é", "e\u0301", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "שלום", "\u202e", "\r\n", "\n", "\t"]
PIECES += ["\u200b", "漢", "𝒜", "\ufe0f", "<b>", "&amp;", "'", "ﬁ"]
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=30).map("".join)


@st.composite
def marked(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    """A text and spans on it that do not overlap; neighbours may touch."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pairs = [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if a < b]
    return text, [
        {"label": draw(st.sampled_from(["person", "place"])), "start": a, "end": b}
        for a, b in pairs
    ]


@given(marked())
def test_offsets_count_as_pythons_slices_do(case: tuple[str, list[dict[str, Any]]]) -> None:
    text, spans = case
    given = [{**span, "text": text[span["start"] : span["end"]], "score": 1} for span in spans]
    stored = clean("entities", given, fields={"text": text})
    assert stored == spans, "other keys are dropped"
    assert [text[s["start"] : s["end"]] for s in stored] == [item["text"] for item in given]


@given(texts, st.integers(-3, 60), st.integers(-3, 60))
def test_a_span_lies_within_the_text(text: str, start: int, end: int) -> None:
    value = [{"label": "place", "start": start, "end": end}]
    if 0 <= start < end <= len(text):
        assert clean("entities", value, fields={"text": text}) == value
    else:
        with pytest.raises(InvalidError):
            clean("entities", value, fields={"text": text})


@given(st.lists(st.tuples(st.integers(0, 17), st.integers(1, 18)), max_size=6))
def test_spans_overlap_only_where_the_question_lets_them(pairs: list[tuple[int, int]]) -> None:
    pairs = [(a, b) for a, b in pairs if a < b]
    value = [{"label": "person", "start": a, "end": b} for a, b in pairs]
    assert clean("entities", value, allow_overlapping=True) == value
    shared = any(max(a, c) < min(b, d) for n, (a, b) in enumerate(pairs) for c, d in pairs[n + 1 :])
    if shared:
        with pytest.raises(InvalidError, match="overlapping values"):
            clean("entities", value)
    else:
        assert clean("entities", value) == value


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": "river"}, "undefined label 'river'"),
        ({"label": None}, "undefined label"),
        ({"label": ["person"]}, "undefined label"),
        ({"label": {}}, "undefined label"),
        ({"start": False}, "whole numbers"),
        ({"end": True}, "whole numbers"),
        ({"start": -1}, "0 <= start < end"),
        ({"start": 3}, "0 <= start < end"),
        ({"start": 4}, "0 <= start < end"),
        ({"start": "0"}, "whole numbers"),
        ({"end": 2.0}, "whole numbers"),
        ({"end": None}, "whole numbers"),
        ({"end": 19}, "beyond the field's 18 characters"),
        ({"start": 18, "end": 19}, "beyond the field's 18 characters"),
    ],
)
def test_a_wrong_span_is_refused_in_words(change: dict[str, Any], reason: str) -> None:
    span = {"label": "person", "start": 0, "end": 3, **change}
    with pytest.raises(InvalidError, match=reason):
        clean("entities", [span])


@pytest.mark.parametrize("fields", [{}, {"text": None}, {"text": ["x"]}, {"other": "text"}])
def test_spans_need_the_text_that_they_mark(fields: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidError, match="requires record to have field `text`"):
        clean("entities", [], fields=fields or {"x": "y"})


def test_spans_have_a_limit() -> None:
    text = "x" * (values.MAX_SPANS + 1)
    spans = [{"label": "place", "start": n, "end": n + 1} for n in range(len(text))]
    assert len(clean("entities", spans[:-1], fields={"text": text})) == values.MAX_SPANS
    with pytest.raises(InvalidError, match="at most 10000"):
        clean("entities", spans, fields={"text": text})


# --- Scores and what can be filtered by ----------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "score"),
    [("a", None), (["a"], None), ("a", 0), ("a", 1), (3, 0.5), (["a", "b"], [0, 1.0]), ([], [])],
)
def test_a_score_fits_its_value(value: Any, score: Any) -> None:
    values.check_score(value, score)


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("a", [0.5]),
        (["a"], 0.5),
        (["a", "b"], [0.5]),
        ([], [0.5]),
        *(("a", bad) for bad in (-0.1, 1.1, nan, inf, -inf, True, "0.5", {}, 10**400)),
        *((["a"], [bad]) for bad in (None, nan, "1", True, 2)),
    ],
)
def test_a_score_that_does_not_fit_is_refused(value: Any, score: Any) -> None:
    with pytest.raises(InvalidError):
        values.check_score(value, score)


@pytest.mark.parametrize(
    ("score", "lowest"), [(None, None), ([], None), (0.5, 0.5), (1, 1.0), ([0.9, 0.25], 0.25)]
)
def test_the_lowest_score_is_the_certainty(score: Any, lowest: float | None) -> None:
    assert values.certainty(score) == lowest


def test_labels_and_ratings_can_be_filtered_by() -> None:
    assert values.value_key(rule_of("sentiment"), "mixed") == "mixed"
    assert values.value_key(rule_of("quality"), 3) == "3"
    for name in ("comment", "order", "entities"):
        assert values.value_key(rule_of(name), []) is None


# --- Responses -----------------------------------------------------------------------------------


def schema_of(*names: str, required: tuple[str, ...] = ()) -> Any:
    rules = {name: rule_of(name, required=name in required) for name in names}
    return SimpleNamespace(
        questions=rules,
        required_questions=list(required),
        dataset=SimpleNamespace(id=uuid4()),
    )


def respond(answers: Any, status: str = "submitted") -> Any:
    schema = schema_of("sentiment", "comment", "order", required=("sentiment",))
    return values.clean_response(schema, answers, status, FIELDS)


def test_a_response_is_stored_by_question() -> None:
    answers = {"sentiment": {"value": "mixed", "more": 1}, "comment": {"value": "x"}}
    assert respond(answers) == {"sentiment": {"value": "mixed"}, "comment": {"value": "x"}}


@pytest.mark.parametrize("status", ["draft", "discarded"])
@pytest.mark.parametrize("answers", [None, {}, {"comment": {"value": "x"}}])
def test_what_is_not_submitted_may_lack_answers(status: str, answers: Any) -> None:
    assert respond(answers, status) == (answers or {})


@pytest.mark.parametrize("status", ["draft", "discarded"])
def test_a_draft_may_rank_in_part(status: str) -> None:
    stored = respond({"order": {"value": [{"value": "b"}]}}, status)
    assert stored == {"order": {"value": ranked(("b", 1))}}


@pytest.mark.parametrize("status", ["submitted", "draft", "discarded"])
@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"sentiment": {"value": "great"}}, "not a valid label"),
        ({"sentiment": {"value": "mixed"}, "other": {"value": 1}}, "non configured .*'other'"),
        ({"sentiment": "mixed"}, "has the form"),
        ({"sentiment": {}}, "has the form"),
        ({"sentiment": None}, "has the form"),
        ({"sentiment": {"value": None}}, "not a valid label"),
    ],
)
def test_a_wrong_answer_is_refused_whatever_the_status(
    status: str, answers: Any, reason: str
) -> None:
    with pytest.raises(InvalidError, match=reason):
        respond(answers, status)


def test_errors_are_told_by_question() -> None:
    schema = schema_of("sentiment", "quality", "order", required=("sentiment", "quality"))
    answers = {"quality": {"value": 9}, "order": {"value": []}, "x": {"value": 1}}
    errors = values.response_errors(schema, answers, "submitted", FIELDS)
    assert set(errors) == {"sentiment", "quality", "order", "x"}
    assert "required question" in errors["sentiment"]
    assert values.response_errors(schema, None, "submitted", FIELDS).keys() == {""}
    assert values.response_errors(schema, None, "draft", FIELDS) == {}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
spans_and_ranks = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "value": json_values.filter(lambda v: not isinstance(v, list | dict)),
            "rank": json_values,
            "label": st.text(max_size=3) | st.none() | st.integers() | st.just("person"),
            "start": json_values,
            "end": json_values,
        },
    ),
    max_size=4,
)


@settings(max_examples=200)
@given(st.sampled_from(sorted(QUESTIONS)), json_values | spans_and_ranks, st.booleans())
def test_whatever_comes_is_stored_or_refused_in_words(
    name: str, value: Any, complete: bool
) -> None:
    """Never another error; and what is stored is right when it comes again."""
    with suppress(InvalidError):
        stored = clean(name, value, complete=complete)
        assert clean(name, stored, complete=complete) == stored
