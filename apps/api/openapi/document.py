"""The OpenAPI 3.1 document: paths from the URL table, shapes from the schemas."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

from django.urls import URLPattern
from pydantic import TypeAdapter

from apps.api.auth import HEADER
from apps.api.etags import IF_MATCH, IF_NONE_MATCH
from apps.api.http import IDEMPOTENCY_KEY, FormParser
from apps.api.openapi import errors
from apps.api.openapi.operations import SECTIONS, TAGGED, Operation, Who
from apps.api.openapi.reading import schemas_read
from apps.api.views import ApiMixin

Key: TypeAlias = tuple[str, str | int]
Mode: TypeAlias = Literal["validation", "serialization"]

_REF: Final = "#/components/schemas/{model}"
_GENERIC: Final = re.compile(r"\b(Listing|Page)_(\w+)_$")
_ARGUMENT: Final = re.compile(r"<(?:\w+:)?(\w+)>")
_ABOUT: Final = """\
Records, questions, answers and suggestions, as the Argilla 2.8 client speaks of them, and what \
goes beyond it. Send the key of a member in the header `X-Argilla-Api-Key`. Bodies are JSON; keys \
that are not named here are ignored. Ids are UUIDs; times are naive UTC. A list holds everything \
unless it is said to have pages. Errors have the key `detail`."""

_HEADERS: Final = {
    "IdempotencyKey": {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "description": "The same request sent again under one key is answered, not repeated.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    "IfMatch": {
        "name": IF_MATCH,
        "in": "header",
        "description": "Only if the object still has this `ETag`, else 412.",
        "schema": {"type": "string"},
    },
    "IfNoneMatch": {
        "name": IF_NONE_MATCH,
        "in": "header",
        "description": "Only if the object no longer has this `ETag`, else 304.",
        "schema": {"type": "string"},
    },
}
_TAG: Final = {"description": "Stands for the object as it is.", "schema": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; ``path`` as the description writes it."""

    method: str
    path: str
    view: type[ApiMixin]
    handler: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def arguments(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)


def routes() -> Iterator[Route]:
    """Every operation in the URL table, whether described or not."""
    from apps.api.urls import urlpatterns  # the URL table imports the view that asks for this

    for pattern in urlpatterns:
        yield from _routes_of(pattern)


def _routes_of(pattern: URLPattern) -> Iterator[Route]:
    path = described_path(str(pattern.pattern))
    view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
    if view is None or path == "/":
        return
    actions = getattr(pattern.callback, "actions", None)
    for method in view.http_method_names:
        handler = actions.get(method) if actions else method
        if handler and hasattr(view, handler):
            yield Route(method.upper(), path, view, handler)


def described_path(route: str) -> str:
    """``/datasets/{dataset_id}`` for Django's ``datasets/<dataset_id>``."""
    return "/" + _ARGUMENT.sub(r"{\1}", route)


@cache
def document() -> dict[str, Any]:
    """The whole description; made once a process."""
    described = [_Described(*found) for found in _in_order()]
    shapes = _Shapes(described)
    paths: dict[str, dict[str, Any]] = {}
    for one in described:
        paths.setdefault(one.route.path, {})[one.route.method.lower()] = _operation(one, shapes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stoneware", "version": "v1", "description": _ABOUT},
        "servers": [{"url": "/api/v1"}],
        "tags": [{"name": section} for section in SECTIONS],
        "security": [{"ApiKey": []}, {"Bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": HEADER},
                "Bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
            "headers": {"ETag": _TAG},
            "parameters": _HEADERS,
            "responses": {
                answer.name: {
                    "description": answer.description,
                    "content": _json(shapes[answer.name, "error"]),
                }
                for answer in errors.ANSWERS.values()
            },
            "schemas": shapes.components,
        },
    }


def _in_order() -> Iterator[tuple[Route, str, Operation]]:
    """The described routes with their sections, as the sections list them."""
    there = {route.name: route for route in routes()}
    for section, operations in SECTIONS.items():
        for name, operation in operations.items():
            if name in there:
                yield there[name], section, operation


class _Described:
    """A route with what is known of it."""

    def __init__(self, route: Route, section: str, operation: Operation) -> None:
        self.route, self.section, self.operation = route, section, operation
        self.reads = schemas_read(route.view, route.handler)

    def shapes(self) -> Iterator[tuple[Key, Mode, Any]]:
        """Each type that stands in it."""
        for place, schema in self.reads.items():
            yield (self.route.name, place), "validation", schema
        for status, type_ in self.operation.answers.items():
            if type_ is not None:
                yield (self.route.name, status), "serialization", type_


