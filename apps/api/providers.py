"""Talking to the configured OpenID Connect providers, by way of allauth.

The authorization code flow with PKCE. What must survive the person's detour to the provider lies
in a signed cookie, since the API has no sessions.
"""

import secrets
from dataclasses import asdict, dataclass
from typing import Any, Final

import requests
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client, OAuth2Error
from allauth.socialaccount.providers.oauth2.utils import generate_code_challenge
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from rest_framework.exceptions import APIException

from apps.api import wire
from apps.core.errors import InvalidError, NotFoundError
from apps.workspaces.admission import Identity

COOKIE: Final = "stoneware_oauth2"
COOKIE_PATH: Final = "/api/v1/oauth2/"
MAX_AGE: Final = 600  # seconds at the provider
_SALT: Final = "stoneware.oauth2"
# What reading an answer of another shape than it should have may raise.
_NONSENSE: Final = (KeyError, TypeError, ValueError, AttributeError)


class RefusedError(APIException):
    """The provider, or the person there, said no; the text is told."""

    status_code = 401
    default_detail = "The provider did not confirm who you are."


class UnreachableError(APIException):
    status_code = 502
    default_detail = "The provider does not answer as it should."


@dataclass(frozen=True, slots=True)
class Detour:
    """What was begun: checked and used when the person comes back."""

    provider: str
    state: str
    verifier: str
    organization: str

    def sealed(self) -> str:
        """As the cookie's value: signed, and good for ten minutes."""
        return signing.dumps(asdict(self), salt=_SALT)


class _Adapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """The provider sends people back to the API."""

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return request.build_absolute_uri(reverse("oauth2-access-token", args=[self.provider_id]))


def provider_names(request: HttpRequest) -> list[str]:
    return [provider.app.provider_id for provider in _providers(request)]


def _providers(request: HttpRequest) -> list[OpenIDConnectProvider]:
    found = get_adapter(request).list_providers(request)
    return [provider for provider in found if isinstance(provider, OpenIDConnectProvider)]


def find_provider(request: HttpRequest, name: str) -> OpenIDConnectProvider:
    """Raises ``NotFoundError``."""
    for provider in _providers(request):
        if provider.app.provider_id == name:
            return provider
    raise NotFoundError(f"Provider with name `{name[:100]}` not found")


def begin(request: HttpRequest, name: str, *, organization: str) -> tuple[str, Detour]:
    """Where to send the person, and what to remember. Raises ``UnreachableError``."""
    provider = find_provider(request, name)
    challenge = generate_code_challenge()
    verifier = challenge.pop("code_verifier")
    detour = Detour(name, secrets.token_urlsafe(32), verifier, organization)
    try:
        client, adapter = _client(request, provider)
        client.state = detour.state
        parameters = {**provider.get_auth_params(), **challenge}
        address = client.get_redirect_url(adapter.authorize_url, provider.get_scope(), parameters)
    except (requests.RequestException, *_NONSENSE) as error:
        raise UnreachableError from error
    return str(address), detour


def come_back(request: HttpRequest, name: str, *, code: str, state: str) -> tuple[Identity, Detour]:
    """Who came back with this code. Talks to the provider.

    Raises ``NotFoundError``, ``InvalidError`` for a state or a code that is not good,
    ``RefusedError`` for a token that is not, and ``UnreachableError``.
    """
    provider = find_provider(request, name)
    detour = _read_cookie(request.COOKIES.get(COOKIE, ""))
    if detour is None or detour.provider != name or not _same(detour.state, state):
        raise InvalidError("The state is not that of a log-in begun here in the last ten minutes")
    try:
        client, adapter = _client(request, provider)
        answer = _exchange(client, code, detour.verifier)
        adapter.did_fetch_access_token = True
        token = adapter.parse_token(answer)
        login = adapter.complete_login(request, provider.app, token, response=answer)
        return _identity(provider, login.account.extra_data), detour
    except OAuth2Error as error:
        raise RefusedError from error
    except (requests.RequestException, ImproperlyConfigured, *_NONSENSE) as error:
        raise UnreachableError from error


def _client(
    request: HttpRequest, provider: OpenIDConnectProvider
) -> tuple[OAuth2Client, OpenIDConnectOAuth2Adapter]:
    adapter = _Adapter(request, provider.app.provider_id)
    return adapter.get_client(request, provider.app), adapter


def _exchange(client: OAuth2Client, code: str, verifier: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = client.get_access_token(code, pkce_code_verifier=verifier)
    except OAuth2Error as error:
        raise InvalidError("The provider did not accept the code") from error
    return answer


def _identity(provider: OpenIDConnectProvider, told: dict[str, Any]) -> Identity:
    """Raises ``RefusedError`` when the two things the provider told are of different people."""
    claims, profile = told.get("id_token"), told.get("userinfo")
    if claims and profile and claims["sub"] != profile["sub"]:
        raise RefusedError
    fields = provider.extract_common_fields(told)
    verified = [one.email for one in provider.extract_email_addresses(told) if one.verified is True]
    first, _, last = _text(fields.get("name")).partition(" ")
    return Identity(
        provider=provider.app.provider_id,
        uid=provider.extract_uid(told),
        email=_text(verified[0])[:254] if verified else None,
        username=_text(fields.get("username")),
        first_name=_text(fields.get("first_name")) or first,
        last_name=_text(fields.get("last_name")) or last or None,
    )


def _text(told: object) -> str:
    return told.strip() if isinstance(told, str) and wire.is_storable(told) else ""


def _read_cookie(value: str) -> Detour | None:
    try:
        return Detour(**signing.loads(value, salt=_SALT, max_age=MAX_AGE))
    except (signing.BadSignature, TypeError):
        return None


def _same(known: str, given: str) -> bool:
    return constant_time_compare(known.encode(), given.encode("utf-8", "surrogatepass"))
