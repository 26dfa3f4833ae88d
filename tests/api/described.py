"""Answers held against the description, which is taken at its word: no key but those it names."""

import copy
from functools import cache
from typing import Any

import jsonschema_rs

from apps.api.openapi.document import document


@cache
def strict() -> dict[str, Any]:
    """The description without leave to answer with more keys than it names."""
    described = copy.deepcopy(document())
    for schema in described["components"]["schemas"].values():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return described


@cache
def _schemas(operation: str, status: int) -> dict[str, Any]:
    """``{media type: schema}`` of an answer; empty for none."""
    method, _, path = operation.partition(" ")
    answers = strict()["paths"][path][method.lower()]["responses"]
    assert str(status) in answers, f"{operation} is not said to answer with {status}"
    answer = answers[str(status)]
    if "$ref" in answer:
        answer = strict()["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return {media: found["schema"] for media, found in answer.get("content", {}).items()}


@cache
def _validator(operation: str, status: int, media: str) -> Any:
    schema = _schemas(operation, status)[media]
    whole = {**schema, "components": strict()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def check_described(operation: str, answer: Any) -> None:
    """Fail unless ``GET /datasets/{dataset_id}`` is said to answer like this."""
    expected = _schemas(operation, answer.status_code)
    if not expected:
        assert answer.content == b""
        return
    media = answer.headers["Content-Type"].partition(";")[0]
    assert media in expected
    if media == "application/json":
        problems = _validator(operation, answer.status_code, media).iter_errors(answer.json())
        found = [
            f"{operation} {answer.status_code} {p.instance_path}: {p.message}" for p in problems
        ]
        assert found == []
