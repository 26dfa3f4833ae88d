"""Invitations: one token, one mailbox, one acceptance, and never above who gave it."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import connection, connections
from django.utils import timezone

from apps.core.errors import (
    ConflictError,
    DomainError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
)
from apps.core.tenancy import enter
from apps.events.models import Event
from apps.organizations import directory
from apps.organizations.invitations import is_invited
from apps.organizations.models import Invitation, Membership
from apps.users.models import User
from apps.workspaces import invitations, people
from apps.workspaces.models import Workspace, WorkspaceMembership
from tests.conftest import ALL_DATABASES
from tests.factories import make_member, make_organization, make_workspace


def sent(actor: Membership, workspace: Workspace, **values: Any) -> invitations.Sent:
    values = {
        "emails": ["Ines@Example.com"],
        "role": "annotator",
        "places": {workspace.id: None},
    } | values
    (one,) = invitations.invite(actor=actor, **values)
    return one


def accept(one: invitations.Sent, user: User, token: str = "") -> Membership:
    return invitations.accept(invitation_id=one.invitation.id, token=token or one.token, user=user)


@pytest.fixture
def ines(db: None) -> User:
    return User.objects.create_user("ines@example.com", "a long pass phrase", first_name="Ines")


def test_only_the_digest_of_a_token_is_kept(owner: Membership, workspace: Workspace) -> None:
    one = sent(owner, workspace)
    with connection.cursor() as cursor:
        cursor.execute("SELECT i::text FROM invitation i")
        (row,) = cursor.fetchone()
    assert one.token not in row
    assert directory.digest(one.token) in row
    assert one.token not in str(list(Event.objects.values_list("payload", flat=True)))
    assert one.invitation.email == "ines@example.com"
    week = one.invitation.expires_at - timezone.now()
    assert timedelta(days=6, hours=23) < week <= timedelta(days=7)


def test_a_place_is_taken_as_it_was_offered(
    owner: Membership, workspace: Workspace, ines: User
) -> None:
    admin = make_member(role="admin", workspace=workspace)
    one = sent(admin, workspace, role="reviewer", places={workspace.id: "annotator"})
    found = directory.find_invitation(one.token)
    assert found == (owner.organization_id, one.invitation.id)
    member = accept(one, ines)
    assert (member.role, member.username, member.user) == ("reviewer", "ines", ines)
    place = WorkspaceMembership.objects.get(membership=member)
    assert (place.workspace, place.role) == (workspace, "annotator")
    assert EmailAddress.objects.get(user=ines).verified
    event = Event.objects.get(kind="invitation.accepted")
    assert event.actor_id == member.id
    one.invitation.refresh_from_db()
    assert one.invitation.membership == member


def test_a_token_is_good_once(owner: Membership, workspace: Workspace, ines: User) -> None:
    one = sent(owner, workspace)
    member = accept(one, ines)
    assert directory.find_invitation(one.token) is None
    with pytest.raises(NotFoundError):
        accept(one, ines)
    people.deactivate(actor=owner, member=member)
    with pytest.raises(NotFoundError):
        accept(one, ines)


def _expire(one: invitations.Sent, owner: Membership) -> None:
    past = timezone.now() - timedelta(minutes=10)
    Invitation.objects.filter(pk=one.invitation.pk).update(expires_at=past)


def _revoke(one: invitations.Sent, owner: Membership) -> None:
    invitations.revoke(actor=owner, invitation_id=one.invitation.id)


def _send_again(one: invitations.Sent, owner: Membership) -> None:
    invitations.send_again(actor=owner, invitation_id=one.invitation.id)


@pytest.mark.parametrize("end", [_expire, _revoke, _send_again])
def test_an_old_token_is_good_for_nothing(
    owner: Membership, workspace: Workspace, ines: User, end: Callable[..., None]
) -> None:
    one = sent(owner, workspace)
    end(one, owner)
    assert directory.find_invitation(one.token) is None
    with pytest.raises(NotFoundError):
        accept(one, ines)
    assert not Membership.objects.filter(user=ines).exists()


def test_sent_again_it_holds_another_week(
    owner: Membership, workspace: Workspace, ines: User
) -> None:
    one = sent(owner, workspace)
    _expire(one, owner)
    assert not is_invited("ines@example.com")
    again = invitations.send_again(actor=owner, invitation_id=one.invitation.id)
    assert is_invited("INES@example.com ")
    assert accept(again, ines).is_active
    assert not is_invited("ines@example.com")


def test_it_is_for_one_mailbox(owner: Membership, workspace: Workspace) -> None:
    one = sent(owner, workspace)
    for email in ("tom@example.com", None):
        with pytest.raises(NotAllowedError):
            accept(one, User.objects.create_user(email))
    with pytest.raises(NotFoundError):
        accept(one, User.objects.create_user("ines@example.com"), token="x" * 43)


def test_an_inviter_gives_what_they_have_when_it_is_accepted(
    owner: Membership, workspace: Workspace, ines: User
) -> None:
    admin = make_member(role="admin", workspace=workspace)
    one = sent(admin, workspace, role="admin")
    people.change_role(actor=owner, member=admin, role="annotator")
    with pytest.raises(NotFoundError):
        accept(one, ines)
    people.change_role(actor=owner, member=admin, role="admin")
    WorkspaceMembership.objects.filter(membership=admin).update(role="reviewer")
    with pytest.raises(NotFoundError):
        accept(one, ines)
    people.deactivate(actor=owner, member=admin)
    with pytest.raises(NotFoundError):
        accept(one, ines)
    again = invitations.send_again(actor=owner, invitation_id=one.invitation.id)
    assert accept(again, ines).role == "admin"


def test_who_may_invite_whom(owner: Membership, workspace: Workspace) -> None:
    admin = make_member(role="admin", workspace=workspace)
    with pytest.raises(NotAllowedError):
        sent(admin, workspace, role="owner")
    with pytest.raises(NotAllowedError):
        sent(make_member(role="reviewer", workspace=workspace), workspace)
    with pytest.raises(NotFoundError):
        sent(admin, make_workspace())
    kept = sent(owner, workspace, role="owner")
    for act in (invitations.send_again, invitations.revoke):
        with pytest.raises(NotAllowedError):
            act(actor=admin, invitation_id=kept.invitation.id)
    unseen = sent(owner, make_workspace(), emails=["elsewhere@example.com"], role="annotator")
    for act in (invitations.send_again, invitations.revoke):
        with pytest.raises(NotFoundError):
            act(actor=admin, invitation_id=unseen.invitation.id)


@pytest.mark.parametrize(
    "values",
    [
        {"role": "king"},
        {"places": {}},
        {"emails": ["new@example.com", "BO@example.com"]},
        {"emails": ["new@example.com", "waiting@example.com"]},
        {"emails": [f"{n}@example.com" for n in range(200)]},
    ],
)
def test_all_are_invited_or_none(
    owner: Membership, workspace: Workspace, values: dict[str, Any]
) -> None:
    make_member(email="bo@example.com")
    sent(owner, workspace, emails=["waiting@example.com"])
    with pytest.raises(InvalidError):
        sent(owner, workspace, **values)
    assert Invitation.objects.count() == 1


def test_who_left_is_asked_back_to_their_answers(
    owner: Membership, workspace: Workspace, ines: User
) -> None:
    member = accept(sent(owner, workspace), ines)
    people.deactivate(actor=owner, member=member)
    one = sent(owner, workspace, former=member, role="reviewer")
    back = accept(one, ines)
    assert (back.id, back.username, back.first_name) == (member.id, "ines", "Ines")
    assert (back.role, back.is_active) == ("reviewer", True)
    with pytest.raises(InvalidError):
        sent(owner, workspace, former=back, emails=["other@example.com"])


def test_a_member_takes_no_second_place(
    owner: Membership, workspace: Workspace, ines: User
) -> None:
    one = sent(owner, workspace)
    make_member(email="ines@example.com")
    with pytest.raises(ConflictError):
        accept(one, ines)


@pytest.mark.django_db(transaction=True, databases=ALL_DATABASES)
def test_of_many_at_once_one_is_let_in() -> None:
    organization = make_organization()
    user = User.objects.create_user("ines-at-once@example.com")
    with enter(organization.id):
        owner, workspace = make_member(role="owner"), make_workspace()
        one = sent(owner, workspace, emails=["ines-at-once@example.com"])
    outcomes: list[str] = []
    barrier = threading.Barrier(6)

    def race() -> None:
        barrier.wait(timeout=10)
        try:
            with enter(organization.id):
                outcomes.append(str(accept(one, user).id))
        except DomainError as error:
            outcomes.append(type(error).__name__)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("NotFoundError") == 5
    with enter(organization.id):
        assert Membership.objects.filter(user=user).count() == 1
