"""Paths that do not exist."""

from typing import NoReturn

from django.http import Http404

from apps.api.views import ApiView


class UnknownPath(ApiView):
    """404 for every method, with and without a key."""

    def respond(self) -> NoReturn:
        raise Http404
