"""The look-ups that come before the tenant is known.

Each calls one SECURITY DEFINER function; nothing else reads across organizations.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from apps.core.prepared import execute, raw_cursor
from apps.organizations.models import Membership, Scope

# The columns of ``find_api_key`` and ``find_member`` after their own.
_MEMBER = [
    "id",
    "inserted_at",
    "updated_at",
    "user_id",
    "username",
    "first_name",
    "last_name",
    "role",
    "is_active",
]


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose API key it is; ``member`` as the key found them, without the account.

    Of a bearer token ``key_id`` is None, and it has every scope.
    """

    organization_id: UUID
    key_id: UUID | None
    last_used_at: datetime | None
    scopes: frozenset[str]
    expires_at: datetime | None
    member: Membership
    is_suspended: bool = False  # the organization

    @property
    def membership_id(self) -> UUID:
        return self.member.id


@dataclass(frozen=True, slots=True)
class Place:
    """An organization in which an account is a member."""

    organization_id: UUID
    slug: str
    name: str
    membership_id: UUID


def digest(key: str) -> str:
    """SHA-256 of a key, in hex; keys are random enough to need no salt."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def find_api_key(key: str) -> KeyHolder | None:
    """The holder of a valid key: not revoked, not expired, member active. One statement."""
    return _holder("SELECT * FROM find_api_key(%(digest)s)", key)


def find_and_enter(key: str) -> KeyHolder | None:
    """``find_api_key``, which also sets the transaction's organization; for ``enter_found``."""
    return _holder(
        "SELECT f.*, set_config('app.organization_id', f.organization_id::text, true)"
        " FROM find_api_key(%(digest)s) f",
        key,
    )


def _holder(statement: str, key: str) -> KeyHolder | None:
    row = execute(statement, {"digest": digest(key)}).fetchone()
    if row is None:
        return None
    organization_id, key_id, last_used_at, scopes, expires_at = row[:5]
    member = _member(organization_id, row[5:])
    return KeyHolder(
        organization_id,
        key_id,
        last_used_at,
        frozenset(scopes),
        expires_at,
        member,
        is_suspended=row[5 + len(_MEMBER)],
    )


def find_member_and_enter(organization_id: UUID, member_id: UUID) -> tuple[KeyHolder, str] | None:
    """An active member with their account's password hash, and sets the organization.

    For those whom a signed token names. One statement.
    """
    row = (
        raw_cursor()
        .execute(
            "SELECT f.*, set_config('app.organization_id', f.organization_id::text, true)"
            " FROM find_member(%s, %s) f",
            [organization_id, member_id],
        )
        .fetchone()
    )
    if row is None:
        return None
    member, is_suspended = _member(row[0], row[2:]), row[2 + len(_MEMBER)]
    holder = KeyHolder(row[0], None, None, _EVERY_SCOPE, None, member, is_suspended=is_suspended)
    return holder, row[1]


_EVERY_SCOPE = frozenset(Scope.values)


def _member(organization_id: UUID, row: Sequence[Any]) -> Membership:
    values = [organization_id, *row[: len(_MEMBER)]]
    return Membership.from_db("default", ["organization_id", *_MEMBER], values)


def find_organization(slug: str) -> UUID | None:
    """The id of the organization with this slug. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT organization_id FROM find_organization(%s)", [slug])
        row = cursor.fetchone()
    return row[0] if row else None


@dataclass(frozen=True, slots=True)
class Host:
    """The organization to which a host name belongs."""

    organization_id: UUID
    name: str


def find_host(*, slug: str = "", domain: str = "") -> Host | None:
    """Whose the host is: by the name below the base domain, or by a proven domain. One query."""
    ask = "SELECT * FROM find_organization(%s)" if slug else "SELECT * FROM find_domain(%s)"
    row = raw_cursor().execute(ask, [slug or domain]).fetchone()
    return Host(*row) if row else None


def find_only_organization() -> UUID | None:
    """The organization of an instance that has one; None where there are more. One query."""
    row = raw_cursor().execute("SELECT organization_id FROM find_only_organization()").fetchone()
    return row[0] if row else None


def find_memberships(user_id: UUID) -> list[Place]:
    """Where the account is an active member, by slug. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM find_memberships(%s)", [user_id])
        rows = cursor.fetchall()
    return [Place(*row) for row in rows]


def find_invitation(token: str) -> tuple[UUID, UUID] | None:
    """Organization and id of the invitation that the token is for: neither used, revoked, expired.

    One query.
    """
    statement = "SELECT organization_id, invitation_id FROM find_invitation(%s)"
    row: tuple[UUID, UUID] | None = raw_cursor().execute(statement, [digest(token)]).fetchone()
    return row
