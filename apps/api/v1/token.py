"""Log-in by username and password, for a bearer token that lasts a day."""

from typing import Annotated

from django.urls import path
from pydantic import StringConstraints
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.response import Response as ApiResponse

from apps.api.http import FormParser
from apps.api.throttles import count_log_in, forgive_log_in
from apps.api.v1.status import PublicView
from apps.api.views import ApiRequest, Schema
from apps.core.addresses import client_address
from apps.organizations.login import log_in
from apps.organizations.models import Membership
from apps.organizations.tokens import issue_token


class Credentials(Schema):
    """``username`` may be ``organization/username`` or an e-mail; see ``organizations.login``."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=400)]
    password: Annotated[str, StringConstraints(max_length=1_000)]
    organization: Annotated[str, StringConstraints(max_length=63)] = ""


def token_answer(member: Membership, *, status: int) -> ApiResponse:
    """A Token object for the member, who comes with the account."""
    assert member.user is not None  # noqa: S101
    token = issue_token(member=member, user=member.user)
    return ApiResponse({"access_token": token, "token_type": "bearer"}, status=status)


class Token(PublicView):
    parser_classes = (FormParser,)
    body_limit = 16_384

    def post(self, request: ApiRequest) -> ApiResponse:
        """A form in, a token out (201); tries are limited by address and by name."""
        body = self.read_body(Credentials)
        name = f"{body.organization}/{body.username}" if body.organization else body.username
        count_log_in(request, name)
        member = log_in(
            name=body.username,
            password=body.password,
            organization=body.organization,
            address=client_address(request.META),
        )
        if member is None:
            raise AuthenticationFailed
        forgive_log_in(name)
        return token_answer(member, status=201)


urlpatterns = [path("token", Token.as_view())]
