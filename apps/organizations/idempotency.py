"""A write asked for twice under one key is done once, and answered twice.

A member names a write with a key of their own choice. Its answer is kept in the transaction of
the write itself: either both are there or neither. A write that failed left no trace, so it is
simply tried anew.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db import connections
from django.utils import timezone

from apps.core.errors import ConflictError, InvalidError
from apps.core.prepared import raw_cursor
from apps.core.sealing import seal, unseal
from apps.core.tenancy import current
from apps.organizations.models import Membership

KEPT_FOR = timedelta(hours=24)

_HOLD = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
_FIND = """
SELECT fingerprint, status, body FROM idempotent_request
WHERE organization_id = %(organization)s AND membership_id = %(member)s AND key = %(key)s
    AND expires_at > %(now)s
"""
_KEEP = """
INSERT INTO idempotent_request
    (organization_id, membership_id, key, fingerprint, status, body, expires_at)
VALUES (%(organization)s, %(member)s, %(key)s, %(fingerprint)s, %(status)s, %(body)s, %(until)s)
ON CONFLICT (organization_id, membership_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, status = excluded.status, body = excluded.body,
    expires_at = excluded.expires_at
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A kept answer: its status and its document."""

    status: int
    body: str


def recall(*, member: Membership, key: str, fingerprint: str) -> Outcome | None:
    """The answer that was given under the key; None makes the caller the one to do the write.

    The key is held until the transaction ends. Two statements, since the second must see what the
    holder before has committed. Raises ``ConflictError`` while another request holds the key, and
    ``InvalidError`` when it stands for another write.
    """
    held = raw_cursor().execute(_HOLD, [_context(member, key)]).fetchone()
    if not held or not held[0]:
        raise ConflictError("A request with this Idempotency-Key is still running")
    facts = {"organization": current(), "member": member.id, "key": key, "now": timezone.now()}
    row = raw_cursor().execute(_FIND, facts).fetchone()
    if row is None:
        return None
    known, status, body = row
    if known != fingerprint:
        raise InvalidError("This Idempotency-Key was used for another request")
    return Outcome(status, unseal(bytes(body), context=_context(member, key)))


def keep(*, member: Membership, key: str, fingerprint: str, outcome: Outcome) -> None:
    """Keep the answer with the write it belongs to, sealed. One statement."""
    raw_cursor().execute(
        _KEEP,
        {
            "organization": current(),
            "member": member.id,
            "key": key,
            "fingerprint": fingerprint,
            "status": outcome.status,
            "body": seal(outcome.body, context=_context(member, key)),
            "until": timezone.now() + KEPT_FOR,
        },
    )


def sweep() -> int:
    """Delete what has expired, of all organizations; returns how many."""
    with connections["operator"].cursor() as cursor:
        cursor.execute("DELETE FROM idempotent_request WHERE expires_at < %s", [timezone.now()])
        return int(cursor.rowcount)


def _context(member: Membership, key: str) -> str:
    return f"idempotent {member.organization_id} {member.id} {key}"
