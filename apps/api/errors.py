"""The one translator from what went wrong to the body a client gets."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pydantic
import rest_framework.exceptions as drf
from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError
from django.http import Http404
from django.http.request import UnreadablePostError
from rest_framework.response import Response as ApiResponse

from apps.core import errors as domain

logger = logging.getLogger(__name__)

_CODES: Final = "argilla.api.errors::"
_LONGEST_MESSAGE: Final = 500  # characters; some messages quote what was sent
_MOST_PROBLEMS: Final = 100
_STATUSES: Final[Mapping[type[domain.DomainError], int]] = {
    domain.NotFoundError: 404,
    domain.NotAllowedError: 403,
    domain.ConflictError: 409,
    domain.LimitReachedError: 403,
    domain.InvalidError: 422,
}
_CREDENTIALS: Final = "Could not validate credentials"
_TEXTS: Final[Mapping[int, str]] = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
}


class InvalidRequestError(Exception):
    """The shape of a request is wrong; each problem has ``type``, ``loc`` and ``msg``."""

    def __init__(self, problems: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("The request is not valid.")
        self.problems = problems

    @classmethod
    def at(cls, *loc: str | int, type: str, msg: str) -> "InvalidRequestError":
        """One problem at one place."""
        return cls([{"type": type, "loc": list(loc), "msg": msg}])

    @classmethod
    def of(cls, error: pydantic.ValidationError, *, at: str) -> "InvalidRequestError":
        """What pydantic found in the ``body``, ``query`` or ``path``."""
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return cls([{**problem, "loc": [at, *problem["loc"]]} for problem in found])


class BodyTooLargeError(drf.APIException):
    status_code = 413
    default_detail = "The request body is too large."


class LengthRequiredError(drf.APIException):
    status_code = 411
    default_detail = "A request with a body needs a Content-Length."


def handle(error: Exception, context: Mapping[str, Any]) -> ApiResponse:
    """The answer to any exception a view raised (DRF's ``EXCEPTION_HANDLER``)."""
    if isinstance(error, InvalidRequestError):
        return _coded(422, "ValidationError", errors=_shortened(error.problems))
    if isinstance(error, pydantic.ValidationError):
        return handle(InvalidRequestError.of(error, at="body"), context)
    if isinstance(error, domain.DomainError):
        return _handle_domain(error)
    if isinstance(error, drf.APIException):
        return _handle_http(error)
    if isinstance(error, Http404):
        return ApiResponse({"detail": _TEXTS[404]}, status=404)
    if isinstance(error, IntegrityError):
        # The rules are checked before; what reaches the constraint lost a race.
        logger.warning("A constraint refused a write", exc_info=error)
        return ApiResponse({"detail": "The change conflicts with another one."}, status=409)
    if isinstance(error, RequestDataTooBig):
        return _handle_http(BodyTooLargeError())
    if isinstance(error, UnreadablePostError):
        return _coded(400, "BadRequestError", detail="The request body ended early.")
    logger.error("Unexpected error in %s", type(context.get("view")).__name__, exc_info=error)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return _coded(500, "GenericServerError", type=name, message="Internal server error")


def _handle_domain(error: domain.DomainError) -> ApiResponse:
    status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 422)
    if isinstance(error, domain.NotAllowedError):
        return _coded(status, "ForbiddenOperationError", detail=error.message)
    if isinstance(error, domain.LimitReachedError):
        detail = {"code": "quota_exceeded", "params": {"detail": error.message}}
        return ApiResponse({"detail": detail}, status=status)
    return ApiResponse({"detail": error.message}, status=status)


def _handle_http(error: drf.APIException) -> ApiResponse:
    """DRF's own exceptions; the headers it promises (``Retry-After``) are kept."""
    headers = {}
    if isinstance(error, drf.NotAuthenticated | drf.AuthenticationFailed):
        # Set by DRF; without it clients do not learn how to authenticate.
        headers["WWW-Authenticate"] = getattr(error, "auth_header", "ApiKey")
        detail = _CREDENTIALS
        if type(error) not in {drf.NotAuthenticated, drf.AuthenticationFailed}:
            detail = str(error.detail)
        return _coded(401, "UnauthorizedError", headers=headers, detail=detail)
    if isinstance(error, drf.PermissionDenied):
        return _coded(403, "ForbiddenOperationError", detail="Operation not allowed")
    if isinstance(error, drf.Throttled):
        headers["Retry-After"] = str(max(int(error.wait or 0), 1))  # type: ignore[attr-defined]
    text = _TEXTS.get(error.status_code, str(error.detail))
    return ApiResponse({"detail": text}, status=error.status_code, headers=headers)


def _coded(
    status: int, code: str, *, headers: Mapping[str, str] | None = None, **params: object
) -> ApiResponse:
    detail = {"code": _CODES + code, "params": params}
    return ApiResponse({"detail": detail}, status=status, headers=dict(headers or {}))


def _shortened(problems: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The problems as they are told: a short answer also to a long list of nonsense."""
    return [
        {
            "type": problem["type"],
            "loc": [_short(part) if isinstance(part, str) else part for part in problem["loc"]],
            "msg": _short(problem["msg"]),
        }
        for problem in problems[:_MOST_PROBLEMS]
    ]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + "…"
