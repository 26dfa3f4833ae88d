"""From what models write to values: all six kinds of question, and all the ways to get it wrong."""

import json
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from apps.core.errors import InvalidError
from apps.datasets.models import Question
from apps.datasets.schema import QuestionRule
from apps.pipelines.parsers import MAX_ANSWER, Answer, clean, parse_answer, read_answer
from apps.pipelines.schemas import answer_schema, as_answer
from tests.factories import QUESTIONS

TEXT = "Ana met Ana in Paris 🚀 near Paris."
FIELDS = {"text": TEXT}
SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b"]}},
    "required": ["label"],
    "additionalProperties": False,
}


def rule(name: str, **settings: Any) -> QuestionRule:
    kind = {**QUESTIONS[name], **settings}
    return QuestionRule(Question(organization_id=uuid4(), name=name, title=name, settings=kind))


VALUES: dict[str, Any] = {
    "sentiment": "mixed",
    "genre": ["horror", "comedy"],
    "quality": 4,
    "comment": "Well said.",
    "order": [
        {"value": "b", "rank": 1},
        {"value": "a", "rank": 2},
        {"value": "c", "rank": 2},
    ],
    "entities": [
        {"label": "person", "start": 8, "end": 11},
        {"label": "place", "start": 28, "end": 33},
    ],
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_and_its_answer_are_the_same_thing(name: str) -> None:
    question = rule(name)
    document = as_answer(question, VALUES[name], FIELDS)
    schema = answer_schema(question)
    Draft202012Validator.check_schema(schema)
    assert read_answer(json.dumps(document), schema) == document
    assert parse_answer(question, document, FIELDS) == Answer(VALUES[name])


def test_spans_are_counted_in_code_points() -> None:
    document = as_answer(rule("entities"), VALUES["entities"], FIELDS)
    assert document["spans"] == [
        {"quote": "Ana", "occurrence": 2, "label": "person"},
        {"quote": "Paris", "occurrence": 2, "label": "place"},
    ]
    assert TEXT[28:33] == "Paris"


def test_confidence_and_rationale_are_taken_along() -> None:
    question = rule("genre")
    schema = answer_schema(question, rationale=True, confidence=True)
    assert list(schema["properties"]) == ["rationale", "labels", "confidence"]
    document = {"rationale": "It laughs.", "labels": ["comedy", "drama"], "confidence": 0.75}
    answer = parse_answer(question, read_answer(json.dumps(document), schema), FIELDS)
    assert answer == Answer(["comedy", "drama"], 0.75, "It laughs.")
    assert answer.score == [0.75, 0.75]
    assert Answer("mixed", 0.5).score == 0.5
    assert Answer("mixed").score is None


def spans(*given: tuple[str, int, str]) -> dict[str, Any]:
    return {"spans": [{"quote": q, "occurrence": n, "label": label} for q, n, label in given]}


@pytest.mark.parametrize(
    ("name", "document", "message"),
    [
        ("genre", {"labels": ["drama", "drama"]}, "unique"),
        ("genre", {"labels": []}, "empty"),
        ("order", {"ranking": [["a"], ["b"]]}, "every option exactly once"),
        ("order", {"ranking": [["a", "a"], ["b", "c"]]}, "every option exactly once"),
        ("entities", spans(("Berlin", 1, "place")), "not in the text word for word"),
        ("entities", spans(("paris", 1, "place")), "not in the text word for word"),
        ("entities", spans(("Ana", 3, "person")), "occurs only 2 times"),
        ("entities", spans(("", 1, "person")), "not in the text"),
        ("entities", spans(("Ana met", 1, "person"), ("met Ana", 1, "place")), "overlapping"),
    ],
)
def test_an_answer_that_breaks_a_rule(name: str, document: Any, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        parse_answer(rule(name), document, FIELDS)


def test_overlapping_spans_where_they_are_allowed() -> None:
    document = spans(("Ana met", 1, "person"), ("met Ana", 1, "place"), ("Ana met", 1, "person"))
    found = parse_answer(rule("entities", allow_overlapping=True), document, FIELDS).value
    assert found == [
        {"label": "person", "start": 0, "end": 7},
        {"label": "place", "start": 4, "end": 11},
    ]


def test_occurrences_of_a_repeated_letter_cost_little() -> None:
    fields = {"text": "a" * 200_000}
    found = parse_answer(rule("entities"), spans(("a", 5_000, "person")), fields)
    assert found.value == [{"label": "person", "start": 4_999, "end": 5_000}]
    with pytest.raises(InvalidError, match="occurs only 10000 times"):
        parse_answer(rule("entities"), spans(("a", 150_000, "person")), fields)


@pytest.mark.parametrize(
    "text",
    [
        '{"label": "a"}',
        '```json\n{"label": "a"}\n```',
        'Sure! Here it is: {"label": "a"} Let me know if {you} need more.',
        'Well {not this}, but {"label": "a"}',
        '{"label": "\x01\n\ta\x7f"}',
        '{"label": "\\u0000a"}',
    ],
)
def test_what_unruly_models_write_is_read(text: str) -> None:
    assert read_answer(text, SCHEMA) == {"label": "a"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not one JSON object"),
        ("a", "not one JSON object"),
        ('{"label": "a"', "not one JSON object"),
        ('{"label": NaN}', "not one JSON object"),
        ('{"label": ' + "9" * 5_000 + "}", "not one JSON object"),
        ('{"label": "c"}', r"At \$.label: 'c' is not one of"),
        ("{}", "'label' is a required property"),
        ('{"label": "a", "more": 1}', "Additional properties"),
        ('{"label": ["a"]}', "is not one of"),
        ('{"label": ' + "[" * 100_000, "not one JSON object"),
        ("x" * (MAX_ANSWER + 1), "longer than"),
    ],
)
def test_what_is_no_answer(text: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        read_answer(text, SCHEMA)


def test_text_without_a_schema_is_only_cleaned() -> None:
    assert read_answer(" one\x00\ntwo\ud800 ", None) == "one\ntwo"
    assert clean({"a\x00": ["b\x07", 1, None]}) == {"a": ["b", 1, None]}


def test_an_option_with_a_blank_at_its_end_can_be_answered() -> None:
    options = [{"value": value, "text": value, "description": None} for value in ("yes ", "no")]
    odd = rule("sentiment", options=options)
    schema = answer_schema(odd, rationale=True)
    written = json.dumps({"rationale": " so it is ", "label": "yes "})
    answer = parse_answer(odd, read_answer(written, schema), FIELDS)
    assert (answer.value, answer.rationale) == ("yes ", "so it is")
    written = json.dumps({"rationale": "", "label": " no "})
    assert read_answer(written, schema)["label"] == "no"
