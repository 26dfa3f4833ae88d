"""Requests below ``/api/`` go to their view at once, and every answer there is JSON."""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils import translation

from apps.api import wire

PREFIX = "/api/"


class ApiMiddleware:
    """Spares the API the middleware of the pages behind it, half the cost of a small request.

    Sessions, CSRF tokens, languages and messages mean nothing to a caller with a key; the views
    translate their own errors (``errors.py``), so nothing else can answer.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        try:
            request.get_host()  # refuses a name that is not ours
            match = resolve(request.path_info)
        except DisallowedHost:
            return _refuse(400, "Bad Request")
        except Resolver404:
            return _refuse(404, "Not Found")
        request.resolver_match = match
        with translation.override(settings.LANGUAGE_CODE):  # a page may have left its own behind
            response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return response


def _refuse(status: int, detail: str) -> HttpResponse:
    body = wire.write({"detail": detail})
    return HttpResponse(body, status=status, content_type="application/json")
