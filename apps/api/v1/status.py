"""What runs here; for everybody."""

import resource
from typing import Final

from django.conf import settings
from django.db import connection
from django.urls import path
from rest_framework.response import Response as ApiResponse

from apps.api.views import ApiRequest, ApiView

VERSION: Final = "0.1.0"
ARGILLA_VERSION: Final = "2.8.0"  # whose clients work here


class PublicView(ApiView):
    """A view that needs no key, and so enters no organization."""

    authentication_classes = ()
    permission_classes = ()


class Version(PublicView):
    def get(self, request: ApiRequest) -> ApiResponse:
        """The product's version and that of the wire protocol."""
        return ApiResponse({"version": VERSION, "argilla": ARGILLA_VERSION})


class Status(PublicView):
    def get(self, request: ApiRequest) -> ApiResponse:
        """The version, and that the database answers; memory in bytes."""
        connection.ensure_connection()
        memory = {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
        engine = {"name": "postgresql"}
        return ApiResponse({"version": VERSION, "search_engine": engine, "memory": memory})


class Settings(PublicView):
    def get(self, request: ApiRequest) -> ApiResponse:
        """What a web front end may offer; more on a Space of Hugging Face, where it runs."""
        own: dict[str, bool] = {"share_your_progress_enabled": False}
        space = settings.HUGGINGFACE_SPACE
        if not space:
            return ApiResponse({"argilla": own})
        kept = space["space_persistent_storage_enabled"]
        own["show_huggingface_space_persistent_storage_warning"] = not kept
        return ApiResponse({"argilla": own, "huggingface": space})


urlpatterns = [
    path("version", Version.as_view()),
    path("status", Status.as_view()),
    path("settings", Settings.as_view()),
]
