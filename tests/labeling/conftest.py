"""A signed-in browser without and with a screen."""

from collections.abc import Callable

import pytest
from django.test import Client

from apps.organizations.models import Membership


@pytest.fixture
def sign_in(organization: object) -> Callable[[Membership], Client]:
    """A client of its own for a member."""

    def signed_in(member: Membership) -> Client:
        client = Client()
        assert member.user is not None
        client.force_login(
            member.user, backend="allauth.account.auth_backends.AuthenticationBackend"
        )
        return client

    return signed_in
