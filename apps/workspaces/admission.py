"""Who comes in through a provider of log-ins (OpenID Connect).

A person is known by the provider's name and the id they have there, never by an e-mail or a name
that the provider tells: those could be somebody else's here. Newcomers become annotators of one
organization, and only if the host has named it (``OAUTH_ORGANIZATION``).
"""

import re
from dataclasses import dataclass
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext

from apps.core.errors import NotAllowedError
from apps.core.tenancy import enter
from apps.events.log import emit
from apps.organizations import directory
from apps.organizations.models import Membership, Organization, Role
from apps.organizations.services import create_member
from apps.users.models import User
from apps.workspaces.models import Workspace
from apps.workspaces.services import add_workspace_member


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as the provider knows them; ``email`` only if the provider has verified it."""

    provider: str
    uid: str
    email: str | None = None
    username: str = ""
    first_name: str = ""
    last_name: str | None = None


@transaction.atomic
def admit(identity: Identity, *, slug: str = "") -> Membership:
    """The member behind the identity, with their account; a newcomer is made one.

    ``slug`` names the organization for those who belong to several. Raises ``NotAllowedError``,
    which says why, when they do not come in.
    """
    known = SocialAccount.objects.select_related("user").filter(
        provider=identity.provider, uid=identity.uid
    )
    account = known.first()
    if account is None:
        return _welcome(identity, slug)
    return _place_of(account.user, slug)


def check_factor(member: Membership) -> None:
    """Raise ``NotAllowedError`` where a second factor is asked for: tokens of a provider have none.

    On the pages it is asked for after the provider; programs use an API key.
    """
    factors = Authenticator.objects.filter(user_id=member.user_id)
    if member.organization.requires_mfa or factors.exists():
        raise NotAllowedError("This account needs a second factor: use an API key")


def _place_of(user: User, slug: str) -> Membership:
    wanted = slug or settings.OAUTH_ORGANIZATION
    places = directory.find_memberships(user.id)
    chosen = [place for place in places if place.slug == wanted] if wanted else places
    if not chosen or not user.is_active:
        raise NotAllowedError(gettext("This account is not, or no longer, a member here"))
    if len(chosen) > 1:
        raise NotAllowedError("This account has several organizations: name one")
    with enter(chosen[0].organization_id):
        members = Membership.objects.select_related("user", "organization")
        return members.get(pk=chosen[0].membership_id)


def _welcome(identity: Identity, slug: str) -> Membership:
    organization_id = _open_organization(identity, slug)
    if identity.email and User.objects.filter(email__iexact=identity.email).exists():
        raise NotAllowedError(
            gettext("An account with this e-mail exists: log in with its password")
        )
    with enter(organization_id):
        made = create_member(
            username=free_username(identity.username or (identity.email or "").partition("@")[0]),
            role=Role.ANNOTATOR,
            first_name=identity.first_name[:200],
            last_name=(identity.last_name or "")[:200] or None,
            email=identity.email,
        )
        for workspace in Workspace.objects.filter(name__in=settings.OAUTH_WORKSPACES):
            add_workspace_member(workspace=workspace, member=made)
        SocialAccount.objects.create(
            user=made.user, provider=identity.provider, uid=identity.uid, extra_data={}
        )
        emit("member.admitted", object_id=made.id, payload={"provider": identity.provider})
        return Membership.objects.select_related("user", "organization").get(pk=made.pk)


def _open_organization(identity: Identity, slug: str) -> UUID:
    """Where newcomers may come in. Raises ``NotAllowedError``."""
    home = settings.OAUTH_ORGANIZATION
    organization_id = directory.find_organization(home) if home else None
    if organization_id is None or slug not in {"", home}:
        raise NotAllowedError(
            gettext("Newcomers are not admitted here: an owner makes the account")
        )
    with enter(organization_id):
        if Organization.objects.get(id=organization_id).invitation_only:
            raise NotAllowedError(
                gettext("Newcomers are not admitted here: they need an invitation")
            )
    domains = {domain.lower() for domain in settings.OAUTH_EMAIL_DOMAINS}
    domain = (identity.email or "").lower().rpartition("@")[2]
    if domains and domain not in domains:
        raise NotAllowedError(gettext("Newcomers need a verified e-mail of an admitted domain"))
    return organization_id


def free_username(wanted: str) -> str:
    """The name, with a number if somebody here is called so already."""
    name = re.sub(r"[^\w.@+-]+", "-", wanted).strip("-")[:150] or "user"
    taken = set(
        Membership.objects.filter(username__startswith=name).values_list("username", flat=True)
    )
    numbered = (f"{name}-{n}" for n in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)
