"""Errors that Django answers itself, outside every view, are JSON below ``/api/`` as well."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.api import wire


class JSONErrorsMiddleware:
    """A refused host, a broken request line, a crashed middleware: with DEBUG on as well.

    Stands first, so that it sees what the others answer.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path_info.startswith("/api/"):
            return response
        if response.headers.get("Content-Type", "").startswith("application/json"):
            return response
        text = HTTPStatus(response.status_code).phrase
        return HttpResponse(
            wire.write({"detail": text}),
            status=response.status_code,
            content_type="application/json",
        )
