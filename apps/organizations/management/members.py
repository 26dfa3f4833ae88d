"""A new member with all that the person needs to log in and to use the API."""

from typing import Any

from apps.organizations.management.operator import new_password
from apps.organizations.services import create_api_key, create_member
from apps.users.models import User


def add_member(
    *, username: str, role: str, email: str | None = None, password: str | None = None
) -> dict[str, Any]:
    """Create a member of the entered organization, with an API key.

    Returns ``{"id", "email", "username", "password", "api_key"}``; the password is random
    unless given, and None when an account for ``email`` was there before: it is left alone.

    Raises ``InvalidError`` or ``ConflictError`` as ``create_member`` does.
    """
    known = bool(email) and User.objects.filter(email__iexact=email).exists()
    password = password or new_password()
    member = create_member(username=username, role=role, email=email, password=password)
    _, key = create_api_key(member=member)
    return {
        "id": str(member.id),
        "email": email,
        "username": username,
        "password": None if known else password,
        "api_key": key,
    }
