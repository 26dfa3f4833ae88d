"""The settings documents: defaults, limits, and what may change later."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from apps.core.errors import InvalidError
from apps.datasets.settings import (
    FieldChange,
    FieldSettings,
    PropertySettings,
    QuestionChange,
    QuestionSettings,
    changed,
)

fields: TypeAdapter[Any] = TypeAdapter(FieldSettings)
field_changes: TypeAdapter[Any] = TypeAdapter(FieldChange)
questions: TypeAdapter[Any] = TypeAdapter(QuestionSettings)
question_changes: TypeAdapter[Any] = TypeAdapter(QuestionChange)
properties: TypeAdapter[Any] = TypeAdapter(PropertySettings)


def options(*values: str) -> list[dict[str, str]]:
    return [{"value": value, "text": value.upper()} for value in values]


def numbered(count: int) -> list[dict[str, str]]:
    return options(*(f"label {number}" for number in range(count)))


def ratings(*values: Any) -> list[dict[str, Any]]:
    return [{"value": value} for value in values]


def stored(adapter: TypeAdapter[Any], document: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = adapter.validate_python(document).model_dump(mode="json")
    return result


def problem(adapter: TypeAdapter[Any], document: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(document)
    (found,) = caught.value.errors()
    return found["type"], found["loc"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "text"}, {"type": "text", "use_markdown": False}),
        ({"type": "text", "use_markdown": True}, {"type": "text", "use_markdown": True}),
        ({"type": "image", "junk": 1}, {"type": "image"}),
        ({"type": "chat"}, {"type": "chat", "use_markdown": True}),
        (
            {"type": "custom", "template": "<p>"},
            {"type": "custom", "template": "<p>", "advanced_mode": False},
        ),
    ],
)
def test_field_settings_have_the_contracts_keys(given: Any, expected: Any) -> None:
    assert stored(fields, given) == expected


@pytest.mark.parametrize(
    ("given", "type", "loc"),
    [
        ({}, "union_tag_not_found", ()),
        ({"type": "table"}, "union_tag_invalid", ()),
        ({"type": None}, "union_tag_invalid", ()),
        ({"type": "custom"}, "missing", ("custom", "template")),
        ({"type": "custom", "template": ""}, "string_too_short", ("custom", "template")),
        ({"type": "text", "use_markdown": None}, "bool_type", ("text", "use_markdown")),
    ],
)
def test_wrong_field_settings(given: Any, type: str, loc: tuple[str, ...]) -> None:
    assert problem(fields, given) == (type, loc)


def test_question_settings_have_the_contracts_keys() -> None:
    full = [{"value": "a", "text": "A", "description": None}, *stored_options("b", "c")]
    assert stored(questions, {"type": "text"}) == {"type": "text", "use_markdown": False}
    assert stored(questions, {"type": "rating", "options": ratings(0, 10)}) == {
        "type": "rating",
        "options": [{"value": 0}, {"value": 10}],
    }
    labels = {"type": "label_selection", "options": options("a", "b", "c")}
    assert stored(questions, labels) == labels | {"options": full, "visible_options": None}
    assert stored(questions, labels | {"type": "multi_label_selection", "visible_options": 3}) == {
        "type": "multi_label_selection",
        "options": full,
        "visible_options": 3,
        "options_order": "natural",
    }
    assert stored(questions, labels | {"type": "ranking"}) == {"type": "ranking", "options": full}
    span = {"type": "span", "field": "text", "options": options("a")}
    assert stored(questions, span | {"allow_character_annotation": False}) == {
        "type": "span",
        "field": "text",
        "options": full[:1],
        "visible_options": None,
        "allow_overlapping": False,
        "allow_character_annotation": True,
    }


def stored_options(*values: str) -> list[dict[str, Any]]:
    return [option | {"description": None} for option in options(*values)]


@pytest.mark.parametrize(
    "given",
    [
        {"type": "rating", "options": ratings(*range(11))},
        {"type": "label_selection", "options": numbered(500)},
        {"type": "multi_label_selection", "options": numbered(2), "options_order": "suggestion"},
        {"type": "ranking", "options": numbered(50)},
        {"type": "span", "field": "f", "options": numbered(500), "visible_options": 500},
        {
            "type": "label_selection",
            "options": [
                {"value": "v" * 200, "text": "t" * 500, "description": "d" * 1000},
                *options("b"),
            ],
        },
    ],
    ids=lambda given: given["type"],
)
def test_the_limits_themselves_are_accepted(given: Any) -> None:
    questions.validate_python(given)


L, M, R, S = "label_selection", "multi_label_selection", "ranking", "span"


@pytest.mark.parametrize(
    ("given", "type", "loc"),
    [
        ({"type": "rating"}, "missing", ("rating", "options")),
        ({"type": "rating", "options": ratings(1)}, "too_short", ("rating", "options")),
        ({"type": "rating", "options": ratings(*range(12))}, None, ()),
        (
            {"type": "rating", "options": ratings(0, 11)},
            "less_than_equal",
            ("rating", "options", 1, "value"),
        ),
        (
            {"type": "rating", "options": ratings(-1, 1)},
            "greater_than_equal",
            ("rating", "options", 0, "value"),
        ),
        ({"type": "rating", "options": ratings(1, 1)}, "value_error", ("rating",)),
        ({"type": L, "options": options("a")}, "too_short", (L, "options")),
        ({"type": L, "options": numbered(501)}, "too_long", (L, "options")),
        ({"type": L, "options": options("a", "a")}, "value_error", (L,)),
        ({"type": L, "options": options("", "b")}, None, ()),
        (
            {"type": L, "options": options("a", "b", "c"), "visible_options": 2},
            "greater_than_equal",
            (L, "visible_options"),
        ),
        (
            {"type": L, "options": options("a", "b", "c"), "visible_options": 4},
            "value_error",
            (L,),
        ),
        (
            {"type": M, "options": options("a", "b"), "options_order": "random"},
            "literal_error",
            (M, "options_order"),
        ),
        ({"type": R, "options": options("a")}, "too_short", (R, "options")),
        ({"type": R, "options": numbered(51)}, "too_long", (R, "options")),
        ({"type": S, "options": options("a")}, "missing", (S, "field")),
        ({"type": S, "field": "f", "options": []}, "too_short", (S, "options")),
        ({"type": "table"}, "union_tag_invalid", ()),
    ],
)
def test_wrong_question_settings(given: Any, type: str | None, loc: tuple[Any, ...]) -> None:
    if type is None:
        with pytest.raises(ValidationError):
            questions.validate_python(given)
    else:
        assert problem(questions, given) == (type, loc)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "terms"}, {"type": "terms", "values": None}),
        (
            {"type": "terms", "values": ["a", 1, None], "visible_for_annotators": False},
            {"type": "terms", "values": ["a", 1, None]},
        ),
        ({"type": "integer"}, {"type": "integer", "min": None, "max": None}),
        ({"type": "integer", "min": 0, "max": 1}, {"type": "integer", "min": 0, "max": 1}),
        ({"type": "float", "min": 0.5}, {"type": "float", "min": 0.5, "max": None}),
    ],
)
def test_property_settings_have_the_contracts_keys(given: Any, expected: Any) -> None:
    assert stored(properties, given) == expected


@pytest.mark.parametrize(
    ("given", "type", "loc"),
    [
        ({"type": "terms", "values": []}, "too_short", ("terms", "values")),
        ({"type": "terms", "values": ["x"] * 251}, "too_long", ("terms", "values")),
        ({"type": "integer", "min": 1, "max": 1}, "value_error", ("integer",)),
        ({"type": "integer", "min": 0.5}, "int_from_float", ("integer", "min")),
        ({"type": "float", "min": 2, "max": 1}, "value_error", ("float",)),
        ({"type": "date"}, "union_tag_invalid", ()),
    ],
)
def test_wrong_property_settings(given: Any, type: str, loc: tuple[Any, ...]) -> None:
    assert problem(properties, given) == (type, loc)


# --- Changes ----------------------------------------------------------------------------------
LABELS = {
    "type": "label_selection",
    "options": stored_options("a", "b", "c"),
    "visible_options": 3,
}
SPANS = {
    "type": "span",
    "field": "text",
    "options": stored_options("a", "b", "c", "d"),
    "visible_options": None,
    "allow_overlapping": True,
    "allow_character_annotation": True,
}


def after(before: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    adapter = question_changes if "options" in before else field_changes
    return changed(before, adapter.validate_python(change))


def test_options_may_change_texts_and_order() -> None:
    given = [{"value": "c", "text": "Z", "description": "last"}, *options("a", "b")]
    result = after(LABELS, {"type": "label_selection", "options": given})
    assert result == LABELS | {
        "options": [given[0], *stored_options("a", "b")],
    }


def test_what_is_left_out_stays_and_null_is_kept() -> None:
    assert after(LABELS, {"type": "label_selection"}) == LABELS
    result = after(LABELS, {"type": "label_selection", "visible_options": None})
    assert result == LABELS | {"visible_options": None}
    assert after(SPANS, {"type": "span", "field": "other"}) == SPANS


def test_ratings_and_rankings_ignore_options() -> None:
    rating = {"type": "rating", "options": ratings(1, 2)}
    assert after(rating, {"type": "rating", "options": ratings(1, 2, 3)}) == rating
    ranking = {"type": "ranking", "options": stored_options("a", "b")}
    assert after(ranking, {"type": "ranking", "options": []}) == ranking


@pytest.mark.parametrize(
    ("before", "change", "reason"),
    [
        (LABELS, {"type": "text", "use_markdown": True}, "type"),
        (LABELS, {"type": "multi_label_selection"}, "type"),
        (LABELS, {"type": "label_selection", "options": options("a", "b")}, "number of options"),
        (LABELS, {"type": "label_selection", "options": []}, "number of options"),
        (LABELS, {"type": "label_selection", "options": options("a", "b", "x")}, "option values"),
        (LABELS, {"type": "label_selection", "visible_options": 4}, "visible_options"),
        (SPANS, {"type": "span", "allow_overlapping": False}, "allow_overlapping"),
        ({"type": "text", "use_markdown": False}, {"type": "image"}, "type"),
    ],
)
def test_changes_that_would_change_answers_are_refused(
    before: Any, change: Any, reason: str
) -> None:
    with pytest.raises(InvalidError, match=reason):
        after(before, change)


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"type": "text"}, ("text", "use_markdown")),
        ({"type": "chat"}, ("chat", "use_markdown")),
        ({"type": "custom", "template": "x"}, ("custom", "advanced_mode")),
        ({"type": "custom", "advanced_mode": True}, ("custom", "template")),
    ],
)
def test_a_fields_change_repeats_all_keys(change: Any, loc: tuple[str, ...]) -> None:
    assert problem(field_changes, change) == ("missing", loc)


def test_overlapping_may_be_allowed_later() -> None:
    before = SPANS | {"allow_overlapping": False}
    assert after(before, {"type": "span", "allow_overlapping": True}) == SPANS
