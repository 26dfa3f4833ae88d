"""How an organization is called and reached: name, slug, a domain of its own, and who gets in.

A domain counts once the TXT record ``_stoneware.<domain>`` holds the organization's token, which
only who rules the domain can put there. Of several that claim one, the one that proves it has it.
"""

import re
import secrets
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from apps.core.dns import UnresolvedError, read_texts
from apps.core.errors import ConflictError, InvalidError
from apps.events.log import emit
from apps.organizations import directory
from apps.organizations.models import DOMAIN_PATTERN, SLUG_PATTERN, Organization
from apps.organizations.services import RESERVED_SLUGS

RECORD = "_stoneware"


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
    if domain == (organization.domain or ""):
        return
    if not domain:
        _change(organization, domain=None, domain_token="", domain_verified_at=None)
        return
    if not re.fullmatch(DOMAIN_PATTERN, domain) or len(domain) > 253 - len(RECORD) - 1:
        raise InvalidError("A domain looks like labels.example.com.")
    if _is_ours(domain):
        raise InvalidError("This domain belongs to the site.")
    token = secrets.token_hex(20)
    _change(organization, domain=domain, domain_token=token, domain_verified_at=None)


def _is_ours(domain: str) -> bool:
    base = settings.BASE_DOMAIN
    return bool(base) and (domain == base or domain.endswith(f".{base}"))


def verify_domain(
    *, organization: Organization, read: Callable[[str], list[str]] = read_texts
) -> None:
    """Look for the proof, and let the domain count. Asks the network before it locks anything.

    Raises ``InvalidError`` without a domain or a proof, ``ConflictError`` when another
    organization has proven it before.
    """
    if not organization.domain:
        raise InvalidError("No domain is named.")
    try:
        texts = read(record_name(organization.domain))
    except UnresolvedError as error:
        raise InvalidError("The domain name system did not answer. Try again later.") from error
    proof = record_text(organization)
    if not any(constant_time_compare(text.strip(), proof) for text in texts):
        raise InvalidError("The record is not there yet. It can take an hour to arrive.")
    try:
        with transaction.atomic():
            _change(organization, domain_verified_at=timezone.now())
    except IntegrityError as error:
        organization.domain_verified_at = None
        raise ConflictError("Another organization has this domain.") from error


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
