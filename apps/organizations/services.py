"""Writes to organizations, their members and their API keys."""

import re
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.ids import uuid7
from apps.core.prepared import raw_cursor
from apps.core.tenancy import current, enter
from apps.events.log import emit
from apps.organizations import directory
from apps.organizations.models import (
    SLUG_PATTERN,
    ApiKey,
    Membership,
    Organization,
    Plan,
    RecordVolume,
    Role,
    Scope,
)
from apps.organizations.volume import RECORD_LIMITS
from apps.users.models import User

KEY_PREFIX = "sw_"
# Host names below the base domain that are, or may become, the site's own.
RESERVED_SLUGS = frozenset(
    {"www", "api", "app", "admin", "operator", "static", "mail", "status", "help", "accounts"}
    | {"auth", "login", "signup", "support", "billing", "docs", "blog", "cdn", "assets", "smtp"}
    | {"imap", "ftp", "ns1", "ns2", "root", "localhost", "metrics"}
)


def check_slug(slug: str) -> None:
    """Raise ``InvalidError`` for what cannot be a new organization's slug."""
    if not re.fullmatch(SLUG_PATTERN, slug):  # a validator lets a line end pass
        raise InvalidError("A slug has lower-case letters, digits and dashes.")
    if slug in RESERVED_SLUGS:
        raise InvalidError(f"The slug {slug!r} is reserved.")


def create_organization(*, name: str, slug: str, plan: str = Plan.SELF_HOSTED) -> Organization:
    """Create a tenant with an empty record volume.

    Raises ``ConflictError`` when the slug is taken, ``InvalidError`` when it cannot be one.
    """
    organization = Organization(id=uuid7(), name=name, slug=slug, plan=plan)
    try:
        organization.clean_fields()
    except ValidationError as error:
        raise InvalidError("; ".join(error.messages)) from error
    check_slug(slug)
    if directory.find_organization(slug):
        raise ConflictError(f"An organization with the slug {slug!r} exists already.")
    with enter(organization.id):
        try:
            with transaction.atomic():
                organization.save(force_insert=True)
        except IntegrityError as error:  # somebody was quicker
            raise ConflictError(
                f"An organization with the slug {slug!r} exists already."
            ) from error
        RecordVolume.objects.create(record_limit=RECORD_LIMITS[plan])
        emit("organization.created", object_id=organization.id, payload={"slug": slug})
    return organization


@transaction.atomic
def create_member(
    *,
    username: str,
    role: str = Role.ANNOTATOR,
    first_name: str = "",
    last_name: str | None = None,
    password: str | None = None,
    email: str | None = None,
    id: UUID | None = None,
) -> Membership:
    """Add a person to the entered organization, making an account for them.

    An account that exists for ``email`` is joined, and its password is left as it is. Without
    ``email`` the member logs in on the organization's page with username and password.

    Raises ``ConflictError`` when username, id or account are in the organization already.
    """
    if not username.strip():
        raise InvalidError("A username is needed.")
    if role not in Role.values:
        raise InvalidError(f"Unknown role: {role}.")
    if Membership.objects.filter(username=username).exists():
        raise ConflictError(f"User with username `{username}` is not unique")
    if id and Membership.objects.filter(id=id).exists():
        raise ConflictError(f"User with id `{id}` is not unique")
    member = Membership(
        id=id or uuid7(), username=username, role=role, first_name=first_name, last_name=last_name
    )
    member.user = _account(email, password)
    try:
        with transaction.atomic():
            member.save(force_insert=True)
    except IntegrityError as error:
        raise ConflictError(f"User with username `{username}` is not unique") from error
    emit("member.created", object_id=member.id, payload={"username": username, "role": role})
    return member


def _account(email: str | None, password: str | None) -> User:
    if not email:
        return User.objects.create_user(None, password)
    try:
        validate_email(email)
    except ValidationError as error:
        raise InvalidError(f"{email!r} is not an e-mail address.") from error
    known = User.objects.filter(email__iexact=email).first()
    return known or User.objects.create_user(email, password)


