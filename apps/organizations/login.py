"""Log-in by name and password where no page has asked for the organization.

Usernames are unique in an organization only, so a name says which one it means:
``organization/username`` with the organization's slug, the e-mail of an account that is a member
of one organization, or a plain username on an instance that has only one organization. The slug
may also come by itself, as ``organization``. A password alone is refused to an account with a
second factor and to a member of an organization that asks for one: they use an API key.
"""

from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import make_password

from apps.core.tenancy import enter
from apps.organizations import directory, sign_ins
from apps.organizations.models import Membership
from apps.users.models import User


def log_in(
    *, name: str, password: str, organization: str = "", address: str = ""
) -> Membership | None:
    """The active member with their account, or None; a wrong name costs a hash as well."""
    member = _find(name, organization.lower())
    user = member.user if member else None
    if member is None or user is None or not user.is_active:
        make_password(password)
        return None
    may = user.check_password(password) and not _needs_more(member, user)
    sign_ins.note(
        "member.logged_in" if may else "member.login_failed",
        organization_id=member.organization.id,
        member_id=member.id,
        address=address,
    )
    return member if may else None


def _needs_more(member: Membership, user: User) -> bool:
    """Whether a password alone does not do: a second factor is set up, or the e-mail unproven."""
    return (
        member.organization.requires_mfa
        or Authenticator.objects.filter(user_id=user.id).exists()
        or EmailAddress.objects.filter(user_id=user.id, verified=False).exists()
    )


def _find(name: str, slug: str) -> Membership | None:
    if slug:
        organization_id = directory.find_organization(slug)
        return _member(name, organization_id) if organization_id else None
    before, slash, after = name.partition("/")
    if slash and (organization_id := directory.find_organization(before.lower())):
        return _member(after, organization_id)
    if "@" in name and (user := User.objects.filter(email__iexact=name).first()):
        places = directory.find_memberships(user.id)
        return _member(name, places[0].organization_id) if len(places) == 1 else None
    organization_id = directory.find_only_organization()
    return _member(name, organization_id) if organization_id else None


def _member(name: str, organization_id: UUID) -> Membership | None:
    """By username, else by e-mail."""
    with enter(organization_id):
        members = (
            Membership.objects.active().select_related("user", "organization").exclude(user=None)
        )
        return (
            members.filter(username=name).first()
            or members.filter(user__email__iexact=name).first()
        )