class _Shapes:
    """All types as JSON schemas that refer to shared components."""

    components: dict[str, Any]

    def __init__(self, described: Iterable[_Described]) -> None:
        inputs: list[tuple[Key, Mode, Any]] = [
            ((answer.name, "error"), "serialization", answer.type)
            for answer in errors.ANSWERS.values()
        ]
        inputs += [shape for one in described for shape in one.shapes()]
        self._schemas, rest = TypeAdapter.json_schemas(
            [(key, mode, TypeAdapter(type_)) for key, mode, type_ in inputs], ref_template=_REF
        )
        components = _tidy(rest["$defs"])
        names = {
            key[0]: _name(schema) for (key, _), schema in self._schemas.items() if key[1] == "query"
        }
        self._queries: dict[str, dict[str, Any]] = {r: components[n] for r, n in names.items()}
        unshared = set(names.values())
        self.components = {
            name: components[name] for name in sorted(components) if name not in unshared
        }

    def __getitem__(self, key: Key) -> dict[str, Any]:
        mode: Mode = "validation" if key[1] in {"body", "query"} else "serialization"
        found: dict[str, Any] = _tidy(self._schemas[key, mode])
        return found

    def query(self, route: Route) -> dict[str, Any]:
        """The query's schema itself: a description lists parameters one by one."""
        return self._queries[route.name]


def _name(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _tidy(schema: Any) -> Any:
    """Without the null that stands for a key left out, and without made-up titles.

    ``Listing_Record_``, as generic types are named, becomes ``RecordListing``.
    """
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if isinstance(schema, str):
        return _GENERIC.sub(r"\2\1", schema.replace("``", "`"))
    if not isinstance(schema, dict):
        return schema
    dropped = {"title"} if isinstance(schema.get("title"), str) else set()
    dropped |= {"default"} if schema.get("default", ...) is None else set()
    return {_tidy(key): _tidy(value) for key, value in schema.items() if key not in dropped}


def _operation(one: _Described, shapes: _Shapes) -> dict[str, Any]:
    """An Operation Object."""
    route, reads = one.route, one.reads
    is_open = one.operation.who is Who.ANYONE
    found: dict[str, Any] = {
        "operationId": _operation_id(route),
        "tags": [one.section],
        "summary": one.operation.summary,
        "description": _description(one),
    }
    if is_open:
        found["security"] = []
    parameters = list(_parameters(one, shapes))
    if parameters:
        found["parameters"] = parameters
    body = _body(one, shapes)
    if body:
        found["requestBody"] = {"required": True, "content": body}
    failures = errors.possible(
        has_key=not is_open,
        has_arguments=bool(route.arguments),
        has_body=route.method in {"POST", "PUT", "PATCH"},
        has_query="query" in reads,
    )
    if route.method == "DELETE":
        failures.append(409)
    if is_open and "body" in reads:
        failures.append(401)
    if _condition(route) == "IfMatch":
        failures.append(412)
    found["responses"] = _answers(one, shapes) | {
        str(status): {"$ref": f"#/components/responses/{errors.ANSWERS[status].name}"}
        for status in sorted(failures)
    }
    return found


def _body(one: _Described, shapes: _Shapes) -> dict[str, Any]:
    """Its content by media type, empty for none."""
    if "body" not in one.reads:
        return {}
    is_form = FormParser in one.route.view.parser_classes
    media = "application/x-www-form-urlencoded" if is_form else "application/json"
    return {media: {"schema": shapes[one.route.name, "body"]}}


def _answers(one: _Described, shapes: _Shapes) -> dict[str, Any]:
    """Those of success."""
    found = {}
    for status, type_ in one.operation.answers.items():
        answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
        if type_ is not None:
            answer["content"] = {one.operation.media: {"schema": shapes[one.route.name, status]}}
        found[str(status)] = answer
    if one.route.path in TAGGED and one.route.method != "DELETE":
        if _condition(one.route) == "IfNoneMatch":
            found["304"] = {"description": HTTPStatus(304).phrase}
        for answer in found.values():
            answer["headers"] = {"ETag": {"$ref": "#/components/headers/ETag"}}
    return found


def _condition(route: Route) -> str:
    """The name of the conditional header that it heeds, empty for none."""
    if route.path not in TAGGED:
        return ""
    return "IfNoneMatch" if route.method == "GET" else "IfMatch"


def _parameters(one: _Described, shapes: _Shapes) -> Iterator[dict[str, Any]]:
    for name in one.route.arguments:
        schema = {"type": "string"} | ({"format": "uuid"} if name.endswith("_id") else {})
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if "query" in one.reads:
        query = shapes.query(one.route)
        for name, schema in query["properties"].items():
            required = name in query.get("required", ())
            yield {"name": name, "in": "query", "required": required, "schema": schema}
    if one.route.method != "GET" and one.operation.who is not Who.ANYONE:
        yield {"$ref": "#/components/parameters/IdempotencyKey"}
    if _condition(one.route):
        yield {"$ref": f"#/components/parameters/{_condition(one.route)}"}


def _description(one: _Described) -> str:
    """Who may call it, and what the handler says of itself."""
    said = inspect.getdoc(getattr(one.route.view, one.route.handler)) or ""
    return f"{one.operation.who}.\n\n{' '.join(said.replace('``', '`').split())}".rstrip()


def _operation_id(route: Route) -> str:
    words = re.findall(r"[a-z]+", re.sub(r"{(\w+)_id}", r"by_\1", route.path))
    return "_".join([route.method.lower(), *words])


def _json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
