"""The answers to what cannot be done, and which operation may give which."""

from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import TypedDict


class TextError(TypedDict):
    """What is wrong, in words."""

    detail: str


class CodedDetail(TypedDict):
    code: str
    params: dict[str, Any]


class CodedError(TypedDict):
    """What is wrong, with a code for programs."""

    detail: CodedDetail


class ProblemAt(TypedDict):
    """``loc`` leads to the place: ``["body", "settings", "text", "use_markdown"]``."""

    type: str
    loc: list[str | int]
    msg: str


class Problems(TypedDict):
    errors: list[ProblemAt]


class InvalidDetail(TypedDict):
    code: str
    params: Problems


class InvalidError(TypedDict):
    """The request does not have the described shape."""

    detail: InvalidDetail


class MissingVectorError(TypedDict):
    """The record that others are compared with lacks the vector."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    name: str
    description: str
    type: Any


ANSWERS: Final = {
    400: ErrorAnswer("BadRequest", "The request cannot be read.", TextError | CodedError),
    401: ErrorAnswer("Unauthorized", "No valid key.", CodedError),
    403: ErrorAnswer("Forbidden", "The caller may not do this.", CodedError),
    404: ErrorAnswer("NotFound", "There is no such object.", TextError),
    409: ErrorAnswer("Conflict", "Something else stands against it.", TextError),
    411: ErrorAnswer("LengthRequired", "A body needs a Content-Length.", TextError),
    412: ErrorAnswer("Outdated", "The object was changed meanwhile.", TextError),
    413: ErrorAnswer("TooLarge", "The body is too large.", TextError),
    415: ErrorAnswer("Unsupported", "Compressed bodies are not accepted.", TextError),
    422: ErrorAnswer(
        "Invalid",
        "The shape is wrong (a list of problems), or a rule is broken (a text).",
        InvalidError | TextError | MissingVectorError,
    ),
    429: ErrorAnswer("TooMany", "Too many requests; `Retry-After` says when.", TextError),
}


def possible(*, has_key: bool, has_arguments: bool, has_body: bool, has_query: bool) -> list[int]:
    """The statuses of errors that such an operation may answer with, ascending."""
    found = {400, 429}
    found |= {401, 403} if has_key else set()
    found |= {404, 422} if has_arguments else set()
    found |= {422} if has_query else set()
    found |= {409, 411, 413, 415, 422} if has_body else set()
    return sorted(found)
