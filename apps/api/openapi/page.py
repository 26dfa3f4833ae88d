"""The description laid out for reading: sections of operations, then the shapes they speak of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from apps.api.openapi.document import document

_LIMITS: Final = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "pattern": "matches {}",
    "default": "otherwise {}",
}
_WORDS: Final = {"null": "null", "boolean": "true or false", "string": "text", "object": "object"}


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a type; ``shape`` names the shape that it stands for."""

    text: str
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A key of an object, or a parameter."""

    name: str
    type: list[Word]
    required: bool
    limits: str
    about: str


@dataclass(frozen=True, slots=True)
class AnswerRow:
    status: str
    phrase: str
    type: list[Word]


@dataclass(frozen=True, slots=True)
class OperationCard:
    id: str
    method: str
    path: str
    summary: str
    who: str
    about: str
    parameters: list[Row]
    body: list[Word]
    answers: list[AnswerRow]
    errors: list[str]


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    about: str
    rows: list[Row]
    type: list[Word]


@dataclass(frozen=True, slots=True)
class Page:
    about: str
    sections: dict[str, list[OperationCard]]
    shapes: list[Shape]


@cache
def page() -> Page:
    """The whole page; made once a process."""
    described = document()
    sections: dict[str, list[OperationCard]] = {tag["name"]: [] for tag in described["tags"]}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            sections[operation["tags"][0]].append(_card(method, path, operation))
    shapes = [_shape(name, s) for name, s in described["components"]["schemas"].items()]
    return Page(described["info"]["description"], sections, shapes)


def _card(method: str, path: str, operation: Mapping[str, Any]) -> OperationCard:
    who, _, about = operation["description"].partition("\n\n")
    content = operation.get("requestBody", {}).get("content", {})
    answers = operation["responses"].items()
    return OperationCard(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        who=who,
        about=about,
        parameters=[_parameter(given) for given in operation.get("parameters", ())],
        body=_content(content),
        answers=[_answer(status, answer) for status, answer in answers if status < "400"],
        errors=[status for status, _ in answers if status >= "400"],
    )


def _parameter(given: Mapping[str, Any]) -> Row:
    if "$ref" in given:
        given = document()["components"]["parameters"][given["$ref"].rpartition("/")[2]]
    name = f"{given['name']} ({given['in']})"
    about = given.get("description", "")
    schema = given["schema"]
    return Row(name, list(_type(schema)), given.get("required", False), _limits(schema), about)


def _answer(status: str, answer: Mapping[str, Any]) -> AnswerRow:
    phrase = HTTPStatus(int(status)).phrase
    return AnswerRow(status, phrase, _content(answer.get("content", {})))


def _content(content: Mapping[str, Any]) -> list[Word]:
    """The type of the first media type; nothing for no body."""
    return [word for media in list(content.values())[:1] for word in _type(media["schema"])]


def _shape(name: str, schema: Mapping[str, Any]) -> Shape:
    required = schema.get("required", ())
    rows = [
        Row(key, list(_type(value)), key in required, _limits(value), value.get("description", ""))
        for key, value in schema.get("properties", {}).items()
    ]
    type_ = [] if rows else list(_type(schema))
    return Shape(name, schema.get("description", ""), rows, type_)


def _type(schema: Mapping[str, Any]) -> Iterator[Word]:
    """The type in words: ``list of Record``, ``text or null``."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield Word(name, name)
    elif "enum" in schema or "const" in schema:
        values = schema.get("enum") or [schema["const"]]
        yield Word(" or ".join(f"“{value}”" for value in values))
    elif "anyOf" in schema or "oneOf" in schema:
        for number, one in enumerate(schema.get("anyOf") or schema["oneOf"]):
            if number:
                yield Word(" or ")
            yield from _type(one)
    elif schema.get("type") == "array":
        yield Word("list of ")
        yield from _type(schema.get("items", {}))
    elif isinstance(schema.get("additionalProperties"), dict):
        yield Word("object of ")
        yield from _type(schema["additionalProperties"])
    else:
        kind = schema.get("format") or schema.get("type", "anything")
        yield Word(_WORDS.get(kind, kind))


def _limits(schema: Mapping[str, Any]) -> str:
    """Every limit in words; those of an alternative to null as well."""
    found = [schema, *(one for one in schema.get("anyOf", ()) if one.get("type") != "null")]
    return ", ".join(
        text.format(one[key]) for one in found for key, text in _LIMITS.items() if key in one
    )
