"""Invitations: made, sent again, revoked, accepted.

A token has 256 random bits and is told to one mailbox alone; whoever accepts with it has an
account with that e-mail. What it gives is asked again when it is accepted: an inviter who has left
or was lowered meanwhile gives nothing above the role they have then.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.events.log import acting_as, emit, origin
from apps.organizations import directory
from apps.organizations.models import Invitation, Membership, Role
from apps.organizations.services import create_member
from apps.users.models import User
from apps.workspaces.admission import free_username
from apps.workspaces.models import InvitedPlace, WorkspaceMembership
from apps.workspaces.people import (
    RANK,
    Places,
    check_grantable,
    check_places,
    lock_actor,
)
from apps.workspaces.permissions import Action, may

LIFETIME: Final = timedelta(days=7)
MOST: Final = 200  # waiting at once


@dataclass(frozen=True, slots=True)
class Sent:
    """An invitation with its token, which is told this once."""

    invitation: Invitation
    token: str


@transaction.atomic
def invite(
    *,
    actor: Membership,
    emails: Sequence[str],
    role: str,
    places: Places,
    former: Membership | None = None,
) -> list[Sent]:
    """Keep a place for each e-mail: in the organization with the role, and in the workspaces.

    ``former`` is the place of somebody who left and is asked back. All are invited or none.
    Raises ``NotAllowedError`` for a role above the actor's, ``InvalidError`` for a person who is
    a member or invited already, and without a workspace for whom sees none without.
    """
    inviter = lock_actor(actor)
    check_grantable(inviter, role)
    check_places(inviter, role, places)
    if not places and role != Role.OWNER:
        raise InvalidError(_("This role needs at least one workspace."))
    left = Membership.objects.filter(is_active=False)
    if former and (len(emails) != 1 or not left.filter(pk=former.pk).exists()):
        raise InvalidError(_("Only one who has left can be asked back, by one address."))
    wanted = list(dict.fromkeys(email.strip().lower() for email in emails))
    if known := [*members_among(wanted), *invited_among(wanted)]:
        raise InvalidError(_("%s is a member or invited already.") % known[0])
    if Invitation.objects.waiting().count() + len(wanted) > MOST:
        raise InvalidError(_("At most %d invitations can wait at once.") % MOST)
    return [_invite(inviter, email, role, places, former) for email in wanted]


def _invite(
    inviter: Membership, email: str, role: str, places: Places, former: Membership | None
) -> Sent:
    token, now = _new_token(), timezone.now()
    invitation = Invitation.objects.create(
        email=email,
        role=role,
        digest=directory.digest(token),
        invited_by=inviter,
        membership=former,
        sent_at=now,
        expires_at=now + LIFETIME,
    )
    InvitedPlace.objects.bulk_create(
        InvitedPlace(invitation=invitation, workspace_id=id, role=own) for id, own in places.items()
    )
    granted = {str(id): own or "inherited" for id, own in places.items()}
    changes = {"email": [None, email], "role": [None, role], "workspaces": [None, granted]}
    emit("invitation.created", object_id=invitation.id, payload={"changes": changes})
    return Sent(invitation, token)


def members_among(emails: Sequence[str]) -> set[str]:
    """Those of the e-mails, in lower case, that active members have."""
    found = Membership.objects.active().filter(user__email__isnull=False)
    known = found.values_list("user__email", flat=True)
    return set(emails) & {email.lower() for email in known if email}


def invited_among(emails: Sequence[str]) -> set[str]:
    """Those of the e-mails, in lower case, that have an invitation, expired ones too."""
    waiting = Invitation.objects.waiting().filter(email__in=emails)
    return set(waiting.values_list("email", flat=True))


@transaction.atomic
def send_again(*, actor: Membership, invitation_id: UUID) -> Sent:
    """A new token and a new week; the old token is good for nothing, and the actor vouches.

    Raises as ``invite`` does, and ``NotFoundError`` when it no longer waits.
    """
    inviter = lock_actor(actor)
    invitation = _lock_waiting(invitation_id)
    check_grantable(inviter, invitation.role)
    check_places(inviter, invitation.role, _places_of(invitation))
    token, before = _new_token(), invitation.expires_at
    invitation.digest, invitation.invited_by = directory.digest(token), inviter
    invitation.sent_at = timezone.now()
    invitation.expires_at = invitation.sent_at + LIFETIME
    invitation.save()
    changes = {"expires_at": [before.isoformat(), invitation.expires_at.isoformat()]}
    emit("invitation.sent_again", object_id=invitation.id, payload={"changes": changes})
    return Sent(invitation, token)


@transaction.atomic
def revoke(*, actor: Membership, invitation_id: UUID) -> None:
    """The token is good for nothing from now on. Raises as ``send_again`` does."""
    inviter = lock_actor(actor)
    invitation = _lock_waiting(invitation_id)
    check_grantable(inviter, invitation.role)
    check_places(inviter, invitation.role, _places_of(invitation))
    invitation.revoked_at = timezone.now()
    invitation.save()
    changes = {"revoked_at": [None, invitation.revoked_at.isoformat()]}
    emit("invitation.revoked", object_id=invitation.id, payload={"changes": changes})


@transaction.atomic
def accept(*, invitation_id: UUID, token: str, user: User) -> Membership:
    """Take the place that is kept for the account's e-mail, which the token has proved.

    Raises ``NotFoundError`` unless the token is still good, ``NotAllowedError`` for an account
    with another e-mail, ``ConflictError`` for one that is a member already.
    """
    inviter = _lock_inviter(invitation_id)
    invitation = _lock_waiting(invitation_id)
    if invitation.digest != directory.digest(token) or invitation.is_expired:
        raise NotFoundError(_("This invitation no longer holds."))
    if (user.email or "").lower() != invitation.email:
        raise NotAllowedError(_("This invitation is for another e-mail address."))
    if Membership.objects.filter(user=user).exists():
        raise ConflictError(_("You are a member already."))
    _check_still_given(invitation, inviter)
    left = invitation.membership
    member = _return(invitation, left, user) if left else _join(invitation, user)
    WorkspaceMembership.objects.bulk_create(
        WorkspaceMembership(workspace_id=id, membership=member, role=own)
        for id, own in _places_of(invitation).items()
    )
    verify_email(user)
    invitation.membership, invitation.accepted_at = member, timezone.now()
    invitation.save()
    changes = {"accepted_at": [None, invitation.accepted_at.isoformat()]}
    payload = {"member": str(member.id), "changes": changes}
    with acting_as(replace(origin(), actor_id=member.id)):
        emit("invitation.accepted", object_id=invitation.id, payload=payload)
    return member


@transaction.atomic
def sign_up(
    *, invitation_id: UUID, token: str, first_name: str, last_name: str, password: str
) -> Membership:
    """Make an account for the invitation's e-mail, and take the place with it.

    Raises as ``accept`` does, and ``ConflictError`` when there is an account with the e-mail.
    """
    invitation = Invitation.objects.waiting().filter(pk=invitation_id).first()
    if invitation is None:
        raise NotFoundError(_("This invitation no longer holds."))
    try:
        with transaction.atomic():
            user = User.objects.create_user(
                invitation.email, password, first_name=first_name, last_name=last_name
            )
    except IntegrityError as error:
        raise ConflictError(_("There is an account with this e-mail: sign in with it.")) from error
    return accept(invitation_id=invitation_id, token=token, user=user)


def _join(invitation: Invitation, user: User) -> Membership:
    return create_member(
        username=free_username(invitation.email.partition("@")[0]),
        role=invitation.role,
        first_name=user.first_name,
        last_name=user.last_name or None,
        email=user.email,
    )


def _return(invitation: Invitation, left: Membership, user: User) -> Membership:
    """To the place that they left, with the answers that they gave."""
    rows = Membership.objects.select_for_update(of=("self",), no_key=True)
    member = rows.get(pk=left.pk)
    if member.is_active:
        raise ConflictError(_("This place is taken already."))
    before = {"is_active": False, "role": member.role}
    member.user, member.role, member.is_active = user, invitation.role, True
    member.username = free_username(invitation.email.partition("@")[0])
    member.first_name, member.last_name = user.first_name, user.last_name or None
    member.save()
    changes = {name: [old, getattr(member, name)] for name, old in before.items()}
    emit("member.returned", object_id=member.id, payload={"changes": changes})
    return member


def _lock_inviter(invitation_id: UUID) -> Membership:
    """People before invitations, as everywhere. Raises ``NotFoundError`` for who has left."""
    invited_by = Invitation.objects.filter(pk=invitation_id).values("invited_by")
    rows = Membership.objects.active().select_for_update(of=("self",), no_key=True)
    found = rows.filter(pk__in=invited_by).first()
    if found is None:
        raise NotFoundError(_("This invitation no longer holds."))
    return found


def _check_still_given(invitation: Invitation, inviter: Membership) -> None:
    """The inviter must still be one who may give this. Raises ``NotFoundError``."""
    given = may(inviter, Action.MANAGE_PEOPLE) and RANK[invitation.role] <= RANK[inviter.role]
    if not given or invitation.invited_by_id != inviter.pk:
        raise NotFoundError(_("This invitation no longer holds."))
    try:
        check_places(inviter, invitation.role, _places_of(invitation))
    except (NotAllowedError, NotFoundError) as error:
        raise NotFoundError(_("This invitation no longer holds.")) from error


def verify_email(user: User) -> None:
    """Note that the account's e-mail is theirs: they have read what was sent to it."""
    address, _made = EmailAddress.objects.get_or_create(
        user=user, email=user.email, defaults={"primary": True, "verified": True}
    )
    if not address.verified:
        address.verified = True
        address.save(update_fields=["verified"])


def _lock_waiting(invitation_id: UUID) -> Invitation:
    """It waits until the transaction ends. Raises ``NotFoundError``."""
    rows = Invitation.objects.waiting().select_for_update(of=("self",), no_key=True)
    found = rows.filter(pk=invitation_id).first()
    if found is None:
        raise NotFoundError(_("This invitation no longer holds."))
    return found


def _places_of(invitation: Invitation) -> dict[UUID, str | None]:
    rows = InvitedPlace.objects.filter(invitation=invitation)
    return dict(rows.values_list("workspace_id", "role"))


def workspaces_of(invitation: Invitation) -> list[tuple[str, Any]]:
    """Name and role, in words, of each workspace that the invitation lets into."""
    rows = InvitedPlace.objects.filter(invitation=invitation).select_related("workspace")
    named = rows.order_by("workspace__name")
    return [(row.workspace.name, Role(row.role or invitation.role).label) for row in named]


def _new_token() -> str:
    return secrets.token_urlsafe(32)
