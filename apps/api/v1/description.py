"""The API's description: as OpenAPI for programs, as a page for people."""

from django.template.response import TemplateResponse
from django.urls import path
from rest_framework.response import Response as ApiResponse

from apps.api.openapi.document import document
from apps.api.openapi.page import page
from apps.api.v1.status import PublicView
from apps.api.views import ApiRequest

_CACHING = "public, max-age=300"


class Schema(PublicView):
    @property
    def default_response_headers(self) -> dict[str, str]:
        return super().default_response_headers | {"Cache-Control": _CACHING}

    def get(self, request: ApiRequest) -> ApiResponse:
        """Every operation with its parameters, bodies, answers and errors."""
        return ApiResponse(document())


class Docs(PublicView):
    @property
    def default_response_headers(self) -> dict[str, str]:
        """The page needs its style sheet and icons, and nothing that could run."""
        policy = (
            "default-src 'none'; style-src 'self'; img-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return super().default_response_headers | {
            "Cache-Control": _CACHING,
            "Content-Security-Policy": policy,
        }

    def get(self, request: ApiRequest) -> TemplateResponse:
        """The same on a page, in HTML."""
        return TemplateResponse(request._request, "api/docs.html", {"page": page()})


urlpatterns = [
    path("schema", Schema.as_view()),
    path("docs", Docs.as_view()),
]
