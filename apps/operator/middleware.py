"""Around every request: its id, its line in the log, its time; and the two pages of health."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from apps.core.metrics import REQUESTS
from apps.core.tracing import Trace, tracing
from apps.operator import health

HEADER: Final = "X-Request-ID"
logger = logging.getLogger("apps.operator.requests")


class RequestMiddleware:
    """The outermost: whatever answers, the answer names the request.

    ``X-Request-ID`` of the sender is kept when it is a sane one. ``/healthz`` and ``/readyz`` are
    answered here, under any host name and inside no organization.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        with tracing(request.headers.get(HEADER, "")) as trace:
            response = _answer_of_health(request) or self.get_response(request)
            response[HEADER] = trace.request_id
            _note(request, response, trace, time.perf_counter() - began)
        return response


def _answer_of_health(request: HttpRequest) -> HttpResponseBase | None:
    if request.path_info == "/healthz":
        return _told(200, {"status": "ok"})
    if request.path_info == "/readyz":
        parts = health.readiness()
        ready = all(part["ok"] for part in parts.values())
        told = {"status": "ready" if ready else "not ready", "parts": parts}
        return _told(200 if ready else 503, told)
    return None


def _told(status: int, body: Mapping[str, object]) -> JsonResponse:
    return JsonResponse(dict(body), status=status, headers={"Cache-Control": "no-store"})


def _note(request: HttpRequest, response: HttpResponseBase, trace: Trace, seconds: float) -> None:
    """Count the request under its view's name, never under its address, which has no end."""
    match = request.resolver_match
    view = match.view_name or match._func_path if match else "none"
    method = request.method if request.method in _METHODS else "other"
    REQUESTS.labels(view, method, response.status_code).observe(seconds)
    if logger.isEnabledFor(logging.INFO):
        details = {
            "method": method,
            "path": request.path_info,
            "view": view,
            "status": response.status_code,
            "ms": round(seconds * 1000, 1),
        }
        logger.info("%s %s %d", method, request.path_info, response.status_code, extra=details)


_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
