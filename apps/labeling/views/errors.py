"""Error pages: static, without the database, so that they work when little else does."""

from django.http import HttpRequest, HttpResponse
from django.template import loader

from apps.core.errors import LimitReachedError


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page("400")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    is_full = isinstance(exception.__cause__, LimitReachedError)
    return _page("403_limit" if is_full else "403")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token is missing or old: say so, and lose nothing."""
    return _page("403_csrf")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page("404")


def server_error(request: HttpRequest) -> HttpResponse:
    return _page("500")


def _page(name: str) -> HttpResponse:
    """Rendered without the request: no context processor, no session, no query."""
    return HttpResponse(loader.render_to_string(f"errors/{name}.html"), status=int(name[:3]))
