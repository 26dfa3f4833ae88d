"""Log-in by a provider (OpenID Connect), for a bearer token that lasts a day."""

from typing import Annotated

from django.urls import path
from pydantic import StringConstraints
from rest_framework.response import Response as ApiResponse

from apps.api import providers
from apps.api.throttles import count_address
from apps.api.v1.status import PublicView
from apps.api.v1.token import token_answer
from apps.api.views import ApiRequest, Schema
from apps.core.errors import InvalidError
from apps.workspaces.admission import admit, check_factor


class BeginQuery(Schema):
    """``organization`` is a slug, for accounts with several."""

    organization: Annotated[str, StringConstraints(max_length=63)] = ""


class ReturnQuery(Schema):
    """What the provider adds to the address; ``error`` stands where it refused."""

    code: Annotated[str, StringConstraints(max_length=4_000)] = ""
    state: Annotated[str, StringConstraints(max_length=400)] = ""
    error: Annotated[str, StringConstraints(max_length=400)] = ""


class Providers(PublicView):
    def get(self, request: ApiRequest) -> ApiResponse:
        """The configured providers, by the names that the other paths take."""
        names = providers.provider_names(request._request)
        return ApiResponse({"items": [{"name": name} for name in names]})


class Authentication(PublicView):
    def get(self, request: ApiRequest, provider: str) -> ApiResponse:
        """Sends the browser to the provider (303), with a cookie to know it by afterwards."""
        query = self.read_query(BeginQuery)
        count_address(request)
        address, detour = providers.begin(
            request._request, provider, organization=query.organization.lower()
        )
        response = ApiResponse({"location": address}, status=303, headers={"Location": address})
        response.set_cookie(
            providers.COOKIE,
            detour.sealed(),
            max_age=providers.MAX_AGE,
            path=providers.COOKIE_PATH,
            secure=request.is_secure(),
            httponly=True,
            samesite="Lax",
        )
        return response


class AccessToken(PublicView):
    def get(self, request: ApiRequest, provider: str) -> ApiResponse:
        """A token for whom the provider names; a newcomer is made an annotator where allowed."""
        query = self.read_query(ReturnQuery)
        count_address(request)
        if query.error:
            providers.find_provider(request._request, provider)
            raise providers.RefusedError
        if not query.code or not query.state:
            providers.find_provider(request._request, provider)
            raise InvalidError("The parameters `code` and `state` are needed")
        identity, detour = providers.come_back(
            request._request, provider, code=query.code, state=query.state
        )
        member = admit(identity, slug=detour.organization)
        check_factor(member)
        response = token_answer(member, status=200)
        response.delete_cookie(providers.COOKIE, path=providers.COOKIE_PATH, samesite="Lax")
        return response


urlpatterns = [
    path("oauth2/providers", Providers.as_view()),
    path("oauth2/providers/<provider>/authentication", Authentication.as_view()),
    path(
        "oauth2/providers/<provider>/access-token",
        AccessToken.as_view(),
        name="oauth2-access-token",
    ),
]
