"""Log-ins in the event log of the organizations they lead into.

Django says of every log-in that it happened, whichever way it came: password, passkey, a provider.
No other place knows all of them, so this one listens. Of what was typed nothing is told.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.signals import user_logged_in, user_login_failed

from apps.core.addresses import client_address
from apps.core.tenancy import enter, entered
from apps.events.log import Origin, acting_as, emit
from apps.organizations import directory
from apps.organizations.models import Membership
from apps.users.models import User


def listen() -> None:
    """Begin to note log-ins."""
    user_logged_in.connect(_logged_in, dispatch_uid="sign_ins")
    user_login_failed.connect(_failed, dispatch_uid="sign_ins")


def note(kind: str, *, organization_id: UUID, member_id: UUID, address: str) -> None:
    """Emit ``member.logged_in`` or ``member.login_failed``; who failed is nobody yet."""
    if entered() not in {None, organization_id}:
        return
    actor = member_id if kind == "member.logged_in" else None
    with enter(organization_id), acting_as(Origin(actor, None, address)):
        emit(kind, object_id=member_id)


def _logged_in(*, request: Any, user: User, **_: Any) -> None:
    _note_everywhere("member.logged_in", request, user)


def _failed(*, credentials: Mapping[str, Any], request: Any = None, **_: Any) -> None:
    slug, username = credentials.get("organization"), credentials.get("username")
    email = credentials.get("email")
    if request is None:
        return
    if slug and username:
        _note_failure_of(str(slug), str(username), client_address(request.META))
    elif email and (user := User.objects.filter(email__iexact=str(email)).first()):
        _note_everywhere("member.login_failed", request, user)


def _note_everywhere(kind: str, request: Any, user: User) -> None:
    if "REMOTE_ADDR" not in request.META:  # nobody's request
        return
    for place in directory.find_memberships(user.id):
        note(
            kind,
            organization_id=place.organization_id,
            member_id=place.membership_id,
            address=client_address(request.META),
        )


def _note_failure_of(slug: str, username: str, address: str) -> None:
    organization_id = directory.find_organization(slug.lower())
    if organization_id is None or entered() not in {None, organization_id}:
        return
    with enter(organization_id):
        member = Membership.objects.active().filter(username=username).first()
    if member is not None:
        note(
            "member.login_failed",
            organization_id=organization_id,
            member_id=member.id,
            address=address,
        )
