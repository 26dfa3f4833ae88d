"""What all views share: one transaction a request, strict reading, the contract's order of checks.

The order: method (405), malformed JSON (422), key (401), path, query and body (422), then what a
handler does: look-up (404), permission (403), rule (422, 409). Handlers read their body and query
first and look up afterwards.
"""

import typing
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar
from uuid import UUID

import pydantic
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response as ApiResponse
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from apps.api import wire
from apps.api.errors import InvalidRequestError, LengthRequiredError
from apps.api.http import IDEMPOTENCY_KEY, FirstOffered
from apps.api.idempotency import once
from apps.core.tenancy import enter
from apps.events.log import acting_as, origin
from apps.organizations.directory import KeyHolder
from apps.organizations.models import Membership, Scope

MEGABYTE = 1024 * 1024
# The default of a key that may be left out but not be null.
LEFT_OUT: Any = None
_Schema = TypeVar("_Schema", bound=pydantic.BaseModel)
_id = pydantic.TypeAdapter(UUID)


def _in_utc(moment: datetime) -> datetime:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time lies beyond the years 1 to 9999") from error


# A time in UTC, which it is when it names no offset.
Moment: TypeAlias = Annotated[datetime, pydantic.AfterValidator(_in_utc)]


class Schema(pydantic.BaseModel):
    """A body or query; keys that it does not name are ignored."""

    model_config = pydantic.ConfigDict(extra="ignore", frozen=True)


class ApiRequest(Request):
    """A request of a member; ``scope`` holds its transaction."""

    scope: ExitStack
    user: Membership  # type: ignore[assignment]
    auth: KeyHolder
    body_digest: str = ""


class ApiMixin(APIView):
    """One transaction inside the organization covers a request up to its rendered answer.

    An exception rolls it back before it becomes an error body. Path arguments named ``…_id``
    reach the handler as UUIDs.
    """

    # What an API key must be good for: to GET, and for every other method.
    read_scope: ClassVar[Scope] = Scope.READ
    write_scope: ClassVar[Scope] = Scope.WRITE
    body_limit: ClassVar[int] = 10 * MEGABYTE
    # A larger body is read only for those who have a key.
    unknown_body_limit: ClassVar[int] = MEGABYTE
    content_negotiation_class = FirstOffered
    http_method_names: ClassVar[list[str]] = ["get", "post", "put", "patch", "delete"]  # type: ignore[misc]

    request: ApiRequest

    @property
    def member(self) -> Membership:
        """Who is calling."""
        return self.request.user

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {
            "Allow": ", ".join(self.allowed_methods),
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        }

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return ApiRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.args, self.kwargs = args, kwargs
        self.headers = self.default_response_headers
        self.request = typing.cast(ApiRequest, self.initialize_request(request, *args, **kwargs))
        try:
            with ExitStack() as self.request.scope:
                return self.respond()
        except Exception as error:  # noqa: BLE001  (the translator is the last resort)
            return self._render(self.handle_exception(error))

    def respond(self) -> HttpResponseBase:
        """The rendered answer of the handler, all checks before it passed."""
        method = str(self.request.method).lower()
        if method not in self.http_method_names or not hasattr(self, method):
            self.http_method_not_allowed(self.request)
        self.initial(self.request, *self.args, **self.kwargs)
        named = method != "get" and IDEMPOTENCY_KEY in self.request.headers
        if named and self.request.successful_authenticator:
            return once(self.request, lambda: self._run(method))
        return self._run(method)

    def _run(self, method: str) -> ApiResponse:
        return self._render(getattr(self, method)(self.request, *self.args, **self.kwargs))

    def _render(self, response: ApiResponse) -> ApiResponse:
        final: ApiResponse = self.finalize_response(
            self.request, response, *self.args, **self.kwargs
        )
        if not final.streaming:  # else its content is made while it is sent
            final.render()
        return final

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        has_body = request.method in {"POST", "PUT", "PATCH"}
        length = request.headers.get("Content-Length")
        if has_body and length is None and "Transfer-Encoding" in request.headers:
            raise LengthRequiredError
        small = not str(length or 0).isdecimal() or int(length or 0) <= self.unknown_body_limit
        if has_body and small:
            _ = request.data
        super().initial(request, *args, **kwargs)
        if has_body:
            _ = request.data
        self.kwargs = {name: _path_argument(name, value) for name, value in kwargs.items()}

    @contextmanager
    def between(self) -> Iterator[None]:
        """A block between two transactions: what was done is committed, the rest has its own.

        For what waits for others. A key held for ``Idempotency-Key`` is let go.
        """
        organization_id, doing = self.request.auth.organization_id, origin()
        self.request.scope.close()
        yield
        self.request.scope.enter_context(enter(organization_id))
        self.request.scope.enter_context(acting_as(doing))

    def read_body(self, schema: type[_Schema]) -> _Schema:
        """The body as ``schema``. Raises ``InvalidRequestError``."""
        if self.request.stream is None:
            raise InvalidRequestError.at("body", type="missing", msg="Field required")
        return check(schema, self.request.data, at="body")

    def read_query(self, schema: type[_Schema]) -> _Schema:
        """The query as ``schema``; of a repeated key the last value, or all for a list."""
        query = self.request.query_params
        given: dict[str, Any] = {}
        for name, field in schema.model_fields.items():
            if name in query:
                given[name] = query.getlist(name) if _is_list(field.annotation) else query[name]
        for name, value in given.items():
            if not wire.is_storable("".join(value)):
                raise InvalidRequestError.at("query", name, type="value_error", msg="NUL in text")
        return check(schema, given, at="query")


class ApiView(ApiMixin):
    """A view of one path: ``get``, ``post``, …"""


class ApiViewSet(ViewSetMixin, ApiMixin):
    """The views of a resource; paths map methods to actions."""


def check(schema: type[_Schema], given: object, *, at: str) -> _Schema:
    """``given`` as ``schema``; ``at`` (body, query, path) starts each problem's ``loc``."""
    try:
        return schema.model_validate(given)
    except pydantic.ValidationError as error:
        raise InvalidRequestError.of(error, at=at) from error


def _path_argument(name: str, value: Any) -> Any:
    if not name.endswith("_id"):
        return value
    try:
        return _id.validate_python(value)
    except pydantic.ValidationError as error:
        raise InvalidRequestError(
            [
                {"type": problem["type"], "loc": ["path", name], "msg": problem["msg"]}
                for problem in error.errors(include_context=False)
            ]
        ) from error


def _is_list(annotation: Any) -> bool:
    kinds = (annotation, *typing.get_args(annotation))
    return any(typing.get_origin(kind) is list for kind in kinds)
