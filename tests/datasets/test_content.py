"""What a record may hold: fields of each type, metadata by its property, vectors."""

from contextlib import suppress
from math import inf, nan
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidError
from apps.datasets import content
from apps.datasets.models import Field, MetadataProperty
from apps.datasets.values import clean_vector

TYPES = {"text": "text", "image": "image", "chat": "chat", "custom": "custom"}


def schema_of(*, required: tuple[str, ...] = (), extra: bool = True, **properties: Any) -> Any:
    """A field of every type, named like it; properties by their settings."""
    return SimpleNamespace(
        fields={
            name: Field(organization_id=uuid4(), name=name, settings={"type": type})
            for name, type in TYPES.items()
        },
        required_fields=list(required),
        properties={
            name: MetadataProperty(organization_id=uuid4(), name=name, settings=settings)
            for name, settings in properties.items()
        },
        vectors={"v": SimpleNamespace(dimensions=3)},
        dataset=SimpleNamespace(id="the-dataset", allow_extra_metadata=extra),
    )


def clean(**fields: Any) -> Any:
    return content.clean_fields(schema_of(), fields)


PIXEL = "data:image/png;base64,iVBORw0KGgo="
GOOD: list[tuple[str, Any]] = [
    ("text", ""),
    ("text", "any\r\ntext 👩‍👩‍👧"),
    ("text", "x" * content.MAX_TEXT),
    ("image", PIXEL),
    ("image", "data:image/webp,raw"),
    ("image", "DATA:IMAGE/JPEG;base64,xx"),
    ("image", "https://example.org/a.png?b=c#d"),
    ("image", "http://localhost:8000/x"),
    ("image", "https://example.org/"),
    ("chat", []),
    ("chat", [{"role": "user", "content": "hello"}]),
    ("chat", [{"role": "u", "content": "x" * content.MAX_MESSAGE}] * content.MAX_MESSAGES),
    ("custom", {}),
    ("custom", {"any": ["thing", {"at": None}]}),
    ("text", None),
    ("chat", None),
]
BAD: list[tuple[str, Any, str]] = [
    *(("text", value, "must be a string") for value in (1, True, 1.5, ["x"], {"x": 1})),
    ("text", "x" * (content.MAX_TEXT + 1), "longer than 1000000"),
    *(("image", value, "must be a string") for value in (1, ["x"], {"url": "x"})),
    *(
        ("image", value, "neither a web address nor an image")
        for value in (
            "",
            "a.png",
            "/etc/passwd",
            "ftp://example.org/a.png",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:text/html;base64,PHNjcmlwdD4=",
            "data:image/svg+xml;base64,PHN2Zz4=",
            "https://",
            "https:///a.png",
            "https://example.org/a b.png",
            " https://example.org/a.png",
            "https://example.org",
            "https://example.org?a.png",
        )
    ),
    ("image", "data:image/tiff;base64,xx", "unsupported type: tiff"),
    ("image", "https://example.org/" + "x" * content.MAX_IMAGE_URL, "longer than 2038"),
    ("image", PIXEL + "x" * content.MAX_IMAGE_DATA, "longer than 5000000"),
    *(("chat", value, "must be a list") for value in ("hello", {"role": "user"}, 1)),
    ("chat", [{"role": "u", "content": "x"}] * (content.MAX_MESSAGES + 1), "more than 500"),
    *(("chat", [value], "no object at 0") for value in ("hello", None, ["user", "hello"])),
    *(
        ("chat", [{"role": role, "content": "x"}], "needs a role of 1 to 20")
        for role in ("", "r" * 21, None, 1)
    ),
    *(
        ("chat", [{"role": "user", "content": text}], "needs content of 1 to 20000")
        for text in ("", None, 1, "x" * (content.MAX_MESSAGE + 1))
    ),
    ("chat", [{"role": "user"}], "needs content"),
    *(("custom", value, "must be an object") for value in ("x", 1, ["x"], True)),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_a_right_value_is_stored_as_it_is(name: str, value: Any) -> None:
    assert clean(**{name: value}) == {name: value}


@pytest.mark.parametrize(("name", "value", "reason"), BAD)
def test_a_wrong_value_is_refused_in_words(name: str, value: Any, reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        clean(**{name: value})


def test_other_keys_of_a_message_are_dropped() -> None:
    message = {"role": "user", "content": "hi", "name": "Ann"}
    assert clean(chat=[message]) == {"chat": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("fields", [None, {}])
def test_a_record_has_fields(fields: Any) -> None:
    with pytest.raises(InvalidError, match="fields cannot be empty"):
        content.clean_fields(schema_of(), fields)


def test_required_fields_have_a_value() -> None:
    schema = schema_of(required=("text",))
    assert content.clean_fields(schema, {"text": ""}) == {"text": ""}
    for fields in ({"custom": {}}, {"text": None, "custom": {}}):
        with pytest.raises(InvalidError, match="missing required value for field: 'text'"):
            content.clean_fields(schema, fields)


def test_unknown_fields_are_named() -> None:
    with pytest.raises(InvalidError, match=r"non configured fields: \['a', 'b'\]"):
        clean(text="x", a=1, b=2)


# --- Metadata ------------------------------------------------------------------------------------


def check(value: Any, extra: bool = True, **settings: Any) -> None:
    content.check_metadata(schema_of(extra=extra, key=settings), {"key": value})


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"type": "terms"}, "anything"),
        ({"type": "terms"}, ["a", "b", "a"]),
        ({"type": "terms"}, []),
        ({"type": "terms"}, 3),
        ({"type": "terms"}, True),
        ({"type": "terms", "values": None}, "anything"),
        ({"type": "terms", "values": ["a", "b"]}, "a"),
        ({"type": "terms", "values": ["a", "b"]}, ["b", "a"]),
        ({"type": "integer"}, -(10**30)),
        ({"type": "integer", "min": 0, "max": 10}, 0),
        ({"type": "integer", "min": 0, "max": 10}, 10),
        ({"type": "integer", "min": None, "max": 10}, -5),
        ({"type": "float"}, 3.5),
        ({"type": "float"}, 3),
        ({"type": "float", "min": 0.5, "max": 1.5}, 0.5),
        ({"type": "float", "min": 0.5, "max": 1.5}, 1.5),
        *(({"type": type}, None) for type in ("terms", "integer", "float")),
    ],
)
def test_a_right_metadata_value_passes(settings: dict[str, Any], value: Any) -> None:
    check(value, **settings)


