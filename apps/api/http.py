"""How bodies are written and read; named in the settings, so nothing here imports a view."""

import hashlib
from typing import Any, Final

from django.core.exceptions import TooManyFieldsSent
from django.http import QueryDict
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from apps.api import wire
from apps.api.errors import BodyTooLargeError, InvalidRequestError

IDEMPOTENCY_KEY: Final = "Idempotency-Key"


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: Any = None, context: Any = None) -> bytes:
        """Nothing for a 204 or a 304, else the document."""
        response = (context or {}).get("response")
        if data is None and response is not None and response.status_code in {204, 304}:
            return b""
        return wire.write(data)


class JSONParser(BaseParser):
    """Reads JSON under any content type but a form's, up to the view's ``body_limit`` bytes."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        context = parser_context or {}
        request, view = context["request"], context["view"]
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("", "Compressed request bodies are not accepted.")
        if int(request.headers.get("Content-Length") or 0) > view.body_limit:
            raise BodyTooLargeError
        raw = stream.read()
        if IDEMPOTENCY_KEY in request.headers:
            request.body_digest = hashlib.sha256(raw).hexdigest()
        try:
            return wire.read(raw)
        except wire.UnreadableError as error:
            raise InvalidRequestError.at("body", type="json_invalid", msg=str(error)) from error


class FormParser(BaseParser):
    """A form as the browser sends it, up to the view's ``body_limit`` bytes; any other is empty.

    Of a repeated name the last value counts.
    """

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        context = parser_context or {}
        request, view = context["request"], context["view"]
        if int(request.headers.get("Content-Length") or 0) > view.body_limit:
            raise BodyTooLargeError
        raw = stream.read()
        if not str(request.content_type).startswith("application/x-www-form-urlencoded"):
            return {}
        try:
            form = QueryDict(raw, encoding="utf-8").dict()
        except (ValueError, TooManyFieldsSent) as error:
            raise InvalidRequestError.at("body", type="value_error", msg="Not a form") from error
        if not wire.is_storable("".join(map(str, form.values()))):
            raise InvalidRequestError.at("body", type="value_error", msg="NUL in text")
        return form


class FirstOffered(BaseContentNegotiation):
    """JSON, whatever ``Accept`` and ``Content-Type`` say."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type
