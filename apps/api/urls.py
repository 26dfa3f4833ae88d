"""The paths below ``/api/v1/``, without a slash at the end; each resource lists its own."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from django.urls import URLPattern, re_path

from apps.api import v1
from apps.api.v1.unknown import UnknownPath

MOST_ASKED: Final = ("claim", "responses", "records")  # paths are tried in turn


def _collect() -> list[URLPattern]:
    """The ``urlpatterns`` of every module in ``v1``: the most asked first, the others by name."""
    names = sorted({found.name for found in iter_modules(v1.__path__)} - {*MOST_ASKED})
    modules = [import_module(f"{v1.__name__}.{name}") for name in (*MOST_ASKED, *names)]
    return [pattern for module in modules for pattern in getattr(module, "urlpatterns", ())]


urlpatterns = [
    *_collect(),
    # Last: whatever no resource knows, a slash at the end included, is a 404 in JSON.
    re_path("", UnknownPath.as_view()),
]
