"""Workspaces: who is in them, what they see, and what the database refuses."""

import itertools
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.events.models import Event
from apps.organizations.models import Membership, Role
from apps.workspaces import services
from apps.workspaces.models import Workspace, WorkspaceMembership
from apps.workspaces.permissions import ALLOWED, Action, check, may, role_in
from tests.factories import make_dataset, make_member, make_workspace

pytestmark = pytest.mark.usefixtures("organization")


def again(member: Membership) -> Membership:
    """As a later request loads them."""
    return Membership.objects.get(pk=member.pk)


# --- Constraints ---------------------------------------------------------------------------------


def test_a_name_is_unique_and_has_the_form_that_clients_read(workspace: Workspace) -> None:
    with pytest.raises(IntegrityError, match="workspace_name_unique"), transaction.atomic():
        Workspace.objects.create(name=workspace.name)
    for name in ("", "two words", "ümlaut", "slash/", "line\n"):
        with (
            pytest.raises(IntegrityError, match="workspace_name_has_wire_form"),
            transaction.atomic(),
        ):
            Workspace.objects.create(name=name)


def test_a_member_is_in_a_workspace_once_with_a_known_role(workspace: Workspace) -> None:
    member = make_member(workspace=workspace)
    with pytest.raises(IntegrityError, match="workspace_membership_unique"), transaction.atomic():
        WorkspaceMembership.objects.create(workspace=workspace, membership=member)
    for role in ("king", "owner"):
        with (
            pytest.raises(IntegrityError, match="workspace_membership_role_known"),
            transaction.atomic(),
        ):
            WorkspaceMembership.objects.update(role=role)


# --- Services ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "two words", "ümlaut", "x" * 201, "line\n", "a/b"])
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidError, match="up to 200 letters"):
        services.create_workspace(name=name)


def test_name_and_id_are_taken_once() -> None:
    made = services.create_workspace(name="films", id=uuid4())
    with pytest.raises(ConflictError, match="with name `films` is not unique"):
        services.create_workspace(name="films")
    with pytest.raises(ConflictError, match=f"with id `{made.id}` is not unique"):
        services.create_workspace(name="books", id=made.id)


def test_only_an_empty_workspace_is_deleted(workspace: Workspace) -> None:
    dataset = make_dataset(workspace)
    with pytest.raises(ConflictError, match="has some datasets linked"):
        services.delete_workspace(workspace=workspace)
    dataset.delete()
    member = make_member(workspace=workspace)
    services.delete_workspace(workspace=workspace)
    assert not Workspace.objects.filter(pk=workspace.pk).exists()
    assert not WorkspaceMembership.objects.exists()
    assert Membership.objects.filter(pk=member.pk).exists()
    assert Event.objects.filter(kind="workspace.deleted").count() == 1


def test_a_member_comes_once_and_goes_once(workspace: Workspace) -> None:
    member = make_member(workspace=workspace)
    with pytest.raises(ConflictError, match="is not unique"):
        services.add_workspace_member(workspace=workspace, member=member)
    assert services.remove_workspace_member(workspace=workspace, member_id=member.id) == member
    with pytest.raises(NotFoundError, match="WorkspaceUser not found"):
        services.remove_workspace_member(workspace=workspace, member_id=member.id)
    kinds = Event.objects.filter(object_id=workspace.id).order_by("id")
    assert list(kinds.values_list("kind", flat=True))[1:] == [
        "workspace.member_added",
        "workspace.member_removed",
    ]


# --- Who sees and may do what --------------------------------------------------------------------


def test_an_owner_sees_all_others_their_own(owner: Membership) -> None:
    first, second = make_workspace(), make_workspace()
    assert set(Workspace.objects.visible_to(owner)) == {first, second}
    for role in ("admin", "reviewer", "annotator"):
        member = make_member(role=role, workspace=first)
        assert list(Workspace.objects.visible_to(member)) == [first]
    assert not Workspace.objects.visible_to(make_member(role="admin")).exists()


@pytest.mark.parametrize(
    ("role", "override", "effective"),
    [
        ("annotator", None, "annotator"),
        ("annotator", "admin", "admin"),
        ("annotator", "reviewer", "reviewer"),
        ("admin", "annotator", "annotator"),
        ("reviewer", None, "reviewer"),
        ("owner", "annotator", "owner"),
    ],
)
def test_a_workspaces_word_overrides_the_organizations(
    workspace: Workspace, role: str, override: str | None, effective: str
) -> None:
    member = make_member(role=role)
    services.add_workspace_member(workspace=workspace, member=member, role=override)
    assert role_in(member, workspace.id) == effective
    for action in Action:
        assert may(member, action, workspace.id) == (action in ALLOWED[effective])
        assert may(member, action) == (action in ALLOWED[role])
    reviewed = Workspace.objects.reviewed_by(member)
    assert reviewed.exists() == (effective != "annotator")


def test_a_stranger_may_nothing(workspace: Workspace) -> None:
    stranger = make_member(role="admin", workspace=make_workspace())
    assert role_in(stranger, workspace.id) is None
    for action in Action:
        assert not may(stranger, action, workspace.id)
        with pytest.raises(NotAllowedError):
            check(again(stranger), action, workspace.id)
    assert not Workspace.objects.reviewed_by(stranger).filter(pk=workspace.pk).exists()


def test_each_role_may_what_the_next_ones_may() -> None:
    roles = [Role.OWNER, Role.ADMIN, Role.REVIEWER, Role.ANNOTATOR]
    for higher, lower in itertools.pairwise(roles):
        assert ALLOWED[higher] > ALLOWED[lower]
    assert ALLOWED[Role.OWNER] == set(Action)
    assert {Action.ANSWER, Action.VIEW_DATASET} == ALLOWED[Role.ANNOTATOR]
    only_owners = ALLOWED[Role.OWNER] - ALLOWED[Role.ADMIN]
    assert only_owners == {
        Action.MANAGE_ORGANIZATION,
        Action.MANAGE_PLAN,
        Action.MANAGE_MEMBERS,
        Action.MANAGE_WORKSPACES,
        Action.MANAGE_WEBHOOKS,
        Action.MANAGE_PROVIDERS,
        Action.ADD_WORKSPACE_MEMBERS,
    }


def test_the_role_is_asked_once_a_request(
    workspace: Workspace, django_assert_num_queries: Any
) -> None:
    member, owner = make_member(workspace=workspace), make_member(role="owner")
    with django_assert_num_queries(1):
        for action in Action:
            may(member, action, workspace.id)
    with django_assert_num_queries(0):
        may(owner, Action.ANSWER, workspace.id)