@transaction.atomic
def update_member(*, member: Membership, changes: Mapping[str, Any]) -> Membership:
    """Change names, role or password; keys that are absent stay as they are now.

    Raises ``InvalidError`` when the username is taken or empty, the role is unknown, or the last
    owner would lose the role; ``NotFoundError`` for who has left.
    """
    member = _lock(member)
    username = changes.get("username", member.username)
    if not username.strip():
        raise InvalidError("A username is needed.")
    if changes.get("role", member.role) not in Role.values:
        raise InvalidError(f"Unknown role: {changes['role']}.")
    taken = Membership.objects.filter(username=username).exclude(pk=member.pk)
    if taken.exists():
        raise InvalidError(f"User with username `{username}` is not unique")
    if changes.get("role", member.role) != Role.OWNER:
        _keep_an_owner(member)
    changed = {}
    for name in ("username", "first_name", "last_name", "role"):
        if name in changes and changes[name] != getattr(member, name):
            changed[name] = [getattr(member, name), changes[name]]
            setattr(member, name, changes[name])
    try:
        with transaction.atomic():
            member.save(update_fields=[*changed, "updated_at"])
    except IntegrityError as error:  # somebody was quicker
        raise InvalidError(f"User with username `{username}` is not unique") from error
    if changes.get("password"):
        set_password(member=member, password=changes["password"])
        changed["password"] = ["***", "***"]
    emit("member.updated", object_id=member.id, payload={"changes": changed})
    return member


@transaction.atomic
def set_password(*, member: Membership, password: str) -> None:
    """Set the password of a member whose account this organization made.

    An account with an e-mail belongs to the person, who may be a member elsewhere: raises
    ``InvalidError``.
    """
    user = member.user
    if user is None:
        user = User.objects.create_user(None, password)
        Membership.objects.filter(pk=member.pk).update(user=user)
        return
    if user.email:
        raise InvalidError(_("This account has an e-mail address; its owner sets the password."))
    user.set_password(password)
    user.save(update_fields=["password"])


@transaction.atomic
def remove_member(*, member: Membership) -> None:
    """Deactivate a member and forget who they were; their answers stay under a pseudonym.

    Keys stop working and the account's link is cut: its sessions end here with the next request.
    Raises ``InvalidError`` for the last owner.
    """
    _keep_an_owner(member)
    changed = {"role": [member.role, Role.ANNOTATOR], "is_active": [member.is_active, False]}
    ApiKey.objects.filter(membership=member, revoked_at=None).update(revoked_at=timezone.now())
    Membership.objects.filter(pk=member.pk).update(
        username=f"former-{member.id}",
        first_name="",
        last_name=None,
        role=Role.ANNOTATOR,
        is_active=False,
        user=None,
        updated_at=timezone.now(),
    )
    emit("member.removed", object_id=member.id, payload={"changes": changed})


def _lock(member: Membership) -> Membership:
    """The member as they are now, with the owners, in the order in which all take them."""
    rows = Membership.objects.active().filter(Q(pk=member.pk) | Q(role=Role.OWNER))
    held = rows.select_for_update(of=("self",), no_key=True).order_by("id")
    found = next((one for one in held if one.pk == member.pk), None)
    if found is None:
        raise NotFoundError(f"User with id `{member.pk}` not found")
    return found


def _keep_an_owner(member: Membership) -> None:
    """The lock makes two owners who leave at once take turns; what it reads is what counts."""
    owners = Membership.objects.active().filter(role=Role.OWNER)
    held = owners.select_for_update(of=("self",), no_key=True).order_by("id")
    if [owner.pk for owner in held] == [member.pk]:
        raise InvalidError(_("An organization keeps at least one owner."))


def note_visit(member: Membership) -> None:
    """Remember that a member is here: one write a minute."""
    now = timezone.now()
    if member.last_seen_at is None or member.last_seen_at < now - timedelta(minutes=1):
        Membership.objects.filter(pk=member.pk).update(last_seen_at=now)
        member.last_seen_at = now


