"""How an organization is called and reached: name, slug, a domain of its own, and who gets in.

A domain counts once the TXT record ``_stoneware.<domain>`` holds the organization's token, which
only who rules the domain can put there. Of several that claim one, the one that proves it has it.
The proof is looked for again and again: who loses a domain must not go on answering under it. When
the record is gone the owners are told; after ``GRACE`` without it the domain counts no longer.
"""

import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext

from apps.core.dns import UnresolvedError, read_texts
from apps.core.errors import ConflictError, InvalidError
from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.events.log import emit
from apps.organizations import directory
from apps.organizations.models import (
    DOMAIN_PATTERN,
    SLUG_PATTERN,
    Membership,
    Organization,
    Role,
)
from apps.organizations.services import RESERVED_SLUGS
from apps.users import mail

RECORD = "_stoneware"
GRACE: Final = timedelta(days=3)  # without the proof


def record_name(domain: str) -> str:
    """Where the proof stands."""
    return f"{RECORD}.{domain}"


def record_text(organization: Organization) -> str:
    """What the proof is."""
    return f"stoneware={organization.domain_token}"


@transaction.atomic
def rename_organization(*, organization: Organization, name: str, slug: str) -> None:
    """Raises ``InvalidError`` for no name or no slug, ``ConflictError`` for one that is taken."""
    if not name.strip() or len(name) > 200:
        raise InvalidError("A name has 1 to 200 characters.")
    if not re.fullmatch(SLUG_PATTERN, slug):
        raise InvalidError("A slug has lower-case letters, digits and dashes.")
    if slug in RESERVED_SLUGS and slug != organization.slug:
        raise InvalidError(f"The slug {slug!r} is reserved.")
    taken = directory.find_organization(slug)
    if taken not in {None, organization.id}:
        raise ConflictError(f"An organization with the slug {slug!r} exists already.")
    try:
        with transaction.atomic():
            _change(organization, name=name.strip(), slug=slug)
    except IntegrityError as error:  # somebody was quicker
        raise ConflictError(f"An organization with the slug {slug!r} exists already.") from error


@transaction.atomic
def set_access(*, organization: Organization, requires_mfa: bool, invitation_only: bool) -> None:
    """Whether pages ask for a second factor, and whether newcomers need an invitation."""
    _change(organization, requires_mfa=requires_mfa, invitation_only=invitation_only)


@transaction.atomic
def claim_domain(*, organization: Organization, domain: str) -> None:
    """Name the domain that is to be proven; an empty one gives it up. Raises ``InvalidError``."""
    domain = domain.strip().lower().rstrip(".")
    _lock(organization)
    if domain == (organization.domain or ""):
        return
    if not domain:
        _change(organization, domain=None, domain_token="", **_UNPROVEN)
        return
    if not re.fullmatch(DOMAIN_PATTERN, domain) or len(domain) > 253 - len(RECORD) - 1:
        raise InvalidError(gettext("A domain looks like labels.example.com."))
    if _is_ours(domain):
        raise InvalidError(gettext("This domain belongs to the site."))
    token = secrets.token_hex(20)
    _change(organization, domain=domain, domain_token=token, **_UNPROVEN)


_UNPROVEN: Final = {"domain_verified_at": None, "domain_missing_since": None}


def _is_ours(domain: str) -> bool:
    base = settings.BASE_DOMAIN
    return bool(base) and (domain == base or domain.endswith(f".{base}"))


def verify_domain(
    *, organization: Organization, read: Callable[[str], list[str]] = read_texts
) -> None:
    """Look for the proof, and let the domain count. Asks the network before it locks anything.

    Raises ``InvalidError`` without a domain or a proof, or when another domain was named
    meanwhile; ``ConflictError`` when another organization has proven it before.
    """
    if not organization.domain:
        raise InvalidError(gettext("No domain is named."))
    seen = record_text(organization)
    try:
        is_there = _is_proven(organization, read)
    except UnresolvedError as error:
        raise InvalidError(
            gettext("The domain name system did not answer. Try again later.")
        ) from error
    if not is_there:
        raise InvalidError(gettext("The record is not there yet. It can take an hour to arrive."))
    try:
        with transaction.atomic():
            _lock(organization)
            if record_text(organization) != seen:
                raise InvalidError(gettext("Another domain was named meanwhile."))
            _change(organization, domain_verified_at=timezone.now(), domain_missing_since=None)
    except IntegrityError as error:
        organization.domain_verified_at = None
        raise ConflictError(gettext("Another organization has this domain.")) from error


def _is_proven(organization: Organization, read: Callable[[str], list[str]]) -> bool:
    proof = record_text(organization)
    texts = read(record_name(organization.domain or ""))
    return any(constant_time_compare(text.strip(), proof) for text in texts)


def look_again(*, read: Callable[[str], list[str]] = read_texts) -> int:
    """Look for the proof of every domain in use; how many count no longer.

    A name server that does not answer proves nothing, in neither direction.
    """
    used = find(
        "SELECT id AS organization_id FROM organization WHERE domain_verified_at IS NOT NULL"
    )
    return sum(for_each(used, lambda organization_id: _look_again(organization_id, read)))


def _look_again(organization_id: UUID, read: Callable[[str], list[str]]) -> bool:
    """Asks between two transactions: nothing is locked while the network is slow."""
    with enter(organization_id):
        seen = Organization.objects.get(pk=organization_id)
    try:
        is_there = _is_proven(seen, read)
    except UnresolvedError:
        return False
    with enter(organization_id):
        organization = Organization.objects.select_for_update().get(pk=organization_id)
        if record_text(organization) != record_text(seen):  # another was named meanwhile
            return False
        return _note_proof(organization, is_there=is_there)


def _note_proof(organization: Organization, *, is_there: bool) -> bool:
    """Whether the domain counts no longer. Its owners are told when it is missed, and then."""
    missing = organization.domain_missing_since
    if is_there:
        _change(organization, domain_missing_since=None)
    elif missing is None:
        _change(organization, domain_missing_since=timezone.now())
        _tell_owners(organization, "domain_missing")
    elif missing < timezone.now() - GRACE:
        _change(organization, **_UNPROVEN)
        _tell_owners(organization, "domain_lost")
        return True
    return False


def _tell_owners(organization: Organization, template: str) -> None:
    told = {
        "organization": organization,
        "record": record_name(organization.domain or ""),
        "proof": record_text(organization),
        "days": GRACE.days,
    }
    owners = Membership.objects.active().filter(role=Role.OWNER, user__email__isnull=False)
    for owner in owners.select_related("user"):
        if owner.user is not None and owner.user.email:
            mail.send(template, owner.user.email, told, owner.user.language)


def _lock(organization: Organization) -> None:
    """Read it anew, so that naming a domain and proving one take turns."""
    rows = Organization.objects.select_for_update(no_key=True)
    organization.refresh_from_db(from_queryset=rows)


def _change(organization: Organization, **values: Any) -> None:
    """Write what differs, and tell it; the token stays a secret of the organization."""
    before = {name: getattr(organization, name) for name in values}
    changed = {name: value for name, value in values.items() if before[name] != value}
    if not changed:
        return
    for name, value in changed.items():
        setattr(organization, name, value)
    organization.save(update_fields=[*changed, "updated_at"])
    told = {
        name: [_plain(before[name]), _plain(value)]
        for name, value in changed.items()
        if name != "domain_token"
    }
    emit("organization.updated", object_id=organization.id, payload={"changes": told})


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
