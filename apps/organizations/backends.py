"""Log-in of members without e-mail, on their organization's page."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest  # noqa: TID251  (Django passes the request to every backend)

from apps.core.tenancy import enter
from apps.organizations.directory import find_organization
from apps.organizations.models import Membership
from apps.users.models import User


class MemberBackend(ModelBackend):
    """Authenticates ``organization`` (slug), ``username`` and ``password``."""

    def authenticate(  # type: ignore[override]
        self,
        request: HttpRequest | None,
        organization: str | None = None,
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        """The member's account, or None; an unknown name costs as much time as a wrong password."""
        if organization is None or username is None or password is None:
            return None
        user = _find_account(organization, username)
        if user is None:
            make_password(password)
            return None
        known = user.check_password(password)
        return user if known and self.user_can_authenticate(user) else None


def _find_account(slug: str, username: str) -> User | None:
    organization_id = find_organization(slug)
    if organization_id is None:
        return None
    with enter(organization_id):
        member = (
            Membership.objects.active()
            .select_related("user")
            .filter(username=username, user__email=None)
            .first()
        )
    return member.user if member else None