@pytest.mark.parametrize(
    ("settings", "value", "reason"),
    [
        ({"type": "terms", "values": ["a"]}, "b", "'b' is not an allowed term"),
        ({"type": "terms", "values": ["a"]}, ["a", "b"], "'b' is not an allowed term"),
        ({"type": "terms", "values": ["a"]}, [None], "not an allowed term"),
        ({"type": "terms"}, {"a": 1}, "single values or a list"),
        ({"type": "terms"}, [["a"]], "single values or a list"),
        *(
            ({"type": "integer"}, value, "is not an integer")
            for value in ("3", 3.0, True, [3], {}, nan)
        ),
        ({"type": "integer", "min": 0}, -1, "-1 is less than 0"),
        ({"type": "integer", "max": 10}, 11, "11 is greater than 10"),
        ({"type": "integer"}, 10**400, "too large"),
        ({"type": "float"}, 10**400, "too large"),
        *(
            ({"type": "float"}, value, "is not a number")
            for value in ("3.5", True, [3.5], {}, nan, inf, -inf)
        ),
        ({"type": "float", "min": 0.5}, 0.4, "0.4 is less than 0.5"),
        ({"type": "float", "max": 1.5}, 1.6, "1.6 is greater than 1.5"),
    ],
)
def test_a_wrong_metadata_value_is_refused_in_words(
    settings: dict[str, Any], value: Any, reason: str
) -> None:
    with pytest.raises(InvalidError, match=f"metadata is not valid: 'key' .*{reason}"):
        check(value, **settings)


def test_undeclared_metadata_needs_leave() -> None:
    content.check_metadata(schema_of(), {"free": {"any": ["thing"]}})
    with pytest.raises(InvalidError, match=r"'free' .* extra metadata is not allowed"):
        content.check_metadata(schema_of(extra=False), {"free": 1})
    check("declared", extra=False, type="terms")


def test_metadata_has_a_hundred_keys_at_most() -> None:
    keys = {f"k{n}": n for n in range(101)}
    with pytest.raises(InvalidError, match="more than 100 keys"):
        content.check_metadata(schema_of(), keys)
    keys.popitem()
    content.check_metadata(schema_of(), keys)
    for nothing in (None, {}):
        content.check_metadata(schema_of(extra=False), nothing)


@pytest.mark.parametrize("name", ["__proto__", "__class__", "constructor", "a.b", "x" * 300, ""])
def test_a_key_is_only_a_name(name: str) -> None:
    content.check_metadata(schema_of(), {name: "x"})
    with pytest.raises(InvalidError, match="non configured"):
        content.clean_fields(schema_of(), {name: "x"})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from(sorted(TYPES)), json_values)
def test_whatever_comes_as_a_field_is_stored_or_refused_in_words(name: str, value: Any) -> None:
    with suppress(InvalidError):
        stored = clean(**{name: value})
        assert content.clean_fields(schema_of(), stored) == stored


@given(st.sampled_from(["terms", "integer", "float"]), json_values)
def test_whatever_comes_as_metadata_passes_or_is_refused_in_words(type: str, value: Any) -> None:
    with suppress(InvalidError):
        check(value, type=type)


# --- Vectors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", [[1, 2, 3], [0.0, -1.5, 1e30], (1.0, 2.0, 3.0)])
def test_a_vector_is_kept(vector: Any) -> None:
    assert clean_vector(schema_of(), "v", vector).tolist() == pytest.approx(vector)


@pytest.mark.parametrize(
    ("name", "vector", "reason"),
    [
        ("w", [1, 2, 3], "name=w not found"),
        ("v", [1, 2], "must have 3 elements, got 2"),
        ("v", [1, 2, 3, 4], "must have 3 elements, got 4"),
        ("v", [], "got 0"),
        ("v", None, "list of finite"),
        ("v", "abc", "list of finite"),
        ("v", [1, nan, 2], "finite"),
        ("v", [1, inf, 2], "finite"),
        ("v", [inf, -inf, 2], "finite"),
        ("v", [1, "2", 3], "finite"),
        ("v", [1, None, 3], "finite"),
        ("v", [1, [2], 3], "finite"),
        ("v", [1, 10**400, 3], "finite"),
        ("v", [1, 1e39, 3], "too large"),
        ("v", [[1, 2, 3], [4, 5]], "list of finite"),
        ("v", {"0": 1}, "list of finite"),
    ],
)
def test_a_vector_that_does_not_fit_is_refused(name: str, vector: Any, reason: str) -> None:
    with pytest.raises(InvalidError, match=reason):
        clean_vector(schema_of(), name, vector)
