"""The three look-ups that come before the tenant is known.

Each calls one SECURITY DEFINER function; nothing else reads across organizations.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from apps.core.prepared import raw_cursor
from apps.organizations.models import Membership

# The columns of ``find_api_key`` after the first three.
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
    """Whose API key it is; ``member`` as the key found them, without the account."""

    organization_id: UUID
    key_id: UUID
    last_used_at: datetime | None
    member: Membership

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
    return _holder("SELECT * FROM find_api_key(%s)", key)


def find_and_enter(key: str) -> KeyHolder | None:
    """``find_api_key``, which also sets the transaction's organization; for ``enter_found``."""
    return _holder(
        "SELECT f.*, set_config('app.organization_id', f.organization_id::text, true)"
        " FROM find_api_key(%s) f",
        key,
    )


def _holder(statement: str, key: str) -> KeyHolder | None:
    row = raw_cursor().execute(statement, [digest(key)]).fetchone()
    if row is None:
        return None
    organization_id, key_id, last_used_at = row[:3]
    values = [organization_id, *row[3 : 3 + len(_MEMBER)]]
    member = Membership.from_db("default", ["organization_id", *_MEMBER], values)
    return KeyHolder(organization_id, key_id, last_used_at, member)


def find_organization(slug: str) -> UUID | None:
    """The id of the organization with this slug. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT organization_id FROM find_organization(%s)", [slug])
        row = cursor.fetchone()
    return row[0] if row else None


def find_memberships(user_id: UUID) -> list[Place]:
    """Where the account is an active member, by slug. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM find_memberships(%s)", [user_id])
        rows = cursor.fetchall()
    return [Place(*row) for row in rows]
