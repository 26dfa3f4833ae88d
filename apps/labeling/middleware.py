"""The language of a page, and that support only looks."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation

from apps.labeling import support


class SupportMiddleware:
    """Who looks at an organization for support sends nothing but questions.

    The way out, and the operator's own pages, are open.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        asks = request.method in support.SAFE_METHODS
        if asks or request.path_info.startswith(_OPEN_TO_SUPPORT) or not support.is_on(request):
            return self.get_response(request)
        return support.refuse()


_OPEN_TO_SUPPORT = ("/operator/", "/accounts/logout/")


class LanguageMiddleware:
    """The person's language, where they chose one, instead of their browser's.

    It stands behind ``LocaleMiddleware``, which has read ``Accept-Language`` and names the
    language of the answer, and behind the authentication, which knows the person.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated and request.user.language:
            translation.activate(request.user.language)
            request.LANGUAGE_CODE = request.user.language
        return self.get_response(request)
