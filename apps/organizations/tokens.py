"""Bearer tokens: a log-in that lasts a day, without a row in the database.

A token (JWT, HS256) names member and organization, and carries a stamp of the password it was
given for: deactivating the member or changing the password ends it. What the member may do is
read anew at each request, never taken from the token.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from django.conf import settings
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from apps.organizations import directory
from apps.organizations.models import Membership
from apps.users.models import User

LIFETIME = timedelta(hours=24)
_ALGORITHM = "HS256"
_SALT = "stoneware.bearer-token"
_REQUIRED = ["exp", "identity", "organization", "stamp"]


class InvalidTokenError(ValueError):
    """Not a token of ours, or one that has expired."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Whom a valid token names."""

    organization_id: UUID
    member_id: UUID
    stamp: str


def issue_token(*, member: Membership, user: User, now: datetime | None = None) -> str:
    """A token for the member, whose account ``user`` is."""
    claims = {
        "identity": str(member.id),
        "name": member.display_name,
        "username": member.username,
        "role": member.role,
        "organization": str(member.organization_id),
        "stamp": _stamp(user.password),
        "exp": (now or timezone.now()) + LIFETIME,
    }
    return jwt.encode(claims, _key(), algorithm=_ALGORITHM)


def read_token(token: str) -> Claims:
    """Whom the token names. Raises ``InvalidTokenError``."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token, _key(), algorithms=[_ALGORITHM], options={"require": _REQUIRED}
        )
        return Claims(UUID(claims["organization"]), UUID(claims["identity"]), str(claims["stamp"]))
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as error:
        raise InvalidTokenError("Invalid token") from error


def find_and_enter(token: str) -> directory.KeyHolder | None:
    """The member of a valid token, active and with the same password as then. One statement.

    Sets the transaction's organization, for ``enter_found``. Raises ``InvalidTokenError``.
    """
    claims = read_token(token)
    found = directory.find_member_and_enter(claims.organization_id, claims.member_id)
    if found is None:
        return None
    holder, password = found
    return holder if constant_time_compare(claims.stamp, _stamp(password)) else None


def _key() -> bytes:
    """The signing key: 32 bytes that are good for nothing else."""
    digest: bytes = salted_hmac(f"{_SALT}.key", settings.SECRET_KEY, algorithm="sha256").digest()
    return digest


def _stamp(password_hash: str) -> str:
    return salted_hmac(f"{_SALT}.stamp", password_hash, algorithm="sha256").hexdigest()[:32]
