"""What the operator of the host does to an organization: suspend, limit, look, announce."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.rounds import find, for_each
from apps.core.tenancy import enter
from apps.events.log import emit
from apps.organizations import directory
from apps.organizations.models import (
    Announcement,
    Level,
    Membership,
    Organization,
    RecordVolume,
    SupportAccess,
)
from apps.users.models import User

SUPPORT_FOR: Final = timedelta(minutes=30)
LONGEST_REASON: Final = 500
LONGEST_ANNOUNCEMENT: Final = timedelta(days=366)


@transaction.atomic
def suspend(*, organization: Organization, reason: str) -> None:
    """Let nobody in from now on, no job begin anything, no webhook be told; nothing is lost.

    Raises ``ConflictError`` the second time.
    """
    changed = Organization.objects.filter(id=organization.id, suspended_at=None).update(
        suspended_at=timezone.now(), suspended_reason=_reason(reason), updated_at=timezone.now()
    )
    if not changed:
        raise ConflictError(gettext("The organization is suspended already."))
    emit(
        "organization.suspended",
        object_id=organization.id,
        payload={"reason": reason, "changes": {"suspended": [False, True]}},
    )


@transaction.atomic
def unsuspend(*, organization: Organization) -> None:
    """Let everybody in again; jobs go on where they stopped, webhooks are told what waited.

    Raises ``ConflictError`` when it was not suspended, or is due for deletion.
    """
    suspended = Organization.objects.filter(id=organization.id, suspended_at__isnull=False)
    if suspended.filter(deletion_due_at__isnull=False).exists():
        raise ConflictError(
            gettext("It is due for deletion; its owner has to take that back first.")
        )
    changed = suspended.update(suspended_at=None, suspended_reason="", updated_at=timezone.now())
    if not changed:
        raise ConflictError(gettext("The organization is not suspended."))
    emit(
        "organization.unsuspended",
        object_id=organization.id,
        payload={"changes": {"suspended": [True, False]}},
    )


@transaction.atomic
def set_record_limit(*, organization: Organization, limit: int | None) -> None:
    """How many records it may hold from now on, None for any number; what is there stays.

    A grace after a change of plan ends with it.
    """
    if limit is not None and not 0 <= limit <= 10**12:
        raise InvalidError(gettext("A limit is a number of records, 0 or more."))
    volume = RecordVolume.objects.select_for_update().get()
    before, volume.record_limit = volume.record_limit, limit
    volume.former_limit = volume.former_until = None
    volume.save(update_fields=["record_limit", "former_limit", "former_until"])
    emit(
        "organization.limit_changed",
        object_id=organization.id,
        payload={"changes": {"record_limit": [before, limit]}},
    )


@transaction.atomic
def begin_support(*, operator: User, member: Membership, reason: str) -> SupportAccess:
    """Look at the entered organization as the member; its owners see that in their log."""
    access = SupportAccess.objects.create(
        membership=member,
        operator_id=operator.id,
        operator=str(operator),
        reason=_reason(reason),
        ends_at=timezone.now() + SUPPORT_FOR,
    )
    payload = {
        "operator": access.operator,
        "reason": access.reason,
        "as": member.username,
        "until": access.ends_at.isoformat(),
    }
    emit("support.began", object_id=access.id, payload=payload)
    return access


@transaction.atomic
def end_support(*, access: SupportAccess) -> None:
    """End it now; the second time nothing happens."""
    rows = SupportAccess.objects.filter(id=access.id, ended_at=None)
    if rows.update(ended_at=timezone.now(), updated_at=timezone.now()):
        emit("support.ended", object_id=access.id, payload={"operator": access.operator})


def end_old_support() -> int:
    """End, with their events, accesses of any organization whose time is over; how many."""
    found = find(
        "SELECT organization_id, id AS access_id FROM support_access"
        " WHERE ended_at IS NULL AND ends_at < now() LIMIT 1000"
    )
    return len(for_each(found, _end_support))


def _end_support(organization_id: UUID, access_id: UUID) -> None:
    with enter(organization_id):
        for access in SupportAccess.objects.filter(id=access_id):
            end_support(access=access)


def find_support(access_id: UUID, operator_id: UUID) -> SupportAccess | None:
    """The operator's access to the entered organization, as long as it lasts. One query."""
    return (
        SupportAccess.objects.filter(
            id=access_id, operator_id=operator_id, ended_at=None, ends_at__gt=timezone.now()
        )
        .select_related("membership__organization__volume", "membership__user")
        .first()
    )


def announce(
    *,
    text: str,
    level: str = Level.NOTE,
    audience_id: UUID | None = None,
    starts_at: datetime | None = None,
    ends_at: datetime,
) -> Announcement:
    """Say something on every page, of everybody or of one organization, until ``ends_at``."""
    begin = starts_at or timezone.now()
    if not text.strip() or len(text) > LONGEST_REASON:
        raise InvalidError(gettext("An announcement has 1 to %d characters.") % LONGEST_REASON)
    if level not in Level.values:
        raise InvalidError(gettext("The level is not known."))
    if not begin < ends_at <= begin + LONGEST_ANNOUNCEMENT:
        raise InvalidError(gettext("It ends after it begins, and within a year."))
    return Announcement.objects.create(
        text=text.strip(), level=level, audience_id=audience_id, starts_at=begin, ends_at=ends_at
    )


def end_announcement(*, announcement: Announcement) -> None:
    """Take it back; what has not begun is as if it had never been."""
    announcement.delete()


def _reason(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_REASON or "\0" in text:
        raise InvalidError(gettext("A reason of 1 to %d characters is needed.") % LONGEST_REASON)
    return text.strip()


@transaction.atomic
def make_operator(*, email: str, password: str, is_operator: bool = True) -> tuple[User, bool]:
    """Let the account into the operator's console, or no longer; a new one gets the password.

    Returns the account and whether it is new. Raises ``InvalidError`` for what is no e-mail
    address, ``NotFoundError`` for an account that is to be let in no longer and is none.
    """
    try:
        validate_email(email)
    except ValidationError as error:
        raise InvalidError(f"{email!r} is not an e-mail address.") from error
    user = User.objects.select_for_update().filter(email__iexact=email).first()
    if user is None and not is_operator:
        raise NotFoundError(f"There is no account {email}.")
    if user is None:
        return User.objects.create_user(email, password, is_staff=True), True
    user.is_staff = is_operator
    user.save(update_fields=["is_staff"])
    return user, False


@transaction.atomic
def lock_account(*, user: User) -> None:
    """No log-in, no page, no key of the account works any more, until it is unlocked."""
    _set_active(user, "account.locked", is_active=False)


@transaction.atomic
def unlock_account(*, user: User) -> None:
    """As before."""
    _set_active(user, "account.unlocked", is_active=True)


@transaction.atomic
def reset_second_factor(*, user: User) -> None:
    """Forget authenticator, passkeys and recovery codes of the account; the password stays."""
    deleted, _ = Authenticator.objects.filter(user_id=user.pk).delete()
    if deleted:
        _note_account_change(user, "account.second_factor_reset")


def _set_active(user: User, kind: str, *, is_active: bool) -> None:
    if User.objects.filter(pk=user.pk, is_active=not is_active).update(is_active=is_active):
        _note_account_change(user, kind)


def _note_account_change(user: User, kind: str) -> None:
    """Tell each organization of the account, in its log, what the operator did to it."""
    for place in directory.find_memberships(user.id):
        with enter(place.organization_id):
            emit(kind, object_id=place.membership_id, payload={"account": str(user)})