@transaction.atomic
def create_api_key(
    *,
    member: Membership,
    name: str = "default",
    scopes: Collection[str] = Scope.values,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Issue a key; returns the row and the key itself, which is shown this once.

    The key has 256 random bits behind the prefix ``sw_``; only its SHA-256 is kept.
    Raises ``InvalidError`` for no scope or an unknown one, and for an end in the past.
    """
    if not scopes or not set(scopes) <= set(Scope.values):
        raise InvalidError(f"A key has one or more of the scopes {', '.join(Scope.values)}.")
    if expires_at is not None and expires_at <= timezone.now():
        raise InvalidError(_("A key cannot expire in the past."))
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey.objects.create(
        membership=member,
        name=name,
        prefix=key[:10],
        digest=directory.digest(key),
        scopes=[scope for scope in Scope.values if scope in scopes],
        expires_at=expires_at,
    )
    payload: dict[str, object] = {"member": str(member.id), "name": name, "scopes": row.scopes}
    payload["changes"] = {"name": [None, name], "scopes": [None, row.scopes]}
    emit("api_key.created", object_id=row.id, payload=payload)
    return row, key


@transaction.atomic
def rotate_api_key(*, key_id: UUID, overlap: timedelta) -> tuple[ApiKey, str]:
    """Issue a key like this one, which goes on working for ``overlap`` at most.

    Raises ``NotFoundError`` when there is no such key, ``ConflictError`` when it no longer works.
    """
    keys = ApiKey.objects.select_for_update(of=("self",), no_key=True)
    old = keys.filter(id=key_id).select_related("membership").first()
    if old is None:
        raise NotFoundError(f"ApiKey with id `{key_id}` not found")
    now = timezone.now()
    if old.revoked_at or (old.expires_at and old.expires_at <= now):
        raise ConflictError(_("A key that no longer works cannot be rotated: make a new one."))
    end = min(filter(None, (old.expires_at, now + overlap)))
    row, key = create_api_key(
        member=old.membership, name=old.name, scopes=old.scopes, expires_at=old.expires_at
    )
    ApiKey.objects.filter(id=old.id).update(expires_at=end, updated_at=now)
    times = [_written(old.expires_at), _written(end)]
    payload = {"replaced_by": str(row.id), "changes": {"expires_at": times}}
    emit("api_key.rotated", object_id=old.id, payload=payload)
    return row, key


def _written(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


@transaction.atomic
def revoke_api_key(*, key_id: UUID) -> None:
    """Stop a key at once; a second call does nothing. Raises ``NotFoundError``."""
    if not ApiKey.objects.filter(id=key_id).exists():
        raise NotFoundError(f"ApiKey with id `{key_id}` not found")
    now = timezone.now()
    if ApiKey.objects.filter(id=key_id, revoked_at=None).update(revoked_at=now):
        payload = {"changes": {"revoked_at": [None, _written(now)]}}
        emit("api_key.revoked", object_id=key_id, payload=payload)


_NOTE_USE = """
WITH used AS (
    UPDATE api_key SET last_used_at = %(now)s, last_used_address = %(address)s::inet
    WHERE organization_id = %(o)s AND id = %(key)s RETURNING membership_id
)
UPDATE membership m SET last_seen_at = greatest(m.last_seen_at, %(now)s)
FROM used WHERE m.organization_id = %(o)s AND m.id = used.membership_id
"""


def _inet(address: str | None) -> str | None:
    """What PostgreSQL takes for an address; a proxy may have written anything."""
    try:
        return str(ip_address((address or "").partition("%")[0]))
    except ValueError:
        return None


def note_key_use(holder: directory.KeyHolder, address: str | None = None) -> None:
    """Remember that a key was used and from where, to five minutes' precision.

    One write per key and span; with it that the member was seen.
    """
    if holder.key_id is None:
        return
    now = timezone.now()
    if holder.last_used_at is None or holder.last_used_at < now - timedelta(minutes=5):
        facts = {"o": current(), "now": now, "key": holder.key_id, "address": _inet(address)}
        raw_cursor().execute(_NOTE_USE, facts)
