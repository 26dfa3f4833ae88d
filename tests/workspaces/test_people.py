"""Who may change whom; what leaving leaves."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.events.models import Event
from apps.organizations.directory import find_api_key
from apps.organizations.models import Invitation, Membership
from apps.organizations.services import create_api_key, note_visit
from apps.workspaces import people
from apps.workspaces.models import InvitedPlace, Workspace, WorkspaceMembership
from tests.factories import make_member, make_workspace

ROLES = ("owner", "admin", "reviewer", "annotator")


def role_of(member: Membership) -> str:
    return Membership.objects.get(pk=member.pk).role


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("now", ROLES)
@pytest.mark.parametrize("by", ROLES)
def test_nobody_gives_or_takes_a_role_above_their_own(
    owner: Membership, by: str, now: str, role: str
) -> None:
    actor, member = make_member(role=by), make_member(role=now)
    allowed = by == "owner" or (by == "admin" and "owner" not in {now, role})
    if allowed:
        people.change_role(actor=actor, member=member, role=role)
        event = Event.objects.filter(kind="member.updated").latest("id")
        assert event.payload["changes"] == ({"role": [now, role]} if now != role else {})
    else:
        with pytest.raises(NotAllowedError):
            people.change_role(actor=actor, member=member, role=role)
    assert role_of(member) == (role if allowed else now)


def test_the_last_owner_stays_one(owner: Membership) -> None:
    with pytest.raises(InvalidError, match="at least one owner"):
        people.change_role(actor=owner, member=owner, role="admin")
    with pytest.raises(InvalidError, match="at least one owner"):
        people.deactivate(actor=owner, member=owner)
    other = make_member(role="owner")
    people.change_role(actor=owner, member=owner, role="admin")
    with pytest.raises(NotAllowedError):  # lowered, whatever the object in hand still says
        people.change_role(actor=Membership(pk=owner.pk, role="owner"), member=other, role="admin")


def test_places_are_given_as_far_as_the_actor_sees(owner: Membership) -> None:
    mine, also, hidden = make_workspace("mine"), make_workspace("also"), make_workspace("hidden")
    admin = make_member(role="admin", workspace=mine)
    WorkspaceMembership.objects.create(workspace=also, membership=admin, role="reviewer")
    ann = make_member(username="ann", workspace=hidden)
    people.change_places(actor=admin, member=ann, places={mine.id: "admin", also.id: None})
    held = WorkspaceMembership.objects.filter(membership=ann)
    expected = {mine.id: "admin", also.id: None, hidden.id: None}
    assert dict(held.values_list("workspace_id", "role")) == expected
    event = Event.objects.get(kind="member.places_changed")
    changes = {str(mine.id): [None, "admin"], str(also.id): [None, "inherited"]}
    assert event.payload["changes"] == changes
    with pytest.raises(NotAllowedError):  # a reviewer there
        people.change_places(actor=admin, member=ann, places={also.id: "admin"})
    with pytest.raises(NotFoundError):
        people.change_places(actor=admin, member=ann, places={hidden.id: None})
    with pytest.raises(InvalidError):
        people.change_places(actor=admin, member=ann, places={mine.id: "owner"})
    people.change_places(actor=admin, member=ann, places={})
    assert list(held.values_list("workspace_id", flat=True)) == [hidden.id]


def test_a_place_above_ones_own_there_is_not_taken_away(owner: Membership) -> None:
    workspace = make_workspace()
    bo = make_member(role="admin")
    WorkspaceMembership.objects.create(workspace=workspace, membership=bo, role="reviewer")
    chief = make_member()
    WorkspaceMembership.objects.create(workspace=workspace, membership=chief, role="admin")
    for places in ({}, {workspace.id: None}):
        with pytest.raises(NotAllowedError):
            people.change_places(actor=bo, member=chief, places=places)
    with pytest.raises(NotAllowedError):  # not even one's own
        people.change_places(actor=bo, member=bo, places={workspace.id: "admin"})


def test_a_place_above_ones_own_is_no_hindrance_elsewhere(owner: Membership) -> None:
    there, here = make_workspace(), make_workspace()
    bo, chief = make_member(role="admin", workspace=here), make_member()
    for member, role in ((bo, "reviewer"), (chief, "admin")):
        WorkspaceMembership.objects.create(workspace=there, membership=member, role=role)
    people.change_places(actor=bo, member=chief, places={there.id: "admin", here.id: "reviewer"})
    held = WorkspaceMembership.objects.filter(membership=chief)
    assert dict(held.values_list("workspace_id", "role")) == {
        there.id: "admin",
        here.id: "reviewer",
    }
    people.change_place(actor=bo, member=chief, workspace_id=here.id, places={})
    assert list(held.values_list("workspace_id", flat=True)) == [there.id]
    with pytest.raises(NotAllowedError):
        people.change_place(actor=bo, member=chief, workspace_id=there.id, places={})


@pytest.mark.parametrize("own", ["stranger", "annotator", "reviewer"])
def test_no_role_is_raised_where_the_actor_has_less(owner: Membership, own: str) -> None:
    """A role of the organization holds in each workspace that has no word of its own."""
    workspace = make_workspace()
    bo, ann = make_member(role="admin"), make_member(workspace=workspace)
    if own != "stranger":
        WorkspaceMembership.objects.create(workspace=workspace, membership=bo, role=own)
    with pytest.raises(NotAllowedError, match="In one of their workspaces"):
        people.change_role(actor=bo, member=ann, role="admin")
    assert role_of(ann) == "annotator"
    WorkspaceMembership.objects.filter(membership=ann).update(role="annotator")
    people.change_role(actor=bo, member=ann, role="admin")
    people.change_role(actor=owner, member=ann, role="owner")


def test_who_has_left_is_a_pseudonym_without_keys(owner: Membership) -> None:
    ann = make_member(username="ann", first_name="Ann", email="ann@example.com")
    WorkspaceMembership.objects.create(workspace=make_workspace(), membership=ann)
    _row, key = create_api_key(member=ann)
    Invitation.objects.create(
        email="ann@example.com",
        digest="d",
        invited_by=owner,
        membership=ann,
        expires_at=timezone.now(),
        accepted_at=timezone.now(),
    )
    people.deactivate(actor=owner, member=ann)
    ann.refresh_from_db()
    assert not Invitation.objects.exists()
    assert (ann.username, ann.first_name, ann.last_name) == (f"former-{ann.id}", "", None)
    assert (ann.user, ann.is_active, find_api_key(key)) == (None, False, None)
    assert not WorkspaceMembership.objects.filter(membership=ann).exists()
    told = str(Event.objects.get(kind="member.removed").payload)
    assert "ann" not in told.replace("annotator", "")
    with pytest.raises(NotFoundError):
        people.deactivate(actor=owner, member=ann)


def test_an_admin_lets_no_owner_go(owner: Membership) -> None:
    make_member(role="owner")
    with pytest.raises(NotAllowedError):
        people.deactivate(actor=make_member(role="admin"), member=owner)


def test_a_visit_is_noted_once_a_minute(owner: Membership, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        note_visit(owner)
        note_visit(owner)
    first = Membership.objects.get(pk=owner.pk).last_seen_at
    assert first is not None
    owner.last_seen_at = first - timedelta(seconds=61)
    note_visit(owner)
    assert Membership.objects.get(pk=owner.pk).last_seen_at > first


def test_an_invited_place_is_no_owners(owner: Membership, workspace: Workspace) -> None:
    invitation = Invitation.objects.create(
        email="a@example.com", digest="d", invited_by=owner, expires_at=timezone.now()
    )
    with pytest.raises(IntegrityError, match="invited_place_role_known"), transaction.atomic():
        InvitedPlace.objects.create(invitation=invitation, workspace=workspace, role="owner")
