"""Who is calling: an API key or a bearer token names a member and, with that, the organization.

A request costs BEGIN and one statement that looks up the key with its member and enters their
organization; every five minutes one write that notes the key's use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.core.addresses import client_address
from apps.core.errors import NotAllowedError, SuspendedError
from apps.core.tenancy import enter_found
from apps.events.log import Origin, acting_as
from apps.organizations import directory, tokens
from apps.organizations.calls import note_call
from apps.organizations.models import Membership, Scope
from apps.organizations.services import note_key_use

if TYPE_CHECKING:
    from rest_framework.views import APIView

    from apps.api.views import ApiRequest

HEADER = "X-Argilla-Api-Key"


class InvalidBearerError(AuthenticationFailed):
    """The ``Authorization`` header holds no token of ours."""

    default_detail = "Invalid token"


@contextmanager
def acting(
    key: str | None,
    token: str | None = None,
    address: str | None = None,
    host: UUID | None = None,
) -> Iterator[directory.KeyHolder]:
    """One transaction inside the caller's organization, in which the member acts.

    ``address`` is where the request comes from, ``host`` the organization whose host it is for: a
    key of another is none there. The token is asked only when the key is not valid.
    Raises ``AuthenticationFailed``.
    """
    with enter_found(lambda: _find(key, token)) as holder:
        if holder is None or host not in {None, holder.organization_id}:
            raise AuthenticationFailed
        if holder.is_suspended:
            raise SuspendedError
        with acting_as(Origin(holder.member.id, holder.key_id, address)):
            yield holder
        # Last, so that requests with one key do not wait for one another.
        note_key_use(holder, address)


def _find(key: str | None, token: str | None) -> directory.KeyHolder | None:
    holder = directory.find_and_enter(key) if key else None
    if holder or not token:
        return holder
    try:
        return tokens.find_and_enter(token)
    except tokens.InvalidTokenError as error:
        raise InvalidBearerError from error


def _host(request: Request) -> UUID | None:
    """The organization whose host the request is for; None where all share one."""
    found: UUID | None = getattr(request._request, "host_organization", None)
    return found


def bearer_token(request: Request) -> str | None:
    """The token of ``Authorization: Bearer …``."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


class ApiKeyAuthentication(BaseAuthentication):
    """The header ``X-Argilla-Api-Key``, else a bearer token in ``Authorization``.

    What stands in ``Authorization`` beside a valid key is ignored.
    ``request.user`` is the Membership and ``request.auth`` the key's holder. The organization is
    entered here and left when ``ApiView`` closes ``request.scope``.
    """

    def authenticate(self, request: "ApiRequest") -> tuple[Membership, directory.KeyHolder] | None:  # type: ignore[override]
        key = request.headers.get(HEADER)
        token = bearer_token(request)
        if not key and not token:
            return None
        address = client_address(request.META)
        holder = request.scope.enter_context(acting(key, token, address, _host(request)))
        note_call(holder.organization_id)
        return holder.member, holder

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing key a 401; DRF answers 403 without it."""
        return "ApiKey"


def caller(request: Request) -> str | None:
    """A name for the key in use, or for the member behind a token; None without either."""
    holder = request.auth
    if not isinstance(holder, directory.KeyHolder):
        return None
    return f"{holder.organization_id}:{holder.key_id or holder.membership_id}"


class IsMember(BasePermission):
    """Somebody with a valid key that has the view's scope; their role is asked in each view."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        holder = request.auth
        if not isinstance(holder, directory.KeyHolder):
            return False
        reads = request.method == "GET"
        scope: Scope = view.read_scope if reads else view.write_scope  # type: ignore[attr-defined]
        if scope not in holder.scopes:
            raise NotAllowedError(f"The API key lacks the scope `{scope}`")
        return True
