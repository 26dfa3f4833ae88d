"""Who is calling: the API key names a member and, with that, the organization.

A request costs BEGIN and one statement that looks up the key with its member and enters their
organization; every five minutes one write that notes the key's use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.core.tenancy import enter_found
from apps.events.log import act_as
from apps.organizations import directory
from apps.organizations.models import Membership
from apps.organizations.services import note_key_use

if TYPE_CHECKING:
    from rest_framework.views import APIView

    from apps.api.views import ApiRequest

HEADER = "X-Argilla-Api-Key"


@contextmanager
def acting(key: str) -> Iterator[directory.KeyHolder]:
    """One transaction inside the key's organization, in which its member acts.

    Raises ``AuthenticationFailed`` for a key that is not valid.
    """
    with enter_found(lambda: directory.find_and_enter(key)) as holder:
        if holder is None:
            raise AuthenticationFailed
        act_as(holder.member.id)
        try:
            yield holder
        finally:
            act_as(None)
        # Last, so that requests with one key do not wait for one another.
        note_key_use(holder)


class ApiKeyAuthentication(BaseAuthentication):
    """The header ``X-Argilla-Api-Key``; any ``Authorization`` header beside it is ignored.

    ``request.user`` is the Membership and ``request.auth`` the key's holder. The organization is
    entered here and left when ``ApiView`` closes ``request.scope``.
    """

    def authenticate(self, request: "ApiRequest") -> tuple[Membership, directory.KeyHolder] | None:  # type: ignore[override]
        key = request.headers.get(HEADER)
        if not key:
            return None
        holder = request.scope.enter_context(acting(key))
        return holder.member, holder

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing key a 401; DRF answers 403 without it."""
        return "ApiKey"


class IsMember(BasePermission):
    """Somebody with a valid key; what they may do is asked in each view."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return isinstance(request.user, Membership)
